/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control sockets that there are, without asking at any of them. Called by client.c, and by those who
 * look again and again and ask only newcomers: matrix-metrics. */
#ifndef CONTROL_SOCKETS_H
#define CONTROL_SOCKETS_H

#include <matrix/error.h>
#include <stddef.h>
#include <sys/types.h>

struct control_socket {
    pid_t pid; /* by its name */
    char *path;
};

/*
 * The sockets of the runtime directory; for root, of every user's. Somebody may listen there, or nobody.
 * only: those of this process; 0: all. To be freed by control_sockets_free.
 */
struct matrix_error *control_sockets_list(pid_t only, struct control_socket **sockets,
                                          size_t *count) MATRIX_MUST_CHECK;

void control_sockets_free(struct control_socket *sockets, size_t count);

#endif
