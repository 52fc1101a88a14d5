/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The terminal as a whole screen: taken, written to, asked for keys, and given back as it was, whatever ends the
 * program but SIGKILL. There is one. Used by `matrix top`.
 */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include "cli/grid.h"
#include "cli/keys.h"
#include <stdint.h>

/*
 * Takes the terminal: keys come one by one, and unseen. From now on SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP and
 * SIGWINCH come only as events. Fails where standard input or output is no terminal.
 */
struct matrix_error *terminal_begin(void) MATRIX_MUST_CHECK;
void terminal_end(void); /* also if it was never taken */

/* 80 and 24 where nobody knows. */
void terminal_size(unsigned *columns, unsigned *rows);

struct matrix_error *terminal_show(const struct grid *grid, bool colour) MATRIX_MUST_CHECK;

enum terminal_event {
    TERMINAL_TIME,   /* it is so late */
    TERMINAL_KEY,    /* value: see keys.h */
    TERMINAL_REDRAW, /* what is shown is no longer there, or has another size */
    TERMINAL_SIGNAL, /* value: the program is to end by this signal */
};

/* Waits for the first of them; until_ns: on CLOCK_MONOTONIC. */
enum terminal_event terminal_wait(uint64_t until_ns, int *value);

#endif
