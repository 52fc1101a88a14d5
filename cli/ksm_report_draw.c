// SPDX-License-Identifier: GPL-2.0-or-later
/* The report's plots, by `matrix ksm plot` on the experiment's recording. */
#include "base/error.h"
#include "cli/common.h"
#include "cli/ksm_experiment.h"
#include "cli/ksm_plot.h"
#include "cli/ksm_report.h"
#include <limits.h>
#include <unistd.h>

#define COUNTERS_MAX 2

static const struct {
    const char *name;
    const char *counters[COUNTERS_MAX + 1];
    const char *nothing; /* what is said where there is nothing to draw */
} pictures[REPORT_PLOTS] = {
    {REPORT_PLOT_VMS, {"ksm_merging_pages"}, "No curve of VMs: nothing was recorded of any."},
    {REPORT_PLOT_PAGES,
     {"pages_shared", "pages_sharing"},
     "No curve of merged pages: it was over before there were two samples."},
    {REPORT_PLOT_PROFIT,
     {"general_profit"},
     "No curve of the profit: it was over before there were two samples."},
};

/* *is_empty: there is nothing to draw, which is no error. */
static struct matrix_error *draw(const char *recording, const char *const *counters,
                                 const char *out, bool *is_empty)
{
    static struct plot plot; /* too large for the stack */
    plot =
        (struct plot){.out = out, .recordings = (const char *[]){recording}, .recording_count = 1};
    for (; *counters; counters++)
        plot.panels[plot.panel_count++].counter = *counters;
    struct matrix_error *error = plot_load(&plot);
    for (size_t i = 0; i < plot.panel_count; i++)
        *is_empty |= !error && !plot_has_curves(&plot.panels[i]);
    if (!error && !*is_empty) {
        plot_tell_left_out(&plot, EXPERIMENT_PROGRAM);
        error = plot_draw_picture(&plot);
    }
    plot_free(&plot);
    return error;
}

void report_draw(const char *directory, const char *nothing[REPORT_PLOTS])
{
    char recording[PATH_MAX], out[PATH_MAX];
    snprintf(recording, sizeof(recording), "%s/" EXPERIMENT_RECORDING, directory);
    for (size_t i = 0; i < REPORT_PLOTS; i++) {
        bool is_empty = false;
        snprintf(out, sizeof(out), "%s/%s", directory, pictures[i].name);
        struct matrix_error *error = draw(recording, pictures[i].counters, out, &is_empty);
        nothing[i] = is_empty ? pictures[i].nothing : NULL;
        if (error || is_empty)
            unlink(out);
        if (error)
            cli_fail(EXPERIMENT_PROGRAM, error_prefix(error, "draw %s", pictures[i].name));
    }
}
