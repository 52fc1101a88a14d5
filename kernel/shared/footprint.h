/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory a process has, by a walk over all of it. Linked into lkm4 and matrix_lens.
 */
#ifndef MATRIX_FOOTPRINT_H
#define MATRIX_FOOTPRINT_H

#include <matrix/uapi/matrix_lens.h>

struct mm_struct;

int footprint_take(struct mm_struct *mm, struct matrix_lens_footprint *footprint);

#endif
