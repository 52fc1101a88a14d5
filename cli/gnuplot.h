/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pictures by gnuplot, from the templates of share/: it sees numbers and words of ours only. */
#ifndef CLI_GNUPLOT_H
#define CLI_GNUPLOT_H

#include <matrix/error.h>

/* Fails unless out is named FILE.svg or FILE.png. */
struct matrix_error *gnuplot_check_name(const char *out) MATRIX_MUST_CHECK;

/*
 * Draws out, whose name says what kind of picture it is, by a template: a file of share/, or the
 * path of a user's own.
 *
 * arguments: behind the kind ("svg", "png"), which is the template's ARG1; NULL-terminated, at most
 *            GNUPLOT_ARGUMENTS_MAX.
 * data:      open for reading; the template reads it as "/dev/fd/3".
 */
#define GNUPLOT_ARGUMENTS_MAX 8
struct matrix_error *gnuplot_draw(const char *template, const char *const *arguments, int data,
                                  const char *out) MATRIX_MUST_CHECK;

#endif
