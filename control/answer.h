/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Requests of the control socket, answered; apart from the socket, so that fuzzing reaches it. */
#ifndef CONTROL_ANSWER_H
#define CONTROL_ANSWER_H

#include "control/command.h"
#include <stddef.h>

/* An answer, with its newline, to be freed; NULL without memory. fd: a descriptor of a core's that goes with
 * it, or -1. */
typedef void control_answered(void *context, char *line, int fd);

/*
 * Answers one request: answered is called exactly once, now or, where another core has to be asked, later. request:
 * a line, without its newline; of any bytes. more: commands beside those that every process has, or NULL. guests and
 * more stay.
 */
void control_answer(const struct control_guests *guests, const struct control_commands *more,
                    const char *request, size_t bytes, control_answered *answered, void *context);

/* The answer to what was no request. */
char *control_answer_error(const char *code, const char *message);

#endif
