/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Boards of processes that run guests, one for each core, found by their control sockets. Used by `matrix status`,
 * `matrix trace` and `matrix metrics`. */
#ifndef CLI_BOARDS_H
#define CLI_BOARDS_H

#include <matrix/board.h>
#include <sys/types.h>

struct cli_board {
    pid_t pid;            /* of the process, as the kernel says */
    unsigned core, cores; /* of the process: which one, counted from 0, and how many there are */
    struct matrix_board *board;
};

/*
 * target: a pid, the path of a control socket (with a slash), or NULL for all that this user, or root,
 * can ask. At least one is found, or that is the error; those of a process stand together, by core. To be freed by cli_boards_close.
 */
struct matrix_error *cli_boards_open(const char *target, struct cli_board **boards,
                                     size_t *count) MATRIX_MUST_CHECK;

void cli_boards_close(struct cli_board *boards, size_t count);

/* Whether the run is over: it says so, or its process is gone. */
bool cli_board_has_ended(const struct cli_board *board, const struct matrix_board_core *core);

#endif
