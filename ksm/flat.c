// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether a curve has become flat; see flat.h. */
#include "ksm/flat.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void ksm_flat_begin(struct ksm_flat *flat, struct ksm_flat_rule rule)
{
    *flat = (struct ksm_flat){.rule = rule};
}

void ksm_flat_free(struct ksm_flat *flat)
{
    free(flat->points);
    *flat = (struct ksm_flat){0};
}

static struct matrix_error *append(struct ksm_flat *flat, struct ksm_flat_point point)
{
    if (flat->count == flat->capacity) {
        const size_t capacity = flat->capacity ? 2 * flat->capacity : 64;
        struct ksm_flat_point *points = reallocarray(flat->points, capacity, sizeof(*points));
        if (!points)
            return error_host(ENOMEM, "keep the curve");
        flat->points = points;
        flat->capacity = capacity;
    }
    flat->points[flat->count++] = point;
    return NULL;
}

/* Keeps one point that is older than the window: the slope is that of no less than the window. */
static void drop_old(struct ksm_flat *flat, uint64_t now_ns)
{
    size_t old = 0;
    while (old + 1 < flat->count && now_ns - flat->points[old + 1].time_ns >= flat->rule.window_ns)
        old++;
    if (old == 0)
        return;
    flat->count -= old;
    memmove(flat->points, flat->points + old, flat->count * sizeof(*flat->points));
}

/* By least squares. Times are taken from the first point on, or their squares would lose digits. */
static double slope(const struct ksm_flat *flat)
{
    double sum_t = 0, sum_v = 0, sum_tt = 0, sum_tv = 0;
    const double n = (double)flat->count;
    for (size_t i = 0; i < flat->count; i++) {
        const double t = (double)(flat->points[i].time_ns - flat->points[0].time_ns) / 1e9;
        const double v = flat->points[i].value - flat->points[0].value;
        sum_t += t;
        sum_v += v;
        sum_tt += t * t;
        sum_tv += t * v;
    }
    const double spread = n * sum_tt - sum_t * sum_t;
    return spread > 0 ? (n * sum_tv - sum_t * sum_v) / spread : 0;
}

struct matrix_error *ksm_flat_add(struct ksm_flat *flat, uint64_t time_ns, double value,
                                  uint64_t full_scans, bool *reached)
{
    *reached = false;
    if (!flat->begun) {
        flat->begun = true;
        flat->first_ns = time_ns;
        flat->first_scans = full_scans;
    }
    if (flat->count && time_ns <= flat->points[flat->count - 1].time_ns)
        return NULL;
    RETURN_IF_ERROR(append(flat, (struct ksm_flat_point){time_ns, value}));
    drop_old(flat, time_ns);
    flat->scans_done = full_scans > flat->first_scans ? full_scans - flat->first_scans : 0;
    flat->has_slope = flat->count > 1 && time_ns - flat->points[0].time_ns >= flat->rule.window_ns;
    if (!flat->has_slope)
        return NULL;
    flat->slope_per_second = slope(flat);
    const bool small = flat->slope_per_second <= flat->rule.slope_per_second &&
                       flat->slope_per_second >= -flat->rule.slope_per_second;
    if (!small || flat->scans_done < flat->rule.scans)
        flat->since_ns = 0;
    else if (flat->since_ns == 0)
        flat->since_ns = time_ns;
    *reached = flat->since_ns && time_ns - flat->since_ns >= flat->rule.time_ns;
    return NULL;
}
