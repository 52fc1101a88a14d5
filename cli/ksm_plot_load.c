// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads the curves and marks that a plot shows out of recordings; see ksm_plot.h. */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/ksm_plot.h"
#include "ksm/recording.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1e9

/* Of a title in a legend, so that two curves' have room beside each other. */
#define TITLE_CHARACTERS 28
#define TITLE_BYTES      (4 * TITLE_CHARACTERS + 4)

/* What is told apart by it: the session's title, or the file's name; "" where there is only one. */
static void name_session(const struct plot *plot, const struct ksm_recording *recording,
                         size_t session, char name[PLOT_TEXT_BYTES])
{
    const char *title = recording->sessions[session].title;
    const char *slash = strrchr(recording->path, '/');
    char file[TITLE_BYTES] = "", number[32] = "";
    name[0] = '\0';
    if (plot->recording_count == 1 && recording->session_count == 1)
        return;
    if (plot->recording_count > 1 && !*title)
        plot_cut(slash ? slash + 1 : recording->path, TITLE_CHARACTERS, file, sizeof(file));
    if (*title)
        plot_cut(title, TITLE_CHARACTERS, file, sizeof(file));
    else if (recording->session_count > 1)
        snprintf(number, sizeof(number), "%ssession %zu", *file ? ", " : "", session + 1);
    snprintf(name, PLOT_TEXT_BYTES, "%s%s", file, number);
}

/* Of a legend: the session, and a process's name and number behind it. */
static void title_curve(const struct plot *plot, const struct ksm_recording *recording,
                        const struct ksm_subject_record *subject, char title[PLOT_TEXT_BYTES])
{
    const char *slash = strrchr(recording->path, '/');
    const char *file = slash ? slash + 1 : recording->path;
    const char *own = recording->sessions[subject->session].title;
    char session[PLOT_TEXT_BYTES], process[64] = "";
    name_session(plot, recording, subject->session, session);
    if (subject->scope == KSM_SCOPE_PROCESS)
        snprintf(process, sizeof(process), "%.32s (%d)", subject->name, subject->pid);
    if (!*session && !*process)
        plot_cut(*own ? own : file, TITLE_CHARACTERS, session, sizeof(session));
    snprintf(title, PLOT_TEXT_BYTES, "%.*s%s%s", PLOT_TEXT_BYTES / 2, session,
             *session && *process ? ": " : "", process);
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
static struct matrix_error *copy_points(const struct plot_panel *panel, struct plot_curve *curve,
                                        const struct ksm_points *points, double factor)
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
        curve->largest = fmax(curve->largest, fabs(value));
    }
    return NULL;
}

/* Whether a curve says less than another: a single point cannot be seen at all. */
static bool is_smaller(const struct plot_curve *a, const struct plot_curve *b)
{
    if ((a->count < 2) != (b->count < 2))
        return a->count < 2;
    return a->largest < b->largest;
}

static void free_curve(struct plot_curve *curve)
{
    free(curve->times_s);
    free(curve->values);
}

/* One more than there is room for was read: of those with the smallest values the last goes. */
static void leave_out(struct plot_panel *panel)
{
    size_t smallest = 0;
    for (size_t i = 1; i < panel->curve_count; i++)
        if (!is_smaller(&panel->curves[smallest], &panel->curves[i]))
            smallest = i;
    free_curve(&panel->curves[smallest]);
    panel->curve_count--;
    memmove(&panel->curves[smallest], &panel->curves[smallest + 1],
            (panel->curve_count - smallest) * sizeof(panel->curves[0]));
    panel->left_out++;
}

/* Whether --of names it, by name or number. */
static bool is_chosen(const struct plot *plot, const struct ksm_subject_record *subject)
{
    char number[16];
    if (!plot->of || subject->scope != KSM_SCOPE_PROCESS)
        return true;
    snprintf(number, sizeof(number), "%d", subject->pid);
    for (const char *at = plot->of; *at;) {
        const size_t length = strcspn(at, ",");
        if ((strlen(number) == length && strncmp(at, number, length) == 0) ||
            (strlen(subject->name) == length && strncmp(at, subject->name, length) == 0))
            return true;
        at += length + (at[length] == ',');
    }
    return false;
}

static struct matrix_error *load_curve(const struct plot *plot, struct plot_panel *panel,
                                       const struct ksm_recording *recording, size_t index)
{
    const struct ksm_series *series = &recording->series[index];
    const struct ksm_subject_record *subject = &recording->subjects[series->subject];
    struct plot_curve *curve = &panel->curves[panel->curve_count++];
    struct ksm_points points;
    *curve = (struct plot_curve){.session = plot->session_count + subject->session};
    title_curve(plot, recording, subject, curve->title);
    panel->computed = panel->computed || series->counter.computed;
    const double factor = base_factor(panel, series, &recording->sessions[subject->session]);
    struct matrix_error *error = ksm_recording_read(recording, &index, 1, &points);
    if (!error)
        error = copy_points(panel, curve, &points, factor);
    ksm_points_free(&points, 1);
    if (panel->curve_count > PLOT_CURVES_MAX)
        leave_out(panel);
    return error;
}

static struct matrix_error *load_panel(struct plot *plot, struct plot_panel *panel,
                                       const struct ksm_recording *recording)
{
    for (size_t i = 0; i < recording->series_count; i++) {
        const struct ksm_series *series = &recording->series[i];
        if (strcmp(series->counter.name, panel->counter) != 0)
            continue;
        panel->is_known = true;
        if (is_chosen(plot, &recording->subjects[series->subject]))
            RETURN_IF_ERROR(load_curve(plot, panel, recording, i));
    }
    return NULL;
}

static void load_marks(struct plot *plot, const struct ksm_recording *recording)
{
    for (size_t i = 0; i < recording->mark_count; i++) {
        if (plot->mark_count == PLOT_MARKS_MAX) {
            plot->marks_left_out++;
            continue;
        }
        struct plot_mark *mark = &plot->marks[plot->mark_count++];
        mark->time_s = (double)recording->marks[i].time_ns / NS_PER_S;
        mark->session = plot->session_count + recording->marks[i].session;
        name_session(plot, recording, recording->marks[i].session, mark->name);
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
    plot->session_count += recording->session_count;
    ksm_recording_close(recording);
    return error;
}

static void find_range(struct plot *plot, struct plot_panel *panel)
{
    for (size_t k = 0; k < panel->curve_count; k++)
        for (size_t i = 0; i < panel->curves[k].count; i++) {
            panel->least = fmin(panel->least, panel->curves[k].values[i]);
            panel->most = fmax(panel->most, panel->curves[k].values[i]);
            plot->most_s = fmax(plot->most_s, panel->curves[k].times_s[i]);
        }
}

struct matrix_error *plot_load(struct plot *plot)
{
    for (size_t i = 0; i < plot->recording_count; i++)
        RETURN_IF_ERROR(load_recording(plot, plot->recordings[i]));
    for (size_t i = 0; i < plot->panel_count; i++)
        find_range(plot, &plot->panels[i]);
    for (size_t i = 0; i < plot->mark_count; i++)
        plot->most_s = fmax(plot->most_s, plot->marks[i].time_s);
    return NULL;
}

void plot_free(struct plot *plot)
{
    for (size_t i = 0; i < plot->panel_count; i++)
        for (size_t k = 0; k < plot->panels[i].curve_count; k++)
            free_curve(&plot->panels[i].curves[k]);
}
