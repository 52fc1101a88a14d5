/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every program of the command line does in the same way. */
#ifndef CLI_COMMON_H
#define CLI_COMMON_H

#include <argp.h>
#include <matrix/error.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

/*
 * Prints "program: message", and the remedy below it, on standard error; frees error. Returns
 * the exit status for errors of its kind: `return cli_fail("matrix", error);`
 */
int cli_fail(const char *program, struct matrix_error *error);

/*
 * The length in bytes of the character that string begins with; 0 if it is a control character, U+0080 to U+009F
 * among them, or not UTF-8.
 */
size_t cli_printable_bytes(const char *string);

/*
 * Prints text that a guest or a file has a say in. Control characters and what is not UTF-8 come
 * out as \xNN, so that no guest can send commands to the terminal.
 */
void cli_print_escaped(FILE *file, const char *text);

/* The same as a string, for a table's cell; to be freed; NULL without memory. */
char *cli_escape(const char *text);

/* Reads a pid, 1 or more. */
struct matrix_error *cli_parse_pid(const char *text, pid_t *pid) MATRIX_MUST_CHECK;

/*
 * Opens /dev/null in the place of any of the three standard files that is closed, so that no other
 * file gets its number and is printed into. The first thing in every main.
 */
void cli_open_standard_files(void);

/*
 * Reads the arguments by argp into input; what is wrong with them is said in the program's name, and ends it with
 * EXIT_BAD_USAGE. flags: argp's, ARGP_IN_ORDER or 0.
 */
void cli_parse(const char *program, const struct argp *argp, int argc, char **argv, unsigned flags,
               void *input);

/* Whether colours may be used on file: it is a terminal, and NO_COLOR (no-color.org) is unset. */
bool cli_wants_colour(FILE *file);

#endif
