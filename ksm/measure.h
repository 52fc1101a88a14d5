/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a phase of an experiment has merged, how fast, and what it cost: from the points of its
 * curve. Arithmetic only. A phase lasts from what disturbed the merging (a VM was started, knobs were
 * set) to the end of the wait behind it.
 */
#ifndef KSM_MEASURE_H
#define KSM_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEASURE_UNKNOWN INT64_MIN

/* A look at the host. MEASURE_UNKNOWN: the kernel does not tell. */
struct measure_point {
    uint64_t time_ns;
    int64_t pages; /* the curve's */
    int64_t full_scans;
    int64_t ksmd_cpu_ns;
};

struct measure_phase {
    uint64_t start_ns, end_ns;
    int64_t pages_before, pages_after;
    bool has_90;
    uint64_t to_90_ns;             /* from the start until nine tenths of the change were made */
    double merges_per_second;      /* between a tenth and nine tenths of the change; 0: no change */
    double peak_merges_per_second; /* between two points */
    int64_t full_scans, ksmd_cpu_ns;
    double ksmd_ns_per_page; /* of those that are more than before; 0: none */
};

/* points: in order of time, the first at or after the phase's start; count: 1 or more. */
void measure_phase(const struct measure_point *points, size_t count, struct measure_phase *phase);

#endif
