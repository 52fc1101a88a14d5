// SPDX-License-Identifier: GPL-2.0-or-later
/* The queue in front of a file descriptor that guests write to. Called by console and core. */
#include "vmm/output.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAST_FLUSH_NS 1000000000ULL

struct matrix_output {
    int fd;
    int failed;        /* errno of the write that failed; everything after is thrown away */
    size_t start, end; /* what waits is queue[start, end) */
    char queue[OUTPUT_QUEUE_BYTES];
};

struct matrix_error *matrix_output_create(int fd, struct matrix_output **result)
{
    struct matrix_output *output = malloc(sizeof(*output));
    *result = output;
    if (!output)
        return error_host(ENOMEM, "make an output");
    output->fd = fd;
    output->failed = 0;
    output->start = output->end = 0;
    return NULL;
}

void matrix_output_destroy(struct matrix_output *output)
{
    if (!output)
        return;
    const uint64_t limit = clock_now_ns(CLOCK_MONOTONIC) + LAST_FLUSH_NS;
    while (!output_flush(output) && clock_now_ns(CLOCK_MONOTONIC) < limit) {
        struct pollfd ready = {.fd = output->fd, .events = POLLOUT};
        poll(&ready, 1, 10);
    }
    free(output);
}

int matrix_output_failed(const struct matrix_output *output)
{
    return output->failed;
}

int output_fd(const struct matrix_output *output)
{
    return output->fd;
}

bool output_waiting(const struct matrix_output *output)
{
    return output->start < output->end;
}

/*
 * Writes without blocking although the descriptor may be a blocking one: O_NONBLOCK would be
 * seen by every process that shares it (the user's shell). A pipe that polls writable takes
 * PIPE_BUF bytes at once; files always poll writable.
 */
static ssize_t write_some(int fd, const char *text, size_t bytes)
{
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    int polled = poll(&ready, 1, 0);
    if (polled == 0 || (polled < 0 && errno == EINTR)) {
        errno = EAGAIN;
        return -1;
    }
    return write(fd, text, bytes < PIPE_BUF ? bytes : PIPE_BUF);
}

bool output_flush(struct matrix_output *output)
{
    while (output->start < output->end) {
        ssize_t written =
            write_some(output->fd, output->queue + output->start, output->end - output->start);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            return false;
        if (written < 0) {
            /* EPIPE, a full disk: nobody will read the rest. The core asks and ends the guests. */
            output->failed = errno;
            break;
        }
        output->start += (size_t)written;
    }
    output->start = output->end = 0;
    return true;
}

bool output_put(struct matrix_output *output, const char *text, size_t bytes)
{
    if (output->failed)
        return true;
    if (bytes > OUTPUT_QUEUE_BYTES - output->end) {
        memmove(output->queue, output->queue + output->start, output->end - output->start);
        output->end -= output->start;
        output->start = 0;
        if (bytes > OUTPUT_QUEUE_BYTES - output->end)
            return false;
    }
    memcpy(output->queue + output->end, text, bytes);
    output->end += bytes;
    output_flush(output);
    return true;
}
