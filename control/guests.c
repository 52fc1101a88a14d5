// SPDX-License-Identifier: GPL-2.0-or-later
/* The guests of a core, and of a machine; see guests.h. */
#include "control/guests.h"

#include "base/error.h"

/* --- of a core: all there is, is in this thread ------------------------------------------------ */

static bool guest_of_core(const struct control_guests *guests, size_t index,
                          struct control_guest *guest)
{
    struct matrix_core_guest here;
    if (!matrix_core_guest(guests->owner, index, &here))
        return false;
    *guest = (struct control_guest){.vm = here.vm, .state = here.state};
    matrix_vm_info(here.vm, &guest->info);
    return true;
}

static struct matrix_error *look_on_core(const struct control_guests *guests, struct matrix_vm *vm,
                                         struct control_visit *visit)
{
    visit->look(vm, visit->context);
    visit->done(visit->context);
    return NULL;
}

static struct matrix_error *visit_core(const struct control_guests *guests, unsigned core,
                                       struct control_visit *visit)
{
    visit->visit(guests->owner, visit->context);
    visit->done(visit->context);
    return NULL;
}

struct control_guests control_guests_of_core(struct matrix_core *core)
{
    return (struct control_guests){.core = core,
                                   .cores = 1,
                                   .owner = core,
                                   .guest = guest_of_core,
                                   .look = look_on_core,
                                   .visit = visit_core};
}

/* --- of a machine ------------------------------------------------------------------------------ */

static bool guest_of_machine(const struct control_guests *guests, size_t index,
                             struct control_guest *guest)
{
    struct matrix_machine_guest there;
    if (!matrix_machine_guest(guests->owner, index, &there))
        return false;
    *guest = (struct control_guest){there.guest.vm, there.info, there.guest.state, there.core};
    return true;
}

static void look(struct matrix_vm *vm, void *context)
{
    const struct control_visit *visit = context;
    visit->look(vm, visit->context);
}

static void come(struct matrix_core *core, void *context)
{
    const struct control_visit *visit = context;
    visit->visit(core, visit->context);
}

static void done(struct matrix_machine *machine, void *context)
{
    const struct control_visit *visit = context;
    visit->done(visit->context);
}

static struct matrix_error *look_on_machine(const struct control_guests *guests,
                                            struct matrix_vm *vm, struct control_visit *visit)
{
    return matrix_machine_call(guests->owner, vm, look, done, visit);
}

static struct matrix_error *visit_machine(const struct control_guests *guests, unsigned core,
                                          struct control_visit *visit)
{
    return matrix_machine_visit(guests->owner, core, come, done, visit);
}

struct control_guests control_guests_of_machine(struct matrix_machine *machine, unsigned cores)
{
    return (struct control_guests){.core = matrix_machine_first_core(machine),
                                   .cores = cores,
                                   .owner = machine,
                                   .guest = guest_of_machine,
                                   .look = look_on_machine,
                                   .visit = visit_machine};
}
