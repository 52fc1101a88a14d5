/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs a program for a test: input from memory, output into memory. */
#ifndef TESTS_CLI_PROGRAM_H
#define TESTS_CLI_PROGRAM_H

#include <stddef.h>

struct program_result {
    int status;         /* exit status, or 128 + signal as in a shell */
    char output[65536]; /* NUL-terminated, cut off at its size */
    char errors[65536];
};

/* argv[0] is the path. Fails the test if the program cannot be run. */
void program_run(char *const argv[], const void *input, size_t input_bytes,
                 struct program_result *result);

#endif
