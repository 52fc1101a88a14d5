/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors of the lens in words: what was attempted on what, why it failed, and what helps. */
#ifndef LENS_EXPLAIN_H
#define LENS_EXPLAIN_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum lens_request {
    LENS_OPEN,
    LENS_TRANSLATE,
    LENS_FOOTPRINT,
    LENS_READ,
    LENS_WRITE,
    LENS_RUNNING,
    LENS_CHILDREN,
    LENS_PROCESS,
    LENS_REPARENT,
    LENS_REQUESTS,
};

/* On what: what a request has no use for is 0. */
struct lens_subject {
    pid_t pid;
    uint64_t virtual_address;
    uint64_t physical_address;
    pid_t parent_pid;
    bool by_module; /* /dev/matrix answered; else /proc */
};

/* An error whose number is that errno. Never NULL. */
struct matrix_error *lens_explain(enum lens_request request, const struct lens_subject *subject,
                                  int number) __attribute__((returns_nonnull, warn_unused_result));

/* The same for what only the module can do. why: error of opening it, or NULL. */
struct matrix_error *lens_explain_missing(enum lens_request request,
                                          const struct lens_subject *subject,
                                          const struct matrix_error *why)
    __attribute__((returns_nonnull, warn_unused_result));

#endif
