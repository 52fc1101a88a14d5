/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix run`: options (run_options.c), the run itself (run.c), its result as JSON (run_json.c), what
 * is told of its console meanwhile (run_console.c). */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "control/command.h"
#include <limits.h>
#include <matrix/matrix.h>

#define RUN_LIST_MAX 256

struct run_options {
    struct matrix_vm_options vm;
    struct matrix_core_options core;
    const char *kvm_path;
    const char *control; /* PATH, auto or none; NULL: not said */
    const char *guest;   /* as given: a path or a name */
    char path[PATH_MAX]; /* of the image */
    char name[64];
    bool json, raw, statistics;
    uint64_t translate[RUN_LIST_MAX];
    unsigned translate_count;
    const char *environment[RUN_LIST_MAX + 1];
    unsigned environment_count;
};

int run_main(int argc, char **argv);

/* Reads the command line; does not return if that is wrong (EXIT_BAD_USAGE) or asks for help. */
void run_options_parse(int argc, char **argv, struct run_options *run);

/* What is known when a run has ended. */
struct run_result {
    struct matrix_vm *vm;
    const struct matrix_core *core;
    struct matrix_core_result end;
    int exit_status;
    bool output_left; /* the guest printed more than its reader took */
};

/* Prints the result, and what was to be translated, as one JSON object on standard output. */
struct matrix_error *run_print_json(const struct run_options *options,
                                    const struct run_result *result);

#define RUN_HISTORY_BYTES (64 << 10)

/* What is told of the guest over the control socket, beside what every process tells. */
struct run_console {
    const struct matrix_core *core;
    const struct matrix_vm *vm;
    const struct matrix_history *history;
    struct control_commands commands;
};

struct control_server;

/* server: NULL: there is none. *run stays the caller's, and stays. */
void run_console_serve(struct run_console *run, struct control_server *server);

#endif
