// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop of a core: pick a virtual CPU, set the timer, enter the guest, handle the exit, charge
 * the time. One thread, no locks. The calling thread's CPU clock is what is charged: a noisy
 * host then harms all guests alike, and the shares hold.
 *
 * A guest is charged from when it comes on until it leaves, the handling of its own exits
 * included: who causes work pays for it. What it takes to decide and to switch is the loop's
 * own cost, charged to nobody and reported.
 */
#include "cloud/core.h"

#include "base/clock.h"
#include "base/error.h"
#include "vmm/output.h"

/* A decision that takes longer was interrupted. */
#define DECISION_LONGEST_NS MATRIX_SLICE_MINIMUM_NS

/* --- time -------------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

uint64_t core_after(uint64_t start, uint64_t duration)
{
    return duration > UINT64_MAX - start ? UINT64_MAX : start + duration;
}

uint64_t core_next_event(const struct matrix_core *core)
{
    uint64_t next = earlier(core->end_ns, core->next_tick_ns);
    const struct heap_node *first = heap_peek(&core->sleepers);
    if (first)
        next = earlier(next, HEAP_ENTRY(first, const struct task, sleeper)->vcpu->wake_ns);
    next = earlier(next, core->next_watch_ns);
    next = earlier(next, core->next_board_ns);
    next = earlier(next, policy_release_ns(core->policy));
    return earlier(next, core->next_poll_ns);
}

/* Charges the time since the last mark to the current task, or to the loop. */
static void account(struct matrix_core *core, struct task *task)
{
    const uint64_t now = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    core->wall_mark_ns = clock_now_ns(CLOCK_MONOTONIC);
    /* The mark may be ahead by what account_decision took for CPU time and was not. */
    const uint64_t spent = now > core->cpu_mark_ns ? now - core->cpu_mark_ns : 0;
    core->cpu_mark_ns += spent;
    if (!task) {
        core->overhead_ns += spent;
        return;
    }
    core->guests_cpu_ns += spent;
    task->guest->vm->cpu_ns += spent;
    policy_charge(core->policy, &task->guest->entity, spent,
                  core->has_ceilings ? clock_now_ns(CLOCK_MONOTONIC) : 0);
}

/*
 * Charges the loop for the way from one guest to the next. That is so short that wall time does for it,
 * and the CPU clock, which takes a system call, is not asked; unless the host took the core away
 * meanwhile, or something else was done, and it was long.
 */
static void account_decision(struct matrix_core *core)
{
    const uint64_t spent = clock_now_ns(CLOCK_MONOTONIC) - core->wall_mark_ns;
    if (spent > DECISION_LONGEST_NS) {
        account(core, NULL);
        return;
    }
    core->cpu_mark_ns += spent;
    core->overhead_ns += spent;
}

static void handle_events(struct matrix_core *core, uint64_t now)
{
    for (struct heap_node *node; (node = heap_peek(&core->sleepers));) {
        struct task *task = HEAP_ENTRY(node, struct task, sleeper);
        if (task->vcpu->wake_ns > now)
            break;
        task_make_ready(core, task);
    }
    if (core->next_poll_ns && now >= core->next_poll_ns)
        core_poll(core, now);
    if (core_watch_is_due(core, now))
        core_watch_look(core, now);
    if (core->next_tick_ns && now >= core->next_tick_ns) {
        core->next_tick_ns = core_after(now, core->options.tick_ns);
        core->options.tick(core, core->options.context);
    }
    if (core->end_ns && now >= core->end_ns) {
        core->result.end = MATRIX_CORE_DURATION;
        core->stop = true;
    }
}

/* --- the loop ---------------------------------------------------------------------------- */

/* Puts task on the core for a slice, or for as long as it likes if nobody else can run. */
static void come_on(struct matrix_core *core, struct task *task, uint64_t now)
{
    const bool alone =
        task->guest->ready_count == 1 && policy_is_unlimited(core->policy, &task->guest->entity);
    core->slice_end_ns = alone ? 0 : now + policy_slice(core->policy, &task->guest->entity);
    core_board_come_on(core, task, now);
    if (task != core->last) {
        core->switches++;
        task->guest->slices++;
        if (core->last && core->left == LEFT_BY_IO)
            core->last->guest->io_switches++;
        if (core->last && core->left == LEFT_BY_SLICE_END)
            core->last->guest->preemptions++;
    }
    core->last = core->current = task;
    core->left = LEFT_BY_EVENT;
}

/* Something that the guest printed waits for its reader, and nobody looks after it yet. */
static bool is_to_be_flushed(const struct matrix_core *core, const struct matrix_vm *vm)
{
    return !core->next_poll_ns && vm->console.output && output_waiting(vm->console.output);
}

static void look_after_soon(struct matrix_core *core)
{
    core->next_poll_ns =
        earlier(core->next_poll_ns, clock_now_ns(CLOCK_MONOTONIC) + POLL_INTERVAL_NS);
}

