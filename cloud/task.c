// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests and their virtual CPUs as the loop sees them: ready, asleep, waiting, gone. Called by core
 * and idle. */
#include "cloud/core.h"

#include "base/clock.h"
#include "base/error.h"

/* Neither policy nor heap can fail here: their room was reserved when the guest was added, and when the
 * task was adopted. */
static void drop(struct matrix_error *error)
{
    matrix_error_free(error);
}

/* The policy is told that the guest can run, or can't any more. */
static void join(struct matrix_core *core, struct guest *guest)
{
    guest->ready_since_ns = clock_now_ns(CLOCK_MONOTONIC);
    drop(policy_join(core->policy, &guest->entity));
}

static void leave(struct matrix_core *core, struct guest *guest)
{
    guest->ready_ns = guest_ready_ns(guest);
    policy_leave(core->policy, &guest->entity);
}

uint64_t guest_ready_ns(const struct guest *guest)
{
    if (!guest->entity.joined)
        return guest->ready_ns;
    return guest->ready_ns + clock_now_ns(CLOCK_MONOTONIC) - guest->ready_since_ns;
}

void task_make_ready(struct matrix_core *core, struct task *task)
{
    if (task->state == TASK_SLEEPING)
        heap_remove(&core->sleepers, &task->sleeper);
    task->state = TASK_READY;
    core->tasks_ready++;
    if (task->guest->ready_count++ == 0 && !task->guest->paused)
        join(core, task->guest);
}

void task_make_unready(struct matrix_core *core, struct task *task, enum task_state state)
{
    task->state = state;
    core->tasks_ready--;
    if (--task->guest->ready_count == 0 && !task->guest->paused)
        leave(core, task->guest);
    if (state == TASK_SLEEPING)
        heap_insert_reserved(&core->sleepers, &task->sleeper);
}

struct matrix_error *guest_adopt_tasks(struct matrix_core *core, struct guest *guest)
{
    while (guest->task_count < guest->vm->vcpu_count) {
        struct vcpu *vcpu = guest->vm->vcpus[guest->task_count];
        RETURN_IF_ERROR(vcpu_set_signal_mask(vcpu, &core->preempt.inside_run));
        core->tasks_adopted++;
        RETURN_IF_ERROR(heap_reserve(&core->sleepers, core->tasks_adopted));
        struct task *task = &guest->tasks[guest->task_count++];
        *task = (struct task){.guest = guest, .vcpu = vcpu, .state = TASK_STOPPED};
        if (!vcpu->stopped)
            task_make_ready(core, task);
        /* It comes from another core, and has not slept its fill. */
        if (vcpu->wake_ns > clock_now_ns(CLOCK_MONOTONIC))
            task_make_unready(core, task, TASK_SLEEPING);
    }
    return NULL;
}

void guest_disown_tasks(struct matrix_core *core, struct guest *guest)
{
    for (unsigned i = 0; i < guest->task_count; i++) {
        struct task *task = &guest->tasks[i];
        if (task->state == TASK_SLEEPING || task->state == TASK_WAITING)
            task_make_ready(core, task);
        if (task->state == TASK_READY)
            task_make_unready(core, task, TASK_STOPPED);
        if (core->last == task)
            core->last = NULL;
        if (core->current == task)
            core->current = NULL;
    }
    core->tasks_adopted -= guest->task_count;
    guest->task_count = 0;
}

void guest_pause(struct matrix_core *core, struct guest *guest)
{
    if (!guest->paused && guest->ready_count)
        leave(core, guest);
    guest->paused = true;
    core_board_guest(core, guest);
}

void guest_resume(struct matrix_core *core, struct guest *guest)
{
    if (guest->paused && guest->ready_count)
        join(core, guest);
    guest->paused = false;
    core_board_guest(core, guest);
}

void guest_end(struct matrix_core *core, struct guest *guest, enum matrix_vm_state state)
{
    vm_end(guest->vm, state, 0);
    for (unsigned i = 0; i < guest->task_count; i++) {
        struct task *task = &guest->tasks[i];
        if (task->state == TASK_SLEEPING || task->state == TASK_WAITING)
            task_make_ready(core, task);
        if (task->state == TASK_READY)
            task_make_unready(core, task, TASK_STOPPED);
    }
    core->guests_alive--;
    core->ends_untold++;
    core_board_guest(core, guest);
}

void guest_adopt_or_end(struct matrix_core *core, struct guest *guest)
{
    struct matrix_error *error = guest_adopt_tasks(core, guest);
    if (error)
        guest_end(core, guest, MATRIX_VM_STOPPED);
    matrix_error_free(error);
}

struct task *guest_next_task(struct guest *guest)
{
    do
        guest->turn = (guest->turn + 1) % guest->task_count;
    while (guest->tasks[guest->turn].state != TASK_READY);
    return &guest->tasks[guest->turn];
}

void guest_yield(struct matrix_core *core, struct guest *guest)
{
    /* Coming back gives up what it is owed: others that are owed something go first. */
    policy_leave(core->policy, &guest->entity);
    drop(policy_join(core->policy, &guest->entity));
}
