// SPDX-License-Identifier: GPL-2.0-or-later
/* What a plot has nothing to draw of, or no room for; see ksm_plot.h. */
#include "base/error.h"
#include "cli/ksm_plot.h"
#include "ksm/recording.h"
#include <stdio.h>
#include <string.h>

/* Of a remedy that names all counters. */
#define NAMES_BYTES 4096

static bool is_listed(const struct ksm_recording *recording, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (strcmp(recording->series[i].counter.name, recording->series[index].counter.name) == 0)
            return true;
    return false;
}

/* "there are: a, b", of one recording. */
static struct matrix_error *fail_unknown(const char *path, const char *counter)
{
    char names[NAMES_BYTES] = "there are: ";
    struct ksm_recording *recording;
    RETURN_IF_ERROR(ksm_recording_open(path, &recording));
    for (size_t i = 0; i < recording->series_count; i++) {
        const char *name = recording->series[i].counter.name;
        const size_t length = strlen(names);
        if (is_listed(recording, i))
            continue;
        if (length + strlen(name) + 3 > sizeof(names))
            break;
        snprintf(names + length, sizeof(names) - length, "%s%s", i ? ", " : "", name);
    }
    ksm_recording_close(recording);
    return error_usage(names, "--what: %s: no such counter in %s", counter, path);
}

bool plot_has_curves(const struct plot_panel *panel)
{
    for (size_t i = 0; i < panel->curve_count; i++)
        if (panel->curves[i].count > 1)
            return true;
    return false;
}

struct matrix_error *plot_check(const struct plot *plot)
{
    for (size_t i = 0; i < plot->panel_count; i++) {
        const struct plot_panel *panel = &plot->panels[i];
        if (!panel->is_known)
            return fail_unknown(plot->recordings[0], panel->counter);
        if (!panel->curve_count)
            return error_usage("`matrix ksm export RECORDING` has their names and numbers",
                               "--of: %s: no such process, or %s was not recorded of it", plot->of,
                               panel->counter);
        if (!plot_has_curves(panel))
            return error_usage("record for longer, or with a shorter --interval",
                               "%s: no two samples of it were recorded, and a curve needs two",
                               panel->counter);
    }
    return NULL;
}

void plot_tell_left_out(const struct plot *plot, const char *program)
{
    for (size_t i = 0; i < plot->panel_count; i++)
        if (plot->panels[i].left_out)
            fprintf(stderr,
                    "%s: %s: the %zu curves with the largest values are drawn, %zu are left out; "
                    "`matrix ksm plot --of NAME|PID,...` names those to draw\n",
                    program, plot->panels[i].counter, plot->panels[i].curve_count,
                    plot->panels[i].left_out);
    if (plot->marks_left_out)
        fprintf(stderr, "%s: the first %d marks are drawn, %zu are left out\n", program,
                PLOT_MARKS_MAX, plot->marks_left_out);
}
