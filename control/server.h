/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The control socket of a process that runs guests: `matrix run` and `matrix cloud`. Everything is
 * done in the first core's own thread while it runs (matrix_core_watch): no lock, and nothing that
 * waits; what other cores are asked for is answered later. Who asks must be this user, or root; see docs/control.md.
 */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include "control/guests.h"

struct control_server;

/*
 * Makes the socket, to be served while the guests' core runs. path: where; NULL: PID.sock in the runtime
 * directory. guests is copied; its owner outlives the server.
 */
struct matrix_error *control_server_start(const struct control_guests *guests, const char *path,
                                          struct control_server **server) MATRIX_MUST_CHECK;

/*
 * Serves at a socket as well that listens already, and is not removed at the end: fd is the server's from now
 * on. *server NULL: one is made that has no other.
 */
struct matrix_error *control_server_adopt(const struct control_guests *guests, int fd,
                                          struct control_server **server) MATRIX_MUST_CHECK;

struct control_commands;

/* More commands than every process has; they stay the caller's, and stay. */
void control_server_extend(struct control_server *server, const struct control_commands *more);

/*
 * Answers those who ask again and again until they go, for a second at most; then removes the socket, and hangs
 * up on everybody. NULL is allowed.
 */
void control_server_stop(struct control_server *server);

#endif
