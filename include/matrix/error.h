/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Errors as values. A function that can fail returns a struct matrix_error *, NULL for
 * success. The caller owns what it gets: it passes the error up, or frees it. The library
 * prints nothing and never exits; whoever stands at the top prints once.
 */
#ifndef MATRIX_ERROR_H
#define MATRIX_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

#define MATRIX_API        __attribute__((visibility("default")))
#define MATRIX_MUST_CHECK __attribute__((warn_unused_result))

/* What the failure is about; the command line turns it into its exit status. */
enum matrix_error_kind {
    MATRIX_ERROR_HOST,  /* the host refused: memory, files, limits, permissions */
    MATRIX_ERROR_USAGE, /* the caller asked for something that makes no sense */
    MATRIX_ERROR_IMAGE, /* the guest image cannot be loaded */
    MATRIX_ERROR_KVM,   /* no usable KVM here */
};

struct matrix_error {
    enum matrix_error_kind kind;
    int number;    /* errno of the failed call, 0 if no call failed */
    char *message; /* what was attempted, on what, and why it failed; one line */
    char *remedy;  /* what would help; one line, or NULL */
};

/* Frees an error; NULL is allowed. */
MATRIX_API void matrix_error_free(struct matrix_error *error);

#ifdef __cplusplus
}
#endif
#endif
