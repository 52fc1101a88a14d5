// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A machine of several cores, each the loop of a thread: made, run, ended. The first core is the calling
 * thread's; signals are its business, and those of the others are all blocked, but for the two that their
 * loops use (preempt.h).
 */
#include "cloud/machine.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct matrix_error *create_core(struct matrix_machine *machine, unsigned number)
{
    const struct matrix_machine_options *options = &machine->options;
    struct machine_core *here = &machine->cores[number];
    const bool first = number == 0;
    here->machine = machine;
    here->number = number;
    here->cpu = options->cpus ? options->cpus[number] : -1;
    const struct matrix_core_options core = {
        .cpu = here->cpu,
        .slice_ns = options->slice_ns,
        .duration_ns = first ? options->duration_ns : 0,
        .tick_ns = first ? machine_tick_ns(options) : 0,
        .tick = first ? machine_tick : NULL,
        .ended = machine_core_ended,
        .context = here,
        .policy = options->policy,
        .persistent = true,
        .leaves_signals = !first,
    };
    here->last = letter_create(LETTER_FINISHED);
    if (!here->last)
        return error_host(ENOMEM, "make core %u", number);
    RETURN_IF_ERROR(inbox_create(&here->inbox));
    RETURN_IF_ERROR(matrix_core_create(&core, &here->core));
    return matrix_core_watch(here->core, here->inbox.bell[0], POLLIN, machine_core_look, here);
}

static struct matrix_error *set_up(struct matrix_machine *machine)
{
    RETURN_IF_ERROR(placement_create(machine->options.cores, &machine->placement));
    machine->cores = calloc(machine->options.cores, sizeof(*machine->cores));
    if (!machine->cores)
        return error_host(ENOMEM, "make a machine of %u cores", machine->options.cores);
    for (unsigned k = 0; k < machine->options.cores; k++)
        machine->cores[k].inbox.bell[0] = machine->cores[k].inbox.bell[1] = -1;
    for (unsigned k = 0; k < machine->options.cores; k++)
        RETURN_IF_ERROR(create_core(machine, k));
    machine->options.cpus = NULL; /* the caller's need not stay */
    return NULL;
}

struct matrix_error *matrix_machine_create(const struct matrix_machine_options *options,
                                           struct matrix_machine **result)
{
    *result = NULL;
    if (options->tick_ns && !options->tick)
        return error_usage(NULL, "a tick without a function to call");
    struct matrix_machine *machine = calloc(1, sizeof(*machine));
    if (!machine)
        return error_host(ENOMEM, "make a machine");
    machine->options = *options;
    struct matrix_error *error = set_up(machine);
    if (error)
        matrix_machine_destroy(machine);
    else
        *result = machine;
    return error;
}

void matrix_machine_destroy(struct matrix_machine *machine)
{
    if (!machine)
        return;
    while (machine->guest_count)
        machine_guest_forget(machine, machine->guests[machine->guest_count - 1]);
    while (machine->units)
        unit_destroy(machine, machine->units);
    for (unsigned k = 0; machine->cores && k < machine->options.cores; k++) {
        letter_free(machine->cores[k].last);
        matrix_core_destroy(machine->cores[k].core);
        inbox_destroy(&machine->cores[k].inbox);
    }
    free(machine->cores);
    free(machine->guests);
    placement_destroy(machine->placement);
    matrix_error_free(machine->error);
    free(machine);
}

/* --- letters -------------------------------------------------------------------------------------- */

/* All that lies there, in this thread. */
static void empty_inbox(struct machine_core *here)
{
    machine_core_look(here->core, here->inbox.bell[0], here);
}

void machine_post(struct matrix_machine *machine, unsigned core, struct letter *letter)
{
    if (machine->running && core != 0) {
        inbox_put(&machine->cores[core].inbox, letter);
        return;
    }
    machine_core_handle(&machine->cores[core], letter);
    if (machine->running)
        return;
    /* There is one thread only, and no loop that would look. What it was handed on to comes first. */
    for (unsigned k = machine->options.cores; k-- > 0;)
        empty_inbox(&machine->cores[k]);
}

