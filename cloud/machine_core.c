// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A core's side of the machine: parties come to it, change and go, by letters. All here runs in that core's
 * thread (before and after the run there is only one). Called by machine, and by the core's loop.
 */
#include "cloud/machine.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* To the first thread. Even from there: then nobody is called in the middle of something. */
static void tell(struct machine_core *here, struct letter *letter, enum letter_kind kind)
{
    letter->kind = kind;
    letter->from = here->number;
    inbox_put(&here->machine->cores[0].inbox, letter);
}

/* --- what is given ----------------------------------------------------------------------------- */

static const char *state_elsewhere(const struct seat *seat)
{
    if (seat->vm->state != MATRIX_VM_ALIVE)
        return matrix_vm_state_name(seat->vm->state);
    return seat->paused ? "paused" : "moving";
}

void machine_core_describe(const struct machine_core *here, const struct seat *seat,
                           struct matrix_machine_guest *now)
{
    *now = seat->past;
    now->guest.vm = seat->vm;
    now->guest.weight = seat->contract.weight;
    now->guest.contract = seat->contract;
    now->guest.contract.group = NULL;
    now->guest.state = state_elsewhere(seat);
    if (seat->on_core) {
        core_describe_guest(here->core, seat->on_core, &now->guest);
        now->guest.contract.group = NULL;
        now->ready_ns = guest_ready_ns(seat->on_core);
    }
    const double total = (double)now->guest.contended_total_ns;
    now->guest.promised = total > 0 ? (double)now->guest.entitled_ns / total : NAN;
    now->guest.given = total > 0 ? (double)now->guest.contended_cpu_ns / total : NAN;
    matrix_vm_info(seat->vm, &now->info);
}

/* Nothing fails here: it is on that core. */
void seat_take_off(struct machine_core *here, struct seat *seat)
{
    if (!seat->on_core)
        return;
    machine_core_describe(here, seat, &seat->past);
    matrix_error_free(matrix_core_remove(here->core, seat->vm));
    seat->on_core = NULL;
}

void seat_end(struct machine_core *here, struct seat *seat, struct matrix_error *error)
{
    struct letter *letter = seat->last;
    if (error)
        vm_end(seat->vm, MATRIX_VM_STOPPED, 0);
    if (error || !here->machine->options.keeps_ended)
        seat_take_off(here, seat);
    seat->ended = true;
    seat->last = NULL;
    letter->guest = seat->guest;
    letter->error = error;
    machine_core_describe(here, seat, &letter->last);
    tell(here, letter, LETTER_ENDED);
}

static struct seat *find_seat(const struct machine_core *here, const struct matrix_vm *vm)
{
    for (const struct party *party = here->parties; party; party = party->next)
        for (struct seat *seat = party->seats; seat; seat = seat->next)
            if (seat->vm == vm && seat->on_core && !seat->ended)
                return seat;
    return NULL;
}

void machine_core_ended(struct matrix_core *core, struct matrix_vm *vm, void *context)
{
    struct machine_core *here = context;
    struct seat *seat = find_seat(here, vm);
    if (seat)
        seat_end(here, seat, NULL);
}

/* --- seats and lots --------------------------------------------------------------------------- */

struct matrix_error *seat_put_on(struct machine_core *here, struct seat *seat)
{
    struct matrix_contract contract = seat->contract;
    if (seat->lot && !seat->lot->on_core)
        return error_host(ECANCELED, "add guest %s: its group is missing", seat->vm->name);
    contract.group = seat->lot ? seat->lot->on_core : NULL;
    RETURN_IF_ERROR(matrix_core_add_contract(here->core, seat->vm, &contract));
    seat->on_core = core_find_guest(here->core, seat->vm);
    core_guest_goes_on(seat->on_core, &seat->past.guest, seat->past.ready_ns);
    return seat->paused ? matrix_core_pause(here->core, seat->vm) : NULL;
}

void seat_come(struct machine_core *here, struct seat *seat)
{
    if (seat->ended)
        return;
    if (seat->vm->state != MATRIX_VM_ALIVE) {
        seat_end(here, seat, NULL); /* it did so just before it left, and nobody was told yet */
        return;
    }
    struct matrix_error *error = seat_put_on(here, seat);
    if (error)
        seat_end(here, seat, error);
}

