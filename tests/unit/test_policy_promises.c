// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the policy promises, each by itself: floors, ceilings, latency targets, groups, changes; and the second
 * discipline.
 */
#include "cloud/policy.h"

#include <math.h>
#include <matrix/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>
/* and these need cmocka.h */
#include "policy_random.h"

#include "policy_tree.h"

#define CONTRACT(...) (&(struct policy_contract){.weight = 100, __VA_ARGS__})

/* In no window of wall time, of any length, a ceiling is passed by more than the bucket holds; while
 * others run or do not, and while the host takes the core away or not. Alone it gets all of its ceiling. */
static void ceiling_history(uint64_t seed, bool in_group)
{
    struct tree tree;
    tree_create(&tree, seed, NULL);
    tree.limit = 2;
    const uint32_t ceiling = PERCENT(3 + 7 * seed % 90);
    const uint32_t floor = seed % 3 ? 0 : ceiling / (uint32_t)(1 + seed % 2);
    const struct policy_contract contract = {
        .weight = 50, .floor_ppm = floor, .ceiling_ppm = ceiling};
    int limited = tree_add(&tree, ROOT, in_group, &contract), guest = limited;
    if (in_group)
        for (int i = 0; i < 2; i++)
            guest = tree_add(&tree, limited, false, &(struct policy_contract){.weight = 1});
    const int other = tree_add(&tree, ROOT, false, &(struct policy_contract){.weight = 50});
    const struct policy_entity *entity = tree.nodes[limited].entity;
    const long double room = SLICE * (1 + (long double)floor / ceiling) + SLICE / 20 + ROUNDING;
    for (int i = limited + 1; i <= guest; i++)
        tree_join(&tree, i);
    if (!in_group)
        tree_join(&tree, guest);
    long double least = 0;
    for (unsigned step = 0; step < 6000; step++) {
        if (step > 3000 && random_below(&tree.seed, 10) == 0) {
            if (tree.nodes[other].joined)
                tree_leave(&tree, other);
            else
                tree_join(&tree, other);
        }
        if (step > 3000 && random_below(&tree.seed, 20) == 0)
            tree.now += random_below(&tree.seed, 10 * SLICE);
        tree_step(&tree, step > 3000 ? run_any : run_all);
        const long double over =
            (long double)entity->cpu_ns - (long double)tree.now * ceiling / POLICY_WHOLE;
        tree_expect(&tree, over - least <= room, "ceiling", limited);
        least = fminl(least, over);
        if (step < 3000)
            tree_expect(&tree, over >= -2.0L * SLICE, "less than its ceiling", limited);
    }
    tree_destroy(&tree);
}

static void test_ceilings_are_kept(void **state)
{
    for (uint64_t seed = 1; seed <= 30; seed++)
        ceiling_history(seed, seed % 4 == 0);
}

/* A floor that is also the ceiling is a share that is kept exactly, beside hungry others. */
static void test_floor_at_ceiling(void **state)
{
    for (uint32_t percent = 10; percent <= 90; percent += 20) {
        struct tree tree;
        tree_create(&tree, percent, NULL);
        const int guest = tree_add(&tree, ROOT, false,
                                   &(struct policy_contract){.weight = 1,
                                                             .floor_ppm = PERCENT(percent),
                                                             .ceiling_ppm = PERCENT(percent)});
        tree_join(&tree, guest);
        for (int i = 0; i < 5; i++)
            tree_join(&tree, tree_add(&tree, ROOT, false, &(struct policy_contract){.weight = 9}));
        for (unsigned step = 0; step < 5000; step++)
            tree_step(&tree, run_all);
        const long double due = (long double)tree.now * percent / 100;
        tree_expect(&tree, fabsl(due - (long double)tree.nodes[guest].own.cpu_ns) <= SLICE,
                    "not its share", guest);
        tree_destroy(&tree);
    }
}

/* A target that was admitted is met, however the guest sleeps, whatever the others do. */
static void latency_history(uint64_t seed, bool nested)
{
    struct tree tree;
    tree_create(&tree, seed, NULL);
    tree.limit = 2;
    int parent = ROOT;
    if (nested)
        parent = tree_add(&tree, ROOT, true,
                          &(struct policy_contract){.weight = 10, .floor_ppm = PERCENT(50)});
    const struct policy_contract contract = {
        .weight = 5, .floor_ppm = PERCENT(20), .latency_ns = nested ? 10 * SLICE : 2 * SLICE};
    const int guest = tree_add(&tree, parent, false, &contract);
    assert_true(guest > 0);
    const uint64_t promise = policy_latency(tree.policy, tree.nodes[guest].entity);
    assert_true(promise <= contract.latency_ns);
    for (int i = 0; i < 20; i++)
        tree_join(&tree, tree_add(&tree, i % 3 ? ROOT : parent, false,
                                  &(struct policy_contract){.weight = 1 + (uint32_t)i * 5}));
    uint64_t ready = 0, worst = 0;
    for (unsigned step = 0; step < 8000; step++) {
        if (!tree.nodes[guest].joined && random_below(&tree.seed, 3) == 0) {
            tree_join(&tree, guest);
            ready = tree.now;
        }
        const uint64_t now = tree.now;
        if (tree_step(&tree, run_all) != guest)
            continue;
        if (ready && now - ready > worst)
            worst = now - ready;
        ready = 0;
        if (random_below(&tree.seed, 3) == 0) {
            tree_leave(&tree, guest);
            ready = 0;
        }
    }
    tree_expect(&tree, worst <= promise, "latency", guest);
    tree_destroy(&tree);
}

