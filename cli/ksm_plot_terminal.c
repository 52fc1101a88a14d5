// SPDX-License-Identifier: GPL-2.0-or-later
/* Draws recordings in the terminal; see ksm_plot.h. */
#include "base/error.h"
#include "cli/axis.h"
#include "cli/chart.h"
#include "cli/common.h"
#include "cli/ksm_plot.h"
#include <errno.h>
#include <langinfo.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define ROWS        10
#define COLUMNS_MAX 512

/* What marks are called below a chart, and in the list of them. */
static const char mark_letters[] = "123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
_Static_assert(sizeof(mark_letters) - 1 == PLOT_MARKS_MAX, "a letter for each mark");

/* The value at each column's time: the last one before it. */
static void sample_curve(const struct plot_curve *curve, double most_s, double *values,
                         unsigned columns)
{
    size_t at = 0;
    for (unsigned column = 0; column < columns; column++) {
        const double time_s = most_s * (column + 1) / columns;
        while (at < curve->count && curve->times_s[at] <= time_s)
            at++;
        const bool over =
            curve->count && time_s - most_s / columns > curve->times_s[curve->count - 1];
        values[column] = at == 0 || over ? NAN : curve->values[at - 1];
    }
}

/* Marks of a curve's session, in so many lines that none is written over another. */
static void show_marks(const struct plot *plot, size_t session, unsigned columns)
{
    static bool is_shown[PLOT_MARKS_MAX];
    const char *head = "marks";
    size_t left = 0;
    for (size_t i = 0; i < plot->mark_count; i++) {
        is_shown[i] = plot->marks[i].session != session;
        left += !is_shown[i];
    }
    for (; left > 0; head = "") {
        char line[COLUMNS_MAX + 1];
        memset(line, ' ', columns);
        line[columns] = '\0';
        for (size_t i = 0; i < plot->mark_count; i++) {
            const double place = plot->marks[i].time_s / plot->most_s * columns;
            const unsigned column = place < columns ? (unsigned)place : columns - 1;
            if (is_shown[i] || line[column] != ' ')
                continue;
            line[column] = mark_letters[i];
            is_shown[i] = true;
            left--;
        }
        printf("%10s  %s\n", head, line);
    }
}

static void show_curve(const struct plot *plot, const struct plot_panel *panel,
                       const struct plot_curve *curve, unsigned columns, bool utf8)
{
    static double values[COLUMNS_MAX];
    char title[PLOT_TEXT_BYTES], top[32], bottom[32];
    double size;
    const char *unit = plot_panel_unit(panel, &size);
    const double highest = panel->most > panel->least ? panel->most : panel->least + 1;
    snprintf(top, sizeof(top), "%.4g", highest / size);
    snprintf(bottom, sizeof(bottom), "%.4g", panel->least / size);
    const struct chart_axis axis = {panel->least, highest, top, bottom};
    plot_panel_title(panel, title);
    printf("%s%s%s%s: ", title, *unit ? " (" : "", unit, *unit ? ")" : "");
    cli_print_escaped(stdout, curve->title);
    putchar('\n');
    sample_curve(curve, plot->most_s, values, columns);
    chart_draw_axis(stdout, values, columns, &axis, ROWS, utf8, "\n");
    show_marks(plot, curve->session, columns);
}

struct matrix_error *plot_draw_terminal(const struct plot *plot)
{
    struct winsize window = {.ws_col = 80};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &window);
    unsigned columns = window.ws_col > CHART_MARGIN + 8 ? window.ws_col - CHART_MARGIN : 8;
    columns = columns > COLUMNS_MAX ? COLUMNS_MAX : columns;
    const bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    const struct axis_unit *time = axis_time_unit(plot->most_s);
    for (size_t i = 0; i < plot->panel_count; i++)
        for (size_t k = 0; k < plot->panels[i].curve_count; k++)
            show_curve(plot, &plot->panels[i], &plot->panels[i].curves[k], columns, utf8);
    printf("time: 0 to %.4g %s\n", plot->most_s / time->size, time->name);
    for (size_t i = 0; i < plot->mark_count; i++) {
        printf("%c: %.4g %s  ", mark_letters[i], plot->marks[i].time_s / time->size, time->name);
        cli_print_escaped(stdout, plot->marks[i].name);
        fputs(*plot->marks[i].name ? ": " : "", stdout);
        cli_print_escaped(stdout, plot->marks[i].text);
        putchar('\n');
    }
    return fflush(stdout) || ferror(stdout) ? error_host(errno, "write to standard output") : NULL;
}
