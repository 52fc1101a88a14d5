// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Has gnuplot draw recordings, by a template of share/ or the user's own; see ksm_plot.h. Titles and
 * marks are anybody's: they reach gnuplot as data, never as commands.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/axis.h"
#include "cli/gnuplot.h"
#include "cli/ksm_plot.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEMPLATE "ksm.gnuplot"

/* Characters of a mark for which a panel is high enough: if it is the only one, or of several. */
#define MARK_CHARACTERS_ALONE 56
#define MARK_CHARACTERS       34

/* Of a legend's title: as long as it can be. */
#define TITLE_CHARACTERS PLOT_TEXT_BYTES

/* A string of gnuplot's data files, which knows C's octal numbers. */
static void write_text(FILE *file, const char *text, size_t characters)
{
    char cut[PLOT_MARK_BYTES + 8];
    plot_cut(text, characters, cut, sizeof(cut));
    fputc('"', file);
    for (const char *at = cut; *at; at++)
        if (*at == '"' || *at == '\\')
            fprintf(file, "\\%03o", (unsigned)*at);
        else
            fputc(*at, file);
    fputs("\"\n", file);
}

/* Block 0: time, height and place of each mark, and its text. There is one at least, out of sight. */
static void write_marks(const struct plot *plot, const struct axis_unit *time, FILE *file)
{
    const size_t characters = plot->panel_count == 1 ? MARK_CHARACTERS_ALONE : MARK_CHARACTERS;
    double places[PLOT_MARKS_MAX];
    plot_place_marks(plot, places);
    if (!plot->mark_count)
        fputs("0 0.96 0 \"\"\n", file);
    for (size_t i = 0; i < plot->mark_count; i++) {
        const struct plot_mark *mark = &plot->marks[i];
        const double place = isnan(places[i]) ? mark->time_s : places[i];
        fprintf(file, "%.9g 0.96 %.9g ", mark->time_s / time->size, place / time->size);
        write_text(file, isnan(places[i]) ? "" : mark->text, characters);
    }
    fputs("\n\n", file);
}

/* A block for each curve: its title, then time and value. */
static void write_curve(const struct plot_curve *curve, double time_size, double size, FILE *file)
{
    write_text(file, curve->title, TITLE_CHARACTERS);
    for (size_t i = 0; i < curve->count; i++)
        fprintf(file, "%.9g %.9g\n", curve->times_s[i] / time_size, curve->values[i] / size);
    fputs("\n\n", file);
}

static struct matrix_error *write_data(const struct plot *plot, const struct axis_unit *time,
                                       int *fd)
{
    *fd = memfd_create("curves", MFD_CLOEXEC);
    CLEANUP_FILE FILE *file = *fd < 0 ? NULL : fdopen(dup(*fd), "w");
    if (!file)
        return error_host(errno, "make room for the curves");
    write_marks(plot, time, file);
    for (size_t i = 0; i < plot->panel_count; i++) {
        double size;
        plot_panel_unit(&plot->panels[i], &size);
        for (size_t k = 0; k < plot->panels[i].curve_count; k++)
            write_curve(&plot->panels[i].curves[k], time->size, size, file);
    }
    if (fflush(file) || ferror(file))
        return error_host(errno, "copy the curves");
    return NULL;
}

/* "pages shared (MiB)" */
static void label_panel(const struct plot_panel *panel, char label[PLOT_TEXT_BYTES + 32])
{
    char title[PLOT_TEXT_BYTES];
    double size;
    const char *unit = plot_panel_unit(panel, &size);
    plot_panel_title(panel, title);
    snprintf(label, PLOT_TEXT_BYTES + 32, *unit ? "%s (%.16s)" : "%s", title, unit);
}

struct matrix_error *plot_draw_picture(const struct plot *plot)
{
    const struct axis_unit *time = axis_time_unit(plot->most_s);
    char counts[PLOT_PANELS_MAX * 4] = "", labels[PLOT_PANELS_MAX][PLOT_TEXT_BYTES + 32];
    const char *arguments[GNUPLOT_ARGUMENTS_MAX + 1] = {time->name, counts,
                                                        plot->mark_count ? "1" : "0"};
    CLEANUP_CLOSE int data = -1;
    for (size_t i = 0; i < plot->panel_count; i++) {
        snprintf(counts + strlen(counts), sizeof(counts) - strlen(counts), "%s%zu", i ? " " : "",
                 plot->panels[i].curve_count);
        label_panel(&plot->panels[i], labels[i]);
        arguments[3 + i] = labels[i];
    }
    RETURN_IF_ERROR(write_data(plot, time, &data));
    /* A name without a slash would be looked for in share/. */
    char own[PATH_MAX];
    if (plot->template)
        snprintf(own, sizeof(own), "%s%s", strchr(plot->template, '/') ? "" : "./", plot->template);
    if (plot->template && access(own, R_OK))
        return error_host(errno, "read the template %s", plot->template);
    return gnuplot_draw(plot->template ? own : TEMPLATE, arguments, data, plot->out);
}
