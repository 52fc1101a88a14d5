/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the device share: the opened device, and children to do things in. The tests
 * run inside the lab, where the module matrix_lens is loaded (tests/lab/modules.sh).
 */
#ifndef TESTS_LENS_HARNESS_H
#define TESTS_LENS_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* After those that it needs. */
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define PAGE         4096UL
#define MIB          (1UL << 20)
#define GIB          (1UL << 30)

/* /dev/matrix. */
extern int lens_fd;

/*
 * Runs the tests of one program, to be returned from main. Outside the lab the whole program is
 * skipped; inside, a device that cannot be opened is a failure.
 */
int harness_run(const char *group, const struct CMUnitTest *tests, size_t count);

/* Ends the running test as skipped; the script tests/tap adds the reason to its line. */
#define SKIP_BECAUSE(...)                              \
    do {                                               \
        print_message("# skip: " __VA_ARGS__), skip(); \
    } while (0)

/* A child that does nothing, until child_end() or our own end. It has all our memory. */
pid_t child_start(void);
void child_end(pid_t child);

/* Calls function in a child of its own and returns what that returns; the child ends with it. */
int child_do(int (*function)(void *argument), void *argument);

/* The number that a file holds; false if it cannot be read. */
bool file_read_number(const char *path, unsigned long long *number);
/* 0 or the errno. */
int file_write(const char *path, const char *text);

#endif
