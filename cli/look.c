// SPDX-License-Identifier: GPL-2.0-or-later
/* Looking again and again until a signal comes or the time is up; see look.h. */
#include "cli/look.h"

#include "base/clock.h"
#include <signal.h>

#define NS_PER_S 1000000000ULL

static sigset_t ends;

void look_block_ends(void)
{
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGHUP);
    sigprocmask(SIG_BLOCK, &ends, NULL);
}

void look_block_also(int signal_number)
{
    sigaddset(&ends, signal_number);
    sigprocmask(SIG_BLOCK, &ends, NULL);
}

int look_wait_until(uint64_t when_ns)
{
    for (;;) {
        const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
        const uint64_t left = when_ns > now ? when_ns - now : 0;
        const struct timespec time = {.tv_sec = (time_t)(left / NS_PER_S),
                                      .tv_nsec = (long)(left % NS_PER_S)};
        const int number = sigtimedwait(&ends, NULL, &time);
        if (number > 0)
            return number;
        if (left == 0)
            return 0;
    }
}

uint64_t look_next(uint64_t started_ns, uint64_t interval_ns, uint64_t duration_ns)
{
    const uint64_t past = clock_now_ns(CLOCK_MONOTONIC) - started_ns;
    uint64_t next;
    if (__builtin_mul_overflow(past / interval_ns + 1, interval_ns, &next))
        next = UINT64_MAX - started_ns;
    if (duration_ns && next > duration_ns)
        return 0;
    return __builtin_add_overflow(started_ns, next, &next) ? UINT64_MAX : next;
}