struct matrix_error *lot_open(struct machine_core *here, struct lot *lot)
{
    struct matrix_contract contract = lot->contract;
    contract.group = lot->parent ? lot->parent->on_core : NULL;
    if (lot->parent && !lot->parent->on_core)
        return error_host(ECANCELED, "make group %s: the one around it is missing", lot->name);
    return matrix_core_add_group(here->core, lot->name, &contract, &lot->on_core);
}

/* Those inside first. */
static void close_lots(struct machine_core *here, struct lot *lot)
{
    if (!lot)
        return;
    close_lots(here, lot->next);
    if (lot->on_core)
        matrix_error_free(matrix_core_remove_group(here->core, lot->on_core));
    lot->on_core = NULL;
}

/* --- parties ------------------------------------------------------------------------------------ */

static void link_party(struct machine_core *here, struct party *party)
{
    party->next = here->parties;
    party->link = &here->parties;
    if (party->next)
        party->next->link = &party->next;
    here->parties = party;
}

void party_unlink(struct party *party)
{
    if (!party->link)
        return;
    *party->link = party->next;
    if (party->next)
        party->next->link = party->link;
    party->link = NULL;
}

static void party_comes(struct machine_core *here, struct letter *letter)
{
    struct party *party = letter->party;
    struct matrix_error *error = NULL;
    link_party(here, party);
    for (struct lot *lot = party->lots; lot && !error; lot = lot->next)
        error = lot_open(here, lot);
    for (struct seat *seat = party->seats; seat; seat = seat->next) {
        if (!error)
            seat_come(here, seat);
        else if (!seat->ended)
            seat_end(here, seat,
                     error_host(ECANCELED, "add guest %s: %s", seat->vm->name, error->message));
    }
    letter->error = error;
    tell(here, letter, LETTER_CAME);
}

static void party_goes(struct machine_core *here, struct letter *letter)
{
    struct party *party = letter->party;
    struct machine_core *there = &here->machine->cores[letter->to];
    for (struct seat *seat = party->seats; seat; seat = seat->next) {
        seat_take_off(here, seat);
        seat->past.moves++;
    }
    close_lots(here, party->lots);
    party_unlink(party);
    letter->kind = LETTER_COME;
    inbox_put(&there->inbox, letter);
}

/* --- letters -------------------------------------------------------------------------------------- */

static void describe(const struct machine_core *here, const struct seat *seat, bool in_full,
                     struct report_line *line)
{
    line->guest = seat->guest;
    machine_core_describe(here, seat, &line->now);
    if (in_full)
        policy_promise(&seat->on_core->entity, &line->guaranteed, &line->if_all_run);
}

static void report(struct machine_core *here, struct letter *letter)
{
    letter->report_ns = clock_now_ns(CLOCK_MONOTONIC);
    matrix_core_statistics(here->core, &letter->loop);
    letter->lines = calloc(letter->loop.guests + 1, sizeof(*letter->lines));
    for (const struct party *party = here->parties; party && letter->lines; party = party->next)
        for (const struct seat *seat = party->seats; seat; seat = seat->next)
            if (seat->on_core)
                describe(here, seat, letter->refresh, &letter->lines[letter->line_count++]);
    tell(here, letter, LETTER_REPORTED);
}

/* The answer first: who has come and cannot stay ends afterwards. */
static void change(struct machine_core *here, struct letter *letter)
{
    struct seat *seat = letter->act == act_replace ? letter->seat : NULL;
    struct matrix_error *error = letter->act(here, letter);
    letter->error = seat ? NULL : error;
    tell(here, letter, LETTER_CHANGED);
    if (seat && error)
        seat_end(here, seat, error);
}

void machine_core_handle(struct machine_core *here, struct letter *letter)
{
    switch (letter->kind) {
    case LETTER_COME:
        party_comes(here, letter);
        break;
    case LETTER_GO:
        party_goes(here, letter);
        break;
    case LETTER_CHANGE:
        change(here, letter);
        break;
    case LETTER_REPORT:
        report(here, letter);
        break;
    case LETTER_END:
        matrix_core_stop(here->core);
        letter_free(letter);
        break;
    default: /* an answer: there is nobody but the first thread to read it */
        machine_receive(here->machine, letter);
    }
}

void machine_core_look(struct matrix_core *core, int fd, void *context)
{
    struct machine_core *here = context;
    struct letter *letter = inbox_take_all(&here->inbox);
    while (letter) {
        struct letter *next = letter->next;
        machine_core_handle(here, letter);
        letter = next;
    }
}
