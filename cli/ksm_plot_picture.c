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

/* Labels of marks that are closer than this share of the time stand at different heights. */
#define LABEL_SHARE   0.025
#define LABEL_HEIGHTS 3

/* A string of gnuplot's data files: no control characters, quotes or backslashes. */
static void write_text(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text; text++) {
        const unsigned char byte = (unsigned char)*text;
        fputc(byte < 0x20 || byte == 0x7f || byte == '"' || byte == '\\' ? '?' : byte, file);
    }
    fputs("\"\n", file);
}

/* Of the same experiment recorded several times, one label is enough where they agree. */
static bool is_repeated(const struct plot *plot, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(plot->marks[i].text, plot->marks[index].text) == 0 &&
            fabs(plot->marks[i].time_s - plot->marks[index].time_s) < LABEL_SHARE * plot->most_s)
            return true;
    return false;
}

/* Block 0: time, height and text of each mark; there is one at least, which is out of sight. */
static void write_marks(const struct plot *plot, const struct axis_unit *time, FILE *file)
{
    double last = -INFINITY;
    unsigned height = 0;
    if (!plot->mark_count)
        fputs("-1 0 \"\"\n", file);
    for (size_t i = 0; i < plot->mark_count; i++) {
        const struct plot_mark *mark = &plot->marks[i];
        const bool close = fabs(mark->time_s - last) < LABEL_SHARE * plot->most_s;
        if (!is_repeated(plot, i)) {
            height = close ? (height + 1) % LABEL_HEIGHTS : 0;
            last = mark->time_s;
        }
        fprintf(file, "%.9g %.3f ", mark->time_s / time->size, 0.98 - 0.33 * height);
        write_text(file, is_repeated(plot, i) ? "" : mark->text);
    }
    fputs("\n\n", file);
}

/* A block for each curve: its title, then time and value. */
static void write_curve(const struct plot_curve *curve, double time_size, double size, FILE *file)
{
    write_text(file, curve->title);
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
