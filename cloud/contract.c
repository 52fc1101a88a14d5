// SPDX-License-Identifier: GPL-2.0-or-later
/* What the contract promised, and what was given: read from a core at any time. */
#include "cloud/core.h"

#include "base/clock.h"
#include <math.h>

void matrix_core_statistics(const struct matrix_core *core,
                            struct matrix_core_statistics *statistics)
{
    const uint64_t now = core->finished_ns ? core->finished_ns : clock_now_ns(CLOCK_MONOTONIC);
    *statistics = (struct matrix_core_statistics){
        .wall_ns = core->begin_ns ? now - core->begin_ns : 0,
        .guests_cpu_ns = core->guests_cpu_ns,
        .overhead_ns = core->overhead_ns,
        .idle_wall_ns = core->idle_wall_ns,
        .decisions = core->decisions,
        .switches = core->switches,
        .timer_signals = core->preempt.timer_signals,
        .stale_signals = core->preempt.stale_signals,
        .delay_worst_ns = core->delays.worst_ns,
        .delay_median_ns = delays_quantile(&core->delays, 0.5),
        .delay_p99_ns = delays_quantile(&core->delays, 0.99),
        .guests = core->guest_count,
    };
}

static const char *state_name(const struct matrix_core *core, const struct guest *guest)
{
    if (guest->vm->state != MATRIX_VM_ALIVE)
        return matrix_vm_state_name(guest->vm->state);
    if (guest->paused)
        return "paused";
    if (guest->ready_count)
        return guest->entity.throttled                          ? "at ceiling"
               : core->current && core->current->guest == guest ? "running"
                                                                : "ready";
    for (unsigned i = 0; i < guest->task_count; i++)
        if (guest->tasks[i].state == TASK_SLEEPING)
            return "sleeping";
    return "waiting";
}

void core_guest_goes_on(struct guest *guest, const struct matrix_core_guest *past,
                        uint64_t ready_ns)
{
    guest->before = (struct policy_share){.cpu_ns = past->cpu_ns,
                                          .entitled_ns = past->entitled_ns,
                                          .contended_cpu_ns = past->contended_cpu_ns,
                                          .contended_total_ns = past->contended_total_ns,
                                          .alone_ns = past->alone_cpu_ns};
    guest->slices = past->slices;
    guest->preemptions = past->preemptions;
    guest->io_switches = past->io_switches;
    guest->ready_ns += ready_ns;
}

/* Here and on cores that it has left. */
static void share_in_all(const struct matrix_core *core, const struct guest *guest,
                         struct policy_share *share)
{
    const struct policy_share *before = &guest->before;
    policy_share(core->policy, &guest->entity, share);
    share->cpu_ns += before->cpu_ns;
    share->entitled_ns += before->entitled_ns;
    share->contended_cpu_ns += before->contended_cpu_ns;
    share->contended_total_ns += before->contended_total_ns;
    share->alone_ns += before->alone_ns;
}

void core_describe_guest(const struct matrix_core *core, const struct guest *guest,
                         struct matrix_core_guest *result)
{
    struct policy_share share;
    share_in_all(core, guest, &share);

    const double total = (double)share.contended_total_ns;
    *result = (struct matrix_core_guest){
        .vm = guest->vm,
        .weight = guest->contract.weight,
        .state = state_name(core, guest),
        .promised = total > 0 ? (double)share.entitled_ns / total : NAN,
        .given = total > 0 ? (double)share.contended_cpu_ns / total : NAN,
        .cpu_ns = share.cpu_ns,
        .contended_cpu_ns = share.contended_cpu_ns,
        .alone_cpu_ns = share.alone_ns,
        .contended_total_ns = share.contended_total_ns,
        .entitled_ns = share.entitled_ns,
        .slices = guest->slices,
        .preemptions = guest->preemptions,
        .io_switches = guest->io_switches,
        .contract = guest->contract,
        .group = policy_group_name(&guest->entity),
    };
}

bool matrix_core_guest(const struct matrix_core *core, size_t index,
                       struct matrix_core_guest *result)
{
    if (index >= core->guest_count)
        return false;
    core_describe_guest(core, core->guests[index], result);
    return true;
}

bool matrix_core_promise(const struct matrix_core *core, size_t index, double *guaranteed,
                         double *if_all_run)
{
    if (index >= core->guest_count)
        return false;
    policy_promise(&core->guests[index]->entity, guaranteed, if_all_run);
    return true;
}
