// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy against the fluid model of policy_world.h: shares, the bound on the lag, sleepers,
 * debts, accounting, and what a decision costs with a million guests.
 */
#include "base/clock.h"
#include "cloud/policy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka.h needs the above */
#include <cmocka.h>
/* and this needs cmocka.h */
#include "policy_world.h"

/* 70/30 over 5 s at 1 ms slices, at both orders of start, however the two run. */
static void test_seventy_thirty(void **state)
{
    static world_run *const runs[] = {run_full, run_mixed, run_late};
    for (unsigned variant = 0; variant < 6; variant++) {
        struct world world;
        world_create(&world, 2, 1);
        size_t neo = variant % 2;
        policy_entity_init(&world.guests[neo].entity, 70);
        policy_entity_init(&world.guests[1 - neo].entity, 30);
        world_join(&world, 0);
        world_join(&world, 1);
        for (uint64_t ran = 0; ran < 5 * SECOND;) {
            world_step(&world, runs[variant / 2]);
            ran = world.guests[0].entity.cpu_ns + world.guests[1].entity.cpu_ns;
        }
        assert_true(fabs(share_promised(&world, neo) - 0.7) < 1e-9);
        assert_true(fabs(share_promised(&world, 1 - neo) - 0.3) < 1e-9);
        assert_true(fabs(share_given(&world, neo) - 0.7) < 0.0005);
        assert_true(fabs(share_given(&world, 1 - neo) - 0.3) < 0.0005);
        world_destroy(&world);
    }
}

/* Who is always there gets exactly its share: no model but the accounting's fluid. */
static void test_shares_without_leaves(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world world;
        world_create(&world, seed * 10, seed);
        for (size_t i = 0; i < world.count; i++) {
            policy_entity_init(&world.guests[i].entity, random_weight(&world.seed));
            world_join(&world, i);
        }
        for (unsigned step = 0; step < 20000; step++)
            world_step(&world, run_very_late);
        for (size_t i = 0; i < world.count; i++) {
            struct policy_share share;
            policy_share(world.policy, &world.guests[i].entity, &share);
            long double lag = (long double)share.entitled_ns - (long double)share.contended_cpu_ns;
            world_expect(&world, fabsl(lag - world.guests[i].lag) < 2, "accounting differs", i);
            assert_int_equal(share.cpu_ns, share.contended_cpu_ns);
            assert_int_equal(share.alone_ns, 0);
        }
        world_destroy(&world);
    }
}

static void test_bound_through_churn(void **state)
{
    static const size_t counts[] = {2, 3, 10, 100, 3000};
    static world_run *const runs[] = {run_full, run_mixed, run_late, run_very_late};
    for (unsigned variant = 0; variant < 20 * 5; variant++) {
        struct world world;
        size_t count = counts[variant % 5];
        if (count == 3000 && variant >= 20)
            continue;
        world_create(&world, count, 1000 + variant);
        bool one_heavy = variant / 20 % 2;
        for (size_t i = 0; i < count; i++)
            policy_entity_init(&world.guests[i].entity, !one_heavy ? random_weight(&world.seed)
                                                        : i        ? 1
                                                                   : 10000);
        for (size_t i = 0; i < count; i += 1 + random_below(&world.seed, 2))
            world_join(&world, i);
        for (unsigned step = 0; step < 20000; step++)
            world_churn(&world, world_step(&world, runs[variant / 5 % 4]));
        world_destroy(&world);
    }
}

/*
 * Half-way through the period of many light guests, those that have had their slice leave, or
 * those that have not: by the textbook the heavy one would be ahead, or behind, by all of it.
 */
