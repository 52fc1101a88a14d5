/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fluid model that test_policy.c holds the policy against. It knows no virtual time: it keeps
 * each guest's lag, what the guest is owed in nanoseconds, and goes through all of them at every
 * event. Included by that one file only, after cmocka.h.
 */
#ifndef TESTS_UNIT_POLICY_WORLD_H
#define TESTS_UNIT_POLICY_WORLD_H

#include "policy_random.h"

/* --- the fluid model ------------------------------------------------------------------------ */

struct guest {
    struct policy_entity entity;
    long double lag; /* entitled less given; while away: minus the debt, or 0 */
    bool runnable;
};

struct world {
    struct policy *policy;
    struct guest *guests;
    size_t count, runnable;
    long double weight;      /* of the runnable */
    long double owed;        /* debts that left and are not made good */
    long double least, most; /* the extreme lags of runnable guests, ever */
    uint64_t overrun;        /* the longest so far */
    uint64_t seed, first_seed, steps;
};

static void world_create(struct world *world, size_t count, uint64_t seed)
{
    *world = (struct world){.count = count, .seed = seed, .first_seed = seed};
    world->guests = calloc(count, sizeof(*world->guests));
    assert_non_null(world->guests);
    assert_null(policy_create(SLICE, NULL, &world->policy));
}

static void world_destroy(struct world *world)
{
    policy_destroy(world->policy);
    free(world->guests);
}

static void world_expect(const struct world *world, bool condition, const char *what, size_t guest)
{
    if (!condition)
        fail_msg("%s: guest %zu of %zu, weight %u, lag %.1Lf ns, step %llu, seed %llu", what, guest,
                 world->count, world->guests[guest].entity.weight, world->guests[guest].lag,
                 (unsigned long long)world->steps, (unsigned long long)world->first_seed);
}

static void world_join(struct world *world, size_t i)
{
    struct guest *guest = &world->guests[i];
    assert_null(policy_join(world->policy, &guest->entity));
    world->owed -= world->owed < -guest->lag ? world->owed : -guest->lag;
    guest->runnable = true;
    world->runnable++;
    world->weight += guest->entity.weight;
}

static void world_leave(struct world *world, size_t i)
{
    struct guest *guest = &world->guests[i];
    policy_leave(world->policy, &guest->entity);
    guest->runnable = false;
    world->runnable--;
    world->weight -= guest->entity.weight;
    if (guest->lag > 0)
        guest->lag = 0; /* credits are forfeited */
    world->owed = world->runnable ? world->owed - guest->lag : 0;
}

/* The fluid flows: each runnable guest is owed more by its weight; debts of those away shrink. */
static void world_flow(struct world *world, long double per_weight)
{
    for (size_t i = 0; i < world->count; i++) {
        struct guest *guest = &world->guests[i];
        guest->lag += per_weight * guest->entity.weight;
        if (!guest->runnable && guest->lag > 0)
            guest->lag = 0;
    }
}

/* The promise, at this instant, for everybody. */
static void world_check(struct world *world)
{
    long double bound = (long double)(SLICE + world->overrun) + ROUNDING;
    for (size_t i = 0; i < world->count; i++) {
        const struct guest *guest = &world->guests[i];
        if (!guest->runnable)
            continue;
        world->least = guest->lag < world->least ? guest->lag : world->least;
        world->most = guest->lag > world->most ? guest->lag : world->most;
        world_expect(world, guest->lag <= bound, "behind by more than a slice", i);
        world_expect(world, guest->lag >= -bound, "ahead by more than a slice", i);
    }
    assert_int_equal(policy_runnable(world->policy), world->runnable);
}

/* If all are ahead the fluid flows at once until one is not. */
static void world_catch_up(struct world *world)
{
    long double least = INFINITY;
    for (size_t i = 0; i < world->count && least > 0; i++) {
        const struct guest *guest = &world->guests[i];
        long double ahead = -guest->lag / guest->entity.weight;
        if (guest->runnable && ahead < least)
            least = ahead;
    }
    if (world->runnable && least > 0)
        world_flow(world, least);
}

/* Who is picked runs for as long as run() says of its slice. Returns who it was. */
typedef uint64_t world_run(struct world *world, size_t guest, uint64_t slice);

