/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The right to change the knobs of KSM for a while. One at a time on a host, held by a lock; what
 * the knobs were is in a journal before the first changes, and is put back at the end. Where the
 * holder was killed, the next who comes by mends it: `matrix ksm ...` at its start, `matrix doctor`.
 * The lock is a file that its user alone can open: whoever else can could keep everybody from it.
 */
#ifndef KSM_LEASE_H
#define KSM_LEASE_H

#include "ksm/journal.h"
#include "ksm/knobs.h"

#define KSM_LOCK_PATH    "/run/lock/matrix-ksm"
#define KSM_JOURNAL_PATH "/run/matrix/ksm-knobs"

/* Names a journal in the place of KSM_JOURNAL_PATH: for tests. */
#define KSM_JOURNAL_VARIABLE "MATRIX_KSM_JOURNAL"

/* Where everything is; ksm_places() for the real ones. */
struct ksm_places {
    const char *directory, *lock, *journal;
};

struct ksm_places ksm_places(void);

struct ksm_lease {
    struct ksm_places places;
    struct ksm_journal before;
    int lock_fd; /* negative: nothing is held */
};

/*
 * Takes the lock (fails, and says who has it), mends what a killed holder left, and writes the
 * journal. Nothing is changed yet.
 */
struct matrix_error *ksm_lease_begin(struct ksm_places places,
                                     struct ksm_lease *lease) MATRIX_MUST_CHECK;

/* Sets knobs, by ksm_knobs_write. */
struct matrix_error *ksm_lease_set(struct ksm_lease *lease,
                                   const struct ksm_knobs *knobs) MATRIX_MUST_CHECK;

/*
 * Puts everything back and gives up the lock; nothing to do where none is held. If ksmd was not
 * running before and nothing was merged, all that has been merged meanwhile, by whomever, is
 * unmerged again: run=0 alone would leave it so. Should something fail the journal stays.
 */
struct matrix_error *ksm_lease_end(struct ksm_lease *lease) MATRIX_MUST_CHECK;

/*
 * Mends what a killed holder left; *mended: whether there was something. Does nothing while
 * who wrote the journal lives, and drops a journal of before the last boot: knobs do not outlive that.
 * Fails, and says who, where another holds the lock.
 */
struct matrix_error *ksm_lease_mend(struct ksm_places places, bool *mended) MATRIX_MUST_CHECK;

#endif
