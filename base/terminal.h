/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal on standard input in another mode, and back again whatever happens. Used by `matrix lab shell`
 * and `matrix attach`. */
#ifndef BASE_TERMINAL_H
#define BASE_TERMINAL_H

#include <matrix/error.h>
#include <sys/types.h>
#include <termios.h>

struct terminal {
    int guard;
    pid_t watcher;
};

/*
 * Changes the mode of the terminal on standard input, and starts a watcher that puts it back when this process
 * is gone, also if it is killed. change: cfmakeraw, say.
 */
struct matrix_error *terminal_enter(struct terminal *terminal,
                                    void (*change)(struct termios *mode)) MATRIX_MUST_CHECK;

/* Puts it back. One that was never entered is zeroed. */
void terminal_leave(struct terminal *terminal);

#endif
