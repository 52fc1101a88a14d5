/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's output, one line at a time: tagged, made safe for terminals, held to a rate. Called
 * by hypercall; the lines go to an output (output.h), which guests may share.
 */
#ifndef VMM_CONSOLE_H
#define VMM_CONSOLE_H

#include "base/controls.h"
#include "vmm/output.h"
#include <stdint.h>

/* A longer line is passed on in pieces of a little less than this: with a tag each becomes a line of
 * its own; without one they follow each other, and another guest's line may come between. */
#define CONSOLE_LINE_BYTES 4096

struct console {
    struct matrix_output *output;   /* NULL: output is thrown away */
    struct matrix_history *history; /* NULL: none */
    const char *tag;                /* NULL: none, and unfinished lines may be shown */
    struct output_ticket ticket;
    bool lossy, escape;
    uint64_t rate;      /* bytes per second; 0: no limit */
    uint64_t credit;    /* bytes that may be written now; at most one second's worth */
    uint64_t credit_ns; /* when credit was last topped up */
    uint64_t dropped_lines, dropped_bytes;
    struct controls controls;
    size_t length;
    char line[CONSOLE_LINE_BYTES];
};

/* Takes output's settings from options; tag is not copied. */
void console_init(struct console *console, const struct matrix_vm_options *options,
                  const char *tag);

/*
 * Prints text. Returns how many bytes were taken: fewer than given only when the console is not
 * lossy and its reader is slow; the rest is to be offered again later.
 */
size_t console_write(struct console *console, const char *text, size_t bytes);

/* Shows an unfinished line, such as a prompt, where that cannot mix with others' lines. */
void console_show_partial(struct console *console);

/* Gives its part of the output back. */
void console_destroy(struct console *console);

/* The guest has ended: its last line is finished, whether the guest did so or not. */
void console_finish(struct console *console);

#endif
