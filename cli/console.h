/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * matrix-console, which `matrix logs` and `matrix attach` start: the command line (console.c), the guest as it is
 * asked (console_guest.c), what it printed, shown (console_show.c); logs (console_logs.c) and attach
 * (console_attach.c). A guest is asked again and again over one connection: what waits costs nobody anything.
 */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include "base/controls.h"
#include "control/client.h"
#include "control/reply.h"
#include <stdbool.h>

#define CONSOLE_ALL_LINES UINT64_MAX

/* What the command line says. */
struct console_options {
    const char *verb; /* "logs" or "attach" */
    const char *guest;
    bool follow, json, raw, echo, passes_eof;
    uint64_t lines; /* how many of those that are remembered; CONSOLE_ALL_LINES */
    int detach_key; /* a byte; -1: none */
    bool escapes;   /* control characters are shown as \xNN */
};

/* "matrix logs": for messages. */
const char *console_program(void);

/* --- console_guest.c --------------------------------------------------------------------------- */

struct talk;

/* A guest that is asked. */
struct console_guest {
    struct control_vm vm;
    struct talk *talk;
    uint64_t next;            /* what is to be asked for next */
    struct control_logs logs; /* the last answer */
    bool is_gone;             /* nobody is there any more */
    unsigned pause_ms;        /* before it is asked again */
};

/* Finds it by its name and asks a first time, for nothing. */
struct matrix_error *console_guest_open(const char *name, struct console_guest *guest);
void console_guest_close(struct console_guest *guest);

/* Asks for what it has printed since; the answer is in logs. */
struct matrix_error *console_guest_ask(struct console_guest *guest);

/* From here on the last so many lines of those that are remembered come; earlier ones are passed over. */
struct matrix_error *console_guest_seek(struct console_guest *guest, uint64_t lines);

/* Gives it input; *taken may be less, even nothing, if it does not read. *is_last: in, no more will come; out,
 * that was taken, too. */
struct matrix_error *console_guest_input(struct console_guest *guest, const char *data,
                                         size_t bytes, bool *is_last, size_t *taken);

/* --- console_show.c ---------------------------------------------------------------------------- */

/* Where the text has got to. */
struct console_show {
    const struct console_options *options;
    struct controls controls;
    unsigned
        start; /* of the guest, which what was shown last belongs to; 0: nothing was shown yet */
};

/* The most bytes that so many come to. */
#define CONSOLE_SHOWN_MAX(bytes) (4 * (bytes))

/* Writes an answer's data as it is to be shown; returns how many bytes that are. */
size_t console_show_text(struct console_show *show, const struct control_logs *logs, char *text);

/* Says on standard error what an answer tells beside its data: that some was lost, or the guest started again. */
void console_show_notes(struct console_show *show, const struct console_guest *guest);

/* Says how it ended. */
void console_show_end(const struct console_guest *guest);

/* --- the commands: the exit status -------------------------------------------------------------- */

struct matrix_error *console_logs(const struct console_options *options, int *status);
struct matrix_error *console_attach(const struct console_options *options, int *status);

#endif
