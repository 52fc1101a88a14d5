/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where control sockets are: the runtime directory, and the names of sockets in it, PID.sock. Called
 * by the server and by its clients.
 */
#ifndef CONTROL_DIRECTORY_H
#define CONTROL_DIRECTORY_H

#include <limits.h>
#include <matrix/error.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

/*
 * The path of this user's: $MATRIX_RUNTIME_DIR; /run/matrix for root; $XDG_RUNTIME_DIR/matrix; else
 * /tmp/matrix-UID.
 */
struct matrix_error *control_directory_path(char path[PATH_MAX]) MATRIX_MUST_CHECK;

/* Makes it, for this user alone, if it is not there; opens it. It is refused if it is another
 * user's, or if others may write to it. */
struct matrix_error *control_directory_make(const char *path, int *directory) MATRIX_MUST_CHECK;

/* The pid in the name of a socket, "12.sock"; 0: it is the name of something else. */
pid_t control_directory_pid(const char *name);

/* Whether name is a socket at which nobody listens any more. */
bool control_directory_is_left_over(int directory, const char *name);

/* Removes sockets whose processes have ended without doing so; some at each call. */
void control_directory_clean(int directory);

/* The address of a socket in an open directory: its path may be long, and nobody can exchange a
 * directory on the way. False: the name itself is too long. */
bool control_directory_address(int directory, const char *name, struct sockaddr_un *address);

#endif
