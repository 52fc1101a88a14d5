/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine of many cores, simulated: each has a real policy (cloud/policy) and all have one clock. Beside
 * it the ideal, one fluid for the whole machine, found by bisection and without knowing of cores; what
 * cloud/placement.h states is what the two may differ by. Included by test_placement.c only.
 */
#ifndef TESTS_UNIT_PLACEMENT_MACHINE_H
#define TESTS_UNIT_PLACEMENT_MACHINE_H

#define TICK      (10 * SLICE) /* what happens, happens at such times */
#define CORES_MAX 64
#define MEMBERS   3 /* of a group */

struct guest {
    struct placement_item item;
    struct placement_contract contract;
    struct policy_entity own, members[MEMBERS];
    struct policy_entity *entity; /* its own, or that of its group */
    bool here, is_group, runnable;
    uint64_t ready_ns; /* how long it could run, in this interval */
    double ideal;      /* its share of a core, at this moment */
    /* Of a stay: while it can run, on one core, by one contract. In ns. */
    double owed, may_lack, may_exceed, least;
    uint64_t began_cpu_ns, began_fluid_ns;
};

struct machine {
    struct placement *placement;
    struct policy *policies[CORES_MAX];
    double loads[CORES_MAX];
    bool capped[CORES_MAX]; /* somebody with a ceiling is there */
    struct guest *guests;
    size_t count, moves;
    unsigned cores;
    uint64_t now, seed;
    bool ceilings;                   /* some have one */
    double worst_lack, worst_excess; /* beyond the bound, in ns */
    bool quiet;                      /* nobody comes, goes, sleeps or wakes */
};

static void machine_create(struct machine *machine, unsigned cores, size_t count, uint64_t seed)
{
    *machine = (struct machine){.cores = cores, .count = count, .seed = seed};
    assert_null(placement_create(cores, &machine->placement));
    for (unsigned k = 0; k < cores; k++)
        assert_null(policy_create(SLICE, NULL, &machine->policies[k]));
    machine->guests = calloc(count, sizeof(*machine->guests));
    assert_non_null(machine->guests);
}

static void machine_destroy(struct machine *machine)
{
    for (unsigned k = 0; k < machine->cores; k++)
        policy_destroy(machine->policies[k]);
    placement_destroy(machine->placement);
    free(machine->guests);
}

/* --- guests on their cores --------------------------------------------------------------------- */

/* What its core's fluid gave it: the real one, without what the policy's slices lag behind it. */
static uint64_t fluid_ns(const struct machine *machine, const struct guest *guest)
{
    struct policy_share share;
    policy_share(machine->policies[guest->item.core], guest->entity, &share);
    return share.entitled_ns + share.alone_ns;
}

static void stay_begin(const struct machine *machine, struct guest *guest)
{
    guest->owed = guest->may_lack = guest->may_exceed = guest->least = 0;
    guest->began_cpu_ns = guest->entity->cpu_ns;
    guest->began_fluid_ns = fluid_ns(machine, guest);
}

static void guest_run(struct machine *machine, struct guest *guest, bool runnable)
{
    struct policy *policy = machine->policies[guest->item.core];
    const unsigned count = guest->is_group ? MEMBERS : 1;
    for (unsigned i = 0; i < count; i++) {
        struct policy_entity *one = guest->is_group ? &guest->members[i] : &guest->own;
        if (runnable)
            assert_null(policy_join(policy, one));
        else
            policy_leave(policy, one);
    }
    guest->runnable = runnable;
    stay_begin(machine, guest);
}

static struct policy_contract for_policy(const struct guest *guest)
{
    return (struct policy_contract){.weight = guest->contract.weight,
                                    .floor_ppm = guest->contract.floor_ppm,
                                    .ceiling_ppm = guest->contract.ceiling_ppm};
}

