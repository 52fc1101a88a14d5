/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The commands `logs` and `input`, but for what a guest is to who runs it: `matrix cloud`, `matrix run`. What
 * was printed is copied in pieces, so that little is done at a time. */
#ifndef CONTROL_CONSOLE_H
#define CONTROL_CONSOLE_H

#include "base/base64.h"
#include "control/command.h"

/* A guest's console as it is now. */
struct control_console {
    const char *guest, *state;
    const struct matrix_history *history; /* NULL: it was never made */
    unsigned starts;                      /* so far */
    uint64_t start_from; /* where in history what it printed since the last begins */
    bool is_over;        /* nothing more comes, unless somebody starts it again */
    bool takes_input;
};

/* What a request says. */
struct control_logs_request {
    const char *guest; /* NULL: the only one */
    json_int_t from, max;
};

struct control_input_request {
    const char *guest;
    size_t bytes;
    char data[BASE64_BYTES_MAX(BASE64_TEXT_LENGTH(CONTROL_INPUT_MAX))];
    int is_last; /* no more comes: the guest finds the end of its input */
};

/* False: refused. */
bool control_console_read_logs(struct control_call *call, struct control_logs_request *request);
bool control_console_read_input(struct control_call *call, struct control_input_request *request);

/* The answer to `logs`; NULL: refused. */
json_t *control_console_logs(struct control_call *call, const struct control_console *console,
                             const struct control_logs_request *request);

#endif
