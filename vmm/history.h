/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What guests printed lately; include/matrix/vm.h has the reader's side. Written by console. */
#ifndef VMM_HISTORY_H
#define VMM_HISTORY_H

#include <matrix/vm.h>

/* Adds to it; of all that print there one at a time. Never fails, and never waits for a reader. */
void history_add(struct matrix_history *history, const char *text, size_t bytes);

#endif
