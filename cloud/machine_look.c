// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How a machine's cores and guests are, as far as the first thread knows: its own are looked at, and of the
 * others it has reports. Called by strangers, and with reports that have come.
 */
#include "cloud/machine.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

/* --- reports ------------------------------------------------------------------------------------ */

/* One more has come, or will not. */
static void refresh_goes_on(struct matrix_machine *machine, struct refresh *refresh)
{
    if (--refresh->missing)
        return;
    refresh->done(machine, refresh->context);
    free(refresh);
}

struct matrix_error *
matrix_machine_refresh(struct matrix_machine *machine,
                       void (*done)(struct matrix_machine *machine, void *context), void *context)
{
    struct refresh *refresh = malloc(sizeof(*refresh));
    if (!refresh)
        return error_host(ENOMEM, "ask the cores how they are");
    /* The first core is this thread's, and stands for the loop below: it may be over before it ends. */
    *refresh =
        (struct refresh){.missing = machine->options.cores, .done = done, .context = context};
    for (unsigned k = 1; k < machine->options.cores; k++) {
        struct letter *letter = letter_create(LETTER_REPORT);
        if (!letter) {
            refresh->missing--; /* what is known of it will have to do */
            continue;
        }
        letter->refresh = refresh;
        machine_post(machine, k, letter);
    }
    refresh_goes_on(machine, refresh);
    return NULL;
}

void machine_take_report(struct matrix_machine *machine, struct letter *letter)
{
    machine->cores[letter->from].loop = letter->loop;
    for (size_t i = 0; i < letter->line_count; i++) {
        const struct report_line *line = &letter->lines[i];
        struct machine_guest *guest = line->guest;
        guest->now = line->now;
        guest->now_ns = letter->report_ns;
        if (letter->refresh) {
            guest->guaranteed = line->guaranteed;
            guest->if_all_run = line->if_all_run;
        }
    }
    if (letter->refresh)
        refresh_goes_on(machine, letter->refresh);
    else if (--machine->reports_missing == 0)
        machine_balance(machine);
}

/* --- guests ------------------------------------------------------------------------------------- */

/* Nobody else has it: it is looked at itself. */
static bool is_ours(const struct matrix_machine *machine, const struct unit *unit)
{
    return !machine->running || (unit->at == 0 && !unit->moving);
}

bool matrix_machine_guest(const struct matrix_machine *machine, size_t index,
                          struct matrix_machine_guest *result)
{
    if (index >= machine->guest_count)
        return false;
    const struct machine_guest *guest = machine->guests[index];
    const struct unit *unit = guest->unit;
    *result = guest->now;
    if (is_ours(machine, unit))
        machine_core_describe(&machine->cores[unit->at], guest->seat, result);
    result->guest.group = guest->group ? guest->group->lot->name : NULL;
    result->core = unit->placed ? unit->item.core : unit->at;
    result->pinned = unit->item.contract.pinned;
    result->error = guest->error;
    return true;
}

bool matrix_machine_promise(const struct matrix_machine *machine, size_t index, double *guaranteed,
                            double *if_all_run)
{
    if (index >= machine->guest_count)
        return false;
    const struct machine_guest *guest = machine->guests[index];
    *guaranteed = guest->guaranteed;
    *if_all_run = guest->if_all_run;
    if (is_ours(machine, guest->unit) && guest->seat->on_core)
        policy_promise(&guest->seat->on_core->entity, guaranteed, if_all_run);
    return true;
}

/* --- cores -------------------------------------------------------------------------------------- */

bool matrix_machine_core(const struct matrix_machine *machine, unsigned core,
                         struct matrix_machine_core *result)
{
    if (core >= machine->options.cores)
        return false;
    const struct machine_core *here = &machine->cores[core];
    *result = (struct matrix_machine_core){
        .loop = here->loop,
        .cpu = here->cpu,
        .load = placement_load(machine->placement, core),
        .floors = placement_floors(machine->placement, core),
    };
    if (core == 0 || !machine->running)
        matrix_core_statistics(here->core, &result->loop);
    return true;
}

double matrix_machine_shortfall(const struct matrix_machine *machine)
{
    return placement_shortfall(machine->placement);
}