/* Comes to its core. Nothing there may refuse it. */
static void guest_come(struct machine *machine, struct guest *guest)
{
    struct policy *policy = machine->policies[guest->item.core];
    const struct policy_contract contract = for_policy(guest);
    guest->entity = &guest->own;
    if (!guest->is_group) {
        assert_null(policy_add(policy, NULL, &guest->own, "guest", &contract));
    } else {
        assert_null(policy_add_group(policy, NULL, "group", &contract, &guest->entity));
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_null(policy_add(policy, guest->entity, &guest->members[i], "member",
                                   &(struct policy_contract){.weight = 1 + i}));
    }
    guest_run(machine, guest, guest->runnable);
}

static void guest_go(struct machine *machine, struct guest *guest, unsigned core)
{
    for (unsigned i = 0; guest->is_group && i < MEMBERS; i++)
        policy_remove(machine->policies[core], &guest->members[i]);
    policy_remove(machine->policies[core], guest->entity);
}

static bool is_refused(struct matrix_error *error)
{
    const bool refused = error != NULL;
    matrix_error_free(error);
    return refused;
}

static void machine_carry_out(struct machine *machine, const struct placement_move *move)
{
    struct guest *guest = HEAP_ENTRY(move->item, struct guest, item);
    assert_int_equal(move->item->core, move->to);
    assert_false(guest->contract.pinned);
    guest_go(machine, guest, move->from);
    guest_come(machine, guest);
    machine->moves++;
}

/* False: no core has room for its floor. */
static bool machine_add(struct machine *machine, struct guest *guest)
{
    struct placement_move moves[4];
    size_t count = 0;
    if (is_refused(placement_add(machine->placement, &guest->item, "guest", &guest->contract))) {
        if (is_refused(placement_make_room(machine->placement, "guest", &guest->contract, moves, 4,
                                           &count)))
            return false;
        for (size_t i = 0; i < count; i++)
            machine_carry_out(machine, &moves[i]);
        assert_null(placement_add(machine->placement, &guest->item, "guest", &guest->contract));
    }
    guest->here = true;
    guest->ready_ns = 0;
    guest_come(machine, guest);
    return true;
}

static void machine_remove(struct machine *machine, struct guest *guest)
{
    guest_go(machine, guest, guest->item.core);
    placement_remove(machine->placement, &guest->item);
    guest->here = false;
}

static void machine_set(struct machine *machine, struct guest *guest, uint32_t weight)
{
    guest->contract.weight = weight;
    assert_null(placement_set(machine->placement, &guest->item, &guest->contract));
    const struct policy_contract contract = for_policy(guest);
    assert_null(policy_set(machine->policies[guest->item.core], guest->entity, &contract));
    stay_begin(machine, guest);
}

/* --- the ideal ------------------------------------------------------------------------------------ */

static double share_at(const struct guest *guest, double lambda)
{
    const struct placement_contract *contract = &guest->contract;
    const double most = contract->ceiling_ppm ? contract->ceiling_ppm / 1e6 : 1;
    return fmin(most, fmax(contract->floor_ppm / 1e6, contract->weight * lambda));
}

static void machine_find_ideal(struct machine *machine)
{
    double low = 0, high = 1;
    for (int i = 0; i < 50; i++) {
        const double lambda = (low + high) / 2;
        double sum = 0;
        for (size_t g = 0; g < machine->count; g++)
            if (machine->guests[g].here && machine->guests[g].runnable)
                sum += share_at(&machine->guests[g], lambda);
        *(sum > machine->cores ? &high : &low) = lambda;
    }
    memset(machine->loads, 0, sizeof(machine->loads));
    memset(machine->capped, 0, sizeof(machine->capped));
    for (size_t g = 0; g < machine->count; g++) {
        struct guest *guest = &machine->guests[g];
        guest->ideal = guest->here && guest->runnable ? share_at(guest, high) : 0;
        if (!guest->here)
            continue;
        machine->loads[guest->item.core] += guest->ideal;
        machine->capped[guest->item.core] |= guest->contract.ceiling_ppm != 0;
    }
}

/* --- time ------------------------------------------------------------------------------------------- */

static void core_run(struct policy *policy, uint64_t from, uint64_t until)
{
    for (uint64_t now = from; now < until;) {
        struct policy_entity *picked = policy_pick(policy, now);
        const uint64_t release = policy_release_ns(policy);
        if (!picked) {
            now = release && release < until ? release : until;
            continue;
        }
        uint64_t run = policy_slice(policy, picked);
        run = run < until - now ? run : until - now;
        now += run;
        policy_charge(policy, picked, run, now);
    }
}