static size_t world_step(struct world *world, world_run *run)
{
    world->steps++;
    world_catch_up(world);
    struct policy_entity *picked = policy_pick(world->policy, 0);
    assert_int_equal(picked != NULL, world->runnable > 0); /* work conservation */
    if (!picked)
        return SIZE_MAX;

    size_t i = (size_t)(HEAP_ENTRY(picked, struct guest, entity) - world->guests);
    struct guest *guest = &world->guests[i];
    world_expect(world, guest->runnable, "picked while away", i);
    world_expect(world, guest->lag >= -ROUNDING, "picked while ahead", i);
    uint64_t slice = policy_slice(world->policy, picked);
    world_expect(world, slice > SLICE / 8 && slice <= SLICE, "slice out of range", i);

    uint64_t ran = run(world, i, slice);
    if (world->runnable > 1 && ran > slice && ran - slice > world->overrun)
        world->overrun = ran - slice;
    policy_charge(world->policy, picked, ran, 0);
    long double made_good = (long double)ran < world->owed ? (long double)ran : world->owed;
    world->owed -= made_good;
    guest->lag -= (long double)ran;
    world_flow(world, ((long double)ran - made_good) / world->weight);
    if (world->runnable == 1 && guest->lag < 0) { /* alone: ahead of nobody */
        world->owed = 0;
        world_flow(world, -guest->lag / guest->entity.weight);
    }
    world_check(world);
    return i;
}

/* --- ways to run ---------------------------------------------------------------------------- */

static uint64_t run_full(struct world *world, size_t guest, uint64_t slice)
{
    return slice;
}

/* Some compute, some exit early at random moments, some mostly at once. Alone, for long. */
static uint64_t run_mixed(struct world *world, size_t guest, uint64_t slice)
{
    if (world->runnable == 1)
        return random_below(&world->seed, 100 * SLICE);
    switch (guest % 3) {
    case 0:
        return slice;
    case 1:
        return random_below(&world->seed, slice + 1);
    default:
        return random_below(&world->seed, 20000) % slice;
    }
}

/* As above, and the timer is always late. */
static uint64_t run_late(struct world *world, size_t guest, uint64_t slice)
{
    uint64_t ran = run_mixed(world, guest, slice);
    return ran == slice ? slice + SLICE / 40 + random_below(&world->seed, SLICE / 40) : ran;
}

/* As above, and sometimes the host keeps the core for up to another slice. */
static uint64_t run_very_late(struct world *world, size_t guest, uint64_t slice)
{
    if (random_below(&world->seed, 50) == 0)
        return slice + random_below(&world->seed, SLICE);
    return run_late(world, guest, slice);
}

static uint64_t run_always_late(struct world *world, size_t guest, uint64_t slice)
{
    return slice + SLICE / 2;
}

/* Guests come and go, by themselves in the middle of a run or from outside, one or many. */
static void world_churn(struct world *world, size_t ran)
{
    uint64_t *seed = &world->seed;
    if (ran != SIZE_MAX && random_below(seed, 4) == 0)
        world_leave(world, ran);
    size_t many = random_below(seed, 500) == 0 ? world->count / 2 : 1;
    bool join = random_below(seed, 2);
    for (size_t n = 0; n < many; n++) {
        size_t i = random_below(seed, world->count);
        if (join && !world->guests[i].runnable)
            world_join(world, i);
        else if (!join && world->guests[i].runnable && random_below(seed, 4) == 0)
            world_leave(world, i);
    }
    world_check(world);
}

/* --- what tests ask ------------------------------------------------------------------------- */

/* Weights from 1 to 10000, most of them small. */
static uint32_t random_weight(uint64_t *seed)
{
    uint64_t limit = random_below(seed, 4) ? 100 : POLICY_WEIGHT_MAX;
    return (uint32_t)(1 + random_below(seed, limit));
}

static double share_given(const struct world *world, size_t i)
{
    struct policy_share share;
    policy_share(world->policy, &world->guests[i].entity, &share);
    return (double)share.contended_cpu_ns / (double)share.contended_total_ns;
}

static double share_promised(const struct world *world, size_t i)
{
    struct policy_share share;
    policy_share(world->policy, &world->guests[i].entity, &share);
    return (double)share.entitled_ns / (double)share.contended_total_ns;
}

#endif
