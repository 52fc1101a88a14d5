// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads the curves and marks that a plot shows out of recordings; see ksm_plot.h. */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/ksm_plot.h"
#include "ksm/recording.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

/* Of a legend: the session's title, or the file's name; a process's name and number behind it. */
static void title_curve(const struct plot *plot, const struct ksm_recording *recording,
                        const struct ksm_subject_record *subject, char title[PLOT_TEXT_BYTES])
{
    const struct ksm_session *session = &recording->sessions[subject->session];
    const char *slash = strrchr(recording->path, '/');
    const char *file = slash ? slash + 1 : recording->path;
    char which[64] = "", process[64] = "";
    if (!*session->title && recording->session_count > 1)
        snprintf(which, sizeof(which), ", session %zu", subject->session + 1);
    if (subject->scope == KSM_SCOPE_PROCESS)
        snprintf(process, sizeof(process), "%.32s (%d)", subject->name, subject->pid);
    const bool alone = plot->recording_count == 1 && recording->session_count == 1;
    if (*process && alone)
        snprintf(title, PLOT_TEXT_BYTES, "%s", process);
    else
        snprintf(title, PLOT_TEXT_BYTES, "%.48s%s%s%s", *session->title ? session->title : file,
                 which, *process ? ": " : "", process);
}

/* What its unit is drawn in; pages are as large as they were on the recorded machine. */
static double base_factor(struct plot_panel *panel, const struct ksm_series *series,
                          const struct ksm_session *session)
{
    snprintf(panel->unit, sizeof(panel->unit), "%s", series->counter.unit);
    panel->base = PLOT_BYTES;
    if (strcmp(panel->unit, "pages") == 0)
        return session->page_bytes ? (double)session->page_bytes : 4096;
    if (strcmp(panel->unit, "bytes") == 0)
        return 1;
    panel->base = PLOT_SECONDS;
    if (strcmp(panel->unit, "ns") == 0)
        return 1 / NS_PER_S;
    panel->base = PLOT_COUNT;
    return 1;
}

static bool is_same(const struct ksm_point *a, const struct ksm_point *b)
{
    return a->value.number == b->value.number;
}

/* Where a value stays as it is its first and last points are enough. */
static struct matrix_error *copy_points(struct plot *plot, struct plot_panel *panel,
                                        struct plot_curve *curve, const struct ksm_points *points,
                                        double factor)
{
    curve->times_s = calloc(points->count + 1, sizeof(double));
    curve->values = calloc(points->count + 1, sizeof(double));
    if (!curve->times_s || !curve->values)
        return error_host(ENOMEM, "keep the curves");
    /* CPU time is told since boot, and drawn since the recording began. */
    const int64_t first =
        panel->base == PLOT_SECONDS && points->count ? points->points[0].value.number : 0;
    for (size_t i = 0; i < points->count; i++) {
        const struct ksm_point *point = &points->points[i];
        if (point->value.kind != KSM_NUMBER)
            return error_usage("take a counter", "--what: %s is a text in places", panel->counter);
        if (i > 0 && i + 1 < points->count && is_same(point, point - 1) &&
            is_same(point, point + 1))
            continue;
        const double time_s = (double)point->time_ns / NS_PER_S;
        const double value = (double)(point->value.number - first) * factor;
        curve->times_s[curve->count] = time_s;
        curve->values[curve->count++] = value;
        panel->least = value < panel->least ? value : panel->least;
        panel->most = value > panel->most ? value : panel->most;
        plot->most_s = time_s > plot->most_s ? time_s : plot->most_s;
    }
    return NULL;
}

static struct matrix_error *load_panel(struct plot *plot, struct plot_panel *panel,
                                       const struct ksm_recording *recording)
{
    for (size_t i = 0; i < recording->series_count; i++) {
        const struct ksm_series *series = &recording->series[i];
        const struct ksm_subject_record *subject = &recording->subjects[series->subject];
        struct ksm_points points;
        if (strcmp(series->counter.name, panel->counter) != 0)
            continue;
        if (panel->curve_count == PLOT_CURVES_MAX)
            return error_usage("draw fewer recordings, or record fewer processes",
                               "%s would be more than %d curves", panel->counter, PLOT_CURVES_MAX);
        struct plot_curve *curve = &panel->curves[panel->curve_count++];
        title_curve(plot, recording, subject, curve->title);
        panel->computed = panel->computed || series->counter.computed;
        const double factor = base_factor(panel, series, &recording->sessions[subject->session]);
        struct matrix_error *error = ksm_recording_read(recording, &i, 1, &points);
        if (!error)
            error = copy_points(plot, panel, curve, &points, factor);
        ksm_points_free(&points, 1);
        RETURN_IF_ERROR(error);
    }
    return NULL;
}

static void load_marks(struct plot *plot, const struct ksm_recording *recording)
{
    for (size_t i = 0; i < recording->mark_count && plot->mark_count < PLOT_MARKS_MAX; i++) {
        struct plot_mark *mark = &plot->marks[plot->mark_count++];
        mark->time_s = (double)recording->marks[i].time_ns / NS_PER_S;
        snprintf(mark->text, sizeof(mark->text), "%s", recording->marks[i].text);
    }
}

static struct matrix_error *load_recording(struct plot *plot, const char *path)
{
    struct ksm_recording *recording;
    RETURN_IF_ERROR(ksm_recording_open(path, &recording));
    struct matrix_error *error = NULL;
    for (size_t i = 0; i < plot->panel_count && !error; i++)
        error = load_panel(plot, &plot->panels[i], recording);
    load_marks(plot, recording);
    ksm_recording_close(recording);
    return error;
}

struct matrix_error *plot_load(struct plot *plot)
{
    for (size_t i = 0; i < plot->recording_count; i++)
        RETURN_IF_ERROR(load_recording(plot, plot->recordings[i]));
    for (size_t i = 0; i < plot->panel_count; i++) {
        size_t longest = 0;
        const struct plot_panel *panel = &plot->panels[i];
        for (size_t k = 0; k < panel->curve_count; k++)
            longest = panel->curves[k].count > longest ? panel->curves[k].count : longest;
        if (longest < 2)
            return error_usage("see `matrix ksm export RECORDING | head -n 1`",
                               "%s: no two samples of it were recorded, and a curve needs two",
                               panel->counter);
    }
    return NULL;
}

void plot_free(struct plot *plot)
{
    for (size_t i = 0; i < plot->panel_count; i++)
        for (size_t k = 0; k < plot->panels[i].curve_count; k++) {
            free(plot->panels[i].curves[k].times_s);
            free(plot->panels[i].curves[k].values);
        }
}