/* --- the run --------------------------------------------------------------------------------------- */

static void *run_core(void *context)
{
    struct machine_core *here = context;
    struct matrix_core_result result;
    here->last->error = matrix_core_run(here->core, &result);
    here->last->from = here->number;
    struct letter *last = here->last;
    here->last = NULL;
    inbox_put(&here->machine->cores[0].inbox, last);
    return NULL;
}

static struct matrix_error *start_cores(struct matrix_machine *machine)
{
    for (unsigned k = 1; k < machine->options.cores; k++) {
        const int number =
            pthread_create(&machine->cores[k].thread, NULL, run_core, &machine->cores[k]);
        if (number)
            return error_new(MATRIX_ERROR_HOST, number,
                             "use fewer cores, or raise the limit of threads (ulimit -u)",
                             "start a thread for core %u", k);
        machine->cores[k].started = true;
    }
    return NULL;
}

static bool is_finished(const struct matrix_machine *machine)
{
    for (unsigned k = 1; k < machine->options.cores; k++)
        if (machine->cores[k].started && !machine->cores[k].finished)
            return false;
    return true;
}

/* Ends the other cores, and waits for them. */
static void end_cores(struct matrix_machine *machine)
{
    struct machine_core *first = &machine->cores[0];
    for (unsigned k = 1; k < machine->options.cores; k++) {
        struct letter *letter;
        if (!machine->cores[k].started)
            continue;
        while (!(letter = letter_create(LETTER_END)))
            poll(NULL, 0, 10); /* it comes to an end, if a little later */
        machine_post(machine, k, letter);
    }
    while (!is_finished(machine)) {
        struct pollfd bell = {.fd = first->inbox.bell[0], .events = POLLIN};
        poll(&bell, 1, -1);
        empty_inbox(first);
    }
    for (unsigned k = 1; k < machine->options.cores; k++)
        if (machine->cores[k].started)
            pthread_join(machine->cores[k].thread, NULL);
}

/* Letters that were under way when cores ended are delivered; who came too late to be run is stopped. */
static void settle(struct matrix_machine *machine)
{
    for (int round = 0; round < 2; round++) /* a party may be handed on once more, and all answer */
        for (unsigned k = machine->options.cores; k-- > 0;)
            empty_inbox(&machine->cores[k]);
    for (size_t i = 0; i < machine->guest_count; i++)
        vm_end(machine->guests[i]->vm, MATRIX_VM_STOPPED, 0);
    for (unsigned k = 0; k < machine->options.cores; k++)
        matrix_core_statistics(machine->cores[k].core, &machine->cores[k].loop);
}

static struct matrix_error *run_cores(struct matrix_machine *machine,
                                      struct matrix_core_result *result)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* a thread begins with the mask of its maker */
    struct matrix_error *error = start_cores(machine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!error)
        error = matrix_core_run(machine->cores[0].core, result);
    end_cores(machine);
    machine->running = false;
    settle(machine);
    return error;
}

struct matrix_error *matrix_machine_run(struct matrix_machine *machine,
                                        struct matrix_core_result *result)
{
    if (machine->ran)
        return error_usage("make another machine", "a machine runs once");
    machine->ran = true;
    *result = (struct matrix_core_result){.end = MATRIX_CORE_ALL_ENDED};
    if (!machine->alive && !machine->options.persistent)
        return NULL;
    machine->running = true;
    for (size_t i = 0; i < machine->guest_count; i++)
        machine->guests[i]->seen_ns = machine->guests[i]->now_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct matrix_error *error = run_cores(machine, result);
    if (!error && machine->all_ended && result->end == MATRIX_CORE_STOPPED) {
        result->end = MATRIX_CORE_ALL_ENDED;
        while (!machine_flush(machine))
            poll(NULL, 0, 2);
    }
    if (!error) {
        error = machine->error;
        machine->error = NULL;
    }
    return error;
}

void matrix_machine_stop(struct matrix_machine *machine)
{
    machine->all_ended = false;
    matrix_core_stop(machine->cores[0].core);
}

struct matrix_core *matrix_machine_first_core(struct matrix_machine *machine)
{
    return machine->cores[0].core;
}