static void test_latency_targets_are_met(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++)
        latency_history(seed, seed % 2);
}

static uint64_t run_late_at_first(struct tree *tree, int guest, uint64_t slice)
{
    return tree->steps < 20 ? slice + SLICE : slice;
}

/* The same when runs have taken too long once, for which requests allow from then on. */
static void test_latency_targets_are_met_after_overruns(void **state)
{
    struct tree tree;
    tree_create(&tree, 1, NULL);
    tree.limit = 2;
    const struct policy_contract contract = {
        .weight = 1, .floor_ppm = PERCENT(10), .latency_ns = 3 * SLICE};
    const int guest = tree_add(&tree, ROOT, false, &contract);
    for (int i = 0; i < 4; i++)
        tree_join(&tree, tree_add(&tree, ROOT, false, &(struct policy_contract){.weight = 100}));
    uint64_t ready = 0, wake = 0;
    for (unsigned step = 0; step < 20000; step++) {
        if (!tree.nodes[guest].joined && tree.now >= wake) {
            tree_join(&tree, guest);
            ready = tree.now;
        }
        const uint64_t now = tree.now;
        if (tree_step(&tree, run_late_at_first) != guest)
            continue;
        tree_expect(&tree, step < 1000 || now - ready <= contract.latency_ns, "latency", guest);
        tree_leave(&tree, guest);
        wake = tree.now + random_below(&tree.seed, 20 * SLICE);
    }
    tree_destroy(&tree);
}

/* More weight never gets less, also beside floors and ceilings. */
static void test_monotone_in_weight(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct tree tree;
        tree_create(&tree, seed, NULL);
        for (uint32_t i = 0; i < 20; i++) {
            struct policy_contract contract = {.weight = 1 + i * (uint32_t)seed};
            contract.floor_ppm = seed % 2 ? PERCENT(4) : 0;
            contract.ceiling_ppm = seed % 3 ? PERCENT(8) : 0;
            tree_join(&tree, tree_add(&tree, ROOT, false, &contract));
        }
        for (unsigned step = 0; step < 5000; step++)
            tree_step(&tree, run_all);
        for (int i = 2; i < tree.count; i++)
            tree_expect(&tree, tree.nodes[i].own.cpu_ns + 2 * SLICE >= tree.nodes[i - 1].own.cpu_ns,
                        "more weight got less", i);
        tree_destroy(&tree);
    }
}

/* Two tenants: what one's members do is no business of the other's. Shares, and what the report says. */
static void test_groups_share(void **state)
{
    struct tree tree;
    struct policy_share share;
    tree_create(&tree, 1, NULL);
    const int first = tree_add(&tree, ROOT, true, &(struct policy_contract){.weight = 60});
    const int second = tree_add(&tree, ROOT, true, &(struct policy_contract){.weight = 40});
    int guests[5];
    guests[0] = tree_add(&tree, first, false, &(struct policy_contract){.weight = 100});
    for (int i = 1; i < 5; i++)
        guests[i] = tree_add(&tree, second, false, &(struct policy_contract){.weight = 100});
    for (int i = 0; i < 5; i++)
        tree_join(&tree, guests[i]);
    for (unsigned step = 0; step < 20000; step++)
        tree_step(&tree, run_any);
    for (int i = 0; i < 5; i++) {
        policy_share(tree.policy, &tree.nodes[guests[i]].own, &share);
        const double due = i ? 0.1 : 0.6, total = (double)share.contended_total_ns;
        assert_true(fabs((double)share.entitled_ns / total - due) < 1e-6);
        assert_true(fabs((double)share.contended_cpu_ns / total - due) < 0.001);
    }
    /* The first tenant's only guest sleeps: its share is the other's. */
    tree_leave(&tree, guests[0]);
    const uint64_t before = tree.nodes[guests[1]].own.cpu_ns, began = tree.now;
    for (unsigned step = 0; step < 4000; step++)
        tree_step(&tree, run_all);
    const uint64_t got = tree.nodes[guests[1]].own.cpu_ns - before;
    assert_true(fabs((double)got / (double)(tree.now - began) - 0.25) < 0.002);
    uint64_t sum = 0; /* a group's account is that of its members */
    for (int i = 1; i < 5; i++)
        sum += tree.nodes[guests[i]].own.cpu_ns;
    policy_share(tree.policy, tree.nodes[second].entity, &share);
    assert_int_equal(share.cpu_ns, sum);
    tree_destroy(&tree);
}

