/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds the parts that come with Matrix: beside the running program (a build tree), else where they
 * are installed. */
#ifndef BASE_INSTALLED_H
#define BASE_INSTALLED_H

#include <limits.h>
#include <stdbool.h>

enum installed_kind {
    INSTALLED_PROGRAM, /* "matrix-report" */
    INSTALLED_GUEST,   /* "hello": hello.elf among the guests */
    INSTALLED_MODULES, /* "": the directory of those of each kernel, with a slash at its end */
    INSTALLED_SHARED,  /* "footprint.gnuplot" */
};

/* Writes the path of the first that exists; false if there is none. */
bool installed_find(enum installed_kind kind, const char *name, char path[PATH_MAX]);

#endif
