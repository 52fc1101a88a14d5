/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The journal: what the knobs were before somebody changed them, on disk before the first change,
 * so that whoever comes after a kill can put them back. Text, one line a value. Used by ksm/lease.
 */
#ifndef KSM_JOURNAL_H
#define KSM_JOURNAL_H

#include "ksm/knobs.h"
#include <stddef.h>
#include <sys/types.h>

#define KSM_JOURNAL_BYTES_MAX 4096
#define KSM_BOOT_ID_LENGTH    36

struct ksm_journal {
    char boot_id[KSM_BOOT_ID_LENGTH + 1]; /* knobs do not outlive a boot */
    pid_t pid;                            /* who changes them */
    uint64_t pages_shared;                /* what was merged before */
    struct ksm_knobs knobs;
};

/* Fills boot_id and pid. */
struct matrix_error *ksm_journal_begin(struct ksm_journal *journal) MATRIX_MUST_CHECK;

/* Reads bytes of text; name stands for the file in messages. Anything but a whole journal fails. */
struct matrix_error *ksm_journal_parse(const char *text, size_t bytes, const char *name,
                                       struct ksm_journal *journal) MATRIX_MUST_CHECK;

/* *found: whether there is one. */
struct matrix_error *ksm_journal_read(const char *path, struct ksm_journal *journal,
                                      bool *found) MATRIX_MUST_CHECK;

/* Makes the directory if need be. When it returns, the journal is on disk, whole. */
struct matrix_error *ksm_journal_write(const char *path,
                                       const struct ksm_journal *journal) MATRIX_MUST_CHECK;

struct matrix_error *ksm_journal_remove(const char *path) MATRIX_MUST_CHECK;

#endif
