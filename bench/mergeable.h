/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes with memory that KSM may merge, and the wait until it has: for map.c and merge.c. */
#ifndef BENCH_MERGEABLE_H
#define BENCH_MERGEABLE_H

#include "ksm/knobs.h"
#include "ksm/subject.h"

/* What stands in a page of a process: equal numbers, equal pages. */
typedef uint64_t mergeable_content(unsigned process, size_t page);

/* Forks a process, the number-th, with bytes of such memory in pages of 4 KiB; subject is where. */
struct matrix_error *mergeable_start(unsigned number, size_t bytes, mergeable_content *content,
                                     struct ksm_subject *subject) MATRIX_MUST_CHECK;

/* Ends it and frees what is in the subject; one that was not started too. */
void mergeable_stop(struct ksm_subject *subject);

/* Waits, for five minutes at most, until so many pages of a process are merged. */
struct matrix_error *mergeable_wait(const struct ksm_subject *subject,
                                    size_t pages) MATRIX_MUST_CHECK;

/* "pages_to_scan" and "sleep_millisecs", and ksmd on; each scan looks at every page. */
struct ksm_knobs mergeable_knobs(const char *pages_to_scan, const char *sleep_millisecs);

#endif
