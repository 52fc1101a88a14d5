/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of the control socket, answered; apart from the socket, so that fuzzing reaches it. */
#ifndef CONTROL_ANSWER_H
#define CONTROL_ANSWER_H

#include "control/command.h"
#include <stddef.h>

/*
 * The answer to one request, with its newline; to be freed. NULL without memory. request: a line,
 * without its newline; of any bytes. more: commands beside those that every process has, or NULL.
 * *fd: a descriptor of the core's that goes with the answer, or -1.
 */
char *control_answer(struct matrix_core *core, const struct control_commands *more,
                     const char *request, size_t bytes, int *fd);

/* The answer to what was no request. */
char *control_answer_error(const char *code, const char *message);

#endif
