// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests on many cores: the placement with real policies in a simulated machine (placement_machine.h), held
 * against the bound that cloud/placement.h states; and where somebody goes, by example.
 */
#include "cloud/placement.h"
#include "cloud/policy.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* After those that it needs. */
#include <cmocka.h>

#include "policy_random.h"
/* After those that it needs. */
#include "placement_machine.h"

#define PERCENT(percent) ((uint32_t)(percent)*10000)
#define INTERVAL         (10 * TICK)
#define MOVES            4 /* in an interval */

/* --- a life at random -------------------------------------------------------------------------- */

/* Most are plain and of little weight, some have a floor, a ceiling, a pin, members. */
static void random_contract(struct machine *machine, struct guest *guest)
{
    uint64_t *seed = &machine->seed;
    struct placement_contract contract = {
        .weight = (uint32_t)(1 + random_below(seed, random_below(seed, 20) ? 100 : 1000))};
    if (random_below(seed, 5) == 0)
        contract.floor_ppm = (uint32_t)(1 + random_below(seed, PERCENT(10)));
    if (random_below(seed, 200) == 0)
        contract.floor_ppm = (uint32_t)(PERCENT(30) + random_below(seed, PERCENT(40)));
    if (machine->ceilings && random_below(seed, 5) == 0)
        contract.ceiling_ppm =
            contract.floor_ppm +
            (uint32_t)(1 + random_below(seed, PERCENT(100) - contract.floor_ppm));
    if (random_below(seed, 40) == 0) {
        contract.pinned = true;
        contract.core = (unsigned)random_below(seed, machine->cores);
    }
    guest->contract = contract;
    guest->is_group = random_below(seed, 20) == 0;
    guest->runnable = random_below(seed, 4) != 0;
}

/* One thing happens to one guest. Returns whether somebody was refused. */
static bool random_event(struct machine *machine)
{
    uint64_t *seed = &machine->seed;
    struct guest *guest = &machine->guests[random_below(seed, machine->count)];
    const uint64_t what = random_below(seed, 100);
    if (!guest->here) {
        random_contract(machine, guest);
        return !machine_add(machine, guest);
    }
    if (what < 20)
        machine_remove(machine, guest);
    else if (what < 30)
        machine_set(machine, guest, (uint32_t)(1 + random_below(seed, 200)));
    else
        guest_run(machine, guest, !guest->runnable);
    return false;
}

/* Returns how many moves there were. */
static size_t live(struct machine *machine, unsigned intervals, unsigned events)
{
    size_t refused = 0, moves = 0;
    for (unsigned i = 0; i < intervals; i++) {
        for (uint64_t t = 0; t < INTERVAL; t += TICK) {
            for (unsigned e = 0; e < events; e++)
                refused += random_event(machine);
            machine_tick(machine);
        }
        const size_t moved = machine_balance(machine, INTERVAL, MOVES);
        assert_in_range(moved, 0, MOVES);
        moves += moved;
    }
    if (events)
        print_message("# %zu moves, %zu refused; beyond the bound by %.1f and %.1f ns\n", moves,
                      refused, machine->worst_lack, machine->worst_excess);
    return moves;
}

/* The smallest ideal share of those on a core that may be moved to another. */
static double smallest_movable(const struct machine *machine, unsigned from, unsigned to)
{
    double least = INFINITY;
    for (size_t g = 0; g < machine->count; g++) {
        const struct guest *guest = &machine->guests[g];
        const bool fits =
            placement_floors(machine->placement, to) + guest->contract.floor_ppm / 1e6 < 1 + 1e-9;
        if (guest->here && guest->item.core == from && !guest->contract.pinned && fits &&
            guest->ideal >= 2 * PLACEMENT_LEAST)
            least = fmin(least, guest->ideal);
    }
    return least;
}

