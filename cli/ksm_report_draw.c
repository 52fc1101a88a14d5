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
} pictures[] = {
    {REPORT_PLOT_VMS, {"ksm_merging_pages"}},
    {REPORT_PLOT_PAGES, {"pages_shared", "pages_sharing"}},
    {REPORT_PLOT_PROFIT, {"general_profit"}},
};

static struct matrix_error *draw(const char *recording, const char *const *counters,
                                 const char *out)
{
    static struct plot plot; /* too large for the stack */
    plot =
        (struct plot){.out = out, .recordings = (const char *[]){recording}, .recording_count = 1};
    for (; *counters; counters++)
        plot.panels[plot.panel_count++].counter = *counters;
    struct matrix_error *error = plot_load(&plot);
    if (!error)
        error = plot_draw_picture(&plot);
    plot_free(&plot);
    return error;
}

void report_draw(const char *directory)
{
    char recording[PATH_MAX], out[PATH_MAX];
    snprintf(recording, sizeof(recording), "%s/" EXPERIMENT_RECORDING, directory);
    for (size_t i = 0; i < sizeof(pictures) / sizeof(pictures[0]); i++) {
        snprintf(out, sizeof(out), "%s/%s", directory, pictures[i].name);
        struct matrix_error *error = draw(recording, pictures[i].counters, out);
        if (!error)
            continue;
        unlink(out);
        cli_fail(EXPERIMENT_PROGRAM, error_prefix(error, "draw %s", pictures[i].name));
    }
}
