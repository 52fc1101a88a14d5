// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The queue in front of a file descriptor that guests write to. Called by console and core.
 *
 * It is the one thing that guests of different cores, and so of different threads, may share: hence a lock.
 * It is held while text is copied and handed to a descriptor that does not block. What the loop asks
 * after each exit (is something waiting?) is read without it.
 */
#include "vmm/output.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LAST_FLUSH_NS 1000000000ULL

/* How often a full disk is tried again. */
#define FULL_PAUSE_NS 100000000ULL

/* How to write to the descriptor without ever waiting for its reader. */
enum output_way {
    OUTPUT_AT_ONCE, /* it does not block: a file, or a description of our own with O_NONBLOCK */
    OUTPUT_SEND,    /* a socket: MSG_DONTWAIT */
    OUTPUT_POLL,    /* poll first, and then no more than PIPE_BUF, which a pipe then takes */
};

struct matrix_output {
    int fd;       /* the caller's */
    int write_fd; /* what is written to: fd, or our own description of the same file */
    enum output_way way;
    atomic_int failed;    /* errno of the write that failed; everything after is thrown away */
    atomic_bool waiting;  /* something is in the queue, and its reader is waited for */
    bool outlasts;        /* a full disk: see matrix_output_outlast */
    atomic_int lost;      /* errno of the last write that a full disk refused; 0: none */
    pthread_mutex_t lock; /* of what follows */
    unsigned sharers;     /* consoles that print here */
    uint64_t written;     /* bytes in all */
    uint64_t full_ns;     /* until then the disk is not tried again; 0: it is not full */
    size_t start, end;    /* what waits is queue[start, end) */
    char queue[OUTPUT_QUEUE_BYTES];
};

/*
 * O_NONBLOCK on the caller's descriptor would be seen by every process that shares it (the user's
 * shell), so a terminal or pipe is opened once more: flags belong to the open file description.
 */