/* The bound at rest, for each pair of cores, by loads and shares that the model found. */
static void check_rest(struct machine *machine)
{
    double most = 0, least = INFINITY, worst_allowed = 0;
    machine_find_ideal(machine);
    for (unsigned a = 0; a < machine->cores; a++) {
        most = fmax(most, machine->loads[a]);
        least = fmin(least, machine->loads[a]);
        for (unsigned b = 0; b < machine->cores; b++) {
            const double allowed = smallest_movable(machine, a, b) + PLACEMENT_HYSTERESIS;
            if (a == b)
                continue;
            if (machine->loads[a] > machine->loads[b] + allowed + 0.001)
                fail_msg("load of core %u %.4f, of core %u %.4f, allowed %.4f", a,
                         machine->loads[a], b, machine->loads[b], allowed);
            if (isfinite(allowed))
                worst_allowed = fmax(worst_allowed, allowed);
        }
    }
    print_message("# at rest loads are %.4f to %.4f; apart by %.4f at most, where one may move\n",
                  least, most, worst_allowed);
}

/* With everybody where it stays, what was given is within the bound. */
static void check_given(struct machine *machine)
{
    machine->quiet = true;
    machine->worst_lack = machine->worst_excess = 0;
    for (size_t g = 0; g < machine->count; g++)
        if (machine->guests[g].here)
            stay_begin(machine, &machine->guests[g]);
    assert_int_equal(live(machine, 20, 0), 0);
    print_message("# given: beyond the bound by %.2f and %.2f slices\n",
                  machine->worst_lack / (double)SLICE, machine->worst_excess / (double)SLICE);
}

/* The books agree with the model, which finds shares in another way. */
static void check_books(struct machine *machine)
{
    machine_find_ideal(machine);
    for (size_t g = 0; g < machine->count; g++) {
        const struct guest *guest = &machine->guests[g];
        if (!guest->here)
            continue;
        const double share = placement_share(machine->placement, &guest->item);
        if (fabs(share - guest->ideal) > 1e-4)
            fail_msg("guest %zu: %.6f in the books, %.6f ideal", g, share, guest->ideal);
    }
}

/* Of those with an even seed some have ceilings. */
static void life(unsigned cores, size_t guests, unsigned events, unsigned intervals, uint64_t seed)
{
    struct machine machine;
    machine_create(&machine, cores, guests, seed);
    machine.ceilings = seed % 2 == 0;
    for (size_t e = 0; e < guests * 2; e++) /* before time begins */
        random_event(&machine);
    live(&machine, intervals, events);

    /* Nothing happens any more: moves come to an end, and what then stays is within the bound. */
    unsigned busy = 0;
    size_t moves = 0;
    for (unsigned i = 0; i < 120; i++) {
        const size_t moved = live(&machine, 1, 0);
        moves += moved;
        busy = moved ? i + 1 : busy;
    }
    print_message("# %zu moves in the first %u intervals of rest, none in the other %u\n", moves,
                  busy, 120 - busy);
    assert_in_range(busy, 0, 100);
    check_books(&machine);
    check_rest(&machine);
    check_given(&machine);
    machine_destroy(&machine);
}

static void sixty_four_cores(void **state)
{
    life(64, 3000, 30, 60, 1);
    life(64, 3000, 30, 60, 2);
    life(64, 200, 4, 60, 3); /* few on each: each weighs much */
    life(64, 200, 4, 60, 4);
}

static void few_cores(void **state)
{
    for (uint64_t seed = 10; seed < 20; seed++)
        life(2 + (unsigned)(seed % 4), 5 + seed * 3, 1, 100, seed);
}

/* --- by example ----------------------------------------------------------------------------------- */

struct example {
    struct placement *placement;
    struct placement_item items[16];
};

static unsigned add(struct example *example, unsigned i, struct placement_contract contract)
{
    assert_null(placement_add(example->placement, &example->items[i], "guest", &contract));
    return example->items[i].core;
}

