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

static void sum_up(struct matrix_core_guest *sum, const struct matrix_core_guest *more)
{
    sum->cpu_ns += more->cpu_ns;
    sum->contended_cpu_ns += more->contended_cpu_ns;
    sum->alone_cpu_ns += more->alone_cpu_ns;
    sum->contended_total_ns += more->contended_total_ns;
    sum->entitled_ns += more->entitled_ns;
    sum->slices += more->slices;
    sum->preemptions += more->preemptions;
    sum->io_switches += more->io_switches;
}

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
        const struct guest *guest = core_find_guest(here->core, seat->vm);
        struct matrix_core_guest here_now;
        core_describe_guest(here->core, guest, &here_now);
        sum_up(&now->guest, &here_now);
        now->guest.state = here_now.state;
        now->ready_ns += guest_ready_ns(guest);
    }
    const double total = (double)now->guest.contended_total_ns;
    now->guest.promised = total > 0 ? (double)now->guest.entitled_ns / total : NAN;
    now->guest.given = total > 0 ? (double)now->guest.contended_cpu_ns / total : NAN;
    matrix_vm_info(seat->vm, &now->info);
}

/* Nothing fails here: it is on that core. */
static void take_off(struct machine_core *here, struct seat *seat)
{
    if (!seat->on_core)
        return;
    machine_core_describe(here, seat, &seat->past);
    matrix_error_free(matrix_core_remove(here->core, seat->vm));
    seat->on_core = false;
}

/* The guest has ended; error: because of that. */
static void end(struct machine_core *here, struct seat *seat, struct matrix_error *error)
{
    struct letter *letter = seat->last;
    if (error)
        vm_end(seat->vm, MATRIX_VM_STOPPED, 0);
    take_off(here, seat);
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
            if (seat->vm == vm && seat->on_core)
                return seat;
    return NULL;
}

void machine_core_ended(struct matrix_core *core, struct matrix_vm *vm, void *context)
{
    struct machine_core *here = context;
    struct seat *seat = find_seat(here, vm);
    if (seat)
        end(here, seat, NULL);
}

/* --- seats and lots --------------------------------------------------------------------------- */

static struct matrix_error *put_on(struct machine_core *here, struct seat *seat)
{
    struct matrix_contract contract = seat->contract;
    contract.group = seat->lot ? seat->lot->on_core : NULL;
    RETURN_IF_ERROR(matrix_core_add_contract(here->core, seat->vm, &contract));
    seat->on_core = true;
    return seat->paused ? matrix_core_pause(here->core, seat->vm) : NULL;
}

static void come(struct machine_core *here, struct seat *seat)
{
    if (seat->ended)
        return;
    if (seat->vm->state != MATRIX_VM_ALIVE) {
        end(here, seat, NULL); /* it did so just before it left, and nobody was told yet */
        return;
    }
    struct matrix_error *error = put_on(here, seat);
    if (error)
        end(here, seat, error);
}

static struct matrix_error *open_lot(struct machine_core *here, struct lot *lot)
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

static void unlink_party(struct party *party)
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
        error = open_lot(here, lot);
    for (struct seat *seat = party->seats; seat; seat = seat->next) {
        if (!error)
            come(here, seat);
        else if (!seat->ended)
            end(here, seat,
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
        take_off(here, seat);
        seat->past.moves++;
    }
    close_lots(here, party->lots);
    unlink_party(party);
    letter->kind = LETTER_COME;
    inbox_put(&there->inbox, letter);
}

/* --- changes ------------------------------------------------------------------------------------ */

struct matrix_error *act_add_seat(struct machine_core *here, struct letter *letter)
{
    struct seat **last = &letter->party->seats;
    while (*last)
        last = &(*last)->next;
    *last = letter->seat;
    come(here, letter->seat);
    return NULL;
}

struct matrix_error *act_remove_seat(struct machine_core *here, struct letter *letter)
{
    struct party *party = letter->party;
    take_off(here, letter->seat);
    struct seat **link = &party->seats;
    while (*link != letter->seat)
        link = &(*link)->next;
    *link = letter->seat->next;
    if (!party->seats && !party->lots)
        unlink_party(party);
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

struct matrix_error *act_call(struct machine_core *here, struct letter *letter)
{
    letter->function(letter->seat->vm, letter->context);
    return NULL;
}

struct matrix_error *act_add_lot(struct machine_core *here, struct letter *letter)
{
    struct lot **last = &letter->party->lots;
    while (*last)
        last = &(*last)->next;
    *last = letter->lot;
    return open_lot(here, letter->lot);
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
        unlink_party(party);
    if (!letter->lot->on_core)
        return NULL;
    struct matrix_error *error = matrix_core_remove_group(here->core, letter->lot->on_core);
    letter->lot->on_core = NULL;
    return error;
}

/* --- letters -------------------------------------------------------------------------------------- */

static void report(struct machine_core *here, struct letter *letter)
{
    letter->report_ns = clock_now_ns(CLOCK_MONOTONIC);
    matrix_core_statistics(here->core, &letter->loop);
    letter->lines = calloc(letter->loop.guests + 1, sizeof(*letter->lines));
    for (const struct party *party = here->parties; party && letter->lines; party = party->next)
        for (const struct seat *seat = party->seats; seat; seat = seat->next) {
            if (!seat->on_core)
                continue;
            struct report_line *line = &letter->lines[letter->line_count++];
            line->guest = seat->guest;
            machine_core_describe(here, seat, &line->now);
        }
    tell(here, letter, LETTER_REPORTED);
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
        letter->error = letter->act(here, letter);
        tell(here, letter, LETTER_CHANGED);
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
