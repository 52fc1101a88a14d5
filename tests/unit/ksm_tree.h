/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of samples share: trees in place of /sys/kernel/mm/ksm and /proc, of a directory of
 * the test's own. Used by tests/unit/test_ksm_host.c and test_ksm_rest.c.
 */
#ifndef TESTS_UNIT_KSM_TREE_H
#define TESTS_UNIT_KSM_TREE_H

#include "ksm/sampler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above */
#include <cmocka.h>

/* The directory, and in it what stands for /sys/kernel/mm/ksm and /proc. */
extern char tree_root[64], tree_ksm[80], tree_proc[80];

/* For cmocka, before and after a test: a tree as Linux 6.1 has it, init and ksmd in it; none. */
int tree_make(void **state);
int tree_remove(void **state);

/* Fails the running test, with the message, if error is one. */
void succeed(struct matrix_error *error);

/* Writes a file below the directory ("ksm/run", say); its directories are made. */
void put(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A process, with 300 pages of memory, of which KSM knows 12 and has merged 7. */
void put_process(pid_t pid, const char *name, unsigned flags, unsigned start, pid_t parent);

/* watch_ends: the pids are of real processes, whose ends count. */
struct ksm_sampler *sampler_of(enum ksm_follow follow, bool watch_ends);

/* The value of a counter, which has to be a number. */
int64_t number_of(const struct ksm_source *source, const char *counter);

#endif
