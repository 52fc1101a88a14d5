// SPDX-License-Identifier: GPL-2.0-or-later
/* What a core does for guests that wait for input or output, while others run and while none can. */
#include "cloud/core.h"

#include "base/clock.h"
#include "vmm/output.h"
#include <poll.h>

/* At most so many descriptors are watched while idle; the others are looked at every interval. */
#define WATCHED_MAX 64

#define BLIND_WAIT_NS 100000000ULL

static bool has_output_waiting(const struct matrix_core *core)
{
    for (size_t i = 0; i < core->guest_count; i++) {
        const struct matrix_output *output = core->guests[i]->vm->console.output;
        if (output && output_waiting(output))
            return true;
    }
    return false;
}

/* Those that wait for input, to be looked at by one system call for many. */
struct readers {
    nfds_t count;
    struct pollfd fds[WATCHED_MAX];
    struct task *tasks[WATCHED_MAX];
};

/* Wakes those whose input has come; true: others wait on. A guest at its prompt costs the others no switch. */
static bool wake_readers(struct matrix_core *core, struct readers *readers)
{
    bool has_others = false;
    const bool is_known = poll(readers->fds, readers->count, 0) >= 0;
    for (nfds_t i = 0; i < readers->count; i++)
        if (!is_known || readers->fds[i].revents)
            task_make_ready(core, readers->tasks[i]);
        else
            has_others = true;
    readers->count = 0;
    return has_others;
}

/* True: a guest waits on for input. */
static bool wake_waiting(struct matrix_core *core)
{
    struct readers readers = {0};
    bool has_others = false;
    for (size_t i = 0; i < core->guest_count; i++) {
        struct guest *guest = core->guests[i];
        for (unsigned t = 0; t < guest->task_count; t++) {
            struct task *task = &guest->tasks[t];
            if (task->state == TASK_WAITING && task->waits_for_input) {
                readers.fds[readers.count] =
                    (struct pollfd){.fd = guest->vm->input_fd, .events = POLLIN};
                readers.tasks[readers.count++] = task;
            } else if (task->state == TASK_WAITING) {
                /* Trying again costs less than knowing; who cannot go on comes back here. */
                task_make_ready(core, task);
            }
            if (readers.count == WATCHED_MAX)
                has_others |= wake_readers(core, &readers);
        }
    }
    return readers.count ? wake_readers(core, &readers) || has_others : has_others;
}

void core_poll(struct matrix_core *core, uint64_t now_ns)
{
    for (size_t i = 0; i < core->guest_count; i++)
        if (core->guests[i]->vm->console.output)
            matrix_output_flush(core->guests[i]->vm->console.output);
    const bool has_readers = wake_waiting(core);
    core->next_poll_ns = has_readers || has_output_waiting(core) ? now_ns + POLL_INTERVAL_NS : 0;
}

static bool waits_for_input(const struct guest *guest)
{
    for (unsigned i = 0; i < guest->task_count; i++)
        if (guest->tasks[i].state == TASK_WAITING && guest->tasks[i].waits_for_input)
            return true;
    return false;
}

/* Everything whose change may let a guest go on. Input that nobody waits for is left out: it would
 * keep us from sleeping. */
static nfds_t watched(struct matrix_core *core, struct pollfd fds[WATCHED_MAX])
{
    nfds_t count = 0;
    fds[count++] = (struct pollfd){.fd = preempt_fd(&core->preempt), .events = POLLIN};
    for (size_t i = 0; i < core->guest_count && count + 2 <= WATCHED_MAX; i++) {
        const struct guest *guest = core->guests[i];
        const struct matrix_output *output = guest->vm->console.output;
        if (waits_for_input(guest))
            fds[count++] = (struct pollfd){.fd = guest->vm->input_fd, .events = POLLIN};
        if (output && output_waiting(output))
            fds[count++] = (struct pollfd){.fd = output_fd(output), .events = POLLOUT};
    }
    return count;
}

static bool is_draining(const struct matrix_core *core)
{
    for (size_t i = 0; i < core->guest_count; i++) {
        const struct console *console = &core->guests[i]->vm->console;
        if (console->output && !console->lossy && output_waiting(console->output))
            return true;
    }
    return false;
}

void core_drain(struct matrix_core *core)
{
    while (is_draining(core) && !core->preempt.stop_signal) {
        core->next_tick_ns = 0;
        core_idle(core);
        const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
        if (core_watch_is_due(core, now))
            core_watch_look(core, now);
        if (core->end_ns && now >= core->end_ns)
            return;
    }
    if (core->preempt.stop_signal) {
        core->result.end = MATRIX_CORE_SIGNAL;
        core->result.signal = core->preempt.stop_signal;
    }
}

void core_idle(struct matrix_core *core)
{
    struct pollfd fds[WATCHED_MAX];
    const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);

    /* With descriptors watched, the interval is only for those that found no room. */
    const nfds_t count = watched(core, fds);
    core->next_poll_ns = count + 2 > WATCHED_MAX ? start + POLL_INTERVAL_NS : 0;
    core->slice_end_ns = 0;

    uint64_t event = core_next_event(core);
    /* Without a descriptor (there are too many) signals must be looked for. */
    if (fds[0].fd < 0 && (event == 0 || event > start + BLIND_WAIT_NS))
        event = start + BLIND_WAIT_NS;
    const uint64_t wait_ns = event > start ? event - start : 0;
    const struct timespec limit = {.tv_sec = (time_t)(wait_ns / 1000000000),
                                   .tv_nsec = (long)(wait_ns % 1000000000)};
    /* The timer is not needed here: an old setting must not wake us. */
    preempt_arm(&core->preempt, 0, start);
    if (!core_has_signal(core))
        ppoll(fds, count, event ? &limit : NULL, NULL);

    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    core->idle_wall_ns += now - start;
    preempt_drain(&core->preempt);
    if (count > 1)
        core_poll(core, now);
}