/* Changes take effect at the next slice. */
static void test_changes(void **state)
{
    struct tree tree;
    tree_create(&tree, 1, NULL);
    tree.limit = 2;
    const int a = tree_add(&tree, ROOT, false, &(struct policy_contract){.weight = 50});
    const int b = tree_add(&tree, ROOT, false, &(struct policy_contract){.weight = 50});
    tree_join(&tree, a);
    tree_join(&tree, b);
    static const struct {
        struct policy_contract contract;
        double share;
    } steps[] = {{{.weight = 50}, 0.5},
                 {{.weight = 150}, 0.75},
                 {{.weight = 1, .floor_ppm = PERCENT(30)}, 0.3},
                 {{.weight = 9999, .ceiling_ppm = PERCENT(40)}, 0.4},
                 {{.weight = 50}, 0.5}};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        assert_true(tree_set(&tree, a, &steps[i].contract));
        const uint64_t before = tree.nodes[a].own.cpu_ns, began = tree.now;
        for (unsigned step = 0; step < 1000; step++)
            tree_step(&tree, run_all);
        const double share =
            (double)(tree.nodes[a].own.cpu_ns - before) / (double)(tree.now - began);
        if (fabs(share - steps[i].share) > 0.003)
            fail_msg("change %zu: %f", i, share);
    }
    tree_destroy(&tree);
}

/* --- others ---------------------------------------------------------------------------------------------- */

/* The second discipline: each in turn, whatever its weight; ceilings are kept all the same. */
static void test_round_robin(void **state)
{
    struct policy *policy;
    struct policy_entity guests[3];
    uint64_t now = 0;
    assert_string_equal(policy_name(0), "contract");
    assert_string_equal(policy_name(1), "round-robin");
    assert_null(policy_name(2));
    assert_null(policy_create(SLICE, "round-robin", &policy));
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t ceiling = i ? 0 : PERCENT(10);
        assert_null(
            policy_add(policy, NULL, &guests[i], "guest",
                       &(struct policy_contract){.weight = 1 + 100 * i, .ceiling_ppm = ceiling}));
        assert_null(policy_join(policy, &guests[i]));
    }
    for (int i = 0; i < 10000; i++) {
        struct policy_entity *picked = policy_pick(policy, now);
        const uint64_t slice = policy_slice(policy, picked);
        now += slice;
        policy_charge(policy, picked, slice, now);
    }
    assert_in_range(guests[0].cpu_ns, now / 10 * 8 / 10, now / 10 + SLICE);
    assert_in_range(guests[1].cpu_ns, guests[2].cpu_ns - SLICE, guests[2].cpu_ns + SLICE);
    for (int i = 0; i < 3; i++)
        policy_remove(policy, &guests[i]);
    assert_null(policy_pick(policy, now));
    policy_destroy(policy);
}

/* Who may run without an end to its slice: alone, and below no ceiling. */
static void test_unlimited(void **state)
{
    struct policy *policy;
    struct policy_entity a, b, *group;
    assert_null(policy_create(SLICE, NULL, &policy));
    assert_null(
        policy_add_group(policy, NULL, "group", CONTRACT(.ceiling_ppm = PERCENT(50)), &group));
    assert_null(policy_add(policy, NULL, &a, "a", CONTRACT(0)));
    assert_null(policy_add(policy, group, &b, "b", CONTRACT(0)));
    assert_null(policy_join(policy, &a));
    assert_true(policy_is_unlimited(policy, &a));
    assert_null(policy_join(policy, &b));
    assert_false(policy_is_unlimited(policy, &a));
    policy_leave(policy, &a);
    assert_false(policy_is_unlimited(policy, &b));
    assert_ptr_equal(policy_pick(policy, 0), &b);
    policy_charge(policy, &b, 3 * SLICE, 3 * SLICE); /* far too long: 1.5 slices to be waited */
    assert_null(policy_pick(policy, 3 * SLICE));
    assert_in_range(policy_release_ns(policy), 3 * SLICE + 1, 8 * SLICE);
    assert_null(policy_join(policy, &a));
    assert_true(policy_is_unlimited(policy, &a)); /* until the release */
    assert_ptr_equal(policy_pick(policy, 3 * SLICE), &a);
    assert_null(policy_set(policy, group, CONTRACT(0))); /* no ceiling any more */
    assert_int_equal(policy_release_ns(policy), 0);
    assert_false(policy_is_unlimited(policy, &a));
    policy_destroy(policy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ceilings_are_kept),
        cmocka_unit_test(test_floor_at_ceiling),
        cmocka_unit_test(test_latency_targets_are_met),
        cmocka_unit_test(test_latency_targets_are_met_after_overruns),
        cmocka_unit_test(test_monotone_in_weight),
        cmocka_unit_test(test_groups_share),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_round_robin),
        cmocka_unit_test(test_unlimited),
    };
    return cmocka_run_group_tests_name("policy_promises", tests, NULL, NULL);
}
