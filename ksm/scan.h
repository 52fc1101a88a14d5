/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which processes have come since the last look, told cheaply: by the sampler. */
#ifndef KSM_SCAN_H
#define KSM_SCAN_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Old processes are looked at again in turn: each once in so many scans. */
#define KSM_SCAN_TURNS 6

struct ksm_scan {
    pid_t *pids; /* of the last scan, in order */
    size_t count;
    unsigned turn;
    /* What the caller should look at. */
    pid_t *candidates;
    size_t candidate_count, capacity;
};

/* Lists the processes that are new, and with again those whose turn it is. */
struct matrix_error *ksm_scan_look(struct ksm_scan *scan, const char *proc_root,
                                   bool again) MATRIX_MUST_CHECK;

/* Whether the last list had it; takes it out of that, so that it is new in the next. */
bool ksm_scan_has(const struct ksm_scan *scan, pid_t pid);
void ksm_scan_forget(struct ksm_scan *scan, pid_t pid);

void ksm_scan_free(struct ksm_scan *scan);

#endif
