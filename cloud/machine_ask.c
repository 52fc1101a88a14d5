// SPDX-License-Identifier: GPL-2.0-or-later
/* What a guest of a machine is asked, or is to do: by letter, to the core where it is. Called by strangers. */
#include "base/error.h"
#include "cloud/machine.h"
#include <errno.h>

static struct machine_guest *find(const struct matrix_machine *machine, const struct matrix_vm *vm)
{
    for (size_t i = 0; i < machine->guest_count; i++)
        if (machine->guests[i]->vm == vm)
            return machine->guests[i];
    return NULL;
}

/* Finds a guest that is to be asked for something, and makes the letter for it. */
static struct matrix_error *prepare(const struct matrix_machine *machine,
                                    const struct matrix_vm *vm, struct machine_guest **guest,
                                    struct letter **letter)
{
    *guest = find(machine, vm);
    if (!*guest)
        return error_usage(NULL, "guest %s is not on this machine", vm->name);
    if ((*guest)->leaving)
        return error_usage(NULL, "guest %s is being removed", vm->name);
    *letter = letter_create(LETTER_CHANGE);
    if (!*letter)
        return error_host(ENOMEM, "ask guest %s's core", vm->name);
    (*letter)->guest = *guest;
    (*letter)->seat = (*guest)->seat;
    return NULL;
}

static struct matrix_error *
ask(struct matrix_machine *machine, const struct matrix_vm *vm,
    struct matrix_error *(*act)(struct machine_core *here, struct letter *letter), bool needs_alive)
{
    struct machine_guest *guest;
    struct letter *letter;
    RETURN_IF_ERROR(prepare(machine, vm, &guest, &letter));
    if (needs_alive && guest->ended && !guest->replacing) {
        letter_free(letter);
        return error_usage("start it anew", "guest %s has ended", vm->name);
    }
    letter->act = act;
    unit_ask(machine, guest->unit, letter);
    return NULL;
}

struct matrix_error *matrix_machine_pause(struct matrix_machine *machine, struct matrix_vm *vm)
{
    return ask(machine, vm, act_pause, true);
}

struct matrix_error *matrix_machine_resume(struct matrix_machine *machine, struct matrix_vm *vm)
{
    return ask(machine, vm, act_resume, true);
}

struct matrix_error *matrix_machine_stop_guest(struct matrix_machine *machine, struct matrix_vm *vm)
{
    return ask(machine, vm, act_stop, false);
}

struct matrix_error *
matrix_machine_call(struct matrix_machine *machine, struct matrix_vm *vm,
                    void (*function)(struct matrix_vm *vm, void *context),
                    void (*done)(struct matrix_machine *machine, void *context), void *context)
{
    struct machine_guest *guest;
    struct letter *letter;
    RETURN_IF_ERROR(prepare(machine, vm, &guest, &letter));
    letter->act = act_call;
    letter->function = function;
    letter->done = done;
    letter->context = context;
    unit_ask(machine, guest->unit, letter);
    return NULL;
}

struct matrix_error *matrix_machine_remove(struct matrix_machine *machine, struct matrix_vm *vm)
{
    struct machine_guest *guest;
    struct letter *letter;
    RETURN_IF_ERROR(prepare(machine, vm, &guest, &letter));
    letter->act = act_remove_seat;
    guest->leaving = true;
    (guest->group ? unit_ask : unit_leave)(machine, guest->unit, letter);
    return NULL;
}

struct matrix_error *matrix_machine_replace(struct matrix_machine *machine, struct matrix_vm *old,
                                            struct matrix_vm *vm)
{
    struct machine_guest *guest;
    struct letter *letter;
    if (!machine->options.keeps_ended)
        return error_usage(NULL, "guests that have ended keep no place on this machine");
    if (vm->state != MATRIX_VM_ALIVE)
        return error_usage("make a new one", "guest %s has ended already", vm->name);
    RETURN_IF_ERROR(prepare(machine, old, &guest, &letter));
    letter->spare = letter_create(LETTER_ENDED);
    if (!letter->spare) {
        letter_free(letter);
        return error_host(ENOMEM, "put guest %s in its place", vm->name);
    }
    letter->act = act_replace;
    letter->vm = vm;
    guest->vm = vm;
    /* In the books, too: the old one and its name are soon gone. */
    *(guest->group ? &guest->entity.name : &guest->unit->item.name) = vm->name;
    guest->replacing++;
    unit_ask(machine, guest->unit, letter);
    return NULL;
}

struct matrix_error *
matrix_machine_visit(struct matrix_machine *machine, unsigned core,
                     void (*function)(struct matrix_core *core, void *context),
                     void (*done)(struct matrix_machine *machine, void *context), void *context)
{
    if (core >= machine->options.cores)
        return error_usage("cores are counted from 0", "core %u of %u", core,
                           machine->options.cores);
    struct letter *letter = letter_create(LETTER_CHANGE);
    if (!letter)
        return error_host(ENOMEM, "ask core %u", core);
    letter->act = act_visit;
    letter->visit = function;
    letter->done = done;
    letter->context = context;
    machine_post(machine, core, letter);
    return NULL;
}

/* --- contracts ------------------------------------------------------------------------------------- */

/* In the books, and the letter is sent. */
static struct matrix_error *set(struct matrix_machine *machine, struct machine_guest *guest,
                                const struct matrix_machine_contract *contract,
                                struct letter *letter)
{
    const struct policy_contract changed = machine_contract(contract);
    if (guest->ended && !machine->options.keeps_ended)
        return error_usage("start it anew", "guest %s has ended", guest->vm->name);
    RETURN_IF_ERROR(machine_check_pin(guest->vm->name, contract));
    if (!guest->group) {
        RETURN_IF_ERROR(machine_check_alone(machine, guest->vm->name, contract));
        return unit_set(machine, guest->unit, contract, letter);
    }
    RETURN_IF_ERROR(policy_set(guest->unit->contracts, &guest->entity, &changed));
    unit_ask(machine, guest->unit, letter);
    return NULL;
}

struct matrix_error *matrix_machine_set(struct matrix_machine *machine, struct matrix_vm *vm,
                                        const struct matrix_machine_contract *contract)
{
    struct machine_guest *guest;
    struct letter *letter;
    struct matrix_machine_contract changed = *contract;
    RETURN_IF_ERROR(prepare(machine, vm, &guest, &letter));
    changed.group = guest->group;
    letter->act = act_set_seat;
    letter->contract = changed.contract;
    letter->contract.group = NULL;
    struct matrix_error *error = set(machine, guest, &changed, letter);
    if (error)
        letter_free(letter);
    return error;
}
