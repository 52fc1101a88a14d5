/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix status`: options (status.c), looks at boards (status_look.c), the table (status_text.c), JSON
 * (status_json.c). Looks and JSON are those of `matrix top`, too. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "cli/boards.h"
#include <jansson.h>
#include <stdio.h>

/* One core, as it was looked at. */
struct status_core {
    struct cli_board from;
    struct matrix_board_core core;
    uint64_t seen_ns; /* CLOCK_MONOTONIC */
    bool has_ended;
    struct matrix_board_guest *guests; /* those that are there, in the order of their coming */
    size_t guest_count;
    struct matrix_board_group *groups; /* in the order of their numbers */
    size_t group_count;
    /* The look before; NULL: this is the first. */
    struct matrix_board_guest *before;
    size_t before_count;
    struct matrix_board_core before_core;
};

struct status {
    struct status_core *cores;
    size_t count;
};

/* Takes over boards, and what holds them; then one look after the other. goes_on: out, whether any run does. */
struct matrix_error *status_take(struct status *status, struct cli_board *boards,
                                 size_t count) MATRIX_MUST_CHECK;
struct matrix_error *status_look(struct status *status, bool *goes_on) MATRIX_MUST_CHECK;
struct matrix_error *status_look_at(struct status_core *core) MATRIX_MUST_CHECK;
void status_free(struct status *status);

/* The group of that number; NULL: there is none, or none any more. */
const struct matrix_board_group *status_group(const struct status_core *core, uint64_t id);

/* The guest at the look before; NULL: it was not there. */
const struct matrix_board_guest *status_before(const struct status_core *core,
                                               const struct matrix_board_guest *guest);

/* How often a guest left per second since the look before; on the first, since the run began. */
double status_exits_per_s(const struct status_core *core, const struct matrix_board_guest *guest);
double status_exits_of_kind_per_s(const struct status_core *core,
                                  const struct matrix_board_guest *guest, unsigned kind);

/* Its part of all guests' CPU time since the look before; NaN: there was none, or no time. */
double status_share(const struct status_core *core, const struct matrix_board_guest *guest);

/* What that part should have been: by contract while others could run, too, and all that it took while no other
 * could. Share less due is the error of that time. */
double status_due(const struct status_core *core, const struct matrix_board_guest *guest);

/* By contract, and in fact, of the time when others could run, too; NaN: there was none. */
double status_promised(const struct matrix_board_guest *guest);
double status_given(const struct matrix_board_guest *guest);

struct matrix_error *status_print(const struct status *status, FILE *file) MATRIX_MUST_CHECK;

json_t *status_json(const struct status *status);

#endif
