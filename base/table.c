// SPDX-License-Identifier: GPL-2.0-or-later
/* Aligned text tables; for reports and `matrix doctor`. */
#include "base/table.h"

#include "base/error.h"
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells; /* row by row */
    size_t cell_count, cell_capacity;
    bool out_of_memory;
};

struct matrix_error *table_create(const struct table_column *columns, size_t column_count,
                                  struct table **table)
{
    *table = calloc(1, sizeof(**table));
    if (!*table)
        return error_host(ENOMEM, "make a table");
    (*table)->columns = columns;
    (*table)->column_count = column_count;
    return NULL;
}

void table_destroy(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
    free(table);
}

void table_cell(struct table *table, const char *format, ...)
{
    if (table->cell_count == table->cell_capacity) {
        size_t capacity = table->cell_capacity ? 2 * table->cell_capacity : 32;
        char **cells = reallocarray(table->cells, capacity, sizeof(*cells));
        if (!cells) {
            table->out_of_memory = true;
            return;
        }
        table->cells = cells;
        table->cell_capacity = capacity;
    }

    char *cell;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&cell, format, arguments) < 0)
        table->out_of_memory = true;
    else
        table->cells[table->cell_count++] = cell;
    va_end(arguments);
}

/* Characters, not bytes: UTF-8 continuation bytes (10xxxxxx) take no column of their own. */
static int text_width(const char *text)
{
    int width = 0;
    for (; *text; text++)
        width += (*text & 0xC0) != 0x80;
    return width;
}

static int column_width(const struct table *table, size_t column)
{
    int width = text_width(table->columns[column].header);
    for (size_t i = column; i < table->cell_count; i += table->column_count) {
        int cell = text_width(table->cells[i]);
        width = cell > width ? cell : width;
    }
    return width;
}

/* The last column gets no padding behind it: no trailing spaces in logs. */
static void cell_print(const struct table *table, size_t column, const char *text, int width,
                       FILE *file)
{
    bool last = column + 1 == table->column_count;
    int padding = width - text_width(text);
    if (table->columns[column].alignment == TABLE_RIGHT)
        fprintf(file, "%*s%s%s", padding, "", text, last ? "\n" : "  ");
    else if (last)
        fprintf(file, "%s\n", text);
    else
        fprintf(file, "%s%*s  ", text, padding, "");
}

struct matrix_error *table_print(const struct table *table, FILE *file)
{
    if (table->out_of_memory)
        return error_host(ENOMEM, "fill a table");

    int *widths = calloc(table->column_count, sizeof(*widths));
    if (!widths)
        return error_host(ENOMEM, "lay out a table");
    for (size_t column = 0; column < table->column_count; column++)
        widths[column] = column_width(table, column);

    for (size_t column = 0; column < table->column_count; column++)
        cell_print(table, column, table->columns[column].header, widths[column], file);
    for (size_t row = 0; row < table->cell_count; row += table->column_count) {
        for (size_t column = 0; column < table->column_count; column++) {
            size_t i = row + column;
            const char *text = i < table->cell_count ? table->cells[i] : "";
            cell_print(table, column, text, widths[column], file);
        }
    }
    free(widths);
    return NULL;
}
