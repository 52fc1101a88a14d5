/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An aligned text table for terminals and logs: cells are added row by row, printed at the
 * end when every column's width is known. Used by reports and `matrix doctor`.
 */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <matrix/error.h>
#include <stddef.h>
#include <stdio.h>

enum table_alignment { TABLE_LEFT, TABLE_RIGHT };

struct table_column {
    const char *header;
    enum table_alignment alignment;
};

struct table;

/* columns (and their headers) are not copied: they stay valid as long as the table. */
struct matrix_error *table_create(const struct table_column *columns, size_t column_count,
                                  struct table **table) MATRIX_MUST_CHECK;
void table_destroy(struct table *table); /* NULL is allowed */

/*
 * Adds the next cell, left to right, row by row. Where memory runs out it is table_print()
 * that says so: callers need no check per cell.
 */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints header and rows; a last row that is not full is padded with empty cells. */
struct matrix_error *table_print(const struct table *table, FILE *file) MATRIX_MUST_CHECK;

#endif
