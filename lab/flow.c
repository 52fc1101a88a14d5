// SPDX-License-Identifier: GPL-2.0-or-later
/* Buffered bytes between two descriptors, without ever blocking. Used by lab/relay.c. */
#include "lab/flow.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Of a writable pipe it is only sure that it takes this much without blocking: pipe(7). */
#define WRITE_BYTES 4096

/* How many bytes at the end may be the beginning of the mark, and must wait for what follows. */
static size_t flow_held(const struct flow *flow)
{
    if (!flow->mark)
        return 0;
    size_t length = flow->used < FLOW_MARK_LENGTH ? flow->used : FLOW_MARK_LENGTH;
    while (length > 0 && memcmp(flow->bytes + flow->used - length, flow->mark, length) != 0)
        length--;
    return length;
}

static bool flow_has_mark(const struct flow *flow)
{
    return flow->mark && flow->used == FLOW_MARK_LENGTH && flow_held(flow) == FLOW_MARK_LENGTH;
}

size_t flow_sendable(const struct flow *flow)
{
    return flow->used - (flow->closed && !flow_has_mark(flow) ? 0 : flow_held(flow));
}

bool flow_wants_more(const struct flow *flow)
{
    return !flow->closed && flow->from >= 0 && flow->used < sizeof(flow->bytes);
}

void flow_fill(struct flow *flow)
{
    ssize_t got = read(flow->from, flow->bytes + flow->used, sizeof(flow->bytes) - flow->used);
    if (got > 0)
        flow->used += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        flow->closed = true;
}

int flow_drain(struct flow *flow)
{
    size_t length = flow_sendable(flow);
    if (length > WRITE_BYTES)
        length = WRITE_BYTES;
    ssize_t written = write(flow->to, flow->bytes, length);
    if (written < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (written < 0)
        return errno;
    flow->used -= (size_t)written;
    memmove(flow->bytes, flow->bytes + written, flow->used);
    return 0;
}

bool flow_is_done(const struct flow *flow)
{
    return flow_has_mark(flow) || (flow->closed && flow->used == 0);
}
