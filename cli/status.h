/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix status`: options and looks (status.c), the table (status_text.c), JSON (status_json.c). */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "cli/boards.h"
#include <jansson.h>
#include <stdio.h>

#define PROGRAM "matrix status"

/* One core, as it was looked at. */
struct status_core {
    struct cli_board from;
    struct matrix_board_core core;
    uint64_t seen_ns; /* CLOCK_MONOTONIC */
    bool has_ended;
    struct matrix_board_guest *guests; /* those that are there, in the order of their coming */
    size_t guest_count;
    /* The look before; NULL: this is the first. */
    struct matrix_board_guest *before;
    size_t before_count;
    uint64_t before_published_ns, before_cpu_ns;
};

struct status {
    struct status_core *cores;
    size_t count;
};

/* How often a guest left per second since the look before; on the first, since the run began. */
double status_exits_per_s(const struct status_core *core, const struct matrix_board_guest *guest);

/* Its part of all guests' CPU time since the look before; NaN: there was none, or no time. */
double status_share(const struct status_core *core, const struct matrix_board_guest *guest);

/* By contract, and in fact, of the time when others could run, too; NaN: there was none. */
double status_promised(const struct matrix_board_guest *guest);
double status_given(const struct matrix_board_guest *guest);

struct matrix_error *status_print(const struct status *status, FILE *file) MATRIX_MUST_CHECK;

json_t *status_json(const struct status *status);

#endif
