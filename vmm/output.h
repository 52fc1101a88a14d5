/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file descriptor that guests write to. Text is accepted whole or not at all and written in
 * the order of acceptance, so lines of several guests never mix; what the reader
 * does not take at once waits here, so no guest waits for another's reader.
 */
#ifndef VMM_OUTPUT_H
#define VMM_OUTPUT_H

#include <matrix/vm.h>
#include <stdbool.h>
#include <stddef.h>

/* Room for many lines; a console's longest piece (console.h) must fit. */
#define OUTPUT_QUEUE_BYTES 65536

/* Takes all of text, or (false) nothing because too much is waiting. */
bool output_put(struct matrix_output *output, const char *text, size_t bytes);

/* Writes as much as the reader takes without waiting; true if nothing is left waiting. */
bool output_flush(struct matrix_output *output);

/* For poll(): the descriptor, and whether anything waits for POLLOUT. */
int output_fd(const struct matrix_output *output);
bool output_waiting(const struct matrix_output *output);

#endif
