/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow: bytes on their way from one descriptor to another, through a buffer. The caller
 * polls; no function here blocks on a descriptor that poll has called ready.
 */
#ifndef LAB_FLOW_H
#define LAB_FLOW_H

#include <stdbool.h>
#include <stddef.h>

#define FLOW_MARK_LENGTH 32

struct flow {
    int from, to;
    const char *mark; /* ends the stream and belongs to nobody; NULL: the stream ends at EOF */
    size_t used;
    bool closed; /* nothing more will come */
    bool deaf;   /* nobody takes it any more */
    char bytes[65536];
};

/* Whether there is something to read from, and room for it. */
bool flow_wants_more(const struct flow *flow);

/* How many bytes may go out: all but what may be the beginning of the mark. */
size_t flow_sendable(const struct flow *flow);

/* Reads once. */
void flow_fill(struct flow *flow);

/* Writes once; returns 0, or the errno of a descriptor that takes no more. */
int flow_drain(struct flow *flow);

/* Whether all has come and all has gone. */
bool flow_is_done(const struct flow *flow);

#endif
