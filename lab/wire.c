// SPDX-License-Identifier: GPL-2.0-or-later
/* Text and lines, there and back, without ever blocking. Used by lab/relay.c. */
#include "lab/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool wire_queue(struct wire *wire, const char *text, size_t length)
{
    char *outgoing = realloc(wire->outgoing, wire->outgoing_length + length);
    if (!outgoing)
        return false;
    memcpy(outgoing + wire->outgoing_length, text, length);
    wire->outgoing = outgoing;
    wire->outgoing_length += length;
    return true;
}

void wire_send(struct wire *wire)
{
    ssize_t sent = send(wire->fd, wire->outgoing, wire->outgoing_length, MSG_NOSIGNAL);
    if (sent <= 0)
        return;
    wire->outgoing_length -= (size_t)sent;
    memmove(wire->outgoing, wire->outgoing + sent, wire->outgoing_length);
}

void wire_read(struct wire *wire, void (*take)(const char *line, void *context), void *context)
{
    size_t room = sizeof(wire->incoming) - 1 - wire->incoming_length;
    ssize_t got = read(wire->fd, wire->incoming + wire->incoming_length, room);
    if (got <= 0)
        return;
    wire->incoming_length += (size_t)got;
    wire->incoming[wire->incoming_length] = '\0';
    char *line = wire->incoming, *newline;
    while ((newline = strchr(line, '\n'))) {
        *newline = '\0';
        take(line, context);
        line = newline + 1;
    }
    wire->incoming_length = strlen(line);
    /* A line that fills all is none of ours. */
    if (wire->incoming_length == sizeof(wire->incoming) - 1)
        wire->incoming_length = 0;
    memmove(wire->incoming, line, wire->incoming_length);
}

void wire_free(struct wire *wire)
{
    free(wire->outgoing);
}
