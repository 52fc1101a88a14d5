// SPDX-License-Identifier: GPL-2.0-or-later
/* What a phase of an experiment came to; see measure.h. */
#include "ksm/measure.h"

/* When the curve first reaches a fraction of its change, between two points by a straight line. */
static double time_of(const struct measure_point *points, size_t count, double fraction)
{
    const double before = (double)points[0].pages;
    const double change = (double)points[count - 1].pages - before;
    for (size_t i = 1; i < count; i++) {
        const double done = ((double)points[i].pages - before) / change;
        if (done < fraction)
            continue;
        const double last = ((double)points[i - 1].pages - before) / change;
        const double part = (fraction - last) / (done - last);
        return (double)points[i - 1].time_ns +
               part * (double)(points[i].time_ns - points[i - 1].time_ns);
    }
    return (double)points[count - 1].time_ns;
}

static double peak(const struct measure_point *points, size_t count)
{
    double highest = 0;
    for (size_t i = 1; i < count; i++) {
        const double seconds = (double)(points[i].time_ns - points[i - 1].time_ns) / 1e9;
        const double pages = (double)(points[i].pages - points[i - 1].pages);
        if (seconds > 0 && pages / seconds > highest)
            highest = pages / seconds;
    }
    return highest;
}

static int64_t difference(int64_t after, int64_t before)
{
    return after == MEASURE_UNKNOWN || before == MEASURE_UNKNOWN ? MEASURE_UNKNOWN : after - before;
}

void measure_phase(const struct measure_point *points, size_t count, struct measure_phase *phase)
{
    const struct measure_point *first = &points[0], *last = &points[count - 1];
    const int64_t change = last->pages - first->pages;
    *phase = (struct measure_phase){
        .start_ns = first->time_ns,
        .end_ns = last->time_ns,
        .pages_before = first->pages,
        .pages_after = last->pages,
        .full_scans = difference(last->full_scans, first->full_scans),
        .ksmd_cpu_ns = difference(last->ksmd_cpu_ns, first->ksmd_cpu_ns),
        .peak_merges_per_second = peak(points, count),
    };
    if (change == 0)
        return;
    const double at_90 = time_of(points, count, 0.9), at_10 = time_of(points, count, 0.1);
    phase->has_90 = true;
    phase->to_90_ns = (uint64_t)(at_90 - (double)first->time_ns);
    if (at_90 > at_10)
        phase->merges_per_second = 0.8 * (double)change / ((at_90 - at_10) / 1e9);
    if (change > 0 && phase->ksmd_cpu_ns != MEASURE_UNKNOWN)
        phase->ksmd_ns_per_page = (double)phase->ksmd_cpu_ns / (double)change;
}