static void test_leaves_of_one_kind(void **state)
{
    for (int kind = 0; kind < 2; kind++) {
        struct world world;
        world_create(&world, 1001, 5);
        for (size_t i = 0; i < world.count; i++) {
            policy_entity_init(&world.guests[i].entity, i ? 1 : 5000);
            world_join(&world, i);
        }
        for (unsigned step = 0; step < 3000; step++)
            world_step(&world, run_full);
        size_t left = 0;
        long double textbook = 0; /* what EEVDF's correction would hand to the rest at once */
        for (size_t i = 1; i < world.count; i++) {
            if ((world.guests[i].lag < 0) == (kind == 0)) {
                textbook += world.guests[i].lag;
                world_leave(&world, i);
                left++;
            }
        }
        assert_true(left > 300 && left < 700);
        assert_true(fabsl(textbook) > 100.0L * SLICE);
        world_check(&world);
        for (unsigned step = 0; step < 10000; step++)
            world_step(&world, run_full);
        world_destroy(&world);
    }
}

/* Many light guests that always overrun, and whose deadlines coincide, against a heavy one. */
static void test_overruns_do_not_add_up(void **state)
{
    struct world world;
    world_create(&world, 1001, 6);
    for (size_t i = 0; i < world.count; i++)
        policy_entity_init(&world.guests[i].entity, i ? 1 : 1000);
    world_join(&world, 0);
    world_join(&world, 1);
    world_step(&world, run_always_late); /* from here on requests allow for it */
    for (size_t i = 2; i < world.count; i++)
        world_join(&world, i);
    for (unsigned step = 0; step < 20000; step++)
        world_step(&world, run_always_late);
    world_destroy(&world);
}

/*
 * A guest that sleeps whenever it likes, against one that never does: whatever the pattern, the
 * first gets no more of all the time than its weight, beyond a constant.
 */
static void test_sleeping_wins_nothing(void **state)
{
    for (unsigned pattern = 0; pattern < 24; pattern++) {
        struct world world;
        world_create(&world, 3, pattern);
        for (size_t i = 0; i < world.count; i++) {
            policy_entity_init(&world.guests[i].entity, pattern % 2 ? 100 : 1 + 50 * (uint32_t)i);
            world_join(&world, i);
        }
        uint64_t total = 0, slept_until = 0;
        for (unsigned step = 0; step < 20000; step++) {
            size_t ran = world_step(&world, run_full);
            total = 0;
            for (size_t i = 0; i < world.count; i++)
                total += world.guests[i].entity.cpu_ns;
            if (ran == 1) { /* the sleeper: for no time, for a while, or until the others ran */
                world_leave(&world, 1);
                slept_until = total + pattern / 2 * SLICE / 3;
            }
            if (!world.guests[1].runnable && total >= slept_until)
                world_join(&world, 1);
        }
        long double weight = 0;
        for (size_t i = 0; i < world.count; i++)
            weight += world.guests[i].entity.weight;
        for (size_t i = 0; i < world.count; i++) {
            const struct policy_entity *entity = &world.guests[i].entity;
            long double due = (long double)total * entity->weight / weight;
            long double more = (long double)entity->cpu_ns - due;
            if (i == 1)
                world_expect(&world, more <= 2.0L * SLICE, "gained by sleeping", i);
            else
                world_expect(&world, more >= -2.0L * SLICE, "lost to a sleeper", i);
        }
        world_destroy(&world);
    }
}

/* Leaving in debt and coming back at once changes nothing: the others run first. */
static void test_debts_are_remembered(void **state)
{
    struct world world;
    world_create(&world, 2, 9);
    for (size_t i = 0; i < 2; i++) {
        policy_entity_init(&world.guests[i].entity, 50);
        world_join(&world, i);
    }
    size_t first = world_step(&world, run_full);
    for (int i = 0; i < 10; i++) {
        world_leave(&world, first);
        world_join(&world, first);
    }
    assert_int_equal(world_step(&world, run_full), 1 - first);
    /* A long sleep gives no credit: on return it gets its half, not the time that it slept. */
    world_leave(&world, first);
    for (int i = 0; i < 1000; i++)
        world_step(&world, run_full);
    world_join(&world, first);
    uint64_t before = world.guests[first].entity.cpu_ns;
    for (int i = 0; i < 100; i++)
        world_step(&world, run_full);
    uint64_t got = world.guests[first].entity.cpu_ns - before;
    assert_in_range(got, 49 * SLICE, 51 * SLICE);
    world_destroy(&world);
}

