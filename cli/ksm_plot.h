/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * matrix ksm plot: curves of recordings. ksm_plot.c has the options, ksm_plot_load.c reads the
 * recordings, ksm_plot_check.c says what is missing, ksm_plot_picture.c has gnuplot draw them, ksm_plot_marks.c says where marks have room,
 * ksm_plot_terminal.c draws them itself.
 */
#ifndef CLI_KSM_PLOT_H
#define CLI_KSM_PLOT_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>

/* As many as there are arguments of a template. */
#define PLOT_PANELS_MAX 5
#define PLOT_CURVES_MAX 8  /* of a panel: more cannot be told apart */
#define PLOT_MARKS_MAX  61 /* as many as there are digits and letters for them */
#define PLOT_TEXT_BYTES 128
#define PLOT_MARK_BYTES 256

/* One counter of one session's host, or of one of its processes. */
struct plot_curve {
    char title[PLOT_TEXT_BYTES];
    double *times_s, *values; /* in the panel's base unit: bytes, seconds, or as counted */
    size_t count;
    size_t session; /* counted over all recordings */
    double largest; /* of the values, without their sign */
};

enum plot_base { PLOT_COUNT, PLOT_BYTES, PLOT_SECONDS };

/* A counter, with the curves of all recordings. */
struct plot_panel {
    const char *counter; /* as it was asked for */
    char unit[16];       /* the recording's */
    enum plot_base base;
    bool computed; /* any of it */
    bool is_known; /* it is in the recordings, if with a sample only */
    struct plot_curve curves[PLOT_CURVES_MAX + 1]; /* the last is the one that is being read */
    size_t curve_count;
    size_t left_out;    /* curves with smaller values than all that are here */
    double least, most; /* of the values */
};

struct plot_mark {
    double time_s;
    size_t session;             /* as of curves */
    char name[PLOT_TEXT_BYTES]; /* of the session; "" if it is the only one */
    char text[PLOT_MARK_BYTES];
};

struct plot {
    const char *out, *template;
    const char *of; /* "NAME,PID": which processes; NULL: all */
    bool terminal;
    const char **recordings;
    size_t recording_count;
    size_t session_count; /* of all that were read */
    struct plot_panel panels[PLOT_PANELS_MAX];
    size_t panel_count;
    struct plot_mark marks[PLOT_MARKS_MAX];
    size_t mark_count, marks_left_out;
    double most_s;
};

/* Reads the curves of plot's panels, and the marks, out of its recordings. */
struct matrix_error *plot_load(struct plot *plot) MATRIX_MUST_CHECK;
/* Whether there is anything to draw in it: of a single sample there is no curve. */
bool plot_has_curves(const struct plot_panel *panel);
/* Fails unless each panel has something to draw. */
struct matrix_error *plot_check(const struct plot *plot) MATRIX_MUST_CHECK;
/* On standard error, in a program's name: what there is no room for. */
void plot_tell_left_out(const struct plot *plot, const char *program);
void plot_free(struct plot *plot);

/*
 * Copies so much of a text as has room in so many columns, with an ellipsis behind it if that is not
 * all; what is not UTF-8 or a control character becomes '?'. size: of cut. Returns its length.
 */
size_t plot_cut(const char *text, size_t columns, char *cut, size_t size);

/*
 * Where the marks' texts stand beside each other in a picture, as times; in the order of the marks.
 * NAN: a mark that says the same as another there has none.
 */
void plot_place_marks(const struct plot *plot, double places[PLOT_MARKS_MAX]);

struct matrix_error *plot_draw_picture(const struct plot *plot) MATRIX_MUST_CHECK;
struct matrix_error *plot_draw_terminal(const struct plot *plot) MATRIX_MUST_CHECK;

/* "general profit, computed": what the panel shows, without its unit. */
void plot_panel_title(const struct plot_panel *panel, char title[PLOT_TEXT_BYTES]);

/* The unit that a panel's values are drawn in, and what they are divided by for it. */
const char *plot_panel_unit(const struct plot_panel *panel, double *size);

#endif
