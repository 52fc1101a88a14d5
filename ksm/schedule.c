// SPDX-License-Identifier: GPL-2.0-or-later
/* When to take samples; see schedule.h. */
#include "ksm/schedule.h"

struct ksm_schedule ksm_schedule_start(uint64_t now_ns, uint64_t interval_ns)
{
    return (struct ksm_schedule){.start_ns = now_ns, .interval_ns = interval_ns};
}

uint64_t ksm_schedule_due(const struct ksm_schedule *schedule)
{
    uint64_t due;
    if (__builtin_mul_overflow(schedule->next, schedule->interval_ns, &due) ||
        __builtin_add_overflow(due, schedule->start_ns, &due))
        return UINT64_MAX;
    return due;
}

uint64_t ksm_schedule_take(struct ksm_schedule *schedule, uint64_t now_ns)
{
    const uint64_t past = now_ns > schedule->start_ns ? now_ns - schedule->start_ns : 0;
    const uint64_t number = past / schedule->interval_ns;
    const uint64_t missed = number > schedule->next ? number - schedule->next : 0;
    schedule->next += missed + 1;
    schedule->missed += missed;
    return missed;
}