/* A guest that wants exactly that part of a core. */
static struct placement_contract exactly(unsigned percent)
{
    return (struct placement_contract){
        .weight = 1, .floor_ppm = PERCENT(percent), .ceiling_ppm = PERCENT(percent)};
}

static void refused(struct matrix_error *error, const char *message)
{
    assert_non_null(error);
    assert_string_equal(error->message, message);
    assert_non_null(error->remedy);
    matrix_error_free(error);
}

static void floors_are_fitted_best(void **state)
{
    struct example example;
    assert_null(placement_create(3, &example.placement));
    assert_int_equal(add(&example, 0, exactly(50)), 0);
    assert_int_equal(add(&example, 1, exactly(60)), 1);
    assert_int_equal(add(&example, 2, exactly(30)), 1); /* where least is left */
    assert_int_equal(add(&example, 3, exactly(20)), 0);
    assert_int_equal(add(&example, 4, exactly(90)), 2); /* which is still empty */
    assert_int_equal(add(&example, 5, exactly(30)), 0);
    placement_destroy(example.placement);
}

static void weights_are_spread(void **state)
{
    struct example example;
    const struct placement_contract light = {.weight = 10}, heavy = {.weight = 1000};
    assert_null(placement_create(2, &example.placement));
    assert_int_equal(add(&example, 0, heavy), 0);
    assert_int_equal(add(&example, 1, light), 1);
    assert_int_equal(add(&example, 2, light), 1); /* the heavy one has a core to itself */
    assert_int_equal(add(&example, 3, light), 1);
    assert_true(fabs(placement_share(example.placement, &example.items[0]) - 1) < 1e-6);
    assert_true(fabs(placement_share(example.placement, &example.items[1]) - 1.0 / 3) < 1e-6);
    assert_true(placement_shortfall(example.placement) < 1e-6);
    placement_remove(example.placement, &example.items[0]);
    struct placement_move move;
    assert_int_equal(placement_balance(example.placement, &move, 1), 1);
    assert_int_equal(move.to, 0);
    assert_int_equal(placement_balance(example.placement, &move, 1), 0); /* 1 and 2: no better */
    assert_true(fabs(placement_shortfall(example.placement) - 1.0 / 3) < 1e-6);
    placement_destroy(example.placement);
}

static void no_room_for_a_floor(void **state)
{
    struct example example;
    struct placement_item other;
    struct placement_contract contract = exactly(50);
    assert_null(placement_create(2, &example.placement));
    add(&example, 0, exactly(70));
    add(&example, 1, exactly(60));
    refused(
        placement_add(example.placement, &other, "trinity", &contract),
        "no core has room for the floor of trinity, 50 %; floors are core 1: 60 %, core 0: 70 %");
    contract.pinned = true;
    refused(placement_add(example.placement, &other, "trinity", &contract),
            "core 0, which trinity is pinned to, has no room for its floor: 70 % + 50 % = 120 %");
    contract.core = 2;
    refused(placement_add(example.placement, &other, "trinity", &contract),
            "trinity is pinned to core 2 of 2");
    /* What was refused has changed nothing. */
    assert_true(fabs(placement_load(example.placement, 0) - 0.7) < 1e-6);
    assert_int_equal(add(&example, 2, exactly(40)), 1);
    placement_destroy(example.placement);
}

static void room_is_made(void **state)
{
    struct example example;
    struct placement_move moves[2];
    size_t count;
    const struct placement_contract half = exactly(50), all = exactly(100);
    assert_null(placement_create(2, &example.placement));
    assert_int_equal(add(&example, 0, exactly(40)), 0);
    assert_int_equal(add(&example, 1, exactly(30)), 0);
    assert_int_equal(add(&example, 2, exactly(60)), 1);
    refused(placement_make_room(example.placement, "all", &all, moves, 2, &count),
            "no core has room for the floor of all, 100 %; floors are core 1: 60 %, core 0: 70 %");
    assert_int_equal(example.items[2].core, 1);
    assert_null(placement_make_room(example.placement, "half", &half, moves, 2, &count));
    assert_int_equal(count, 1);
    assert_ptr_equal(moves[0].item, &example.items[1]);
    assert_int_equal(moves[0].to, 1);
    assert_int_equal(add(&example, 3, half), 0);
    placement_destroy(example.placement);
}

