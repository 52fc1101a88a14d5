// SPDX-License-Identifier: GPL-2.0-or-later
/* A connection to somebody who runs guests; see talk.h. */
#include "control/talk.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "control/client.h"
#include "control/directory.h"
#include "control/protocol.h"
#include "control/reply.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

struct talk {
    int fd;
    uint64_t patience_ns;
    uint64_t deadline_ns; /* of the request at work */
    int *wanted; /* where a descriptor goes that comes with the answer; NULL: it is closed */
    char path[PATH_MAX];
    char line[CONTROL_ANSWER_MAX];
};

static struct matrix_error *fail(const struct talk *talk, int number)
{
    return error_host(number, "ask at the control socket %s", talk->path);
}

static struct matrix_error *wait_for(const struct talk *talk, short events)
{
    struct pollfd fd = {.fd = talk->fd, .events = events};
    for (;;) {
        const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
        if (now >= talk->deadline_ns)
            return fail(talk, ETIMEDOUT);
        const int ready = poll(&fd, 1, (int)((talk->deadline_ns - now) / 1000000) + 1);
        if (ready > 0)
            return NULL;
        if (ready < 0 && errno != EINTR)
            return fail(talk, errno);
    }
}

/* Who listens there must be who owns the file, and (unless pid is 0) have that pid; *pid: who. */
static struct matrix_error *check_peer(const struct talk *talk, uid_t owner, pid_t *pid)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    if (getsockopt(talk->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        return fail(talk, errno);
    if (peer.uid != owner || peer.pid <= 0 || (*pid && peer.pid != *pid))
        return error_host(EPERM, "ask at the control socket %s: another process listens there",
                          talk->path);
    *pid = peer.pid;
    return NULL;
}

static struct matrix_error *connect_to(const struct talk *talk, pid_t *pid)
{
    struct sockaddr_un address;
    struct stat status;
    char parent[PATH_MAX];
    const char *slash = strrchr(talk->path, '/');
    const char *name = slash ? slash + 1 : talk->path;
    snprintf(parent, sizeof(parent), "%.*s", slash ? (int)(slash + 1 - talk->path) : 1,
             slash ? talk->path : ".");
    CLEANUP_CLOSE int directory = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0 || fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return fail(talk, errno);
    if (!S_ISSOCK(status.st_mode))
        return fail(talk, ENOTSOCK);
    if (!control_directory_address(directory, name, &address))
        return fail(talk, ENAMETOOLONG);
    /* Where too many wait already (EAGAIN), it is the other's turn to answer one of them. */
    while (connect(talk->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        const int number = errno;
        if (number != EAGAIN && number != EINTR)
            return fail(talk, number);
        if (clock_now_ns(CLOCK_MONOTONIC) >= talk->deadline_ns)
            return fail(talk, ETIMEDOUT);
        usleep(1000);
    }
    return check_peer(talk, status.st_uid, pid);
}

static struct matrix_error *send_line(const struct talk *talk, const char *line, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t sent = send(talk->fd, line + done, bytes - done, MSG_NOSIGNAL);
        if (sent >= 0)
            done += (size_t)sent;
        else if (errno == EAGAIN)
            RETURN_IF_ERROR(wait_for(talk, POLLOUT));
        else if (errno != EINTR)
            return fail(talk, errno);
    }
    return NULL;
}

/* Keeps the first descriptor that has come if one is wanted, and closes all others. */
static void sort_descriptors(struct msghdr *message, int *wanted)
{
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
            if (wanted && *wanted < 0)
                *wanted = fd;
            else
                close(fd);
        }
    }
}

/* Of descriptors that do not fit the kernel closes the rest (unix(7)). */
static ssize_t receive_some(const struct talk *talk, char *line, size_t size)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {line, size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    const ssize_t got = recvmsg(talk->fd, &message, MSG_CMSG_CLOEXEC);
    if (got >= 0)
        sort_descriptors(&message, talk->wanted);
    return got;
}

static struct matrix_error *receive_line(struct talk *talk, size_t *bytes)
{
    char *line = talk->line;
    for (size_t done = 0; done < CONTROL_ANSWER_MAX;) {
        RETURN_IF_ERROR(wait_for(talk, POLLIN));
        const ssize_t got = receive_some(talk, line + done, CONTROL_ANSWER_MAX - done);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (got <= 0)
            return fail(talk, got < 0 ? errno : ECONNRESET);
        const char *end = memchr(line + done, '\n', (size_t)got);
        done += (size_t)got;
        *bytes = end ? (size_t)(end - line) : 0;
        if (end)
            return NULL;
    }
    return fail(talk, EMSGSIZE);
}

static void begin(struct talk *talk)
{
    talk->deadline_ns = clock_now_ns(CLOCK_MONOTONIC) + talk->patience_ns;
}

static struct matrix_error *set_up(struct talk *talk, const char *path, pid_t *pid)
{
    snprintf(talk->path, sizeof(talk->path), "%s", path);
    talk->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (talk->fd < 0)
        return fail(talk, errno);
    begin(talk);
    return connect_to(talk, pid);
}

struct matrix_error *talk_open(const char *path, pid_t *pid, uint64_t patience_ns,
                               struct talk **talk)
{
    struct talk *opened = malloc(sizeof(*opened));
    if (!opened)
        return error_host(ENOMEM, "ask at the control socket %s", path);
    opened->fd = -1;
    opened->patience_ns = patience_ns;
    struct matrix_error *error = set_up(opened, path, pid);
    if (error)
        talk_close(opened);
    else
        *talk = opened;
    return error;
}

void talk_close(struct talk *talk)
{
    if (!talk)
        return;
    if (talk->fd >= 0)
        close(talk->fd);
    free(talk);
}

struct matrix_error *talk_ask(struct talk *talk, const json_t *request, json_t **answer,
                              int *wanted)
{
    CLEANUP_FREE char *text = request ? json_dumps(request, JSON_COMPACT) : NULL;
    size_t bytes = text ? strlen(text) : 0;
    if (!text)
        return fail(talk, ENOMEM);
    begin(talk);
    talk->wanted = wanted;
    text[bytes] = '\n'; /* in the place of the end */
    RETURN_IF_ERROR(send_line(talk, text, bytes + 1));
    RETURN_IF_ERROR(receive_line(talk, &bytes));
    struct matrix_error *error = reply_parse(talk->line, bytes, answer);
    /* A refusal speaks for itself. */
    return error && error->number ? error_prefix(error, "%s", talk->path) : error;
}
