// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merge_rate_*: how many pages a second KSM merges, by what ksmd is allowed to do, over what it does by
 * default (100 pages every 20 ms). Two processes have the same pages, all different from one another;
 * the time is from ksmd's start until nine tenths are merged: a page is merged in the second scan that
 * comes by at the earliest, so that the first, which only takes checksums, is part of the price.
 *
 * Needs root and KSM; the knobs are put back.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "bench/mergeable.h"
#include "ksm/lease.h"

#define PROCESSES 2

static const struct setting {
    const char *name, *pages_to_scan, *sleep_millisecs;
    size_t bytes; /* of each process: what takes some seconds */
} settings[] = {
    {"default", "100", "20", 16 << 20}, /* what the others are compared with */
    {"merge_rate_1000_20ms", "1000", "20", 64 << 20},
    {"merge_rate_5000_20ms", "5000", "20", 128 << 20},
    {"merge_rate_5000_0ms", "5000", "0", 128 << 20},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static uint64_t content(unsigned process, size_t page)
{
    (void)process;
    return page + 1;
}

static struct matrix_error *measure(const struct setting *setting, size_t bytes,
                                    double *pages_per_s)
{
    const struct ksm_knobs knobs =
        mergeable_knobs(setting->pages_to_scan, setting->sleep_millisecs);
    const size_t merged = bytes / MATRIX_PAGE_BYTES * 9 / 10;
    struct ksm_subject subjects[PROCESSES] = {{{0}}};
    struct ksm_lease lease;
    struct matrix_error *error = ksm_lease_begin(ksm_places(), &lease);
    if (error)
        return error;
    for (unsigned i = 0; i < PROCESSES && !error; i++)
        error = mergeable_start(i, bytes, content, &subjects[i]);
    const uint64_t begin = clock_now_ns(CLOCK_MONOTONIC);
    if (!error)
        error = ksm_lease_set(&lease, &knobs);
    for (unsigned i = 0; i < PROCESSES && !error; i++)
        error = mergeable_wait(&subjects[i], merged);
    *pages_per_s =
        1e9 * PROCESSES * (double)merged / (double)(clock_now_ns(CLOCK_MONOTONIC) - begin);
    for (unsigned i = 0; i < PROCESSES; i++)
        mergeable_stop(&subjects[i]);
    struct matrix_error *end = ksm_lease_end(&lease);
    matrix_error_free(error ? end : NULL);
    return error ? error : end;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    double rates[SETTINGS];
    for (size_t i = 0; i < SETTINGS; i++) {
        RETURN_IF_ERROR(
            measure(&settings[i], settings[i].bytes / (bench->quick ? 8 : 1), &rates[i]));
        if (i > 0)
            bench_print(&(struct bench_result){
                .name = settings[i].name,
                .unit = "pages/s",
                .value = rates[i],
                .baseline = "by default: 100 pages every 20 ms",
                .baseline_value = rates[0],
                .runs = 1,
            });
    }
    return NULL;
}
