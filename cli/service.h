/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a service manager wants to hear, and hands over: sd_notify(3) and sd_listen_fds(3). Used by `matrix
 * cloud`; without a manager nothing is done. The protocol is a datagram of lines, which systemd promises to keep,
 * and its manual shows how to speak it without its library: that brings four more, among them liblzma, into the
 * process that runs guests.
 */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

struct service {
    int fd; /* of a socket; negative: nobody wants to hear */
    struct sockaddr_un address;
    unsigned address_bytes;
    uint64_t watchdog_ns; /* a sign of life is due within that; 0: none is */
    uint64_t next_sign_ns;
    char queue[1024]; /* messages that were not taken yet, each with its NUL */
    size_t queued;
};

/* Reads $NOTIFY_SOCKET and $WATCHDOG_USEC, and takes them out of the environment, which children inherit. */
struct matrix_error *service_start(struct service *service) MATRIX_MUST_CHECK;
void service_stop(struct service *service);

/* Says it, now or when it is taken; never waits. Lines as in sd_notify(3). */
void service_tell(struct service *service, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* To be called now and then: a sign of life, if one is due, and what was not taken. */
void service_tick(struct service *service, uint64_t now_ns);

/* The socket that the manager listens at for us, which is checked to be one; -1: there is none. */
struct matrix_error *service_socket(int *fd) MATRIX_MUST_CHECK;

#endif
