// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for cloud/policy.h: any sequence of joins, leaves and runs against a fluid model
 * that knows no virtual time. Nobody who can run is passed over for longer than the promised bound,
 * nobody gets ahead by more, nobody is lost, and the accounts add up. Every other input is a history of
 * contracts with limits and groups: ceilings are kept, nothing breaks.
 */
#include "cloud/policy.h"

#include "tests/fuzz/fuzz.h"
#include <math.h>

#define SLICE    1000000
#define ROUNDING 1.0L
#define GUESTS   12
#define GROUPS   3

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
    struct policy_entity *picked = policy_pick(world->policy, 0);
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
    policy_charge(world->policy, picked, ran, 0);
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
    struct policy_entity *picked = policy_pick(world->policy, 0);
    policy_charge(world->policy, picked, policy_slice(world->policy, picked) + world->overrun, 0);
    for (int i = 0; i < 2; i++)
        policy_leave(world->policy, &teachers[i]);
}

/* --- contracts ------------------------------------------------------------------------------ */

struct limited {
    struct policy_entity guest, *entity; /* guest, or a group */
    long double over, least_over;        /* what it got beyond its ceiling, since that was set */
};

struct limits {
    struct policy *policy;
    struct limited all[GROUPS + GUESTS]; /* groups first: one within the other */
    uint64_t now;
};

static struct policy_contract take_contract(struct fuzz_input *input)
{
    return (struct policy_contract){
        .weight = (uint32_t)fuzz_take(input, 2),
        .floor_ppm = (uint32_t)fuzz_take(input, 1) * 2000,
        .ceiling_ppm = (uint32_t)fuzz_take(input, 1) * 4100,
        .latency_ns = fuzz_take(input, 1) * 100000,
    };
}

/* Whether it is accepted or not, nothing may break. */
static void set_contract(struct limits *limits, struct fuzz_input *input)
{
    struct limited *one = &limits->all[fuzz_take(input, 1) % (GROUPS + GUESTS)];
    const struct policy_contract contract = take_contract(input);
    matrix_error_free(policy_set(limits->policy, one->entity, &contract));
    one->over = one->least_over = 0;
}

static void add_all(struct limits *limits, struct fuzz_input *input)
{
    const struct policy_contract plain = {.weight = 10};
    for (int i = 0; i < GROUPS + GUESTS; i++) {
        struct limited *one = &limits->all[i];
        struct policy_entity *parent = i < GROUPS
                                           ? (i ? limits->all[i - 1].entity : NULL)
                                           : limits->all[fuzz_take(input, 1) % GROUPS].entity;
        one->entity = &one->guest;
        if (i < GROUPS)
            FUZZ_NO_ERROR(policy_add_group(limits->policy, parent, "group", &plain, &one->entity));
        else
            FUZZ_NO_ERROR(
                policy_add(limits->policy, i % 2 ? parent : NULL, one->entity, "guest", &plain));
    }
}

/* In no window a ceiling is passed by more than two slices; here, the runs exceed theirs by one. */
static void check_ceilings(struct limits *limits, const uint64_t before[], uint64_t passed)
{
    for (int i = 0; i < GROUPS + GUESTS; i++) {
        struct limited *one = &limits->all[i];
        const uint32_t ceiling = one->entity->contract.ceiling_ppm;
        const long double got = (long double)(one->entity->cpu_ns - before[i]);
        one->over += got - (long double)passed * ceiling / POLICY_WHOLE;
        FUZZ_CHECK(!ceiling || one->over - one->least_over <= 3.0L * SLICE + ROUNDING,
                   "%d passed its ceiling by %Lf", i, one->over - one->least_over);
        one->least_over = fminl(one->least_over, one->over);
    }
}

static void run_limited(struct limits *limits, struct fuzz_input *input)
{
    uint64_t before[GROUPS + GUESTS];
    for (int i = 0; i < GROUPS + GUESTS; i++)
        before[i] = limits->all[i].entity->cpu_ns;
    const uint64_t start = limits->now;
    struct policy_entity *picked = policy_pick(limits->policy, limits->now);
    const uint64_t release = policy_release_ns(limits->policy);
    FUZZ_CHECK(picked || release || !policy_runnable(limits->policy), "nobody, for ever");
    FUZZ_CHECK(!release || release > limits->now, "it may run already");
    if (picked) {
        const uint64_t slice = policy_slice(limits->policy, picked);
        FUZZ_CHECK(slice > 0 && slice <= SLICE, "slice %llu", (unsigned long long)slice);
        const uint64_t ran = take_time(input, slice, SLICE);
        limits->now += ran;
        policy_charge(limits->policy, picked, ran, limits->now);
    } else if (release) {
        limits->now = release;
    }
    check_ceilings(limits, before, limits->now - start);
}

static void fuzz_limits(struct fuzz_input *input)
{
    struct limits limits = {.now = 1};
    FUZZ_NO_ERROR(
        policy_create(SLICE, fuzz_take(input, 1) % 4 ? NULL : "round-robin", &limits.policy));
    add_all(&limits, input);
    while (input->left) {
        const unsigned choice = (unsigned)fuzz_take(input, 1);
        struct policy_entity *guest = &limits.all[GROUPS + choice / 8 % GUESTS].guest;
        if (choice % 8 == 0)
            FUZZ_NO_ERROR(policy_join(limits.policy, guest));
        else if (choice % 8 == 1)
            policy_leave(limits.policy, guest);
        else if (choice % 8 == 2)
            set_contract(&limits, input);
        else
            run_limited(&limits, input);
    }
    for (int i = GROUPS; i < GROUPS + GUESTS; i++) {
        struct policy_share share;
        policy_share(limits.policy, &limits.all[i].guest, &share);
        FUZZ_CHECK(share.entitled_ns <= share.contended_total_ns + 1, "guest %d: too much", i);
    }
    policy_destroy(limits.policy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t overruns[] = {0, SLICE / 40, SLICE / 2, SLICE};
    static const uint32_t weights[] = {1, 3, 30, 70, 100, 1000, 5000, 0, 20000, 10000, 2, 7};
    struct fuzz_input input = {data, size};
    if (fuzz_take(&input, 1) % 2) {
        fuzz_limits(&input);
        return 0;
    }
    struct world world = {.overrun = overruns[fuzz_take(&input, 1) % 4]};
    FUZZ_NO_ERROR(policy_create(SLICE, NULL, &world.policy));
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
