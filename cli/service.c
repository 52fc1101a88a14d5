// SPDX-License-Identifier: GPL-2.0-or-later
/* The service manager; see service.h. */
#include "cli/service.h"

#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* The first descriptor that is handed over: sd_listen_fds(3). */
#define LISTEN_FD 3

static struct matrix_error *read_number(const char *name, uint64_t least, uint64_t most,
                                        uint64_t *number)
{
    const char *text = getenv(name);
    *number = 0;
    return text ? error_prefix(parse_u64(text, least, most, number), "%s", name) : NULL;
}

/* --- told ---------------------------------------------------------------------------------------- */

/* A path, or behind an @ an abstract name. */
static struct matrix_error *read_address(const char *text, struct service *service)
{
    const size_t length = strlen(text);
    if ((text[0] != '/' && text[0] != '@') || length < 2 ||
        length >= sizeof(service->address.sun_path))
        return error_usage("it is set by the service manager", "NOTIFY_SOCKET: \"%s\"", text);
    service->address.sun_family = AF_UNIX;
    memcpy(service->address.sun_path, text, length);
    if (text[0] == '@')
        service->address.sun_path[0] = '\0';
    service->address_bytes = (unsigned)(offsetof(struct sockaddr_un, sun_path) + length);
    return NULL;
}

struct matrix_error *service_start(struct service *service)
{
    uint64_t watchdog_us, watchdog_pid;
    const char *path = getenv("NOTIFY_SOCKET");
    *service = (struct service){.fd = -1};
    RETURN_IF_ERROR(read_number("WATCHDOG_USEC", 1, UINT64_MAX / 1000, &watchdog_us));
    RETURN_IF_ERROR(read_number("WATCHDOG_PID", 1, INT32_MAX, &watchdog_pid));
    if (!path)
        return NULL;
    RETURN_IF_ERROR(read_address(path, service));
    service->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (service->fd < 0)
        return error_host(errno, "make a socket to the service manager");
    if (!watchdog_pid || (pid_t)watchdog_pid == getpid())
        service->watchdog_ns = watchdog_us * 1000;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return NULL;
}

void service_stop(struct service *service)
{
    if (service->fd >= 0)
        close(service->fd);
    service->fd = -1;
}

/* Hands over what is there, in order, until it is not taken. What nobody will ever take is thrown away. */
static void flush(struct service *service)
{
    while (service->queued) {
        const size_t bytes = strlen(service->queue);
        const ssize_t sent =
            sendto(service->fd, service->queue, bytes, MSG_NOSIGNAL,
                   (const struct sockaddr *)&service->address, service->address_bytes);
        if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOBUFS))
            return;
        service->queued -= bytes + 1;
        memmove(service->queue, service->queue + bytes + 1, service->queued);
    }
}

void service_tell(struct service *service, const char *format, ...)
{
    char message[256];
    va_list arguments;
    if (service->fd < 0)
        return;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    const size_t bytes = strlen(message) + 1;
    flush(service);
    if (service->queued + bytes > sizeof(service->queue))
        return; /* it has not listened for a long time */
    memcpy(service->queue + service->queued, message, bytes);
    service->queued += bytes;
    flush(service);
}

void service_tick(struct service *service, uint64_t now_ns)
{
    if (service->fd < 0)
        return;
    flush(service);
    if (!service->watchdog_ns || now_ns < service->next_sign_ns)
        return;
    /* Twice in that time, as sd_watchdog_enabled(3) asks for. */
    service->next_sign_ns = now_ns + service->watchdog_ns / 2;
    service_tell(service, "WATCHDOG=1");
}

/* --- handed over --------------------------------------------------------------------------------- */

static bool is_listening(int fd)
{
    int domain = 0, type = 0, listens = 0;
    socklen_t size = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
}

struct matrix_error *service_socket(int *fd)
{
    uint64_t pid, count;
    *fd = -1;
    RETURN_IF_ERROR(read_number("LISTEN_PID", 1, INT32_MAX, &pid));
    RETURN_IF_ERROR(read_number("LISTEN_FDS", 0, INT32_MAX, &count));
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if ((pid_t)pid != getpid() || count == 0)
        return NULL;
    if (count > 1 || !is_listening(LISTEN_FD))
        return error_usage("hand over one Unix stream socket that listens: the control socket",
                           "LISTEN_FDS: %llu descriptors, the first of which is %s",
                           (unsigned long long)count,
                           is_listening(LISTEN_FD) ? "right" : "no such socket");
    const int flags = fcntl(LISTEN_FD, F_GETFL);
    if (flags < 0 || fcntl(LISTEN_FD, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(LISTEN_FD, F_SETFD, FD_CLOEXEC) < 0)
        return error_host(errno, "take over the control socket");
    *fd = LISTEN_FD;
    return NULL;
}
