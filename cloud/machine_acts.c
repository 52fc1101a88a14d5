// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What LETTER_CHANGE may ask for: a guest or a group of a party comes, changes and goes. All here runs in
 * the thread of the core where the party is. Called by machine_core.
 */
#include "cloud/machine.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>

struct matrix_error *act_add_seat(struct machine_core *here, struct letter *letter)
{
    struct seat **last = &letter->party->seats;
    while (*last)
        last = &(*last)->next;
    *last = letter->seat;
    seat_come(here, letter->seat);
    return NULL;
}

struct matrix_error *act_remove_seat(struct machine_core *here, struct letter *letter)
{
    struct party *party = letter->party;
    seat_take_off(here, letter->seat);
    struct seat **link = &party->seats;
    while (*link != letter->seat)
        link = &(*link)->next;
    *link = letter->seat->next;
    if (!party->seats && !party->lots)
        party_unlink(party);
    return NULL;
}

struct matrix_error *act_set_seat(struct machine_core *here, struct letter *letter)
{
    struct seat *seat = letter->seat;
    seat->contract = letter->contract;
    return seat->on_core ? matrix_core_set_contract(here->core, seat->vm, &seat->contract) : NULL;
}

struct matrix_error *act_pause(struct machine_core *here, struct letter *letter)
{
    struct seat *seat = letter->seat;
    seat->paused = true;
    return seat->on_core ? matrix_core_pause(here->core, seat->vm) : NULL;
}

struct matrix_error *act_resume(struct machine_core *here, struct letter *letter)
{
    struct seat *seat = letter->seat;
    seat->paused = false;
    return seat->on_core ? matrix_core_resume(here->core, seat->vm) : NULL;
}

struct matrix_error *act_stop(struct machine_core *here, struct letter *letter)
{
    return letter->seat->on_core ? matrix_core_stop_guest(here->core, letter->seat->vm) : NULL;
}

/* An error is the new one's end, which is in its place all the same. */
struct matrix_error *act_replace(struct machine_core *here, struct letter *letter)
{
    struct seat *seat = letter->seat;
    struct matrix_vm *old = seat->vm;
    struct matrix_error *error = NULL;
    if (seat->on_core)
        error = matrix_core_stop_guest(here->core, old);
    else
        vm_end(old, MATRIX_VM_STOPPED, 0);
    if (seat->on_core && !error)
        error = matrix_core_replace(here->core, old, letter->vm);
    if (error)
        seat_take_off(here, seat);
    seat->vm = letter->vm;
    letter->vm = old;
    letter->was_told = seat->ended;
    if (seat->ended)
        seat->last = TAKE(letter->spare); /* the one before was sent */
    seat->ended = seat->paused = false;
    if (!error && !seat->on_core)
        error = seat_put_on(here, seat);
    machine_core_describe(here, seat, &letter->last);
    return error;
}

struct matrix_error *act_call(struct machine_core *here, struct letter *letter)
{
    letter->function(letter->seat->vm, letter->context);
    return NULL;
}

struct matrix_error *act_visit(struct machine_core *here, struct letter *letter)
{
    letter->visit(here->core, letter->context);
    return NULL;
}

struct matrix_error *act_add_lot(struct machine_core *here, struct letter *letter)
{
    struct lot **last = &letter->party->lots;
    while (*last)
        last = &(*last)->next;
    *last = letter->lot;
    return lot_open(here, letter->lot);
}

struct matrix_error *act_set_lot(struct machine_core *here, struct letter *letter)
{
    struct lot *lot = letter->lot;
    lot->contract = letter->contract;
    return lot->on_core ? matrix_core_set_group(here->core, lot->on_core, &lot->contract) : NULL;
}

struct matrix_error *act_remove_lot(struct machine_core *here, struct letter *letter)
{
    struct party *party = letter->party;
    struct lot **link = &party->lots;
    while (*link != letter->lot)
        link = &(*link)->next;
    *link = letter->lot->next;
    if (!party->seats && !party->lots)
        party_unlink(party);
    if (!letter->lot->on_core)
        return NULL;
    struct matrix_error *error = matrix_core_remove_group(here->core, letter->lot->on_core);
    letter->lot->on_core = NULL;
    return error;
}
