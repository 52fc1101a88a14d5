/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The barracks: a process that forks soldiers, which the control station then adopts from it. Each
 * waits at a gate until the station opens it, so that none has ended before it is adopted.
 */
#ifndef EXAMPLES_BARRACKS_H
#define EXAMPLES_BARRACKS_H

#include <matrix/error.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What a soldier is sent out with, and so how it must end. */
struct order {
    pid_t pid;
    uint64_t life_ns;
    int status;
    int signal; /* 0: by the status */
};

struct barracks {
    pid_t pid;
    int gate; /* closed before it is opened, the soldiers go home */
};

/*
 * Starts the barracks with count soldiers, and fills in the pids of orders. Once all are somebody
 * else's, the barracks' wait(2) ends with ECHILD; it prints that, and ends with 0. If it gets to
 * wait for a soldier of its own, it ends with 1.
 */
struct matrix_error *barracks_start(struct order *orders, size_t count,
                                    struct barracks *barracks) MATRIX_MUST_CHECK;

/* Sends the soldiers out. */
struct matrix_error *barracks_open_gate(const struct barracks *barracks,
                                        size_t count) MATRIX_MUST_CHECK;

#endif
