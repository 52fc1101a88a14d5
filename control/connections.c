// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The clients of a control socket; see connections.h. Each call does one thing for one client: reads once,
 * answers one request, or goes on writing. A client that does not read its answer is not read from; one
 * that sends no newline is told so and left. Where another core has to be asked, the answer comes later,
 * and the client is not listened to until then.
 */
#include "control/connections.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "control/answer.h"
#include "control/protocol.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* At the end: who has asked so lately is answered until it goes, but not for longer than that. */
#define LAST_HEARD_NS   300000000ULL
#define LAST_ANSWERS_NS 1000000000ULL

/* Answers under way, of clients that have left included. */
#define REPLIES_MAX 64

/* A request that is being answered. It outlives its client, who may leave meanwhile. */
struct reply {
    struct control_connections *connections;
    struct client *client; /* NULL: it has left */
    char *line;
    int fd;
    bool is_ready;
};

struct client {
    struct control_connections *connections;
    struct reply *reply; /* NULL: none; else it is not listened to */
    int fd;
    uint64_t heard_ns; /* when it last sent something, CLOCK_MONOTONIC */
    bool leaves;       /* once its answer is written */
    size_t request_bytes;
    char *answer; /* being written; NULL: none */
    size_t answer_done, answer_bytes;
    int answer_fd; /* goes with its first bytes, and is the core's; -1: none */
    char request[CONTROL_REQUEST_MAX + 1]; /* with the newline, and what follows it */
};

static void keep_spare(struct control_connections *connections)
{
    if (connections->spare_fd < 0)
        connections->spare_fd = fcntl(connections->listener, F_DUPFD_CLOEXEC, 0);
}

static void drop(struct client *client)
{
    struct control_connections *connections = client->connections;
    for (unsigned i = 0; i < connections->client_count; i++)
        if (connections->clients[i] == client)
            connections->clients[i] = connections->clients[--connections->client_count];
    if (client->reply)
        client->reply->client = NULL;
    matrix_core_unwatch(connections->guests.core, client->fd);
    close(client->fd);
    free(client->answer);
    free(client);
    keep_spare(connections);
}

static ssize_t send_part(const struct client *client)
{
    struct iovec part = {client->answer + client->answer_done,
                         client->answer_bytes - client->answer_done};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
                            .cmsg_level = SOL_SOCKET,
                            .cmsg_type = SCM_RIGHTS}};
    if (client->answer_fd >= 0) {
        memcpy(CMSG_DATA(&control.header), &client->answer_fd, sizeof(int));
        message.msg_control = &control;
        message.msg_controllen = sizeof(control);
    }
    return sendmsg(client->fd, &message, MSG_NOSIGNAL);
}

/* Writes what it takes at once; false: it is gone, or has too many descriptors waiting. */
static bool write_some(struct client *client)
{
    const ssize_t bytes = send_part(client);
    if (bytes < 0)
        return errno == EAGAIN || errno == EINTR;
    client->answer_fd = -1;
    client->answer_done += (size_t)bytes;
    if (client->answer_done == client->answer_bytes) {
        free(TAKE(client->answer));
        return !client->leaves;
    }
    return true;
}

static bool answer(struct client *client, char *line, int fd)
{
    if (!line)
        return false;
    client->answer = line;
    client->answer_fd = fd;
    client->answer_bytes = strlen(line);
    client->answer_done = 0;
    return write_some(client);
}

static bool read_some(struct client *client)
{
    const ssize_t bytes = recv(client->fd, client->request + client->request_bytes,
                               sizeof(client->request) - client->request_bytes, 0);
    if (bytes < 0)
        return errno == EAGAIN || errno == EINTR;
    client->request_bytes += (size_t)bytes;
    client->heard_ns = clock_now_ns(CLOCK_MONOTONIC);
    return bytes > 0;
}

static bool watch(struct client *client);

/* What has come is written; by whom it was asked for is listened to again. */
static void deliver(struct reply *reply)
{
    struct client *client = reply->client;
    client->reply = NULL;
    if (!answer(client, reply->line, reply->fd) || !watch(client))
        drop(client);
    free(reply);
}

static void take_reply(void *context, char *line, int fd)
{
    struct reply *reply = context;
    reply->connections->replies--;
    reply->line = line;
    reply->fd = fd;
    reply->is_ready = true;
    if (!reply->client) {
        free(line);
        free(reply);
    } else if (reply->client->reply) {
        deliver(reply);
    }
}

/* Has one request answered: false: it is to leave. */
static bool have_answered(struct client *client, size_t bytes)
{
    struct control_connections *connections = client->connections;
    struct reply *reply = calloc(1, sizeof(*reply));
    if (connections->replies >= REPLIES_MAX || !reply) {
        free(reply);
        return answer(client,
                      control_answer_error("failed", "too many ask for too much: try again"), -1);
    }
    *reply = (struct reply){.connections = connections, .client = client};
    connections->replies++;
    control_answer(&connections->guests, connections->more, client->request, bytes, take_reply,
                   reply);
    if (!reply->is_ready) {
        client->reply = reply;
        return true;
    }
    const bool stays = answer(client, reply->line, reply->fd);
    free(reply);
    return stays;
}

