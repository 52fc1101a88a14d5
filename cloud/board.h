/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a core does for its board (include/matrix/board.h): counters published now and then, stays as
 * they end. Called by core, task and guests; all functions do nothing where no board was asked for.
 */
#ifndef CLOUD_BOARD_H
#define CLOUD_BOARD_H

#include <matrix/core.h>

struct guest;
struct policy_entity;
struct task;

/* A top of the loop: publishes what is due. */
void core_board_look(struct matrix_core *core, uint64_t now_ns);

/* A stay begins, and with it the one before has ended; or it has ended, and nobody comes on. */
void core_board_come_on(struct matrix_core *core, const struct task *task, uint64_t now_ns);
void core_board_nobody(struct matrix_core *core);

/* The guest came, has another contract or state; it is on the core no more. */
void core_board_guest(struct matrix_core *core, struct guest *guest);
void core_board_forget(struct matrix_core *core, struct guest *guest);

/* The group has another contract; the one of that label (cloud/policy.h) was removed. */
void core_board_group(struct matrix_core *core, const struct policy_entity *group);
void core_board_forget_group(struct matrix_core *core, uint64_t label);

/* The guest's vm is about to be another: what is noted of its last stay does not refer to it any more. */
void core_board_leave(struct matrix_core *core, const struct guest *guest);

/* The run begins; it is over. */
void core_board_begin(struct matrix_core *core);
void core_board_end(struct matrix_core *core);

/* Whether the options of it make sense. */
struct matrix_error *core_board_check(const struct matrix_core_options *options) MATRIX_MUST_CHECK;

void core_board_destroy(struct matrix_core *core);

#endif
