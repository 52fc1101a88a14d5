// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix ksm plot: draws recordings; see ksm_plot.h. */
#include "cli/ksm_plot.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/axis.h"
#include "cli/common.h"
#include "cli/gnuplot.h"
#include "cli/ksm_record.h"
#include <argp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "matrix ksm plot"

#define WHAT_DEFAULT "pages_shared,general_profit"

enum { KEY_WHAT = 256, KEY_OF, KEY_OUT, KEY_TERMINAL, KEY_TEMPLATE };

static const struct argp_option options[] = {
    {"what", KEY_WHAT, "COUNTER,...", 0, "What to draw, each in a panel (" WHAT_DEFAULT ")", 0},
    {"of", KEY_OF, "NAME|PID,...", 0,
     "Only these processes' curves (the 8 with the largest values)", 0},
    {"out", KEY_OUT, "FILE.svg|FILE.png", 0, "Where the picture goes, by gnuplot", 0},
    {"terminal", KEY_TERMINAL, NULL, 0, "Draw in the terminal (without --out)", 0},
    {"template", KEY_TEMPLATE, "FILE", 0, "Another template for gnuplot (ksm.gnuplot)", 0},
    {0},
};

struct parsing {
    struct plot plot;
    char *what;
};

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct parsing *parsing = state->input;
    struct plot *plot = &parsing->plot;
    if (key == KEY_WHAT)
        parsing->what = value;
    else if (key == KEY_OF)
        plot->of = value;
    else if (key == KEY_OUT)
        plot->out = value;
    else if (key == KEY_TERMINAL)
        plot->terminal = true;
    else if (key == KEY_TEMPLATE)
        plot->template = value;
    else if (key == ARGP_KEY_ARGS) {
        plot->recordings = (const char **)state->argv + state->next;
        plot->recording_count = (size_t)(state->argc - state->next);
    } else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* Without the unit that some names end with: it is written behind, and may be a larger one. */
static int name_length(const char *name)
{
    static const char *const ends[] = {"_ns", "_bytes"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        const size_t end = strlen(ends[i]);
        if (length > end && strcmp(name + length - end, ends[i]) == 0)
            return (int)(length - end);
    }
    return length < 100 ? (int)length : 100;
}

void plot_panel_title(const struct plot_panel *panel, char title[PLOT_TEXT_BYTES])
{
    snprintf(title, PLOT_TEXT_BYTES, "%.*s%s", name_length(panel->counter), panel->counter,
             panel->computed ? ", computed" : "");
    for (char *at = title; *at; at++)
        *at = *at == '_' ? ' ' : *at;
}

const char *plot_panel_unit(const struct plot_panel *panel, double *size)
{
    const double most = fmax(fabs(panel->least), fabs(panel->most));
    const struct axis_unit *unit = panel->base == PLOT_BYTES     ? axis_size_unit(most)
                                   : panel->base == PLOT_SECONDS ? axis_time_unit(most)
                                                                 : NULL;
    *size = unit ? unit->size : 1;
    return unit ? unit->name : panel->unit;
}

/* Names of counters are the kernel's, and of few characters: gnuplot gets them as they are. */
static struct matrix_error *split_what(struct plot *plot, char *what)
{
    for (const char *name; (name = strsep(&what, ","));) {
        if (!*name || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name))
            return error_usage("see `matrix ksm export RECORDING | head -n 1`",
                               "--what: '%s' is no name of a counter", name);
        if (plot->panel_count == PLOT_PANELS_MAX)
            return error_usage("draw two pictures", "--what: more than %d counters",
                               PLOT_PANELS_MAX);
        plot->panels[plot->panel_count++].counter = name;
    }
    return NULL;
}

static struct matrix_error *run(struct plot *plot, char *what)
{
    if (!plot->recording_count)
        return error_usage("see `" PROGRAM " --help`", "which recording is missing");
    if (plot->out && plot->terminal)
        return error_usage(NULL, "--out and --terminal at once make no sense");
    if (plot->template && !plot->out)
        return error_usage("--out FILE.svg", "--template is for pictures");
    if (plot->out)
        RETURN_IF_ERROR(gnuplot_check_name(plot->out));
    RETURN_IF_ERROR(split_what(plot, what));
    RETURN_IF_ERROR(plot_load(plot));
    RETURN_IF_ERROR(plot_check(plot));
    plot_tell_left_out(plot, PROGRAM);
    return plot->out ? plot_draw_picture(plot) : plot_draw_terminal(plot);
}

int ksm_plot_main(int argc, char **argv)
{
    static const struct argp parser = {
        options,
        parse_argument,
        "RECORDING...",
        "Draws what `matrix ksm record` has recorded, with the marks; several recordings over one "
        "another. A counter of processes is drawn for each of them.",
        NULL,
        NULL,
        NULL};
    static char what[] = WHAT_DEFAULT;
    static struct parsing parsing;
    argp_parse(&parser, argc, argv, 0, NULL, &parsing);
    struct matrix_error *error = run(&parsing.plot, parsing.what ? parsing.what : what);
    plot_free(&parsing.plot);
    return error ? cli_fail(PROGRAM, error) : EXIT_SUCCESS;
}
