// SPDX-License-Identifier: GPL-2.0-or-later
/* A core: made, run once from begin to end, and released. What it does meanwhile: loop.c. */
#include "cloud/core.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool sleeps_less(const struct heap_node *a, const struct heap_node *b)
{
    return HEAP_ENTRY(a, struct task, sleeper)->vcpu->wake_ns <
           HEAP_ENTRY(b, struct task, sleeper)->vcpu->wake_ns;
}

static struct matrix_error *check_options(const struct matrix_core_options *options)
{
    if (options->slice_ns && options->slice_ns < MATRIX_SLICE_MINIMUM_NS)
        return error_usage("use 50us or more; 1ms is the default",
                           "a slice of %llu ns is too short to switch in",
                           (unsigned long long)options->slice_ns);
    if (options->slice_ns > MATRIX_SLICE_MAXIMUM_NS)
        return error_usage("use 10s or less; 1ms is the default",
                           "a slice of %llu ns keeps the other guests waiting for too long",
                           (unsigned long long)options->slice_ns);
    if (options->tick_ns && !options->tick)
        return error_usage(NULL, "a tick without a function to call");
    if (options->cpu >= CPU_SETSIZE)
        return error_usage(NULL, "host CPU %d", options->cpu);
    return core_board_check(options);
}

struct matrix_error *matrix_core_create(const struct matrix_core_options *options,
                                        struct matrix_core **result)
{
    *result = NULL;
    RETURN_IF_ERROR(check_options(options));
    struct matrix_core *core = calloc(1, sizeof(*core));
    if (!core)
        return error_host(ENOMEM, "make a core");
    core->options = *options;
    if (!core->options.slice_ns)
        core->options.slice_ns = MATRIX_SLICE_DEFAULT_NS;
    heap_init(&core->sleepers, sleeps_less);
    struct matrix_error *error =
        policy_create(core->options.slice_ns, core->options.policy, &core->policy);
    if (error) {
        matrix_core_destroy(core);
        return error;
    }
    *result = core;
    return NULL;
}

void matrix_core_destroy(struct matrix_core *core)
{
    if (!core)
        return;
    for (size_t i = 0; i < core->guest_count; i++)
        free(core->guests[i]);
    free(core->guests);
    core_board_destroy(core);
    heap_release(&core->sleepers);
    policy_destroy(core->policy);
    free(core);
}

/* --- a run ------------------------------------------------------------------------------------ */

void matrix_core_stop(struct matrix_core *core)
{
    core->stop = true;
    core->result.end = MATRIX_CORE_STOPPED;
}

static struct matrix_error *pin(struct matrix_core *core)
{
    if (sched_getaffinity(0, sizeof(core->cpus_before), &core->cpus_before) < 0)
        return error_host(errno, "ask which CPUs may be used");
    if (core->options.cpu < 0)
        return NULL;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core->options.cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) < 0)
        return error_new(MATRIX_ERROR_HOST, errno, "choose one that is online and allowed here",
                         "run on host CPU %d", core->options.cpu);
    return NULL;
}

static struct matrix_error *begin(struct matrix_core *core)
{
    core->begin_ns = clock_now_ns(CLOCK_MONOTONIC);
    core->end_ns =
        core->options.duration_ns ? core_after(core->begin_ns, core->options.duration_ns) : 0;
    core->next_tick_ns =
        core->options.tick_ns ? core_after(core->begin_ns, core->options.tick_ns) : 0;
    core->result = (struct matrix_core_result){.end = MATRIX_CORE_ALL_ENDED};
    core_watch_begin(core);
    for (size_t i = 0; i < core->guest_count; i++) {
        if (core->guests[i]->vm->state != MATRIX_VM_ALIVE)
            continue;
        core->guests_alive++;
        RETURN_IF_ERROR(guest_adopt_tasks(core, core->guests[i]));
    }
    core_board_begin(core);
    return NULL;
}

struct matrix_error *matrix_core_run(struct matrix_core *core, struct matrix_core_result *result)
{
    if (core->begin_ns)
        return error_usage("make another core", "a core runs once");
    RETURN_IF_ERROR(pin(core));
    struct matrix_error *error = preempt_begin(&core->preempt, !core->options.leaves_signals);
    if (!error)
        error = begin(core);
    if (!error)
        core_loop(core);
    if (!error && !core->stop)
        core_drain(core);
    for (size_t i = 0; i < core->guest_count; i++)
        if (core->guests[i]->vm->state == MATRIX_VM_ALIVE)
            guest_end(core, core->guests[i], MATRIX_VM_STOPPED);
    core->finished_ns = clock_now_ns(CLOCK_MONOTONIC);
    core_board_end(core);
    core_watch_end(core);
    preempt_end(&core->preempt);
    sched_setaffinity(0, sizeof(core->cpus_before), &core->cpus_before);
    *result = core->result;
    return error;
}
