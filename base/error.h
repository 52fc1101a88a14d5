/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How errors are made. Every layer above uses these; see include/matrix/error.h for what
 * an error is.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <matrix/error.h>

/*
 * Makes an error of the given kind. number is an errno value or 0; when it is not 0, its
 * text ("Permission denied") is appended to the message. remedy may be NULL. format says
 * what was attempted and on what: "open %s". Never returns NULL: without memory it returns
 * a static error that says so.
 */
struct matrix_error *error_new(enum matrix_error_kind kind, int number, const char *remedy,
                               const char *format, ...)
    __attribute__((format(printf, 4, 5), returns_nonnull, warn_unused_result));

/*
 * Puts "context: " in front of error's message and returns the same error; NULL stays NULL.
 * For a caller that knows on whose behalf the failed thing was done.
 */
struct matrix_error *error_prefix(struct matrix_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3), warn_unused_result));

/* clang's analyzer sees no bodies here, and would follow errors that are NULL but cannot be. */
#ifdef __clang_analyzer__
#define ANALYZER_NOT_NULL(made)              \
    ({                                       \
        struct matrix_error *made_ = (made); \
        if (!made_)                          \
            __builtin_unreachable();         \
        made_;                               \
    })
#define error_new(...) ANALYZER_NOT_NULL(error_new(__VA_ARGS__))
#define error_prefix(error, ...)                                              \
    ({                                                                        \
        struct matrix_error *inner_ = (error);                                \
        inner_ ? ANALYZER_NOT_NULL(error_prefix(inner_, __VA_ARGS__)) : NULL; \
    })
#endif

/* The two shortest ways to the common cases. */
#define error_host(number, ...)  error_new(MATRIX_ERROR_HOST, (number), NULL, __VA_ARGS__)
#define error_usage(remedy, ...) error_new(MATRIX_ERROR_USAGE, 0, (remedy), __VA_ARGS__)

/* Returns from the calling function if expression yields an error. */
#define RETURN_IF_ERROR(expression)                 \
    do {                                            \
        struct matrix_error *error_ = (expression); \
        if (error_)                                 \
            return error_;                          \
    } while (0)

#endif
