/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A fault report without the program matrix-report; report_print.c falls back on it. */
#ifndef VMM_REPORT_SHORT_H
#define VMM_REPORT_SHORT_H

#include <matrix/report.h>

/* Writes what needs no disassembler: as text, or as JSON with a part of matrix-report's names. */
MATRIX_MUST_CHECK struct matrix_error *report_short_write(const struct matrix_report *report,
                                                          int fd, bool json);

#endif
