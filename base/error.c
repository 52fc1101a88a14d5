// SPDX-License-Identifier: GPL-2.0-or-later
/* Makes and frees errors. */
#include "base/error.h"

#include "base/cleanup.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As clang's analyzer sees them. */
#undef error_new
#undef error_prefix

/* What is returned when there is no memory for an error; never freed. */
static struct matrix_error out_of_memory = {
    .kind = MATRIX_ERROR_HOST,
    .number = 12, /* ENOMEM */
    .message = (char *)"out of memory while an error was being described",
};

struct matrix_error *error_new(enum matrix_error_kind kind, int number, const char *remedy,
                               const char *format, ...)
{
    CLEANUP_FREE struct matrix_error *error = calloc(1, sizeof(*error));
    if (!error)
        return &out_of_memory;

    CLEANUP_FREE char *what = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&what, format, arguments);
    va_end(arguments);
    if (length < 0) {
        what = NULL;
        return &out_of_memory;
    }

    error->kind = kind;
    error->number = number;
    if (number == 0)
        error->message = TAKE(what);
    else if (asprintf(&error->message, "%s: %s", what, strerror(number)) < 0)
        return &out_of_memory;

    if (remedy && !(error->remedy = strdup(remedy))) {
        free(error->message);
        return &out_of_memory;
    }
    return TAKE(error);
}

struct matrix_error *error_prefix(struct matrix_error *error, const char *format, ...)
{
    if (!error || error == &out_of_memory)
        return error;

    CLEANUP_FREE char *context = NULL;
    va_list arguments;
    va_start(arguments, format);
    int length = vasprintf(&context, format, arguments);
    va_end(arguments);
    if (length < 0) {
        context = NULL;
        return error;
    }

    char *message;
    if (asprintf(&message, "%s: %s", context, error->message) < 0)
        return error;
    free(error->message);
    error->message = message;
    return error;
}

void matrix_error_free(struct matrix_error *error)
{
    if (!error || error == &out_of_memory)
        return;
    free(error->message);
    free(error->remedy);
    free(error);
}
