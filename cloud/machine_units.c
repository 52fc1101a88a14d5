// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is placed as one, and moves as one, as the first thread sees it: its place in the books, and what
 * is asked of the core where it is. Called by machine, machine_guests and machine_balance.
 */
#include "cloud/machine.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

/* So many others are moved at most to make room for a floor. */
#define ROOM_MOVES_MAX 8

struct unit *unit_create(struct matrix_machine *machine)
{
    struct unit *unit = calloc(1, sizeof(*unit));
    if (unit)
        unit->party = calloc(1, sizeof(*unit->party));
    if (!unit || !unit->party) {
        free(unit);
        return NULL;
    }
    unit->party->unit = unit;
    unit->pending_end = &unit->pending;
    unit->next = machine->units;
    unit->link = &machine->units;
    if (unit->next)
        unit->next->link = &unit->next;
    machine->units = unit;
    return unit;
}

void unit_destroy(struct matrix_machine *machine, struct unit *unit)
{
    if (unit->placed)
        placement_remove(machine->placement, &unit->item);
    unit->placed = false;
    while (unit->groups)
        machine_group_forget(machine, unit->groups);
    while (unit->pending) {
        struct letter *letter = unit->pending;
        unit->pending = letter->next;
        letter_free(letter);
    }
    *unit->link = unit->next;
    if (unit->next)
        unit->next->link = unit->link;
    policy_destroy(unit->contracts);
    free(unit->party);
    free(unit);
}

/* --- the books ---------------------------------------------------------------------------------- */

static struct placement_contract for_placement(const struct matrix_machine_contract *contract)
{
    return (struct placement_contract){.weight = contract->contract.weight,
                                       .floor_ppm = contract->contract.floor_ppm,
                                       .ceiling_ppm = contract->contract.ceiling_ppm,
                                       .pinned = contract->pinned,
                                       .core = contract->core};
}

static struct matrix_error *make_room(struct matrix_machine *machine, const char *name,
                                      const struct placement_contract *contract)
{
    struct placement_move moves[ROOM_MOVES_MAX];
    size_t count;
    RETURN_IF_ERROR(
        placement_make_room(machine->placement, name, contract, moves, ROOM_MOVES_MAX, &count));
    for (size_t i = 0; i < count; i++)
        unit_move(machine, HEAP_ENTRY(moves[i].item, struct unit, item));
    return NULL;
}

struct matrix_error *unit_place(struct matrix_machine *machine, struct unit *unit, const char *name,
                                const struct matrix_machine_contract *contract)
{
    const struct placement_contract for_it = for_placement(contract);
    struct matrix_error *error = placement_add(machine->placement, &unit->item, name, &for_it);
    if (error && error->kind == MATRIX_ERROR_USAGE && machine->options.rebalance_ns) {
        matrix_error_free(error);
        RETURN_IF_ERROR(make_room(machine, name, &for_it));
        error = placement_add(machine->placement, &unit->item, name, &for_it);
    }
    if (error)
        return error;
    unit->placed = true;
    unit->at = unit->item.core;
    return NULL;
}

/* As it was before a change that cannot be carried out; there was room for it then. */
static void put_back(struct matrix_machine *machine, struct unit *unit, unsigned core,
                     const struct placement_contract *contract)
{
    placement_put(machine->placement, &unit->item, core);
    matrix_error_free(placement_set(machine->placement, &unit->item, contract));
}

struct matrix_error *unit_set(struct matrix_machine *machine, struct unit *unit,
                              const struct matrix_machine_contract *contract)
{
    const struct placement_contract before = unit->item.contract;
    const struct placement_contract after = for_placement(contract);
    const unsigned core = unit->item.core;
    RETURN_IF_ERROR(placement_set(machine->placement, &unit->item, &after));
    if (unit->item.core == core)
        return NULL;
    if (unit->moving) {
        put_back(machine, unit, core, &before);
        return error_new(MATRIX_ERROR_HOST, EAGAIN, "try again", "%s is on its way to core %u",
                         unit->item.name, core);
    }
    if (!unit_move(machine, unit)) {
        put_back(machine, unit, core, &before);
        return error_host(ENOMEM, "move %s", unit->item.name);
    }
    return NULL;
}

/* --- letters ------------------------------------------------------------------------------------ */

