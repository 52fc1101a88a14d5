// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The control socket, served; see server.h. Each call does one thing for one client: takes it in,
 * reads once, answers one request, or goes on writing. A client that does not read its answer is not
 * read from; one that sends no newline is told so and left; where too many are there, the one that
 * was silent longest makes room. Where another core has to be asked, the answer comes later, and the client is not
 * listened to until then.
 */
#include "control/server.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "control/answer.h"
#include "control/directory.h"
#include "control/protocol.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLIENTS_MAX 16

/* At the end: who has asked so lately is answered until it goes, but not for longer than that. */
#define LAST_HEARD_NS   300000000ULL
#define LAST_ANSWERS_NS 1000000000ULL

/* Answers under way, of clients that have left included. */
#define REPLIES_MAX 64

/* A request that is being answered. It outlives its client, who may leave meanwhile. */
struct reply {
    struct control_server *server;
    struct client *client; /* NULL: it has left */
    char *line;
    int fd;
    bool is_ready;
};

struct client {
    struct control_server *server;
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

struct control_server {
    struct control_guests guests;
    unsigned replies; /* that are still to come */
    const struct control_commands *more;
    struct control_commands last; /* of those: what is answered when the run is over */
    int fd;                       /* our own; -1: none */
    int adopted_fd;               /* one that somebody else has made; -1: none */
    int spare_fd; /* closed for a client when there are no more descriptors; -1: it is */
    bool is_bound;
    char path[PATH_MAX];
    struct client *clients[CLIENTS_MAX];
    unsigned client_count;
};

static void drop(struct client *client)
{
    struct control_server *server = client->server;
    for (unsigned i = 0; i < server->client_count; i++)
        if (server->clients[i] == client)
            server->clients[i] = server->clients[--server->client_count];
    if (client->reply)
        client->reply->client = NULL;
    matrix_core_unwatch(server->guests.core, client->fd);
    close(client->fd);
    free(client->answer);
    free(client);
    if (server->spare_fd < 0)
        server->spare_fd = fcntl(server->fd, F_DUPFD_CLOEXEC, 0);
}

/* --- a client -------------------------------------------------------------------------------- */

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
    reply->server->replies--;
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
    struct control_server *server = client->server;
    struct reply *reply = calloc(1, sizeof(*reply));
    if (server->replies >= REPLIES_MAX || !reply) {
        free(reply);
        return answer(client,
                      control_answer_error("failed", "too many ask for too much: try again"), -1);
    }
    *reply = (struct reply){.server = server, .client = client};
    server->replies++;
    control_answer(&server->guests, server->more, client->request, bytes, take_reply, reply);
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
    struct matrix_core *core = client->server->guests.core;
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

/* --- the socket ------------------------------------------------------------------------------ */

static bool is_welcome(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == geteuid() || peer.uid == 0);
}

static void drop_oldest(struct control_server *server)
{
    struct client *oldest = server->clients[0];
    for (unsigned i = 1; i < server->client_count; i++)
        if (server->clients[i]->heard_ns < oldest->heard_ns)
            oldest = server->clients[i];
    drop(oldest);
}

/* Guests may have used up all descriptors, and their owner wants to stop one: there is always one left. */
static int accept_client(struct control_server *server, int listener)
{
    const int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0 || (errno != EMFILE && errno != ENFILE))
        return fd;
    if (server->spare_fd < 0 && server->client_count)
        drop_oldest(server);
    if (server->spare_fd < 0)
        return -1;
    close(server->spare_fd);
    server->spare_fd = -1;
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void take_in(struct matrix_core *core, int listener, void *context)
{
    struct control_server *server = context;
    const int fd = accept_client(server, listener);
    if (fd < 0)
        return;
    struct client *client = is_welcome(fd) ? malloc(sizeof(*client)) : NULL;
    if (!client) {
        close(fd);
        return;
    }
    if (server->client_count == CLIENTS_MAX)
        drop_oldest(server);
    *client =
        (struct client){.server = server, .fd = fd, .heard_ns = clock_now_ns(CLOCK_MONOTONIC)};
    server->clients[server->client_count++] = client;
    /* Mostly the request is there already. */
    serve(core, client->fd, client);
}

