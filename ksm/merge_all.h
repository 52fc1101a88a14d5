/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a command can be made to offer all its memory to KSM, from outside. For ksm/experiment_vm. */
#ifndef KSM_MERGE_ALL_H
#define KSM_MERGE_ALL_H

#include <matrix/error.h>
#include <stdbool.h>

/*
 * Whether exec keeps what PR_SET_MEMORY_MERGE sets: since Linux 6.7. From 6.4 on the call succeeds, and exec takes
 * it back without a word.
 *
 * release: as uname(2) has it; what cannot be read as one is taken for new.
 */
bool merge_all_outlives_exec(const char *release);

/* ENOSYS: not on this kernel. */
struct matrix_error *merge_all_check(void) MATRIX_MUST_CHECK;

#endif