bool unit_move(struct matrix_machine *machine, struct unit *unit)
{
    if (unit->moving || unit->leaving || !unit->placed || unit->item.core == unit->at)
        return true;
    struct letter *letter = letter_create(LETTER_GO);
    if (!letter) {
        placement_put(machine->placement, &unit->item, unit->at);
        return false;
    }
    letter->unit = unit;
    letter->party = unit->party;
    letter->to = unit->item.core;
    unit->moving = unit->item.held = true;
    machine_post(machine, unit->at, letter);
    return true;
}

void unit_come(struct matrix_machine *machine, struct unit *unit, struct letter *letter)
{
    letter->unit = unit;
    letter->party = unit->party;
    unit->moving = unit->item.held = true;
    machine_post(machine, unit->at, letter);
}

void unit_ask(struct matrix_machine *machine, struct unit *unit, struct letter *letter)
{
    letter->unit = unit;
    letter->party = unit->party;
    if (!unit->moving) {
        machine_post(machine, unit->at, letter);
        return;
    }
    letter->next = NULL;
    *unit->pending_end = letter;
    unit->pending_end = &letter->next;
}

void unit_leave(struct matrix_machine *machine, struct unit *unit, struct letter *letter)
{
    unit->leaving = unit->item.held = true;
    unit_ask(machine, unit, letter);
}

static void receive_came(struct matrix_machine *machine, struct unit *unit, unsigned at)
{
    struct letter *pending = unit->pending;
    unit->at = at;
    unit->moving = false;
    unit->item.held = unit->leaving;
    unit->pending = NULL;
    unit->pending_end = &unit->pending;
    unit_move(machine, unit); /* the books may have changed their mind meanwhile */
    while (pending) {
        struct letter *next = pending->next;
        unit_ask(machine, unit, pending);
        pending = next;
    }
}

static void receive_ended(struct matrix_machine *machine, struct letter *letter)
{
    struct machine_guest *guest = letter->guest;
    guest->now = letter->last;
    guest->ended = true;
    guest->error = letter->error;
    letter->error = NULL;
    machine->alive--;
    if (!guest->group && guest->unit->placed && !machine->options.keeps_ended) {
        placement_remove(machine->placement, &guest->unit->item);
        guest->unit->placed = false;
    }
    /* By now it may have been replaced. */
    if (machine->running && machine->options.ended)
        machine->options.ended(machine, letter->last.guest.vm, machine->options.context);
    machine_look_for_end(machine);
}

static void receive_replaced(struct matrix_machine *machine, struct letter *letter)
{
    struct machine_guest *guest = letter->guest;
    guest->replacing--;
    guest->now = letter->last;
    if (letter->was_told) {
        guest->ended = false;
        machine->alive++;
        matrix_error_free(guest->error);
        guest->error = NULL;
    }
    if (machine->options.removed)
        machine->options.removed(machine, letter->vm, machine->options.context);
}

static void receive_changed(struct matrix_machine *machine, struct letter *letter)
{
    if (letter->act == act_remove_lot)
        machine_group_forget(machine, letter->group);
    if (letter->act == act_replace)
        receive_replaced(machine, letter);
    if ((letter->act == act_call || letter->act == act_visit) && letter->done)
        letter->done(machine, letter->context);
    if (letter->act != act_remove_seat)
        return;
    struct matrix_vm *vm = letter->guest->vm;
    machine->alive -= letter->guest->ended ? 0 : 1;
    machine_guest_forget(machine, letter->guest);
    if (machine->options.removed)
        machine->options.removed(machine, vm, machine->options.context);
    machine_look_for_end(machine);
}

static void receive_finished(struct matrix_machine *machine, struct letter *letter)
{
    machine->cores[letter->from].finished = true;
    if (!letter->error)
        return;
    if (!machine->error)
        machine->error = error_prefix(letter->error, "core %u", letter->from);
    else
        matrix_error_free(letter->error);
    letter->error = NULL;
    matrix_machine_stop(machine); /* the guests of that core are stopped already */
}

void machine_receive(struct matrix_machine *machine, struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_CAME:
        receive_came(machine, letter->unit, letter->from);
        break;
    case LETTER_CHANGED:
        receive_changed(machine, letter);
        break;
    case LETTER_REPORTED:
        machine_take_report(machine, letter);
        break;
    case LETTER_ENDED:
        receive_ended(machine, letter);
        break;
    case LETTER_FINISHED:
        receive_finished(machine, letter);
        break;
    default:
        break;
    }
    letter_free(letter);
}
