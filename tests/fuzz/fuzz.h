/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the fuzz targets have in common: a check that stops libFuzzer, and an input that is taken
 * apart piece by piece. A target's promise stands in its file's first comment.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <matrix/error.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* libFuzzer saves the input when the program aborts. What is said is a printf format. */
#define FUZZ_CHECK(condition, ...)                                                  \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                           \
            fputc('\n', stderr);                                                    \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* For what cannot fail unless the host is out of memory. */
#define FUZZ_NO_ERROR(expression)                                                \
    do {                                                                         \
        struct matrix_error *fuzz_error_ = (expression);                         \
        FUZZ_CHECK(!fuzz_error_, "%s", fuzz_error_ ? fuzz_error_->message : ""); \
    } while (0)

/* An error must say something, on one line, and not cost the terminal. */
static inline void fuzz_check_message(const struct matrix_error *error)
{
    FUZZ_CHECK(error->message && error->message[0], "an error without a message");
    FUZZ_CHECK(!strchr(error->message, '\n'), "two lines: %s", error->message);
}

/* The rest of an input; when it is used up, there are zeroes. */
struct fuzz_input {
    const uint8_t *data;
    size_t left;
};

static inline const uint8_t *fuzz_take_bytes(struct fuzz_input *input, size_t *bytes)
{
    const uint8_t *start = input->data;
    *bytes = *bytes < input->left ? *bytes : input->left;
    input->data += *bytes;
    input->left -= *bytes;
    return start;
}

/* The next number of so many bytes (1 to 8), little-endian. */
static inline uint64_t fuzz_take(struct fuzz_input *input, size_t bytes)
{
    uint64_t value = 0;
    const uint8_t *start = fuzz_take_bytes(input, &bytes);
    if (bytes)
        memcpy(&value, start, bytes);
    return value;
}

#endif
