/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab kernel's console log: kept in memory, copied to a file, and searched for what
 * the kernel complains about. Filled by lab/relay.c, read by cli/lab.c.
 */
#ifndef LAB_KERNEL_LOG_H
#define LAB_KERNEL_LOG_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct kernel_log;

/* path (NULL: none) gets the log, too, line by line as it comes; so does echo, if not NULL. */
struct matrix_error *kernel_log_open(const char *path, FILE *echo,
                                     struct kernel_log **log) MATRIX_MUST_CHECK;
void kernel_log_free(struct kernel_log *log);

void kernel_log_append(struct kernel_log *log, const char *bytes, size_t length);

/* How many lines are a panic, an oops, a warning, a lock report, a stall and the like. */
size_t kernel_log_count_complaints(const struct kernel_log *log);

/* Writes each complaint with the lines around it; complaints are marked with "> ". */
void kernel_log_write_complaints(const struct kernel_log *log, FILE *to);

/* Writes the last lines of the log. */
void kernel_log_write_end(const struct kernel_log *log, size_t lines, FILE *to);

/* Whether a single line is a complaint; length bytes, no newline. */
bool kernel_log_line_is_complaint(const char *line, size_t length);

#endif
