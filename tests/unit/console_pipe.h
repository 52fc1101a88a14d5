/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A pipe on which guests print, with its reader in the same process. Used by tests/unit/test_console.c
 * and test_output.c.
 */
#ifndef TESTS_UNIT_CONSOLE_PIPE_H
#define TESTS_UNIT_CONSOLE_PIPE_H

#include "vmm/console.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above */
#include <cmocka.h>

extern int pipe_reader, pipe_writer; /* the reader's end does not block; -1: it is closed */
extern struct matrix_output *pipe_output;
extern struct console console, other; /* two guests' */
extern char pipe_text[1 << 20];       /* what arrived() has read */

/* For cmocka, before and after each test. */
int pipe_make(void **state);
int pipe_release(void **state);

/* Makes a console that prints on the pipe, with options otherwise; tag is the guest's name, or NULL. */
void start_console(struct console *made, const char *tag, struct matrix_vm_options options);

size_t print(struct console *to, const char *string);

/* All that has arrived since it was last asked. */
const char *arrived(void);

#endif
