/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All of libmatrix. */
#ifndef MATRIX_MATRIX_H
#define MATRIX_MATRIX_H

#include <matrix/board.h>
#include <matrix/core.h>
#include <matrix/error.h>
#include <matrix/kvm.h>
#include <matrix/lens.h>
#include <matrix/machine.h>
#include <matrix/report.h>
#include <matrix/vm.h>

#endif
