/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The host's counters that add up what the processes' own say: ksmd moves both together (mm/ksm.c of
 * Linux). While such a sum stands still, what it adds up has not moved either, or in ways that cancel
 * out exactly. By the sampler and the processes, which are then read less often.
 */
#ifndef KSM_SUMS_H
#define KSM_SUMS_H

#include "ksm/value.h"

enum ksm_sum {
    KSM_SUM_SHARED,
    KSM_SUM_SHARING,
    KSM_SUM_UNSHARED,
    KSM_SUM_VOLATILE,
    KSM_SUM_ZERO,
    KSM_SUMS,
};

/* In place of sums: no counter of the host tells of it. */
#define KSM_SUMS_NONE (1U << KSM_SUMS)

struct ksm_sums {
    int64_t last[KSM_SUMS];
    unsigned samples[KSM_SUMS]; /* for how many it has stood still; 0 as well where there is none */
};

/* In which sums (bits, by enum ksm_sum) a process's counter is: one of them moves when it does. */
unsigned ksm_sums_of(const char *counter);

/*
 * Takes note of the host's counters as they were read for this sample. Returns the sums (bits) that
 * stand still in this sample and did in the one before: since the kernel moves a sum just before the
 * process's own counter, this could be read a moment too early once.
 */
unsigned ksm_sums_look(struct ksm_sums *sums, const struct ksm_source *host);

#endif
