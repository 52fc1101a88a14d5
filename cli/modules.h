/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Matrix's kernel modules: where their files are, which fit this kernel, and which are loaded. */
#ifndef CLI_MODULES_H
#define CLI_MODULES_H

#include <libkmod.h>
#include <limits.h>
#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define MODULES_DEFAULT "matrix_lens"

#define RELEASE_BYTES 80

/* A module of Matrix; the table of all of them ends with a name that is NULL. */
struct module_kind {
    const char *name, *purpose;
};
extern const struct module_kind module_kinds[];

struct module_state {
    bool loaded;
    unsigned users;                /* if it is loaded */
    char file[PATH_MAX];           /* empty: none was found, for any kernel */
    char built_for[RELEASE_BYTES]; /* the kernel of that file */
    bool fits;                     /* that is this kernel */
};

/* A module's name, with '-' and '_' being the same, as modprobe has it; NULL: none of Matrix's. */
const struct module_kind *modules_find_kind(const char *name);

/* The release of the running kernel, uname -r. */
const char *modules_kernel(void);

/* Whether this kernel can load modules at all. */
bool modules_supported(void);

/* Looks for the file of a module: of a build tree, then of those that are installed. */
void modules_look(struct kmod_ctx *context, const char *name, struct module_state *state);

/* A libkmod that says nothing by itself. */
struct matrix_error *modules_open(struct kmod_ctx **context) MATRIX_MUST_CHECK;

/* --- modules_explain.c: why a module could not be loaded or unloaded -------------------------- */

/* number: what libkmod returned, positive. */
struct matrix_error *modules_explain_load(const char *name, const struct module_state *state,
                                          int number) MATRIX_MUST_CHECK;
struct matrix_error *modules_explain_unload(const char *name, int number) MATRIX_MUST_CHECK;
struct matrix_error *modules_explain_missing(const char *name,
                                             const struct module_state *state) MATRIX_MUST_CHECK;
struct matrix_error *modules_explain_unsupported(const char *action,
                                                 const char *name) MATRIX_MUST_CHECK;

/* Lines that a module wrote to the kernel's log since the log was opened. */
struct module_log {
    int fd; /* -1: may not be read */
};
void modules_log_open(struct module_log *log);
/* Calls line for each line of the module's. */
void modules_log_read(const struct module_log *log, const char *name,
                      void (*line)(const char *text, void *context), void *context);
void modules_log_close(struct module_log *log);

/* The text of a record of /dev/kmsg, ended by 0 in place; NULL if it is not this module's. */
const char *modules_log_text(char *record, const char *name);

#endif