/* Who exits often is not put back in the queue for it: the deadline stands until a slice is used. */
static void test_request_spans_short_runs(void **state)
{
    struct policy *policy;
    struct policy_entity entity;
    assert_null(policy_create(SLICE, NULL, &policy));
    policy_entity_init(&entity, 10);
    assert_null(policy_join(policy, &entity));
    policy_virtual_t deadline = entity.deadline;
    for (uint64_t tenth = 10; tenth >= 2; tenth--) {
        assert_true(entity.deadline == deadline);
        assert_int_equal(policy_slice(policy, policy_pick(policy, 0)), SLICE / 10 * tenth);
        policy_charge(policy, &entity, SLICE / 10, 0);
    }
    assert_true(entity.deadline > deadline); /* a tenth was left: not worth a switch */
    assert_int_equal(policy_slice(policy, &entity), SLICE);
    policy_destroy(policy);
}

/* More weight never gets less, beyond the two bounds; and everybody gets something. */
static void test_monotone_and_without_starvation(void **state)
{
    struct world world;
    world_create(&world, 200, 3);
    uint64_t total_weight = 0;
    for (size_t i = 0; i < world.count; i++) {
        policy_entity_init(&world.guests[i].entity, (uint32_t)(1 + i));
        world_join(&world, i);
        total_weight += 1 + i;
    }
    for (uint64_t step = 0; step < 2 * total_weight; step++)
        world_step(&world, run_full);
    for (size_t i = 0; i < world.count; i++) {
        world_expect(&world, world.guests[i].entity.cpu_ns >= SLICE, "starved", i);
        if (i > 0)
            world_expect(&world,
                         world.guests[i].entity.cpu_ns + 2 * SLICE >=
                             world.guests[i - 1].entity.cpu_ns,
                         "more weight got less", i);
    }
    world_destroy(&world);
}

static void test_accounting(void **state)
{
    struct policy *policy;
    struct policy_entity neo, morpheus;
    struct policy_share share;
    assert_null(policy_create(SLICE, NULL, &policy));
    assert_null(policy_reserve(policy, 2));
    policy_entity_init(&neo, 70);
    policy_entity_init(&morpheus, 30);
    assert_null(policy_pick(policy, 0));

    assert_null(policy_join(policy, &neo));
    assert_null(policy_join(policy, &neo)); /* once is enough */
    assert_ptr_equal(policy_pick(policy, 0), &neo);
    policy_charge(policy, &neo, 500, 0); /* alone */
    assert_null(policy_join(policy, &morpheus));
    policy_charge(policy, &neo, 1000, 0);
    policy_charge(policy, &morpheus, 2000, 0);
    policy_leave(policy, &neo);
    policy_leave(policy, &neo);
    policy_charge(policy, &neo, 12345, 0); /* away: nothing */
    policy_charge(policy, &morpheus, 4000, 0);

    policy_share(policy, &neo, &share);
    assert_int_equal(share.cpu_ns, 1500);
    assert_int_equal(share.alone_ns, 500);
    assert_int_equal(share.contended_cpu_ns, 1000);
    assert_int_equal(share.contended_total_ns, 3000);
    assert_in_range(share.entitled_ns, 2099, 2100); /* rounded down */
    policy_share(policy, &morpheus, &share);
    assert_int_equal(share.cpu_ns, 6000);
    assert_int_equal(share.alone_ns, 4000);
    assert_int_equal(share.contended_cpu_ns, 2000);
    assert_int_equal(share.contended_total_ns, 3000);
    assert_in_range(share.entitled_ns, 899, 900);
    assert_int_equal(policy_runnable(policy), 1);
    policy_leave(policy, &morpheus);
    assert_null(policy_pick(policy, 0));
    policy_destroy(policy);
}

