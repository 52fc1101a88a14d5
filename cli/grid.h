/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page of character cells: what a screen is to show, put together before any of it is written. So nothing wraps,
 * nothing is written over by accident, and a test reads what a terminal would show. Pure. Used by `matrix top`.
 */
#ifndef CLI_GRID_H
#define CLI_GRID_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stdio.h>

enum grid_style {
    GRID_PLAIN,
    GRID_STRONG,
    GRID_FAINT,
    GRID_HEAD,     /* of a table */
    GRID_SELECTED, /* the line that keys are for */
    GRID_GOOD,
    GRID_SHORT, /* less than there should be */
    GRID_OVER,  /* more */
    GRID_BAD,
    GRID_STYLES,
};

struct grid_cell {
    char text[5]; /* a character in UTF-8; "": the right half of the one before */
    unsigned char style;
};

struct grid {
    unsigned columns, rows;
    bool utf8; /* or only ASCII may be put, and is kept of text from elsewhere */
    struct grid_cell *cells;
};

/* Empty, to be freed by grid_free. */
struct matrix_error *grid_make(struct grid *grid, unsigned columns, unsigned rows,
                               bool utf8) MATRIX_MUST_CHECK;
void grid_free(struct grid *grid);

/*
 * Puts text at a place, and returns the column behind it. What has no room is cut; a row that is not there takes
 * nothing. What a terminal could take for anything but characters side by side comes out as \xNN.
 */
unsigned grid_put(struct grid *grid, unsigned row, unsigned column, enum grid_style style,
                  const char *text);
unsigned grid_printf(struct grid *grid, unsigned row, unsigned column, enum grid_style style,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The same with its end at a column, which is the one behind the text. */
void grid_right(struct grid *grid, unsigned row, unsigned end, enum grid_style style,
                const char *text);

/* Text from elsewhere in a column of a table: cut to so many columns, and then it ends with a dot. */
void grid_field(struct grid *grid, unsigned row, unsigned column, unsigned width,
                enum grid_style style, const char *text);

/* All of a row gets this style. */
void grid_paint(struct grid *grid, unsigned row, enum grid_style style);

/*
 * Writes rows, each with line_end behind it but for the last, which has last_end. colour: styles, too. Blanks at a
 * row's end are left out.
 */
void grid_write(const struct grid *grid, FILE *file, bool colour, const char *line_end,
                const char *last_end);

#endif
