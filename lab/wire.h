/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A wire: text that is sent to the machine as it takes it, and whole lines that come from there. As
 * with a flow, the caller polls, and no function here blocks. Used by lab/relay.c for the control
 * channel.
 */
#ifndef LAB_WIRE_H
#define LAB_WIRE_H

#include <stdbool.h>
#include <stddef.h>

struct wire {
    int fd; /* a socket that does not block */
    char *outgoing;
    size_t outgoing_length; /* more than 0: there is something to send */
    char incoming[256];     /* what came, up to a whole line */
    size_t incoming_length;
};

/* Puts text behind what is to be sent; false without memory, and then it is not sent. */
bool wire_queue(struct wire *wire, const char *text, size_t length);

/* Sends once. */
void wire_send(struct wire *wire);

/* Reads once, and hands each line that is whole, without its newline, to take. */
void wire_read(struct wire *wire, void (*take)(const char *line, void *context), void *context);

/* Frees what was not sent. The descriptor is the caller's. */
void wire_free(struct wire *wire);

#endif
