// SPDX-License-Identifier: GPL-2.0-or-later
/* How far shares are from what was promised, window by window: arithmetic. For bench/versus. */
#include "bench/versus.h"

#include "base/error.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct matrix_error *versus_samples_create(unsigned guests, unsigned wanted,
                                           struct versus_samples *samples)
{
    const size_t bytes = (size_t)guests * wanted * sizeof(samples->cpu_ns[0]);
    *samples = (struct versus_samples){
        .guests = guests, .wanted = wanted, .cpu_ns = malloc(bytes), .heavy_share = NAN};
    if (!samples->cpu_ns)
        return error_host(ENOMEM, "keep %u samples of %u guests", wanted, guests);
    /* Resident from the start: it must not count as what guests need. */
    memset(samples->cpu_ns, 0xff, bytes);
    return NULL;
}

void versus_samples_free(struct versus_samples *samples)
{
    free(samples->cpu_ns);
    samples->cpu_ns = NULL;
}

uint64_t *versus_samples_next(struct versus_samples *samples)
{
    return samples->cpu_ns + (size_t)samples->count * samples->guests;
}

static int compare(const void *a, const void *b)
{
    const double first = *(const double *)a, second = *(const double *)b;
    return (first > second) - (first < second);
}

/* The window from one moment to another. relative is room for a value of each guest. */
static void add_window(const struct versus_samples *samples, const uint64_t *from,
                       const uint64_t *to, double *relative, struct versus_errors *errors)
{
    const unsigned half = samples->guests / 2;
    const double promised[2] = {samples->heavy_share / half, (1 - samples->heavy_share) / half};
    double total = 0, furthest = 0;
    for (unsigned i = 0; i < samples->guests; i++)
        total += (double)(to[i] - from[i]);
    if (total <= 0)
        return;
    for (unsigned i = 0; i < samples->guests; i++) {
        const unsigned group = versus_is_heavy(i) ? 0 : 1;
        const double error = fabs((double)(to[i] - from[i]) / total - promised[group]);
        furthest = fmax(furthest, error);
        relative[group * half + i / 2] = 100 * error / promised[group];
    }
    bench_add(&errors->furthest, 100 * furthest);
    for (unsigned group = 0; group < 2; group++) {
        qsort(relative + (size_t)group * half, half, sizeof(relative[0]), compare);
        bench_add(&errors->relative[group], relative[group * half + half / 2]);
    }
}

struct matrix_error *versus_errors_add(const struct versus_samples *samples, unsigned length,
                                       struct versus_errors *errors)
{
    double *relative = calloc(samples->guests, sizeof(relative[0]));
    if (!relative)
        return error_host(ENOMEM, "reckon the shares of %u guests", samples->guests);
    for (unsigned i = 0; i + length < samples->count; i++) {
        const uint64_t *from = samples->cpu_ns + (size_t)i * samples->guests;
        add_window(samples, from, from + (size_t)length * samples->guests, relative, errors);
    }
    free(relative);
    return NULL;
}
