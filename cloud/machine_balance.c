// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Other cores are asked at each tick how their guests are; and the balance, from what they told. Called by the
 * first core's loop.
 */
#include "cloud/machine.h"

#include "base/clock.h"
#include "vmm/output.h"
#include <stdlib.h>

#define MOVES_MAX 64

/* If nobody wants a tick: how often others are asked how they are, and outputs are flushed. */
#define HOUSEKEEPING_NS 1000000000ULL

/* One tick serves all. */
uint64_t machine_tick_ns(const struct matrix_machine_options *options)
{
    uint64_t least = HOUSEKEEPING_NS;
    least = options->tick_ns && options->tick_ns < least ? options->tick_ns : least;
    return options->rebalance_ns && options->rebalance_ns < least ? options->rebalance_ns : least;
}

bool machine_flush(struct matrix_machine *machine)
{
    bool done = true;
    for (size_t i = 0; i < machine->guest_count; i++) {
        const struct machine_guest *guest = machine->guests[i];
        const struct console *console = &guest->vm->console;
        if (!guest->ended || guest->replacing || !console->output ||
            !output_waiting(console->output))
            continue;
        done &= matrix_output_flush(console->output) || console->lossy;
    }
    return done;
}

static void ask_all(struct matrix_machine *machine)
{
    if (machine->reports_missing)
        return; /* somebody is slow: they are not pressed */
    for (unsigned k = 1; k < machine->options.cores; k++) {
        struct letter *letter = letter_create(LETTER_REPORT);
        if (!letter)
            continue;
        machine->reports_missing++;
        machine_post(machine, k, letter);
    }
}

/* Whether it is time, give or take half a tick; then *next is moved on. */
static bool is_due(const struct matrix_machine *machine, uint64_t *next, uint64_t every)
{
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    if (!every || now + machine_tick_ns(&machine->options) / 2 < *next)
        return false;
    *next = every > UINT64_MAX - now ? UINT64_MAX : now + every;
    return true;
}

void machine_tick(struct matrix_core *core, void *context)
{
    const struct machine_core *first = context;
    struct matrix_machine *machine = first->machine;
    ask_all(machine);
    machine_flush(machine);
    if (is_due(machine, &machine->next_tick_ns, machine->options.tick_ns))
        machine->options.tick(machine, machine->options.context);
}

/* --- balance ------------------------------------------------------------------------------------ */

/* The part of the time when the guest could not run, as far as it is known. */
static double idle_part(const struct matrix_machine *machine, struct machine_guest *guest)
{
    if (guest->ended)
        return 1;
    if (guest->unit->at == 0 && !guest->unit->moving) { /* others have told */
        machine_core_describe(&machine->cores[0], guest->seat, &guest->now);
        guest->now_ns = clock_now_ns(CLOCK_MONOTONIC);
    }
    if (guest->now_ns <= guest->seen_ns)
        return guest->idle; /* nothing was told since */
    const uint64_t passed = guest->now_ns - guest->seen_ns;
    const uint64_t ready = guest->now.ready_ns - guest->seen_ready_ns;
    guest->seen_ns = guest->now_ns;
    guest->seen_ready_ns = guest->now.ready_ns;
    guest->idle = ready >= passed ? 0 : 1 - (double)ready / (double)passed;
    return guest->idle;
}

/* A group can run when any of its guests can, who are taken to sleep independently of each other. */
static void observe(struct matrix_machine *machine)
{
    for (struct unit *unit = machine->units; unit; unit = unit->next)
        unit->idle = 1;
    for (size_t i = 0; i < machine->guest_count; i++)
        machine->guests[i]->unit->idle *= idle_part(machine, machine->guests[i]);
    for (struct unit *unit = machine->units; unit; unit = unit->next)
        if (unit->placed && !unit->moving)
            placement_observe(machine->placement, &unit->item,
                              (uint32_t)((1 - unit->idle) * MATRIX_WHOLE_CORE));
}

static void balance(struct matrix_machine *machine)
{
    struct placement_move moves[MOVES_MAX];
    const unsigned wanted = machine->options.moves ? machine->options.moves : 1;
    observe(machine);
    const size_t count =
        placement_balance(machine->placement, moves, wanted < MOVES_MAX ? wanted : MOVES_MAX);
    unit_move_all(machine, moves, count);
}

void machine_balance(struct matrix_machine *machine)
{
    if (is_due(machine, &machine->next_balance_ns, machine->options.rebalance_ns))
        balance(machine);
}