/* Binds to name; what a process has left behind there is removed. */
static struct matrix_error *bind_to(struct control_server *server, int directory, const char *name)
{
    struct sockaddr_un address;
    if (!control_directory_address(directory, name, &address))
        return error_host(ENAMETOOLONG, "make the control socket %s", server->path);
    for (int tries = 0; tries < 2; tries++) {
        server->is_bound =
            bind(server->fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
        if (server->is_bound)
            return NULL;
        if (errno != EADDRINUSE || !control_directory_is_left_over(directory, name))
            break;
        unlinkat(directory, name, 0);
    }
    return error_new(MATRIX_ERROR_HOST, errno, NULL, "make the control socket %s", server->path);
}

static struct matrix_error *open_directory(struct control_server *server, const char *path,
                                           int *directory)
{
    char parent[PATH_MAX];
    if (!path) {
        RETURN_IF_ERROR(control_directory_path(parent));
        RETURN_IF_ERROR(control_directory_make(parent, directory));
        control_directory_clean(*directory);
        if (snprintf(server->path, PATH_MAX, "%s/%d.sock", parent, getpid()) < PATH_MAX)
            return NULL;
        return error_host(ENAMETOOLONG, "make a control socket in %s", parent);
    }
    if (snprintf(server->path, PATH_MAX, "%s", path) >= PATH_MAX)
        return error_host(ENAMETOOLONG, "make the control socket %s", path);
    memcpy(parent, server->path, PATH_MAX);
    *directory = open(dirname(parent), O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*directory < 0)
        return error_host(errno, "make the control socket %s", path);
    return NULL;
}

static struct matrix_error *start(struct control_server *server, const char *path)
{
    CLEANUP_CLOSE int directory = -1;
    RETURN_IF_ERROR(open_directory(server, path, &directory));
    server->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Before it has a name: the file gets this mode, and is never there with another (unix_bind). */
    if (server->fd < 0 || fchmod(server->fd, 0600) < 0)
        return error_host(errno, "make the control socket %s", server->path);
    const char *slash = strrchr(server->path, '/');
    RETURN_IF_ERROR(bind_to(server, directory, slash ? slash + 1 : server->path));
    if (listen(server->fd, CLIENTS_MAX) < 0)
        return error_host(errno, "listen at the control socket %s", server->path);
    server->spare_fd = fcntl(server->fd, F_DUPFD_CLOEXEC, 0);
    return matrix_core_watch(server->guests.core, server->fd, POLLIN, take_in, server);
}

static struct matrix_error *create(const struct control_guests *guests,
                                   struct control_server **server)
{
    *server = calloc(1, sizeof(**server));
    if (!*server)
        return error_host(ENOMEM, "make a control socket");
    (*server)->guests = *guests;
    (*server)->fd = (*server)->adopted_fd = (*server)->spare_fd = -1;
    return NULL;
}

struct matrix_error *control_server_adopt(const struct control_guests *guests, int fd,
                                          struct control_server **server)
{
    if (!*server)
        RETURN_IF_ERROR(create(guests, server));
    (*server)->adopted_fd = fd;
    if ((*server)->spare_fd < 0)
        (*server)->spare_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    return matrix_core_watch(guests->core, fd, POLLIN, take_in, *server);
}

struct matrix_error *control_server_start(const struct control_guests *guests, const char *path,
                                          struct control_server **server)
{
    struct control_server *started;
    RETURN_IF_ERROR(create(guests, &started));
    struct matrix_error *error = start(started, path);
    if (error)
        control_server_stop(started);
    else
        *server = started;
    return error;
}

void control_server_extend(struct control_server *server, const struct control_commands *more)
{
    server->more = more;
}

/* Waits for one of those that were heard lately, and serves it; false: there are none. */
static bool answer_last(struct control_server *server)
{
    struct pollfd fds[CLIENTS_MAX];
    nfds_t count = 0;
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < server->client_count; i++)
        if (now - server->clients[i]->heard_ns < LAST_HEARD_NS)
            fds[count++] = (struct pollfd){.fd = server->clients[i]->fd,
                                           .events = events_of(server->clients[i])};
    if (count == 0 || poll(fds, count, 10) < 0)
        return false;
    for (nfds_t i = 0; i < count; i++)
        for (unsigned j = 0; fds[i].revents && j < server->client_count; j++)
            if (server->clients[j]->fd == fds[i].fd) {
                serve(server->guests.core, fds[i].fd, server->clients[j]);
                break;
            }
    return true;
}

static struct matrix_error *is_over(void)
{
    return error_host(ESRCH, "the run is over");
}

static struct matrix_error *look_at_none(const struct control_guests *guests, struct matrix_vm *vm,
                                         struct control_visit *visit)
{
    return is_over();
}

static struct matrix_error *visit_none(const struct control_guests *guests, unsigned core,
                                       struct control_visit *visit)
{
    return is_over();
}

/* Nothing can be changed any more, and no core be asked. */
static void leave_last_commands(struct control_server *server)
{
    const struct control_commands *more = server->more;
    server->guests.look = look_at_none;
    server->guests.visit = visit_none;
    server->last = (struct control_commands){.context = more ? more->context : NULL};
    for (size_t i = 0; more && i < more->count && !server->last.count; i++)
        if (more->table[i].is_last) {
            server->last.table = &more->table[i];
            server->last.count = 1;
        }
    server->more = &server->last;
}

/* Who asks again and again hears the end, too: the last that a guest printed, and what became of it. */
static void answer_until_they_go(struct control_server *server)
{
    const uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + LAST_ANSWERS_NS;
    while (answer_last(server) && clock_now_ns(CLOCK_MONOTONIC) < until_ns)
        ;
}

void control_server_stop(struct control_server *server)
{
    if (!server)
        return;
    leave_last_commands(server);
    answer_until_they_go(server);
    while (server->client_count)
        drop(server->clients[0]);
    if (server->spare_fd >= 0)
        close(server->spare_fd);
    if (server->adopted_fd >= 0) {
        matrix_core_unwatch(server->guests.core, server->adopted_fd);
        close(server->adopted_fd);
    }
    if (server->fd >= 0) {
        matrix_core_unwatch(server->guests.core, server->fd);
        close(server->fd);
        if (server->is_bound)
            unlink(server->path);
    }
    free(server);
}
