/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a process's memory is resident, page by page. For bench/memory. */
#ifndef BENCH_SNAPSHOT_H
#define BENCH_SNAPSHOT_H

#include <matrix/error.h>
#include <stdint.h>
#include <sys/types.h>

#define SNAPSHOT_PAGES_MAX 65536

struct snapshot {
    int64_t resident_bytes;
    uint64_t pages[SNAPSHOT_PAGES_MAX]; /* numbers of the anonymous pages that are present */
    unsigned page_count;
};

struct matrix_error *snapshot_take(pid_t pid, struct snapshot *snapshot) MATRIX_MUST_CHECK;

/* How much of [hva, hva + bytes) is resident. */
int64_t snapshot_present_bytes(const struct snapshot *snapshot, uint64_t hva, uint64_t bytes);

#endif
