/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a curve has become flat: its slope, by least squares over a window of time, has been
 * below a limit for a time. Arithmetic only. Used by the experiment's step `wait`.
 */
#ifndef KSM_FLAT_H
#define KSM_FLAT_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ksm_flat_rule {
    uint64_t window_ns;      /* the slope is that of the last so many ns */
    uint64_t time_ns;        /* and has to stay small for so long */
    double slope_per_second; /* small: neither this nor the negative of it is exceeded */
    uint64_t scans;          /* ksmd's whole scans since the beginning before it counts at all */
};

struct ksm_flat_point {
    uint64_t time_ns;
    double value;
};

struct ksm_flat {
    struct ksm_flat_rule rule;
    struct ksm_flat_point *points; /* those of the window, the oldest first */
    size_t count, capacity;
    uint64_t first_ns, first_scans, scans_done;
    uint64_t since_ns; /* since when the slope is small; 0: it is not */
    double slope_per_second;
    bool begun, has_slope;
};

void ksm_flat_begin(struct ksm_flat *flat, struct ksm_flat_rule rule);
void ksm_flat_free(struct ksm_flat *flat);

/*
 * Takes the next point: time in ns, which must not fall (a point of the past is ignored), and the
 * number of whole scans that ksmd has made: nothing merges in the first, so that a curve which has
 * not begun to rise is not taken for flat. *reached: it is flat now. ENOMEM.
 */
struct matrix_error *ksm_flat_add(struct ksm_flat *flat, uint64_t time_ns, double value,
                                  uint64_t full_scans, bool *reached) MATRIX_MUST_CHECK;

#endif
