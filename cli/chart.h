/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Curves in a terminal: the newest value at the right, the axis from 0 to a round number. */
#ifndef CLI_CHART_H
#define CLI_CHART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Of the axis and its labels, beside the columns of values. */
#define CHART_MARGIN 12

/* The least round number that is not below a value, and not 0: the axis's end. */
uint64_t chart_scale(uint64_t bytes);

/*
 * Draws rows lines, each ended by line_end. values: the newest last; of more than columns the
 * newest are drawn. utf8: with block characters, eight steps a line; else with '#', one.
 */
void chart_draw(FILE *file, const uint64_t *values, size_t count, unsigned columns, unsigned rows,
                bool utf8, const char *line_end);

/*
 * The same for values of any kind, which may be negative: the axis is from lowest to highest, and
 * labelled so. NAN: no value there.
 */
struct chart_axis {
    double lowest, highest; /* lowest < highest */
    const char *top, *bottom;
};
void chart_draw_axis(FILE *file, const double *values, size_t count, const struct chart_axis *axis,
                     unsigned rows, bool utf8, const char *line_end);

/*
 * Draws a line of columns characters: the newest value last, the lowest step for the least of them or 0,
 * whichever is less. utf8 as above; else with eight characters of growing weight.
 */
void chart_sparkline(FILE *file, const int64_t *values, size_t count, unsigned columns, bool utf8);

#endif
