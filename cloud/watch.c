// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Descriptors that are watched while guests run: a control socket and its clients. Called by core
 * and idle.
 *
 * As network drivers do: while all is quiet, a descriptor that becomes ready sends a signal, which
 * ends KVM_RUN or the idle wait, and nothing is spent on looking. From the first signal on signals
 * are off, and the loop looks by itself every WATCH_INTERVAL_NS until nothing is ready any more. So
 * who floods a descriptor interrupts no guest more often than that.
 */
#include "cloud/core.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

static void set_signals(const struct watch *watch, bool on)
{
    /* What cannot be set leaves the descriptor unwatched; nothing else would help. */
    const struct f_owner_ex owner = {.type = F_OWNER_TID, .pid = gettid()};
    const int flags = fcntl(watch->fd, F_GETFL);
    if (flags < 0)
        return;
    if (on)
        fcntl(watch->fd, F_SETOWN_EX, &owner);
    fcntl(watch->fd, F_SETFL, on ? flags | O_ASYNC : flags & ~O_ASYNC);
}

static void arm(struct matrix_core *core, bool on)
{
    if (core->watches_armed == on)
        return;
    core->watches_armed = on;
    for (unsigned i = 0; i < core->watch_count; i++)
        set_signals(&core->watches[i], on);
}

static struct watch *find(struct matrix_core *core, int fd)
{
    for (unsigned i = 0; i < core->watch_count; i++)
        if (core->watches[i].fd == fd)
            return &core->watches[i];
    return NULL;
}

struct matrix_error *matrix_core_watch(struct matrix_core *core, int fd, short events,
                                       matrix_core_watcher *function, void *context)
{
    struct watch *watch = find(core, fd);
    if (!watch && core->watch_count == WATCHES_MAX)
        return error_host(EMFILE, "watch more than %d descriptors", WATCHES_MAX);
    if (!watch)
        watch = &core->watches[core->watch_count++];
    *watch = (struct watch){fd, events, function, context};
    /* It may be ready already, and what is ready sends no signal. */
    if (core->begin_ns && !core->next_watch_ns)
        core->next_watch_ns = clock_now_ns(CLOCK_MONOTONIC);
    arm(core, false);
    return NULL;
}

void matrix_core_unwatch(struct matrix_core *core, int fd)
{
    struct watch *watch = find(core, fd);
    if (!watch)
        return;
    if (core->watches_armed)
        set_signals(watch, false);
    *watch = core->watches[--core->watch_count];
}

void core_watch_begin(struct matrix_core *core)
{
    core->next_watch_ns = core->watch_count ? core->begin_ns : 0;
}

void core_watch_end(struct matrix_core *core)
{
    arm(core, false);
    core->next_watch_ns = 0;
}

bool core_watch_is_due(const struct matrix_core *core, uint64_t now_ns)
{
    return core->preempt.watch_signal || (core->next_watch_ns && now_ns >= core->next_watch_ns);
}

/* Whose turn it is of those that are ready; NULL if none is. */
static struct watch *next_ready(struct matrix_core *core)
{
    struct pollfd fds[WATCHES_MAX];
    const unsigned count = core->watch_count;
    for (unsigned i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = core->watches[i].fd, .events = core->watches[i].events};
    if (poll(fds, count, 0) <= 0)
        return NULL;
    /* Whoever was served last may be gone: from the first one again, or one that hangs up each time would let
     * others be passed over. */
    const unsigned first = core->watch_turn < count ? core->watch_turn : 0;
    for (unsigned i = 0; i < count; i++) {
        const unsigned turn = (first + i) % count;
        if (fds[turn].revents) {
            core->watch_turn = turn + 1;
            return &core->watches[turn];
        }
    }
    return NULL;
}

/* When to look again, after what began then. */
static uint64_t next_look(uint64_t began_ns)
{
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    uint64_t pause = (now - began_ns) * WATCH_PAUSE_PER_WORK;
    pause = pause > WATCH_INTERVAL_NS ? pause : WATCH_INTERVAL_NS;
    return now + (pause < WATCH_INTERVAL_LONGEST_NS ? pause : WATCH_INTERVAL_LONGEST_NS);
}

void core_watch_look(struct matrix_core *core, uint64_t now_ns)
{
    core->preempt.watch_signal = false;
    /* A signal that was under way when signals were turned off. */
    if (!core->watches_armed && now_ns < core->next_watch_ns)
        return;
    struct watch *ready = next_ready(core);
    if (!ready) {
        arm(core, true);
        /* It may have come just before. */
        ready = next_ready(core);
    }
    core->next_watch_ns = 0;
    if (!ready)
        return;
    arm(core, false);
    core->next_watch_ns = now_ns + WATCH_INTERVAL_NS; /* for what is watched meanwhile */
    ready->function(core, ready->fd, ready->context);
    core->next_watch_ns = next_look(now_ns);
}