/* What becomes of the task after it left the guest with the given outcome. */
static void settle(struct matrix_core *core, struct task *task, enum vcpu_outcome outcome)
{
    struct guest *guest = task->guest;
    core->outcome = outcome;
    switch (outcome) {
    case VCPU_HANDLED:
        core->left = LEFT_BY_IO;
        if (is_to_be_flushed(core, guest->vm))
            look_after_soon(core);
        break;
    case VCPU_INTERRUPTED:
        break;
    case VCPU_YIELDED:
        core->left = LEFT_BY_IO;
        guest_yield(core, guest);
        break;
    case VCPU_SLEEPING:
        core->left = LEFT_BY_IO;
        task_make_unready(core, task, TASK_SLEEPING);
        break;
    case VCPU_WAITS_INPUT:
    case VCPU_WAITS_OUTPUT:
        core->left = LEFT_BY_IO;
        task_make_unready(core, task, TASK_WAITING);
        task->waits_for_input = outcome == VCPU_WAITS_INPUT;
        core->next_poll_ns =
            earlier(core->next_poll_ns, clock_now_ns(CLOCK_MONOTONIC) + POLL_INTERVAL_NS);
        break;
    case VCPU_STOPPED:
        task->vcpu->stopped = true;
        task_make_unready(core, task, TASK_STOPPED);
        break;
    case VCPU_OUTPUT_LOST:
        guest_end(core, guest, MATRIX_VM_STOPPED);
        break;
    case VCPU_VM_ENDED:
        guest_end(core, guest, guest->vm->state);
        break;
    }
}

/* Setting the timer may consume what is pending (preempt_arm), and that may be more than the timer's signal:
 * nothing would interrupt KVM_RUN, or a wait, for it any more. To be asked after it. */
bool core_has_signal(const struct matrix_core *core)
{
    return core->preempt.stop_signal || core->preempt.watch_signal;
}

/*
 * KVM_RUN was interrupted: by the slice's end, an event, or a signal that asks for the end. False
 * if by nothing of that: a timer that was set anew had gone off already, or the signal was none of
 * ours. Then the slice goes on.
 */
static bool is_to_decide(struct matrix_core *core)
{
    /* In this order: a timer that goes off after the first line interrupts the next KVM_RUN. */
    preempt_take(&core->preempt);
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    const uint64_t event = core_next_event(core);
    core->left = LEFT_BY_EVENT;
    if (core->slice_end_ns && now >= core->slice_end_ns) {
        core->left = LEFT_BY_SLICE_END;
        return true;
    }
    if ((event && now >= event) || core_has_signal(core))
        return true;
    /* The timer that has gone off may have been for an event that was handled meanwhile. */
    preempt_arm(&core->preempt, earlier(core->slice_end_ns, event), now);
    return core_has_signal(core);
}

/* Lets the current task run until something is to be decided. */
static enum vcpu_outcome run_task(struct matrix_core *core, struct task *task)
{
    const struct guest *guest = task->guest;
    for (;;) {
        enum vcpu_outcome outcome = vcpu_run(task->vcpu);
        /* With nobody else to run there is nothing to decide after an exit that was handled:
         * straight back in, with no clock and no timer touched. This is the hot path. */
        if (outcome == VCPU_HANDLED && core->slice_end_ns == 0 &&
            guest->task_count == guest->vm->vcpu_count && !is_to_be_flushed(core, guest->vm))
            continue;
        if (outcome == VCPU_INTERRUPTED && !is_to_decide(core))
            continue;
        return outcome;
    }
}

/* One stay of the guest that the policy has picked. */
static void run_guest(struct matrix_core *core, struct guest *guest, uint64_t now)
{
    struct task *task = core->current;
    /* After an I/O exit the same task may still be the rightful one: its slice, and the
     * timer that is set to its end, go on. */
    bool goes_on = task && task->guest == guest && task->state == TASK_READY &&
                   core->left == LEFT_BY_IO && core->slice_end_ns > now;
    if (!goes_on)
        come_on(core, task = guest_next_task(guest), now);
    /* Also if it goes on: the timer may have gone off since, for an event. */
    preempt_arm(&core->preempt, earlier(core->slice_end_ns, core_next_event(core)), now);
    account_decision(core);
    if (core_has_signal(core))
        return;
    guest->vm->came_on_cpu_ns = core->cpu_mark_ns;
    enum vcpu_outcome outcome = run_task(core, task);
    account(core, task);
    settle(core, task, outcome);
    if (guest->task_count < guest->vm->vcpu_count)
        guest_adopt_or_end(core, guest);
}

static bool has_work(const struct matrix_core *core)
{
    return core->guests_alive || core->ends_untold || core->options.persistent;
}

static void stop_by_signal(struct matrix_core *core)
{
    core->result.end = MATRIX_CORE_SIGNAL;
    core->result.signal = core->preempt.stop_signal;
    core->stop = true;
}

void core_loop(struct matrix_core *core)
{
    core->cpu_mark_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    core->wall_mark_ns = clock_now_ns(CLOCK_MONOTONIC);
    while (!core->stop && has_work(core)) {
        const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
        const uint64_t event = core_next_event(core);
        /* Whatever it was that the guest left by: from here on another can come on. */
        if (core->slice_end_ns && now >= core->slice_end_ns) {
            delays_add(&core->delays, now - core->slice_end_ns);
            core->slice_end_ns = 0;
        }
        core_board_look(core, now);
        if ((event && now >= event) || core->preempt.watch_signal)
            handle_events(core, now);
        if (core->ends_untold)
            core_tell_ends(core);
        struct policy_entity *entity = core->stop ? NULL : policy_pick(core->policy, now);
        core->decisions++;
        if (!entity) {
            core_board_nobody(core);
            if (!core->stop && has_work(core))
                core_idle(core);
            account(core, NULL);
        } else {
            run_guest(core, HEAP_ENTRY(entity, struct guest, entity), now);
        }
        if (core->preempt.stop_signal)
            stop_by_signal(core);
    }
}
