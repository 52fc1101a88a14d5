// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for cloud/policy.h: any sequence of joins, leaves and runs against a fluid model
 * that knows no virtual time. Nobody who can run is passed over for longer than the promised bound,
 * nobody gets ahead by more, nobody is lost, and the accounts add up.
 */
#include "cloud/policy.h"

#include "tests/fuzz/fuzz.h"
#include <math.h>

#define SLICE    1000000
#define ROUNDING 1.0L
#define GUESTS   12

struct guest {
    struct policy_entity entity;
    long double lag; /* entitled less given; while away: minus the debt, or 0 */
    bool runnable;
    uint64_t given;
};

struct world {
    struct policy *policy;
    struct guest guests[GUESTS];
    size_t runnable;
    long double weight, owed; /* of the runnable; debts that left and are not made good */
    uint64_t overrun;         /* the longest there will be; the policy has seen it already */
};

static void join(struct world *world, struct guest *guest)
{
    FUZZ_NO_ERROR(policy_join(world->policy, &guest->entity));
    if (guest->runnable)
        return; /* joining twice changes nothing */
    world->owed -= world->owed < -guest->lag ? world->owed : -guest->lag;
    guest->runnable = true;
    world->runnable++;
    world->weight += guest->entity.weight;
}

static void leave(struct world *world, struct guest *guest)
{
    policy_leave(world->policy, &guest->entity);
    if (!guest->runnable)
        return;
    guest->runnable = false;
    world->runnable--;
    world->weight -= guest->entity.weight;
    if (guest->lag > 0)
        guest->lag = 0; /* credits are forfeited */
    world->owed = world->runnable ? world->owed - guest->lag : 0;
}

/* Each runnable guest is owed more by its weight; debts of those away shrink. */
static void flow(struct world *world, long double per_weight)
{
    for (size_t i = 0; i < GUESTS; i++) {
        struct guest *guest = &world->guests[i];
        guest->lag += per_weight * guest->entity.weight;
        if (!guest->runnable && guest->lag > 0)
            guest->lag = 0;
    }
}

/* If all are ahead the fluid flows at once until one is not. */
static void catch_up(struct world *world)
{
    long double least = INFINITY;
    for (size_t i = 0; i < GUESTS; i++) {
        const struct guest *guest = &world->guests[i];
        if (guest->runnable && -guest->lag / guest->entity.weight < least)
            least = -guest->lag / guest->entity.weight;
    }
    if (world->runnable && least > 0)
        flow(world, least);
}

/* All of the slice, less, or more. */
static uint64_t take_time(struct fuzz_input *input, uint64_t slice, uint64_t overrun)
{
    const uint64_t choice = fuzz_take(input, 2), part = choice / 4; /* of 0x3fff */
    switch (choice % 4) {
    case 1:
        return slice * part / 0x3fff;
    case 2:
        return part;
    case 3:
        return slice + overrun * part / 0x3fff;
    default:
        return slice;
    }
}

static void run(struct world *world, struct fuzz_input *input)
{
    catch_up(world);
    struct policy_entity *picked = policy_pick(world->policy);
    FUZZ_CHECK((picked != NULL) == (world->runnable > 0), "%zu can run", world->runnable);
    if (!picked)
        return;
    struct guest *guest = HEAP_ENTRY(picked, struct guest, entity);
    FUZZ_CHECK(guest >= world->guests && guest < world->guests + GUESTS, "picked a stranger");
    FUZZ_CHECK(guest->runnable && guest->lag >= -ROUNDING, "picked one that is ahead by %Lf ns",
               -guest->lag);
    const uint64_t slice = policy_slice(world->policy, picked);
    FUZZ_CHECK(slice > SLICE / 8 && slice <= SLICE, "slice %llu", (unsigned long long)slice);

    const uint64_t ran =
        take_time(input, slice, world->runnable > 1 ? world->overrun : 100 * SLICE);
    policy_charge(world->policy, picked, ran);
    guest->given += ran;
    const long double made_good = (long double)ran < world->owed ? (long double)ran : world->owed;
    world->owed -= made_good;
    guest->lag -= (long double)ran;
    flow(world, ((long double)ran - made_good) / world->weight);
    if (world->runnable == 1 && guest->lag < 0) { /* alone: ahead of nobody */
        world->owed = 0;
        flow(world, -guest->lag / guest->entity.weight);
    }
}

static void check_bound(const struct world *world)
{
    const long double bound = (long double)(SLICE + world->overrun) + ROUNDING;
    FUZZ_CHECK(policy_runnable(world->policy) == world->runnable, "%zu of %zu can run",
               policy_runnable(world->policy), world->runnable);
    for (size_t i = 0; i < GUESTS; i++) {
        const struct guest *guest = &world->guests[i];
        FUZZ_CHECK(!guest->runnable || fabsl(guest->lag) <= bound,
                   "guest %zu, weight %u, is behind by %Lf ns", i, guest->entity.weight,
                   guest->lag);
    }
}

static void check_accounts(const struct world *world)
{
    uint64_t contended_total = 0;
    for (size_t i = 0; i < GUESTS; i++) {
        struct policy_share share;
        policy_share(world->policy, &world->guests[i].entity, &share);
        FUZZ_CHECK(share.cpu_ns == world->guests[i].given, "guest %zu was charged wrongly", i);
        FUZZ_CHECK(share.contended_cpu_ns + share.alone_ns == share.cpu_ns, "guest %zu's time", i);
        FUZZ_CHECK(share.contended_cpu_ns <= share.contended_total_ns &&
                       share.entitled_ns <= share.contended_total_ns,
                   "guest %zu: a part is more than the whole", i);
        contended_total += share.contended_cpu_ns;
    }
    for (size_t i = 0; i < GUESTS; i++) {
        struct policy_share share;
        policy_share(world->policy, &world->guests[i].entity, &share);
        FUZZ_CHECK(share.contended_total_ns <= contended_total, "guest %zu saw too much", i);
    }
}

/* Overruns are allowed for once the policy has seen one of that length, of two that compete. */
static void teach_overrun(const struct world *world)
{
    struct policy_entity teachers[2];
    for (int i = 0; i < 2; i++) {
        policy_entity_init(&teachers[i], 1);
        FUZZ_NO_ERROR(policy_join(world->policy, &teachers[i]));
    }
    struct policy_entity *picked = policy_pick(world->policy);
    policy_charge(world->policy, picked, policy_slice(world->policy, picked) + world->overrun);
    for (int i = 0; i < 2; i++)
        policy_leave(world->policy, &teachers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t overruns[] = {0, SLICE / 40, SLICE / 2, SLICE};
    static const uint32_t weights[] = {1, 3, 30, 70, 100, 1000, 5000, 0, 20000, 10000, 2, 7};
    struct fuzz_input input = {data, size};
    struct world world = {.overrun = overruns[fuzz_take(&input, 1) % 4]};
    FUZZ_NO_ERROR(policy_create(SLICE, &world.policy));
    teach_overrun(&world);
    for (size_t i = 0; i < GUESTS; i++)
        policy_entity_init(&world.guests[i].entity, weights[fuzz_take(&input, 1) % 12]);
    while (input.left) {
        const unsigned choice = (unsigned)fuzz_take(&input, 1);
        struct guest *guest = &world.guests[choice / 4 % GUESTS];
        if (choice % 4 == 0)
            join(&world, guest);
        else if (choice % 4 == 1)
            leave(&world, guest);
        else
            run(&world, &input);
        check_bound(&world);
    }
    check_accounts(&world);
    policy_destroy(world.policy);
    return 0;
}