static void changed_floors_move(void **state)
{
    struct example example;
    struct placement_contract contract = exactly(60);
    assert_null(placement_create(2, &example.placement));
    assert_int_equal(add(&example, 0, exactly(50)), 0);
    assert_int_equal(add(&example, 1, exactly(40)), 0);
    assert_null(placement_set(example.placement, &example.items[1], &contract));
    assert_int_equal(example.items[1].core, 1);
    contract = exactly(70);
    contract.pinned = true;
    refused(placement_set(example.placement, &example.items[1], &contract),
            "core 0, which guest is pinned to, has no room for its floor: 50 % + 70 % = 120 %");
    assert_int_equal(example.items[1].core, 1);
    assert_true(fabs(placement_load(example.placement, 1) - 0.6) < 1e-6);
    placement_destroy(example.placement);
}

/* Two that sleep half of the time count for one; who is held or pinned is not moved. */
static void who_sleeps_counts_less(void **state)
{
    struct example example;
    struct placement_move move;
    const struct placement_contract here = {.weight = 1, .pinned = true, .core = 1};
    assert_null(placement_create(2, &example.placement));
    for (unsigned i = 0; i < 3; i++)
        add(&example, i, here);
    assert_int_equal(placement_balance(example.placement, &move, 1), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_null(placement_set(example.placement, &example.items[i],
                                  &(struct placement_contract){.weight = 1}));
    for (unsigned times = 0; times < 100; times++)
        for (unsigned i = 0; i < 2; i++)
            placement_observe(example.placement, &example.items[i], 500000);
    assert_true(fabs(placement_load(example.placement, 1) - 2) < 1e-3);
    example.items[2].held = true; /* else it would be the one: it alone is worth a core */
    assert_int_equal(placement_balance(example.placement, &move, 1), 1);
    assert_ptr_not_equal(move.item, &example.items[2]);
    assert_int_equal(placement_balance(example.placement, &move, 1), 1);
    assert_true(placement_shortfall(example.placement) < 1e-3);
    placement_destroy(example.placement);
}

/* Of many moves at a time none has to wait for one that comes later: nobody is moved twice. */
static void nobody_moves_twice_at_a_time(void **state)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct example example;
        struct placement_move moves[64];
        uint64_t random = seed;
        assert_null(placement_create(4, &example.placement));
        for (unsigned i = 0; i < 16; i++) {
            const unsigned core = (unsigned)random_below(&random, 4);
            add(&example, i,
                (struct placement_contract){.weight = 1, .pinned = true, .core = core});
            assert_null(placement_set(
                example.placement, &example.items[i],
                &(struct placement_contract){.weight = 1 + (uint32_t)random_below(&random, 20)}));
        }
        const size_t count = placement_balance(example.placement, moves, 64);
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < i; j++)
                assert_ptr_not_equal(moves[i].item, moves[j].item);
        for (unsigned i = 0; i < 16; i++)
            assert_false(example.items[i].held);
        placement_destroy(example.placement);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(sixty_four_cores),
        cmocka_unit_test(few_cores),
        cmocka_unit_test(floors_are_fitted_best),
        cmocka_unit_test(weights_are_spread),
        cmocka_unit_test(no_room_for_a_floor),
        cmocka_unit_test(room_is_made),
        cmocka_unit_test(changed_floors_move),
        cmocka_unit_test(who_sleeps_counts_less),
        cmocka_unit_test(nobody_moves_twice_at_a_time),
    };
    return cmocka_run_group_tests_name("placement", tests, NULL, NULL);
}
