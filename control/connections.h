/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Those who have come to a control socket: each is read from and answered in turn, in the thread of the first
 * core, which watches their descriptors.
 */
#ifndef CONTROL_CONNECTIONS_H
#define CONTROL_CONNECTIONS_H

#include "control/guests.h"

#define CONTROL_CLIENTS_MAX 16

struct control_commands;
struct client;

struct control_connections {
    struct control_guests guests;
    const struct control_commands *more; /* than every process has; NULL: none */
    unsigned replies; /* that are still to come, to clients that have left included */
    struct client *clients[CONTROL_CLIENTS_MAX];
    unsigned client_count;
    int listener; /* where somebody came last */
    int spare_fd; /* closed for a client when there are no more descriptors; -1: it is */
};

/* Takes in who comes to a listening socket, while the core runs; the socket stays the caller's. */
struct matrix_error *control_connections_accept_at(struct control_connections *connections,
                                                   int listener) MATRIX_MUST_CHECK;

/* When the core runs no more: answers those who ask again and again until they go, for a second at most; then
 * hangs up on everybody. */
void control_connections_end(struct control_connections *connections);

#endif