/* Answers the first request that is there whole. */
static bool answer_next(struct client *client)
{
    const char *end = memchr(client->request, '\n', client->request_bytes);
    if (!end && client->request_bytes == sizeof(client->request)) {
        client->leaves = true;
        return answer(client, control_answer_error("too_long", "a request of more than 4096 bytes"),
                      -1);
    }
    if (!end)
        return true;
    const size_t bytes = (size_t)(end - client->request);
    const bool stays = have_answered(client, bytes);
    client->request_bytes -= bytes + 1;
    memmove(client->request, end + 1, client->request_bytes);
    return stays;
}

/* What is to be waited for next. With a whole request left to answer: one's turn. */
static short events_of(const struct client *client)
{
    return client->answer || memchr(client->request, '\n', client->request_bytes) ? POLLOUT
                                                                                  : POLLIN;
}

static void serve(struct matrix_core *core, int fd, void *context)
{
    struct client *client = context;
    bool stays;
    if (client->answer)
        stays = write_some(client);
    else if (memchr(client->request, '\n', client->request_bytes))
        stays = answer_next(client);
    else
        stays = read_some(client) && answer_next(client);
    if (!stays || !watch(client))
        drop(client);
}

static bool watch(struct client *client)
{
    struct matrix_core *core = client->connections->guests.core;
    /* That it has left meanwhile is noticed when its answer is written. */
    if (client->reply) {
        matrix_core_unwatch(core, client->fd);
        return true;
    }
    struct matrix_error *error =
        matrix_core_watch(core, client->fd, events_of(client), serve, client);
    matrix_error_free(error);
    return !error;
}

/* --- all of them ------------------------------------------------------------------------------ */

static void drop_oldest(struct control_connections *connections)
{
    struct client *oldest = connections->clients[0];
    for (unsigned i = 1; i < connections->client_count; i++)
        if (connections->clients[i]->heard_ns < oldest->heard_ns)
            oldest = connections->clients[i];
    drop(oldest);
}

static bool is_welcome(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

/* Guests may have used up all descriptors, and their owner wants to stop one: there is always one left. */
static int accept_client(struct control_connections *connections, int listener)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
        return fd;
    if (connections->spare_fd < 0 && connections->client_count)
        drop_oldest(connections);
    if (connections->spare_fd < 0)
        return -1;
    close(connections->spare_fd);
    connections->spare_fd = -1;
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* Where too many are there, the one that was silent longest makes room. */
static void take_in(struct matrix_core *core, int listener, void *context)
{
    struct control_connections *connections = context;
    const int fd = accept_client(connections, listener);
    if (fd < 0)
        return;
    struct client *client = is_welcome(fd) ? malloc(sizeof(*client)) : NULL;
    if (!client) {
        close(fd);
        return;
    }
    if (connections->client_count == CONTROL_CLIENTS_MAX)
        drop_oldest(connections);
    *client = (struct client){
        .connections = connections, .fd = fd, .heard_ns = clock_now_ns(CLOCK_MONOTONIC)};
    connections->clients[connections->client_count++] = client;
    /* Mostly the request is there already. */
    serve(core, client->fd, client);
}

struct matrix_error *control_connections_accept_at(struct control_connections *connections,
                                                   int listener)
{
    connections->listener = listener;
    keep_spare(connections);
    return matrix_core_watch(connections->guests.core, listener, POLLIN, take_in, connections);
}

/* Waits for one of those that were heard lately, and serves it; false: there are none. */
static bool answer_last(struct control_connections *connections)
{
    struct pollfd fds[CONTROL_CLIENTS_MAX];
    nfds_t count = 0;
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < connections->client_count; i++)
        if (now - connections->clients[i]->heard_ns < LAST_HEARD_NS)
            fds[count++] = (struct pollfd){.fd = connections->clients[i]->fd,
                                           .events = events_of(connections->clients[i])};
    if (count == 0 || poll(fds, count, 10) < 0)
        return false;
    for (nfds_t i = 0; i < count; i++)
        for (unsigned j = 0; fds[i].revents && j < connections->client_count; j++)
            if (connections->clients[j]->fd == fds[i].fd) {
                serve(connections->guests.core, fds[i].fd, connections->clients[j]);
                break;
            }
    return true;
}

void control_connections_end(struct control_connections *connections)
{
    const uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + LAST_ANSWERS_NS;
    while (answer_last(connections) && clock_now_ns(CLOCK_MONOTONIC) < until_ns)
        ;
    while (connections->client_count)
        drop(connections->clients[0]);
    if (connections->spare_fd >= 0)
        close(connections->spare_fd);
}
