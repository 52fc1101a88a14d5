// SPDX-License-Identifier: GPL-2.0-or-later
/* Which contracts the policy admits beside others, and what it tells of those: what is promised. */
#include "cloud/policy.h"

#include <math.h>
#include <matrix/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define SLICE         1000000ULL
#define PERCENT(n)    ((n)*POLICY_WHOLE / 100)
#define CONTRACT(...) (&(struct policy_contract){.weight = 100, __VA_ARGS__})

static void refuse(struct matrix_error *error, const char *words)
{
    assert_non_null(error);
    assert_int_equal(error->kind, MATRIX_ERROR_USAGE);
    if (!strstr(error->message, words))
        fail_msg("\"%s\" does not say \"%s\"", error->message, words);
    matrix_error_free(error);
}

static void test_admission(void **state)
{
    struct policy *policy;
    struct policy_entity neo, morpheus, trinity, *tenant, *deep;
    double least, all;
    assert_null(policy_create(SLICE, NULL, &policy));
    refuse(policy_create(SLICE, "tarot", &policy), "no policy \"tarot\"");
    assert_null(policy_add(policy, NULL, &neo, "neo", CONTRACT(.floor_ppm = PERCENT(40))));
    assert_null(
        policy_add_group(policy, NULL, "tenant", CONTRACT(.floor_ppm = PERCENT(50)), &tenant));
    refuse(policy_add(policy, NULL, &trinity, "trinity", CONTRACT(.floor_ppm = PERCENT(20))),
           "the floors pass 100 % of the core: tenant 50 % + neo 40 % + trinity 20 % = 110 %");
    assert_null(
        policy_add(policy, tenant, &morpheus, "morpheus", CONTRACT(.floor_ppm = PERCENT(30))));
    refuse(policy_add(policy, tenant, &trinity, "trinity", CONTRACT(.floor_ppm = PERCENT(21))),
           "in group tenant pass its own of 50 %: morpheus 30 % + trinity 21 % = 51 %");
    refuse(policy_set(policy, tenant, CONTRACT(.floor_ppm = PERCENT(20))),
           "less than those of its");
    refuse(policy_add(policy, NULL, &trinity, "trinity",
                      CONTRACT(.floor_ppm = PERCENT(10), .ceiling_ppm = PERCENT(5))),
           "the floor of trinity, 10 %, is above its ceiling of 5 %");
    refuse(policy_add(policy, NULL, &trinity, "trinity", CONTRACT(.ceiling_ppm = PERCENT(101))),
           "more than a core");
    refuse(policy_add(policy, NULL, &trinity, "trinity", &(struct policy_contract){0}), "weight 0");
    refuse(policy_set(policy, &neo, CONTRACT(.floor_ppm = PERCENT(40), .latency_ns = SLICE)),
           "latency: 1 ms for neo cannot be kept");
    assert_int_equal(neo.contract.latency_ns, 0); /* and nothing was changed */

    assert_null(policy_add(policy, tenant, &trinity, "trinity", CONTRACT(.latency_ns = SLICE)));
    assert_int_equal(policy_latency(policy, &trinity), UINT64_MAX); /* a wish, without a floor */
    policy_promise(&trinity, &least, &all);
    assert_true(least == 0 && fabs(all - 0.2) < 1e-9); /* beside a floor of 30 of tenant's 50 */
    policy_promise(&morpheus, &least, &all);
    assert_true(fabs(least - 0.3) < 1e-9 && fabs(all - 0.3) < 1e-9);
    policy_remove(policy, &trinity);
    policy_remove(policy, &neo);
    assert_null(policy_add(policy, NULL, &neo, "neo", CONTRACT(.floor_ppm = PERCENT(50))));
    for (int i = 1; i <= POLICY_DEPTH_MAX; i++) {
        struct matrix_error *error = policy_add_group(policy, tenant, "deep", CONTRACT(0), &deep);
        tenant = deep;
        if (i == POLICY_DEPTH_MAX)
            refuse(error, "nested more than");
        else
            assert_null(error);
    }
    policy_destroy(policy);
}

static void assert_if_all_run(const struct policy_entity *entity, double expected)
{
    double least, all;
    policy_promise(entity, &least, &all);
    assert_true(fabs(all - expected) < 1e-9);
}

/* What is promised is remembered until any contract changes, be it of the group around. */
static void test_promises_follow_changes(void **state)
{
    struct policy *policy;
    struct policy_entity neo, morpheus, trinity, *tenant;
    assert_null(policy_create(SLICE, NULL, &policy));
    assert_null(policy_add_group(policy, NULL, "tenant", CONTRACT(0), &tenant));
    assert_null(policy_add(policy, tenant, &neo, "neo", CONTRACT(0)));
    assert_if_all_run(&neo, 1);
    assert_null(policy_add(policy, tenant, &morpheus, "morpheus", CONTRACT(0)));
    assert_if_all_run(&neo, 0.5);
    assert_null(policy_add(policy, NULL, &trinity, "trinity", CONTRACT(0)));
    assert_if_all_run(&neo, 0.25);
    assert_null(policy_set(policy, tenant, CONTRACT(.ceiling_ppm = PERCENT(20))));
    assert_if_all_run(&neo, 0.1);
    assert_if_all_run(&trinity, 0.8);
    assert_null(policy_set(policy, &neo, CONTRACT(.ceiling_ppm = PERCENT(5))));
    assert_if_all_run(&morpheus, 0.15);
    policy_remove(policy, &neo);
    assert_if_all_run(&morpheus, 0.2);
    policy_remove(policy, &trinity);
    assert_if_all_run(&morpheus, 0.2);
    policy_destroy(policy);
}

/* However often a change is refused that would take a ceiling away, or ask for a latency: nobody gets more by it,
 * and nothing is asked for in smaller pieces. */
static void test_refusals_change_nothing(void **state)
{
    struct policy *policy;
    struct policy_entity guest; /* alone, so that its ceiling is all that holds it back */
    uint64_t now = 0;
    assert_null(policy_create(SLICE, NULL, &policy));
    assert_null(policy_add(policy, NULL, &guest, "guest",
                           CONTRACT(.floor_ppm = PERCENT(20), .ceiling_ppm = PERCENT(40))));
    assert_null(policy_join(policy, &guest));
    for (unsigned step = 0; step < 1000; step++) {
        refuse(policy_set(policy, &guest, CONTRACT(.floor_ppm = PERCENT(20), .latency_ns = SLICE)),
               "latency: 1 ms for guest cannot be kept");
        assert_int_equal(guest.request_ns, 0);
        if (!policy_pick(policy, now))
            now = policy_release_ns(policy);
        const uint64_t slice = policy_slice(policy, policy_pick(policy, now));
        now += slice;
        policy_charge(policy, &guest, slice, now);
        assert_true(guest.cpu_ns <= now / 10 * 4 + 2 * SLICE); /* the bucket holds 1.5 slices */
    }
    policy_destroy(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_admission),
        cmocka_unit_test(test_promises_follow_changes),
        cmocka_unit_test(test_refusals_change_nothing),
    };
    return cmocka_run_group_tests_name("policy_admission", tests, NULL, NULL);
}
