// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Floors, ceilings and groups, with real guests: the policy is asked by the loop as it is meant to be.
 * What it promises in itself is tested in tests/unit/test_policy_contract.c.
 */
#include "tests/kvm/host.h"

#include <math.h>

#define PERCENT(percent) ((uint32_t)(percent) * (MATRIX_WHOLE_CORE / 100))

static const char *const spin[] = {"spin", NULL};
static const char *const chatter[] = {"chatter", NULL};

static struct test_guest create(const char *const *argv)
{
    return test_guest_create((struct matrix_vm_options){.argv = argv});
}

static void add(struct matrix_core *core, const struct test_guest *guest,
                struct matrix_contract contract)
{
    assert_success(matrix_core_add_contract(core, guest->vm, &contract));
}

/* Of the wall time, whatever happens: nothing else runs, or something that wants it all. False: nobody ran, and yet
 * the core was not idle for most of the time. */
static bool ceiling_is_kept_for(uint64_t duration_ns, bool others)
{
    struct test_guest guests[] = {create(others ? spin : chatter), create(spin)};
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){.cpu = 0, .duration_ns = duration_ns}, NULL, NULL, 0);
    add(core, &guests[0], (struct matrix_contract){.weight = 1000, .ceiling_ppm = PERCENT(30)});
    if (others)
        add(core, &guests[1], (struct matrix_contract){.weight = 1});
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_DURATION);
    const struct matrix_core_statistics loop = test_core_statistics(core);
    const double most =
        0.3 * (double)loop.wall_ns + (double)MATRIX_SLICE_DEFAULT_NS + (double)loop.delay_worst_ns;
    const double got = (double)test_core_guest(core, 0).cpu_ns;
    print_message("# %.4f of the wall time\n", got / (double)loop.wall_ns);
    assert_true(got <= most);
    assert_true(got > 0);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
    return others || loop.idle_wall_ns >= loop.wall_ns / 2;
}

static void ceiling_is_kept(void **state)
{
    for (int others = 0; others < 2; others++) {
        uint64_t duration_ns = 2 * SECOND_NS;
        /* To the lab, what the host takes away is CPU time of who was on. */
        while (!ceiling_is_kept_for(duration_ns, others)) {
            assert_true(duration_ns < TEST_LONGEST_NS);
            duration_ns *= 2;
        }
    }
}

/* A tenant with a floor beside four guests of more weight: 40 %, its two members 3 to 1. */
static void groups_and_floors(void **state)
{
    struct test_guest guests[6];
    struct matrix_core_group *tenant;
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){.cpu = 0, .duration_ns = 3 * SECOND_NS}, NULL, NULL, 0);
    assert_success(matrix_core_add_group(
        core, "tenant", &(struct matrix_contract){.weight = 1, .floor_ppm = PERCENT(40)}, &tenant));
    for (unsigned i = 0; i < 6; i++) {
        guests[i] = create(i % 2 ? spin : chatter);
        add(core, &guests[i],
            (struct matrix_contract){.weight = i == 1 ? 25 : 75, .group = i < 2 ? tenant : NULL});
    }
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_DURATION);
    assert_share(core, 0, 0.3);
    assert_share(core, 1, 0.1);
    for (size_t i = 2; i < 6; i++)
        assert_share(core, i, 0.15);
    assert_string_equal(test_core_guest(core, 0).group, "tenant");
    assert_null(test_core_guest(core, 2).group);
    matrix_core_destroy(core);
    for (int i = 0; i < 6; i++)
        test_guest_destroy(&guests[i]);
}

static void floors_that_do_not_fit_are_refused(void **state)
{
    struct test_guest guests[] = {create(spin), create(spin)};
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = 0}, NULL, NULL, 0);
    add(core, &guests[0], (struct matrix_contract){.weight = 1, .floor_ppm = PERCENT(60)});
    const struct matrix_contract too_much = {.weight = 1, .floor_ppm = PERCENT(50)};
    assert_refused(matrix_core_add_contract(core, guests[1].vm, &too_much), MATRIX_ERROR_USAGE,
                   "110 %");
    add(core, &guests[1], (struct matrix_contract){.weight = 1, .floor_ppm = PERCENT(40)});
    assert_refused(matrix_core_set_contract(core, guests[1].vm, &too_much), MATRIX_ERROR_USAGE,
                   "110 %");
    const struct matrix_contract less = {.weight = 7};
    assert_success(matrix_core_set_contract(core, guests[1].vm, &less));
    assert_int_equal(test_core_guest(core, 1).weight, 7);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

/* What both have had before the contract is changed. */
static uint64_t swapped_ns;

/* The contract is changed while the guests run, from the tick: after half of what they get. */
static void swap(struct matrix_core *core, void *context)
{
    const struct test_guest *guests = context;
    const struct matrix_contract heavy = {.weight = 300}, light = {.weight = 100};
    const uint64_t total_ns = test_core_guest(core, 0).contended_total_ns;
    if (swapped_ns && total_ns >= 2 * swapped_ns)
        matrix_core_stop(core);
    if (swapped_ns || total_ns < SECOND_NS)
        return;
    swapped_ns = total_ns;
    assert_success(matrix_core_set_contract(core, guests[0].vm, &heavy));
    assert_success(matrix_core_set_contract(core, guests[1].vm, &light));
}

static void contract_changes_while_running(void **state)
{
    struct test_guest guests[] = {create(spin), create(spin)};
    swapped_ns = 0;
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = 0,
                                                      .duration_ns = 60 * SECOND_NS,
                                                      .tick_ns = 20 * MILLISECOND_NS,
                                                      .tick = swap,
                                                      .context = guests},
                         guests, (const unsigned[]){100, 300}, 2);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    const struct matrix_core_guest first = test_core_guest(core, 0);
    const double total = (double)first.contended_total_ns;
    const double expected = 0.75 - 0.5 * (double)swapped_ns / total;
    /* What was promised and what was given agree, whenever it was that the tick came. */
    const double tolerance = test_share_tolerance(core, total, 2 * MATRIX_SLICE_DEFAULT_NS);
    print_message("# expected %.4f, promised %.4f, given %.4f\n", expected, first.promised,
                  first.given);
    assert_true(fabs(first.promised - first.given) < tolerance);
    assert_true(fabs(first.promised - expected) < 0.001);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

/* The other policy does not keep the contract, and the report says so. What was given. */
static double given_by_round_robin(uint64_t duration_ns)
{
    struct test_guest guests[] = {create(spin), create(spin)};
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){.cpu = 0, .duration_ns = duration_ns, .policy = "round-robin"},
        guests, (const unsigned[]){70, 30}, 2);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_DURATION);
    const struct matrix_core_guest first = test_core_guest(core, 0);
    print_message("# promised %.4f, given %.4f\n", first.promised, first.given);
    assert_true(fabs(first.promised - 0.7) < 0.001);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
    return first.given;
}

static void round_robin(void **state)
{
    uint64_t duration_ns = SECOND_NS;
    /* What the host takes away from one of them is more than the other's slice in return. */
    while (given_by_round_robin(duration_ns) >= 0.65) {
        assert_true(duration_ns < TEST_LONGEST_NS);
        duration_ns *= 2;
    }
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(ceiling_is_kept),
        cmocka_unit_test(groups_and_floors),
        cmocka_unit_test(floors_that_do_not_fit_are_refused),
        cmocka_unit_test(contract_changes_while_running),
        cmocka_unit_test(round_robin),
    };
    return host_run_tests(argc, argv, "contract", tests, COUNT(tests));
}
