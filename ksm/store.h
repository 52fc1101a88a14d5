/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recordings, written: an SQLite file in WAL mode, one transaction a sample, in which only what has
 * changed since the last sample is stored. Who is killed has lost at most the sample that was being
 * written. recording.h reads them; docs/ksm.md has the tables. By `matrix ksm record` and
 * experiments.
 */
#ifndef KSM_STORE_H
#define KSM_STORE_H

#include "ksm/value.h"
#include <matrix/error.h>

/* What a recording is told about itself; the rest (kernel, processor, boot, time) is found out. */
struct ksm_store_options {
    const char *title;    /* for legends and reports; NULL: none */
    uint64_t interval_ns; /* between two samples, as meant */
    bool append;          /* to what is there, as another session; else the file must not exist */
};

struct ksm_store;

/*
 * Makes an empty file for a recording, which ksm_store_open with append then makes one. Is it there
 * already: with append *made is false, else it is an error.
 */
struct matrix_error *ksm_store_make_file(const char *path, bool append,
                                         bool *made) MATRIX_MUST_CHECK;

/*
 * Makes a recording, or adds a session to one. Fails if the file exists and is not to be appended to,
 * or is no recording.
 */
struct matrix_error *ksm_store_open(const char *path, const struct ksm_store_options *options,
                                    struct ksm_store **store) MATRIX_MUST_CHECK;

/* Adds a sample: all of it or, when that fails, nothing. Sets the series numbers in it. */
struct matrix_error *ksm_store_add(struct ksm_store *store,
                                   struct ksm_sample *sample) MATRIX_MUST_CHECK;

/* Adds a mark, as of now. */
struct matrix_error *ksm_store_mark(struct ksm_store *store, const char *text) MATRIX_MUST_CHECK;

/* Notes the end, and makes the file a single one again. The store is gone even if that fails. */
struct matrix_error *ksm_store_close(struct ksm_store *store) MATRIX_MUST_CHECK;

/* Adds a mark, as of now, to a recording that another process is writing. */
struct matrix_error *ksm_store_mark_running(const char *path, const char *text) MATRIX_MUST_CHECK;

#endif
