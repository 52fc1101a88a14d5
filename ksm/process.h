/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What KSM does for one process, read again for each sample. By the sampler. */
#ifndef KSM_PROCESS_H
#define KSM_PROCESS_H

#include "ksm/value.h"
#include <matrix/error.h>

/* Of ksm_stat, ksm_merging_pages and statm; kernels have fewer. */
#define KSM_PROCESS_READINGS_MAX 24 /* fewer than the bits of ksm_source.changes */

/* Room for ksm_stat as kernels have it; what is longer is read all the same. */
#define KSM_PROCESS_STAT_BYTES 256

/* After so many readings that say the same, one file is read in one of so many samples only. */
#define KSM_PROCESS_REST_SAMPLES 4

struct ksm_process {
    int stat, merging, memory; /* the files; -1: the kernel has none */
    int end; /* tells its end (ksm/ends.h), kept and closed by the sampler; -1: only reading does */
    unsigned samples;           /* taken so far */
    unsigned unchanged;         /* times that the resident memory was the same again */
    unsigned merging_unchanged; /* and what KSM does for it */
    unsigned sums;              /* of the host, in which its counters are (ksm/sums.h) */
    pid_t parent;
    bool end_is_told; /* in a sample that is kept: the next does without it */
    bool mergeable;   /* KSM has looked at its memory, or may */
    /* What ksm_stat said last: mostly it says the same again, and need not be read through. */
    char last_stat[KSM_PROCESS_STAT_BYTES];
};

/*
 * Opens a process by its directory, which stays its own when the pid is another's already. Sets
 * source but for its readings, for which it makes room.
 */
struct matrix_error *ksm_process_open(const char *proc_root, pid_t pid, const char *name,
                                      struct ksm_process *process,
                                      struct ksm_source *source) MATRIX_MUST_CHECK;
void ksm_process_close(struct ksm_process *process, struct ksm_source *source);

/*
 * Reads its values, or sets source->ended and leaves them. What is at rest is read in its turn only;
 * still: the sums that stand still (ksm_sums_look), without which nothing of KSM is at rest.
 */
void ksm_process_read(struct ksm_process *process, struct ksm_source *source, uint64_t page_bytes,
                      unsigned still);

#endif