static void test_bad_arguments(void **state)
{
    struct policy *policy;
    struct matrix_error *error = policy_create(0, NULL, &policy);
    assert_non_null(error);
    assert_int_equal(error->kind, MATRIX_ERROR_USAGE);
    matrix_error_free(error);
    policy_destroy(NULL);

    struct policy_entity entity;
    policy_entity_init(&entity, 0);
    assert_int_equal(entity.weight, 1);
    policy_entity_init(&entity, UINT32_MAX);
    assert_int_equal(entity.weight, POLICY_WEIGHT_MAX);

    assert_null(policy_create(1, NULL, &policy)); /* the shortest slice still lets it run */
    assert_null(policy_join(policy, &entity));
    for (int i = 0; i < 10; i++) {
        assert_ptr_equal(policy_pick(policy, 0), &entity);
        assert_int_equal(policy_slice(policy, &entity), 1);
        policy_charge(policy, &entity, (uint64_t)i % 2, 0);
    }
    policy_charge(policy, &entity, UINT64_MAX / 2, 0); /* 292 years at once */
    assert_ptr_equal(policy_pick(policy, 0), &entity);
    policy_destroy(policy);
}

/* One size of the big simulation; prints what a decision costs. */
/* The CPU time of a decision. */
static double policy_measure(size_t count, uint64_t decisions)
{
    struct policy *policy;
    struct policy_entity *entities = calloc(count, sizeof(*entities));
    assert_non_null(entities);
    assert_null(policy_create(SLICE, NULL, &policy));
    uint64_t seed = 42;
    for (size_t i = 0; i < count; i++) {
        policy_entity_init(&entities[i], random_weight(&seed));
        assert_null(policy_join(policy, &entities[i]));
    }

    const uint64_t cpu_ns = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t worst = 0, start = clock_now_ns(CLOCK_MONOTONIC), previous = start;
    for (uint64_t i = 0; i < decisions; i++) {
        struct policy_entity *picked = policy_pick(policy, 0);
        uint64_t slice = policy_slice(policy, picked);
        policy_charge(policy, picked, i % 4 ? slice : slice / 3, 0);
        uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
        worst = now - previous > worst ? now - previous : worst;
        previous = now;
    }
    const double spent_ns = (double)(clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns);
    fprintf(stderr, "policy: %7zu guests: %4llu ns per decision, at worst %llu us\n", count,
            (unsigned long long)((previous - start) / decisions),
            (unsigned long long)(worst / 1000));

    for (size_t i = 0; i < count; i++) {
        struct policy_share share;
        policy_share(policy, &entities[i], &share);
        double lag = (double)share.entitled_ns - (double)share.contended_cpu_ns;
        if (fabs(lag) > (double)SLICE + 2)
            fail_msg("guest %zu of %zu, weight %u: lag %.0f ns, seed 42", i, count,
                     entities[i].weight, lag);
    }
    for (size_t i = 0; i < count; i++)
        policy_leave(policy, &entities[i]);
    assert_null(policy_pick(policy, 0));
    policy_destroy(policy);
    free(entities);
    return spent_ns / (double)decisions;
}

/* A decision costs little more among a million: with a walk through all of them it would be a thousand times as much,
 * however slow the machine is. */
static void test_a_million(void **state)
{
    const double thousand_ns = policy_measure(1000, 2000000);
    for (size_t count = 10000; count <= 1000000; count *= 10)
        assert_true(policy_measure(count, 2000000) < 100 * thousand_ns);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seventy_thirty),
        cmocka_unit_test(test_shares_without_leaves),
        cmocka_unit_test(test_bound_through_churn),
        cmocka_unit_test(test_leaves_of_one_kind),
        cmocka_unit_test(test_overruns_do_not_add_up),
        cmocka_unit_test(test_sleeping_wins_nothing),
        cmocka_unit_test(test_debts_are_remembered),
        cmocka_unit_test(test_request_spans_short_runs),
        cmocka_unit_test(test_monotone_and_without_starvation),
        cmocka_unit_test(test_accounting),
        cmocka_unit_test(test_bad_arguments),
        cmocka_unit_test(test_a_million),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
