// SPDX-License-Identifier: GPL-2.0-or-later
/* Draws curves in a terminal; see chart.h. */
#include "cli/chart.h"

#include "base/parse.h"
#include <math.h>

/* Steps of a character cell. */
#define STEPS 8

static const char *const blocks[STEPS + 1] = {" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

uint64_t chart_scale(uint64_t bytes)
{
    /* Quarters of the power of two below: 1, 1.25, 1.5, 1.75, 2, 2.5 ... */
    if (bytes <= 4)
        return 4;
    const uint64_t step = 1ULL << (61 - __builtin_clzll(bytes));
    const uint64_t steps = bytes / step + (bytes % step != 0);
    return steps > UINT64_MAX / step ? UINT64_MAX : steps * step;
}

static uint64_t largest(const uint64_t *values, size_t count)
{
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

/* How many steps of the whole height a value takes; what is not 0 takes one at least. */
static unsigned steps_of(uint64_t value, uint64_t scale, unsigned height)
{
    const double share = (double)value / (double)scale;
    const unsigned steps = (unsigned)(share * height + 0.5);
    return value && !steps ? 1 : steps;
}

void chart_draw(FILE *file, const uint64_t *values, size_t count, unsigned columns, unsigned rows,
                bool utf8, const char *line_end)
{
    if (count > columns) {
        values += count - columns;
        count = columns;
    }
    const uint64_t scale = chart_scale(largest(values, count));
    const unsigned steps = utf8 ? STEPS : 1;
    for (unsigned row = 0; row < rows; row++) {
        char label[FORMAT_BYTES] = "";
        if (row == 0)
            format_size(label, scale);
        else if (row == rows - 1)
            format_size(label, 0);
        fprintf(file, "%10s %s", label, utf8 ? "│" : "|");
        for (unsigned i = (unsigned)count; i < columns; i++)
            fputc(' ', file);
        const unsigned below = (rows - 1 - row) * steps;
        for (size_t i = 0; i < count; i++) {
            const unsigned all = steps_of(values[i], scale, rows * steps);
            const unsigned here = all < below ? 0 : all - below > steps ? steps : all - below;
            fputs(utf8 ? blocks[here] : here ? "#" : " ", file);
        }
        fputs(line_end, file);
    }
}

/* The row from above in which 0 stands; rows, if it stands on none between the first and the last. */
static unsigned zero_row(const struct chart_axis *axis, unsigned rows)
{
    const double share = -axis->lowest / (axis->highest - axis->lowest);
    if (!(share > 0 && share < 1))
        return rows;
    const unsigned row = rows - 1 - (unsigned)(share * rows);
    return row == 0 || row == rows - 1 ? rows : row;
}

void chart_draw_axis(FILE *file, const double *values, size_t count, const struct chart_axis *axis,
                     unsigned rows, bool utf8, const char *line_end)
{
    const unsigned steps = utf8 ? STEPS : 1, zero = zero_row(axis, rows);
    for (unsigned row = 0; row < rows; row++) {
        const char *label = row == 0          ? axis->top
                            : row == rows - 1 ? axis->bottom
                            : row == zero     ? "0"
                                              : "";
        fprintf(file, "%10s %s", label, row == zero ? (utf8 ? "┼" : "+") : (utf8 ? "│" : "|"));
        const unsigned below = (rows - 1 - row) * steps;
        for (size_t i = 0; i < count; i++) {
            const double share = (values[i] - axis->lowest) / (axis->highest - axis->lowest);
            /* A value has one step at least, so that a curve can be told from nothing. */
            const unsigned all =
                isnan(share) ? 0 : (unsigned)(share * (rows * steps - 1) + 0.5) + 1;
            const unsigned here = all < below ? 0 : all - below > steps ? steps : all - below;
            fputs(utf8 ? blocks[here] : here ? "#" : " ", file);
        }
        fputs(line_end, file);
    }
}

void chart_sparkline(FILE *file, const int64_t *values, size_t count, unsigned columns, bool utf8)
{
    static const char *const weights[STEPS] = {"_", ".", ":", "-", "=", "+", "*", "#"};
    int64_t least = 0, most = 0;
    if (count > columns) {
        values += count - columns;
        count = columns;
    }
    for (size_t i = 0; i < count; i++) {
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    const double range = (double)most - (double)least;
    for (unsigned i = (unsigned)count; i < columns; i++)
        fputc(' ', file);
    for (size_t i = 0; i < count; i++) {
        const double share = range > 0 ? ((double)values[i] - (double)least) / range : 0;
        const unsigned step = (unsigned)(share * (STEPS - 1) + 0.5);
        fputs(utf8 ? blocks[step + 1] : weights[step], file);
    }
}
