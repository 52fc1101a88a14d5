/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Time as one number: nanoseconds of a clock. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Cannot fail: clock is one of the constants that every Linux has (clock_gettime(2)). */
static inline uint64_t clock_now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
