/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A connection to the control socket of somebody who runs guests, for one request or many, one after the
 * other. Who is there is checked, and nobody is waited for without end. Called by client, and by those who
 * ask again and again: `matrix logs`.
 */
#ifndef CONTROL_TALK_H
#define CONTROL_TALK_H

#include <jansson.h>
#include <matrix/error.h>
#include <stdint.h>
#include <sys/types.h>

struct talk;

/* pid: who must be there, or 0; out: who is. patience_ns: how long at most for each request, and for being let in. */
struct matrix_error *talk_open(const char *path, pid_t *pid, uint64_t patience_ns,
                               struct talk **talk) MATRIX_MUST_CHECK;

/* NULL is allowed. */
void talk_close(struct talk *talk);

/*
 * Sends a request and reads its answer, to be released; or the error that it is. wanted: out, a descriptor
 * that came with the answer, unless it is NULL. After an error of the connection's (not one that is the answer)
 * it is of no more use.
 */
struct matrix_error *talk_ask(struct talk *talk, const json_t *request, json_t **answer,
                              int *wanted) MATRIX_MUST_CHECK;

#endif
