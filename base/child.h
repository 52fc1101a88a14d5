/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Starts another program as a child, and knows why where that fails: an errno of the child travels
 * through a pipe that exec closes.
 */
#ifndef BASE_CHILD_H
#define BASE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
    const char *const *argv; /* argv[0] is looked for in PATH */
    int input_fd;            /* its standard input; -1: ours */
    int output_fd;           /* its standard output and error; -1: ours */
    bool dies_with_us;       /* it is killed when the thread that starts it ends, however that is */
    /* What else is to be done in the child, before exec: returns 0 or an errno. May be NULL. */
    int (*prepare)(const void *context);
    const void *context;
};

/*
 * Starts the program, with no signal blocked, and sets *pid. Returns 0, or the errno of what failed: the
 * pipe, fork, prepare, or exec (EINVAL where argv is empty); then *pid is 0, and no child is left. What would
 * help is for the caller to say.
 */
int child_start(const struct child *child, pid_t *pid) __attribute__((warn_unused_result));

#endif
