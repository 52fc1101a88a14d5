/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to take samples: at a start and every interval after it, whatever each of them takes, so that
 * nothing adds up over a day. Pure arithmetic on CLOCK_MONOTONIC; by the recorder.
 */
#ifndef KSM_SCHEDULE_H
#define KSM_SCHEDULE_H

#include <stdint.h>

struct ksm_schedule {
    uint64_t start_ns, interval_ns;
    uint64_t next;   /* the number of the next sample, from 0 */
    uint64_t missed; /* samples in all that nobody took in their time */
};

/* The first sample is due at once. interval_ns is not 0. */
struct ksm_schedule ksm_schedule_start(uint64_t now_ns, uint64_t interval_ns);

/* When the next sample is due; UINT64_MAX: never, the clock ends before. */
uint64_t ksm_schedule_due(const struct ksm_schedule *schedule);

/*
 * A sample is taken now. Returns how many before it were missed: those whose whole interval has gone
 * by. Who wakes too early takes the next one, a little early.
 */
uint64_t ksm_schedule_take(struct ksm_schedule *schedule, uint64_t now_ns);

#endif
