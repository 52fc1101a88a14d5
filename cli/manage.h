/* SPDX-License-Identifier: GPL-2.0-or-later */
/* matrix-manage, which `matrix start`, `stop`, `restart`, `pause`, `resume`, `set`, `add` and `reload` start: the
 * command line (manage.c), contracts (manage_set.c) and new guests (manage_add.c), the cloud's file (manage_reload.c). */
#ifndef CLI_MANAGE_H
#define CLI_MANAGE_H

#include "control/client.h"
#include <stdbool.h>

/* What the command line says. */
struct manage_options {
    const char *verb;  /* "start", …: the name of the command */
    const char *group; /* set: of a group */
    const char *cloud; /* add: PID or the path of a control socket; NULL: the only one there is */
    bool json, no_wait, check;
    char **arguments; /* what is no option */
    size_t count;
    json_t *guest; /* add: what options say of the guest */
};

/* "matrix start": for messages. */
const char *manage_program(void);

/* Prints what a cloud answered about guests; takes over the array. */
struct matrix_error *manage_print(const struct manage_options *options, json_t *answers);

/* Waits until a guest that was started runs, or has not come to. *answer is replaced by what became of it. */
struct matrix_error *manage_wait(const char *socket, const char *guest, json_t **answer);

/* manage_set.c: weight=50, floor=20%, latency=none, … into members of a request. */
struct matrix_error *manage_read_contract(char **words, size_t count, json_t *members);

struct matrix_error *manage_set(const struct manage_options *options, json_t *answers);

/* manage_add.c */
struct matrix_error *manage_add(const struct manage_options *options, json_t *answers);

/* manage_reload.c: prints what it has changed. */
struct matrix_error *manage_reload(const struct manage_options *options);

/* The control socket of the cloud that is meant. */
struct matrix_error *manage_find_cloud(const struct manage_options *options, char path[PATH_MAX]);

#endif
