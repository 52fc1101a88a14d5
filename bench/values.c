// SPDX-License-Identifier: GPL-2.0-or-later
/* The values of one figure, run by run; see bench.h. */
#include "bench/bench.h"

#include <stdlib.h>

void bench_add(struct bench_values *values, double value)
{
    if (values->count < BENCH_RUNS_MAX)
        values->items[values->count++] = value;
}

static int compare(const void *a, const void *b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

double bench_quantile(struct bench_values *values, double share)
{
    if (values->count == 0)
        return 0;
    qsort(values->items, values->count, sizeof(values->items[0]), compare);
    return values->items[(unsigned)((values->count - 1) * share + 0.5)];
}

double bench_median(struct bench_values *values)
{
    return bench_quantile(values, 0.5);
}
