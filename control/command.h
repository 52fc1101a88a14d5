/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command of the control socket, for whoever has one: a function that is called in the core's thread,
 * between two slices. What it does is little, and bounded; it waits for nothing. Those that every process
 * with guests has are in answer.c; `matrix cloud` has more.
 */
#ifndef CONTROL_COMMAND_H
#define CONTROL_COMMAND_H

#include "control/guests.h"
#include "control/protocol.h"
#include <jansson.h>

struct control_call;
struct control_commands;

/* What is done for a request where the guest or the core is that it is about. */
struct control_work {
    struct control_visit
        visit; /* filled in by control_look and control_visit, but for look or visit */
    struct control_call *call;
    /* Then, in this thread again: as a command's function; and it is freed. */
    json_t *(*answer)(struct control_call *call, struct control_work *work);
};

/* A request at work. */
struct control_call {
    const struct control_guests *guests;
    json_t *request;                     /* without version and command */
    void *context;                       /* of whoever has the command */
    const struct control_commands *more; /* than every process has; NULL: none */
    int fd;                              /* goes with the answer; -1: none */
    const char *code;
    char message[256];
    struct control_work *work; /* NULL: the answer is there */
    bool is_busy, is_done;     /* the command's function has not returned yet; the work is done */
    void (*answered)(void *context, char *line, int fd);
    void *answered_context;
};

struct control_command {
    const char *name;
    /* The answer, but for its version; or NULL, after control_refuse(), control_look() or control_visit(). */
    json_t *(*function)(struct control_call *call);
    const char *help;
    bool is_last; /* it is answered when the run is over, too: it looks at no guest */
};

struct control_commands {
    const struct control_command *table;
    size_t count;
    void *context;
};

/*
 * The answer is work->answer's, after work->visit.look has been called in the thread where that guest may be looked
 * into, or visit.visit in that core's. Both take work, which is of malloc(), begins what
 * is handed to them as their context, and is freed; and are NULL, for a command's function to return.
 */
json_t *control_look(struct control_call *call, struct matrix_vm *vm, struct control_work *work);
json_t *control_visit(struct control_call *call, unsigned core, struct control_work *work);

/* Says why there is no answer, and is NULL. */
json_t *control_refuse(struct control_call *call, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for an error, which is freed: its message and what would help. */
json_t *control_refuse_error(struct control_call *call, struct matrix_error *error);

/* A guest's name, or a message, as JSON can hold it: of what is not UTF-8 every byte beyond ASCII
 * comes out as a question mark. */
json_t *control_string(const char *text);

/* Unpacks what a request has beside version and command, by a format of json_unpack() without its braces;
 * nothing may be left over. False, after control_refuse(), if it does not fit. */
bool control_unpack(struct control_call *call, const char *format, ...);

#endif
