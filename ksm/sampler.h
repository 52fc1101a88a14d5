/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes samples: the host's counters of KSM, ksmd's CPU time, free memory, and of each process what
 * KSM does for it. Files stay open from one sample to the next. By the recorder, the live view and
 * experiments.
 */
#ifndef KSM_SAMPLER_H
#define KSM_SAMPLER_H

#include "ksm/value.h"
#include <matrix/error.h>

enum ksm_follow {
    KSM_FOLLOW_GIVEN,       /* the processes that were added */
    KSM_FOLLOW_DESCENDANTS, /* and what those start, as soon as it is seen */
    KSM_FOLLOW_MERGEABLE,   /* and every process with memory that KSM may merge */
};

struct ksm_sampler_options {
    const char *ksm_root;  /* NULL: KSM_HOST_ROOT */
    const char *proc_root; /* NULL: "/proc" */
    enum ksm_follow follow;
    uint64_t scan_interval_ns; /* how often new processes are looked for; 0: in each sample */
    bool watch_ends; /* the pids of proc_root are this machine's: always so when that is NULL */
};

struct ksm_sampler;

struct matrix_error *ksm_sampler_open(const struct ksm_sampler_options *options,
                                      struct ksm_sampler **sampler) MATRIX_MUST_CHECK;
void ksm_sampler_close(struct ksm_sampler *sampler); /* NULL is allowed */

/*
 * Adds a process; one that is there already is not added again. name: the guest's in it; NULL: the
 * process's own. ESRCH: there is none; ENXIO: it has no memory; EACCES: it is another's.
 */
struct matrix_error *ksm_sampler_add(struct ksm_sampler *sampler, pid_t pid,
                                     const char *name) MATRIX_MUST_CHECK;

/*
 * Takes a sample, valid until the next is taken. A process that has ended is in it once more, marked
 * so; its values are those of the sample before. One at rest is read in every fourth sample only, as
 * docs/ksm.md says (Recording). What cannot be read is KSM_NOTHING. The counters of
 * our own are ksmd_cpu_ns, memory_free_bytes and memory_available_bytes of the host, and
 * resident_bytes of a process.
 */
struct ksm_sample *ksm_sampler_take(struct ksm_sampler *sampler);

/* The same for who does not keep the sample: whose end it shows is in the next one, too. */
struct ksm_sample *ksm_sampler_look(struct ksm_sampler *sampler);

/* Processes that were found and could not be opened: too many files, or no right. */
uint64_t ksm_sampler_skipped(const struct ksm_sampler *sampler);

#endif
