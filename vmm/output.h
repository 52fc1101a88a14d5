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

/*
 * Consoles that share an output each get their part of its queue, so that one that floods leaves
 * room for the others. A ticket is one console's; zero it, then join once.
 */
struct output_ticket {
    size_t queued;         /* bytes that it has put since its part was last empty */
    uint64_t queued_until; /* when so much has been written, its part is empty */
};

void output_join(struct matrix_output *output);
void output_leave(struct matrix_output *output);

/* As matrix_output_write, within the part that belongs to ticket. */
bool output_put(struct matrix_output *output, struct output_ticket *ticket, const char *text,
                size_t bytes);

/* For poll(): the descriptor, and whether anything waits for POLLOUT. */
int output_fd(const struct matrix_output *output);
bool output_waiting(const struct matrix_output *output);

#endif