/*
 * What the policy's slices may lag behind the fluid of a core. While guests leave with credits, which they
 * forfeit, this adds up; so that what was given is only looked at while nobody does.
 */
#define LAG         (4 * (double)SLICE)
#define ROUNDING_NS 100.0

static void guest_expect(struct machine *machine, const struct guest *guest, uint64_t got_ns,
                         double tolerance)
{
    const double got = (double)got_ns;
    /* By wall time a ceiling is never exceeded, but may be missed (policy_ceiling.c), and what is not
     * used then goes to neighbours. Beside one only the fluid is to be compared, and floors. */
    const bool capped = guest->contract.ceiling_ppm != 0;
    const bool beside = machine->quiet && machine->capped[guest->item.core];
    const double lack = capped || beside ? 0 : guest->owed - got - guest->may_lack;
    const double excess = beside ? 0 : got - guest->owed - guest->may_exceed;
    const bool below_floor = !capped && got < guest->least - tolerance;
    machine->worst_lack = fmax(machine->worst_lack, lack);
    machine->worst_excess = fmax(machine->worst_excess, excess);
    if (lack > tolerance || excess > tolerance || below_floor)
        fail_msg("guest %zu on core %u, load %.3f: weight %u floor %u ceiling %u, ideal %.4f, owed "
                 "%.0f got %.0f may lack %.0f may exceed %.0f least %.0f at %.3f s",
                 (size_t)(guest - machine->guests), guest->item.core,
                 machine->loads[guest->item.core], guest->contract.weight,
                 guest->contract.floor_ppm, guest->contract.ceiling_ppm, guest->ideal, guest->owed,
                 got, guest->may_lack, guest->may_exceed, guest->least, (double)machine->now / 1e9);
}

static void guest_check(struct machine *machine, struct guest *guest)
{
    const double load = machine->loads[guest->item.core];
    guest->owed += guest->ideal * (double)TICK;
    guest->may_lack += fmax(0, load - 1) * (double)TICK;
    guest->may_exceed += fmax(0, 1 - load) * (double)TICK;
    guest->least += guest->contract.floor_ppm / 1e6 * (double)TICK;
    if (machine->quiet)
        guest_expect(machine, guest, guest->entity->cpu_ns - guest->began_cpu_ns, LAG);
    else
        guest_expect(machine, guest, fluid_ns(machine, guest) - guest->began_fluid_ns, ROUNDING_NS);
}

static void machine_tick(struct machine *machine)
{
    machine_find_ideal(machine);
    for (unsigned k = 0; k < machine->cores; k++)
        core_run(machine->policies[k], machine->now, machine->now + TICK);
    machine->now += TICK;
    for (size_t g = 0; g < machine->count; g++) {
        struct guest *guest = &machine->guests[g];
        if (!guest->here || !guest->runnable)
            continue;
        guest->ready_ns += TICK;
        guest_check(machine, guest);
    }
}

/* --- balance ------------------------------------------------------------------------------------------ */

static double machine_most(const struct machine *machine)
{
    double most = 0;
    for (unsigned k = 0; k < machine->cores; k++)
        most = fmax(most, placement_load(machine->placement, k));
    return most;
}

/* At the end of an interval. Returns how many were moved; no move may raise the maximum. */
static size_t machine_balance(struct machine *machine, uint64_t interval, size_t max)
{
    struct placement_move move;
    size_t count = 0;
    for (size_t g = 0; g < machine->count; g++) {
        struct guest *guest = &machine->guests[g];
        if (guest->here)
            placement_observe(machine->placement, &guest->item,
                              (uint32_t)(guest->ready_ns * 1000000 / interval));
        guest->ready_ns = 0;
    }
    for (; count < max; count++) {
        const double before = machine_most(machine);
        if (placement_balance(machine->placement, &move, 1) == 0)
            break;
        assert_true(machine_most(machine) <= before + 1e-9);
        machine_carry_out(machine, &move);
    }
    return count;
}

#endif
