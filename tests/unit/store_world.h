/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of recordings share: a made-up host and process whose samples are recorded, and the
 * files, of a directory of the test's own. Used by tests/unit/test_ksm_store*.c.
 */
#ifndef TESTS_UNIT_STORE_WORLD_H
#define TESTS_UNIT_STORE_WORLD_H

#include "ksm/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define SAMPLES 40

/* --- files ----------------------------------------------------------------------------------- */

/* The recording and its -wal, and a copy of both that a test may spoil. */
extern char store_directory[64], store_path[96], store_wal[112];
extern char store_copy[96], store_copy_wal[112];

/* For cmocka, before and after a group: the directory. */
int store_make_directory(void **state);
int store_remove_directory(void **state);

/* For cmocka, after a test, or within: all files of the recording and of the copy. */
int store_remove_files(void **state);

/* --- errors ---------------------------------------------------------------------------------- */

/* Fails the running test, with the message, if error is one. */
void succeed(struct matrix_error *error);

/* Fails the running test unless error is one whose message contains text; frees it. */
void fails_with(struct matrix_error *error, const char *text);

/* --- samples --------------------------------------------------------------------------------- */

/* A host with two counters and a process with two. */
struct world {
    struct ksm_reading host[3], process[2];
    struct ksm_source processes[1];
    struct ksm_sample sample;
};

void world_make(struct world *world);

/* The values of the sample of this number. Some change each time, some seldom, one goes away. */
void world_set(struct world *world, int number);

/* Opens the recording. */
struct ksm_store *store_make(bool append, const char *title);

/* Adds SAMPLES samples, and a mark. */
void store_record(struct ksm_store *store);

#endif
