// SPDX-License-Identifier: GPL-2.0-or-later
/* The control socket: made, found, and removed; see server.h. Who comes there: connections.h. */
#include "control/server.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "control/answer.h"
#include "control/connections.h"
#include "control/directory.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

struct control_server {
    struct control_connections connections;
    struct control_commands last; /* what is answered when the run is over */
    int fd;                       /* our own; -1: none */
    int adopted_fd;               /* one that somebody else has made; -1: none */
    bool is_bound;
    char path[PATH_MAX];
};

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
    if (listen(server->fd, CONTROL_CLIENTS_MAX) < 0)
        return error_host(errno, "listen at the control socket %s", server->path);
    return control_connections_accept_at(&server->connections, server->fd);
}

static struct matrix_error *create(const struct control_guests *guests,
                                   struct control_server **server)
{
    *server = calloc(1, sizeof(**server));
    if (!*server)
        return error_host(ENOMEM, "make a control socket");
    (*server)->connections = (struct control_connections){.guests = *guests, .spare_fd = -1};
    (*server)->fd = (*server)->adopted_fd = -1;
    return NULL;
}

struct matrix_error *control_server_adopt(const struct control_guests *guests, int fd,
                                          struct control_server **server)
{
    if (!*server)
        RETURN_IF_ERROR(create(guests, server));
    (*server)->adopted_fd = fd;
    return control_connections_accept_at(&(*server)->connections, fd);
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
    server->connections.more = more;
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
    const struct control_commands *more = server->connections.more;
    server->connections.guests.look = look_at_none;
    server->connections.guests.visit = visit_none;
    server->last = (struct control_commands){.context = more ? more->context : NULL};
    for (size_t i = 0; more && i < more->count && !server->last.count; i++)
        if (more->table[i].is_last) {
            server->last.table = &more->table[i];
            server->last.count = 1;
        }
    server->connections.more = &server->last;
}

void control_server_stop(struct control_server *server)
{
    if (!server)
        return;
    leave_last_commands(server);
    control_connections_end(&server->connections);
    if (server->adopted_fd >= 0) {
        matrix_core_unwatch(server->connections.guests.core, server->adopted_fd);
        close(server->adopted_fd);
    }
    if (server->fd >= 0) {
        matrix_core_unwatch(server->connections.guests.core, server->fd);
        close(server->fd);
        if (server->is_bound)
            unlink(server->path);
    }
    free(server);
}
