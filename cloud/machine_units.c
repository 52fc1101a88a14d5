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

/* To where the books say. Takes the letter, a LETTER_GO. */
static void set_out(struct matrix_machine *machine, struct unit *unit, struct letter *way)
{
    way->unit = unit;
    way->party = unit->party;
    way->to = unit->item.core;
    unit->moving = unit->item.held = true;
    machine_post(machine, unit->at, way);
}

/* Each has its place by those before it. */
void unit_move_all(struct matrix_machine *machine, const struct placement_move *moves, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct letter *way = letter_create(LETTER_GO);
        if (!way) {
            while (count-- > i)
                placement_put(machine->placement, moves[count].item, moves[count].from);
            return;
        }
        set_out(machine, HEAP_ENTRY(moves[i].item, struct unit, item), way);
    }
}

/*
 * What the books say until it has come: the contract that is wanted, but no smaller a floor than before. It left with
 * that one, or has been promised it since; what it comes with, and what it is asked when it has come, fits in there.
 */
static struct placement_contract on_its_way(const struct unit *unit,
                                            const struct placement_contract *wanted)
{
    struct placement_contract contract = *wanted;
    const uint32_t before = unit->item.contract.floor_ppm;
    if (contract.floor_ppm < before)
        contract.floor_ppm = before;
    if (contract.ceiling_ppm && contract.ceiling_ppm < contract.floor_ppm)
        contract.ceiling_ppm = contract.floor_ppm;
    return contract;
}

static bool holds_floor(const struct unit *unit)
{
    return unit->placed && unit->item.contract.floor_ppm > unit->wanted.floor_ppm;
}

bool matrix_machine_holds_floors(const struct matrix_machine *machine)
{
    for (const struct unit *unit = machine->units; unit; unit = unit->next)
        if (holds_floor(unit))
            return true;
    return false;
}

/* Who finds no room now may find it when somebody has come whose floor was lowered on its way: then it is said so. */
static struct matrix_error *or_later(const struct matrix_machine *machine,
                                     const struct placement_contract *contract,
                                     struct matrix_error *error)
{
    if (!error || error->kind != MATRIX_ERROR_USAGE || !contract->floor_ppm)
        return error;
    const struct unit *unit = machine->units;
    while (unit && (!holds_floor(unit) || (contract->pinned && unit->item.core != contract->core)))
        unit = unit->next;
    if (!unit)
        return error;
    struct matrix_error *later = error_new(
        MATRIX_ERROR_HOST, EAGAIN, "try again",
        "%s is on its way to core %u, and its floor of %g %% is free when it is there: %s",
        unit->item.name, unit->item.core,
        (double)unit->item.contract.floor_ppm * 100 / MATRIX_WHOLE_CORE, error->message);
    matrix_error_free(error);
    return later;
}

static struct matrix_error *make_room(struct matrix_machine *machine, const char *name,
                                      const struct placement_contract *contract)
{
    struct placement_move moves[ROOM_MOVES_MAX];
    size_t count;
    RETURN_IF_ERROR(
        placement_make_room(machine->placement, name, contract, moves, ROOM_MOVES_MAX, &count));
    unit_move_all(machine, moves, count);
    return NULL;
}

struct matrix_error *unit_place(struct matrix_machine *machine, struct unit *unit, const char *name,
                                const struct matrix_machine_contract *contract)
{
    const struct placement_contract for_it = for_placement(contract);
    struct matrix_error *error = placement_add(machine->placement, &unit->item, name, &for_it);
    if (error && error->kind == MATRIX_ERROR_USAGE && machine->options.rebalance_ns) {
        matrix_error_free(error);
        error = make_room(machine, name, &for_it);
        if (!error)
            error = placement_add(machine->placement, &unit->item, name, &for_it);
    }
    if (error)
        return or_later(machine, &for_it, error);
    unit->wanted = for_it;
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
                              const struct matrix_machine_contract *contract, struct letter *letter)
{
    const struct placement_contract before = unit->item.contract, after = for_placement(contract);
    const struct placement_contract now = unit->moving ? on_its_way(unit, &after) : after;
    const unsigned core = unit->item.core;
    RETURN_IF_ERROR(
        or_later(machine, &after, placement_set(machine->placement, &unit->item, &now)));
    const bool has_to_move = unit->item.core != core;
    struct letter *way = has_to_move && !unit->moving ? letter_create(LETTER_GO) : NULL;
    if (has_to_move && !way) {
        put_back(machine, unit, core, &before);
        if (!unit->moving)
            return error_host(ENOMEM, "move %s", unit->item.name);
        return error_new(MATRIX_ERROR_HOST, EAGAIN, "try again", "%s is on its way to core %u",
                         unit->item.name, core);
    }
    unit->wanted = after;
    /* There may be room for a smaller floor only where it comes, for a larger one only when it has left. */
    const bool is_first = after.floor_ppm < before.floor_ppm;
    if (is_first)
        unit_ask(machine, unit, letter);
    if (way)
        set_out(machine, unit, way);
    if (!is_first)
        unit_ask(machine, unit, letter);
    return NULL;
}

/* --- letters ------------------------------------------------------------------------------------ */

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

/* The invariant of machine.h was broken, or there was no memory: whoever asked was told yes. */
static void tell_refusal(struct matrix_machine *machine, const struct letter *letter)
{
    if (letter->error && machine->options.refused)
        machine->options.refused(machine, letter->guest ? letter->guest->vm : NULL, letter->error,
                                 machine->options.context);
}

static void receive_came(struct matrix_machine *machine, struct unit *unit, unsigned at)
{
    struct letter *pending = unit->pending;
    unit->at = at;
    unit->moving = false;
    unit->item.held = unit->leaving;
    unit->pending = NULL;
    unit->pending_end = &unit->pending;
    while (pending) {
        struct letter *next = pending->next;
        unit_ask(machine, unit, pending);
        pending = next;
    }
    /* What is asked of that core from now on comes after these letters, so that a floor which they lower is free. */
    if (holds_floor(unit))
        matrix_error_free(placement_set(machine->placement, &unit->item, &unit->wanted));
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
    /* To pause or stop one that has just ended is no mistake. */
    if (letter->act == act_set_seat || letter->act == act_set_lot || letter->act == act_add_lot)
        tell_refusal(machine, letter);
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
        tell_refusal(machine, letter);
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
