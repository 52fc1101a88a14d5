// SPDX-License-Identifier: GPL-2.0-or-later
/* A page of character cells; see grid.h. */
#include "cli/grid.h"

#include "base/error.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* ECMA-48, 8.3.117. */
static const char *const sequences[GRID_STYLES] = {
    [GRID_PLAIN] = "\033[0m",      [GRID_STRONG] = "\033[0;1m",     [GRID_FAINT] = "\033[0;2m",
    [GRID_HEAD] = "\033[0;1;4m",   [GRID_SELECTED] = "\033[0;1;7m", [GRID_GOOD] = "\033[0;32m",
    [GRID_SHORT] = "\033[0;1;33m", [GRID_OVER] = "\033[0;36m",      [GRID_BAD] = "\033[0;1;31m",
};

static const struct grid_cell blank = {" ", GRID_PLAIN};

struct matrix_error *grid_make(struct grid *grid, unsigned columns, unsigned rows, bool utf8)
{
    const size_t count = (size_t)columns * rows;
    *grid = (struct grid){.columns = columns, .rows = rows, .utf8 = utf8};
    grid->cells = calloc(count + 1, sizeof(*grid->cells));
    if (!grid->cells)
        return error_host(ENOMEM, "draw a screen");
    for (size_t i = 0; i < count; i++)
        grid->cells[i] = blank;
    return NULL;
}

void grid_free(struct grid *grid)
{
    free(grid->cells);
    grid->cells = NULL;
}

/* A character, as far as a terminal is concerned. */
struct character {
    char text[5];
    unsigned bytes, width;
};

/* What is no character that takes one column or two (controls, marks on others, what changes the direction of
 * writing) is false: a byte of it is escaped. */
static bool decode(const struct grid *grid, const char *text, struct character *character)
{
    mbstate_t state = {0};
    wchar_t wide;
    const size_t bytes = mbrtowc(&wide, text, 4, &state);
    if (bytes == 0 || bytes > 4 || (bytes > 1 && !grid->utf8))
        return false;
    const int width = wcwidth(wide);
    if (width < 1 || width > 2)
        return false;
    memcpy(character->text, text, bytes);
    character->text[bytes] = '\0';
    character->bytes = (unsigned)bytes;
    character->width = (unsigned)width;
    return true;
}

/* Of a character of two columns neither half stays without the other. */
static void set(struct grid *grid, unsigned row, unsigned column, const struct grid_cell *cell)
{
    struct grid_cell *cells = &grid->cells[(size_t)row * grid->columns];
    if (cells[column].text[0] == '\0' && cell->text[0] && column > 0)
        cells[column - 1] = blank;
    if (column + 1 < grid->columns && cells[column + 1].text[0] == '\0')
        cells[column + 1] = blank;
    cells[column] = *cell;
}

/* Puts one character where there is room; false: there is none. */
static bool put_one(struct grid *grid, unsigned row, unsigned column, enum grid_style style,
                    const struct character *character)
{
    struct grid_cell cell = {.style = (unsigned char)style};
    if (row >= grid->rows || character->width > grid->columns ||
        column > grid->columns - character->width)
        return false;
    memcpy(cell.text, character->text, sizeof(cell.text));
    set(grid, row, column, &cell);
    cell.text[0] = '\0';
    if (character->width == 2)
        set(grid, row, column + 1, &cell);
    return true;
}

/* Steps over one character of text, or over a byte that is none; gives what is to be shown for it. */
static unsigned next(const struct grid *grid, const char *text, struct character shown[4])
{
    if (decode(grid, text, &shown[0])) {
        shown[1].bytes = 0;
        return shown[0].bytes;
    }
    char escape[5];
    snprintf(escape, sizeof(escape), "\\x%02x", (unsigned char)*text);
    for (unsigned i = 0; i < 4; i++)
        shown[i] = (struct character){{escape[i]}, 1, 1};
    return 1;
}

unsigned grid_put(struct grid *grid, unsigned row, unsigned column, enum grid_style style,
                  const char *text)
{
    struct character shown[4];
    while (*text) {
        text += next(grid, text, shown);
        for (unsigned i = 0; i < 4 && shown[i].bytes; i++) {
            if (!put_one(grid, row, column, style, &shown[i]))
                return column;
            column += shown[i].width;
        }
    }
    return column;
}

unsigned grid_printf(struct grid *grid, unsigned row, unsigned column, enum grid_style style,
                     const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    return grid_put(grid, row, column, style, text);
}

static unsigned width_of(const struct grid *grid, const char *text)
{
    struct character shown[4];
    unsigned width = 0;
    while (*text) {
        text += next(grid, text, shown);
        for (unsigned i = 0; i < 4 && shown[i].bytes; i++)
            width += shown[i].width;
    }
    return width;
}

void grid_right(struct grid *grid, unsigned row, unsigned end, enum grid_style style,
                const char *text)
{
    const unsigned width = width_of(grid, text);
    grid_put(grid, row, end > width ? end - width : 0, style, text);
}

void grid_field(struct grid *grid, unsigned row, unsigned column, unsigned width,
                enum grid_style style, const char *text)
{
    if (row >= grid->rows || column >= grid->columns || width == 0)
        return;
    /* A page that ends where the field does. */
    struct grid field = *grid;
    const unsigned end = column + width < grid->columns ? column + width : grid->columns;
    const bool is_cut = width_of(grid, text) > end - column;
    field.cells = &grid->cells[(size_t)row * grid->columns];
    field.rows = 1;
    field.columns = is_cut ? end - 1 : end;
    const unsigned behind = grid_put(&field, 0, column, style, text);
    if (is_cut)
        grid_put(grid, row, behind, style, ".");
}

void grid_paint(struct grid *grid, unsigned row, enum grid_style style)
{
    for (unsigned column = 0; row < grid->rows && column < grid->columns; column++)
        grid->cells[(size_t)row * grid->columns + column].style = (unsigned char)style;
}

/* The column behind the last one that shows something. */
static unsigned end_of(const struct grid_cell *cells, unsigned columns, bool colour)
{
    while (columns && strcmp(cells[columns - 1].text, " ") == 0 &&
           (!colour || cells[columns - 1].style == GRID_PLAIN))
        columns--;
    return columns;
}

static void write_row(const struct grid *grid, unsigned row, FILE *file, bool colour)
{
    const struct grid_cell *cells = &grid->cells[(size_t)row * grid->columns];
    const unsigned end = end_of(cells, grid->columns, colour);
    unsigned style = GRID_PLAIN;
    for (unsigned column = 0; column < end; column++) {
        if (colour && cells[column].style != style)
            fputs(sequences[cells[column].style], file);
        style = cells[column].style;
        fputs(cells[column].text, file);
    }
    if (colour && style != GRID_PLAIN)
        fputs(sequences[GRID_PLAIN], file);
}

void grid_write(const struct grid *grid, FILE *file, bool colour, const char *line_end,
                const char *last_end)
{
    for (unsigned row = 0; row < grid->rows; row++) {
        write_row(grid, row, file, colour);
        fputs(row + 1 < grid->rows ? line_end : last_end, file);
    }
}
