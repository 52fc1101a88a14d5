/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scope-bound cleanup, so that no error path needs a goto ladder. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <matrix/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_(void *pointer)
{
    free(*(void **)pointer);
}

static inline void cleanup_close_(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

static inline void cleanup_file_(FILE **file)
{
    if (*file)
        fclose(*file);
}

static inline void cleanup_error_(struct matrix_error **error)
{
    matrix_error_free(*error);
}

#define CLEANUP_FREE  __attribute__((cleanup(cleanup_free_)))
#define CLEANUP_CLOSE __attribute__((cleanup(cleanup_close_)))
#define CLEANUP_FILE  __attribute__((cleanup(cleanup_file_)))
#define CLEANUP_ERROR __attribute__((cleanup(cleanup_error_)))

/* Hands the value out of a variable that would otherwise be cleaned up. */
#define TAKE(pointer)                           \
    ({                                          \
        __typeof__(pointer) taken_ = (pointer); \
        (pointer) = NULL;                       \
        taken_;                                 \
    })

#endif