static void choose_way(struct matrix_output *output)
{
    struct stat status;
    char path[32];
    const int flags = fcntl(output->fd, F_GETFL);
    if (fstat(output->fd, &status) < 0 || S_ISREG(status.st_mode) || flags & O_NONBLOCK) {
        output->way = OUTPUT_AT_ONCE;
        return;
    }
    if (S_ISSOCK(status.st_mode)) {
        output->way = OUTPUT_SEND;
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", output->fd);
    int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    output->way = fd < 0 ? OUTPUT_POLL : OUTPUT_AT_ONCE;
    output->write_fd = fd < 0 ? output->fd : fd;
}

struct matrix_error *matrix_output_create(int fd, struct matrix_output **result)
{
    struct matrix_output *output = malloc(sizeof(*output));
    *result = output;
    if (!output)
        return error_host(ENOMEM, "make an output");
    output->fd = output->write_fd = fd;
    atomic_init(&output->failed, 0);
    atomic_init(&output->waiting, false);
    atomic_init(&output->lost, 0);
    output->outlasts = false;
    output->full_ns = 0;
    pthread_mutex_init(&output->lock, NULL); /* of the default kind: it cannot fail */
    output->sharers = 0;
    output->written = 0;
    output->start = output->end = 0;
    choose_way(output);
    return NULL;
}

void matrix_output_destroy(struct matrix_output *output)
{
    if (!output)
        return;
    const uint64_t limit = clock_now_ns(CLOCK_MONOTONIC) + LAST_FLUSH_NS;
    while (!matrix_output_flush(output) && !output->full_ns &&
           clock_now_ns(CLOCK_MONOTONIC) < limit) {
        struct pollfd ready = {.fd = output->write_fd, .events = POLLOUT};
        poll(&ready, 1, 10);
    }
    if (output->write_fd != output->fd)
        close(output->write_fd);
    pthread_mutex_destroy(&output->lock);
    free(output);
}

int matrix_output_failed(const struct matrix_output *output)
{
    return atomic_load_explicit(&output->failed, memory_order_relaxed);
}

int output_fd(const struct matrix_output *output)
{
    return output->write_fd;
}

void matrix_output_outlast(struct matrix_output *output)
{
    output->outlasts = true;
}

int matrix_output_lost(const struct matrix_output *output)
{
    const int failed = matrix_output_failed(output);
    return failed ? failed : atomic_load_explicit(&output->lost, memory_order_relaxed);
}

bool output_waiting(const struct matrix_output *output)
{
    return atomic_load_explicit(&output->waiting, memory_order_relaxed);
}

static ssize_t write_some(const struct matrix_output *output, const char *text, size_t bytes)
{
    if (output->way == OUTPUT_AT_ONCE)
        return write(output->write_fd, text, bytes);
    if (output->way == OUTPUT_SEND)
        return send(output->write_fd, text, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

    struct pollfd ready = {.fd = output->write_fd, .events = POLLOUT};
    int polled = poll(&ready, 1, 0);
    if (polled == 0 || (polled < 0 && errno == EINTR)) {
        errno = EAGAIN;
        return -1;
    }
    return write(output->write_fd, text, bytes < PIPE_BUF ? bytes : PIPE_BUF);
}

/* The rest of the line stays for when there is room again; until then others are refused. */
static void disk_is_full(struct matrix_output *output, int number)
{
    atomic_store_explicit(&output->lost, number, memory_order_relaxed);
    output->full_ns = clock_now_ns(CLOCK_MONOTONIC) + FULL_PAUSE_NS;
}

/* True: nothing is left. */
static bool write_out(struct matrix_output *output)
{
    while (output->start < output->end) {
        ssize_t written =
            write_some(output, output->queue + output->start, output->end - output->start);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            return false;
        if (written < 0 && output->outlasts && (errno == ENOSPC || errno == EDQUOT)) {
            disk_is_full(output, errno);
            return false;
        }
        if (written < 0) {
            /* EPIPE, a full disk: nobody will read the rest. The core asks and ends the guests. */
            atomic_store_explicit(&output->failed, errno, memory_order_relaxed);
            break;
        }
        output->start += (size_t)written;
        output->written += (uint64_t)written;
    }
    output->start = output->end = 0;
    output->full_ns = 0;
    return true;
}

/* With the lock held, as are those below. */
static bool flush(struct matrix_output *output)
{
    const bool empty = write_out(output);
    /* There is no word of it when a disk has room again: nobody is to poll for that. */
    atomic_store_explicit(&output->waiting, !empty && !output->full_ns, memory_order_relaxed);
    return empty;
}

bool matrix_output_flush(struct matrix_output *output)
{
    pthread_mutex_lock(&output->lock);
    const bool empty = flush(output);
    pthread_mutex_unlock(&output->lock);
    return empty;
}

void output_join(struct matrix_output *output)
{
    pthread_mutex_lock(&output->lock);
    output->sharers++;
    pthread_mutex_unlock(&output->lock);
}

void output_leave(struct matrix_output *output)
{
    pthread_mutex_lock(&output->lock);
    output->sharers--;
    pthread_mutex_unlock(&output->lock);
}

static bool put(struct matrix_output *output, const char *text, size_t bytes)
{
    if (matrix_output_failed(output))
        return true;
    if (output->full_ns && (clock_now_ns(CLOCK_MONOTONIC) < output->full_ns || !flush(output)))
        return false;
    if (bytes > OUTPUT_QUEUE_BYTES - output->end) {
        memmove(output->queue, output->queue + output->start, output->end - output->start);
        output->end -= output->start;
        output->start = 0;
        if (bytes > OUTPUT_QUEUE_BYTES - output->end)
            return false;
    }
    memcpy(output->queue + output->end, text, bytes);
    output->end += bytes;
    flush(output);
    return true;
}

static bool put_by_ticket(struct matrix_output *output, struct output_ticket *ticket,
                          const char *text, size_t bytes)
{
    if (output->sharers > 1) {
        const size_t part = OUTPUT_QUEUE_BYTES / output->sharers;
        if (output->written >= ticket->queued_until)
            ticket->queued = 0;
        /* At least one piece, however many there are. */
        if (ticket->queued && ticket->queued + bytes > part)
            return false;
    }
    if (!put(output, text, bytes))
        return false;
    ticket->queued += bytes;
    ticket->queued_until = output->written + (output->end - output->start);
    return true;
}

bool output_put(struct matrix_output *output, struct output_ticket *ticket, const char *text,
                size_t bytes)
{
    pthread_mutex_lock(&output->lock);
    const bool accepted = put_by_ticket(output, ticket, text, bytes);
    pthread_mutex_unlock(&output->lock);
    return accepted;
}

bool matrix_output_write(struct matrix_output *output, const char *text, size_t bytes)
{
    pthread_mutex_lock(&output->lock);
    const bool accepted = put(output, text, bytes);
    pthread_mutex_unlock(&output->lock);
    return accepted;
}
