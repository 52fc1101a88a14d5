/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * matrix ksm plot: curves of recordings. ksm_plot.c has the options, ksm_plot_load.c reads the
 * recordings, ksm_plot_picture.c has gnuplot draw them, ksm_plot_terminal.c draws them itself.
 */
#ifndef CLI_KSM_PLOT_H
#define CLI_KSM_PLOT_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>

/* As many as there are arguments of a template. */
#define PLOT_PANELS_MAX 5
#define PLOT_CURVES_MAX 24
#define PLOT_MARKS_MAX  64
#define PLOT_TEXT_BYTES 128

/* One counter of one session's host, or of one of its processes. */
struct plot_curve {
    char title[PLOT_TEXT_BYTES];
    double *times_s, *values; /* in the panel's base unit: bytes, seconds, or as counted */
    size_t count;
};

enum plot_base { PLOT_COUNT, PLOT_BYTES, PLOT_SECONDS };

/* A counter, with the curves of all recordings. */
struct plot_panel {
    const char *counter; /* as it was asked for */
    char unit[16];       /* the recording's */
    enum plot_base base;
    bool computed; /* any of it */
    struct plot_curve curves[PLOT_CURVES_MAX];
    size_t curve_count;
    double least, most; /* of the values */
};

struct plot_mark {
    double time_s;
    char text[PLOT_TEXT_BYTES];
};

struct plot {
    const char *out, *template;
    bool terminal;
    const char **recordings;
    size_t recording_count;
    struct plot_panel panels[PLOT_PANELS_MAX];
    size_t panel_count;
    struct plot_mark marks[PLOT_MARKS_MAX];
    size_t mark_count;
    double most_s;
};

/* Reads the curves of plot's panels, and the marks, out of its recordings. */
struct matrix_error *plot_load(struct plot *plot) MATRIX_MUST_CHECK;
void plot_free(struct plot *plot);

struct matrix_error *plot_draw_picture(const struct plot *plot) MATRIX_MUST_CHECK;
struct matrix_error *plot_draw_terminal(const struct plot *plot) MATRIX_MUST_CHECK;

/* "general profit, computed": what the panel shows, without its unit. */
void plot_panel_title(const struct plot_panel *panel, char title[PLOT_TEXT_BYTES]);

/* The unit that a panel's values are drawn in, and what they are divided by for it. */
const char *plot_panel_unit(const struct plot_panel *panel, double *size);

#endif
