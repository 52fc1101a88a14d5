/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of boards have in common: a board that is written and read, for each test a new one. */
#ifndef BOARD_WORLD_H
#define BOARD_WORLD_H

#include "cloud/board_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SLOTS        8
#define STAYS        16
#define GROUPS       4

static struct board_memory memory;
static struct matrix_board *board;

static inline void succeed(struct matrix_error *error)
{
    if (error)
        fail_msg("%s", error->message);
}

static inline void refuse(struct matrix_error *error, const char *part)
{
    assert_non_null(error);
    if (!strstr(error->message, part))
        fail_msg("\"%s\" is not in: %s", part, error->message);
    matrix_error_free(error);
}

static inline int set_up(void **state)
{
    succeed(board_memory_make(SLOTS, GROUPS, STAYS, &memory));
    succeed(matrix_board_open(memory.fd, &board));
    return 0;
}

static inline int tear_down(void **state)
{
    matrix_board_close(board);
    board_memory_release(&memory);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

#endif
