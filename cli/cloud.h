/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix cloud`: options (cloud_options.c), the contract before it (cloud_check.c), the run itself (cloud.c), what is shown meanwhile (cloud_screen.c), and the report
 * of the contract at the end (cloud_report.c). */
#ifndef CLI_CLOUD_H
#define CLI_CLOUD_H

#include "cloud/config.h"
#include <matrix/matrix.h>
#include <stdbool.h>
#include <stdio.h>

#define PROGRAM "matrix cloud"

/* The command line. */
struct cloud_options {
    const char *file, *report_path, *kvm_path;
    const char *control; /* PATH, auto or none; NULL: not said */
    uint64_t duration_ns, slice_ns;
    int core;
    bool json, plain, quiet, check;
};

/* Reads it; does not return if it is wrong (EXIT_BAD_USAGE) or asks for help. */
void cloud_options_parse(int argc, char **argv, struct cloud_options *options);

/* A guest of the cloud while it runs. */
struct cloud_guest {
    struct matrix_vm *vm;
    struct matrix_output *output; /* its own file; NULL: the shared one */
    int output_fd;
    double promised; /* its share while all can run */
    bool fault_shown;
    pid_t renderer; /* of its fault report, to be waited for; 0: none */
    /* As of the last look at it, for rates. */
    uint64_t seen_cpu_ns;
    uint64_t seen_exits[MATRIX_EXIT_KIND_COUNT];
};

struct cloud {
    struct cloud_config config;
    struct matrix_kvm *kvm;
    struct matrix_core *core;
    struct control_server *control;
    struct cloud_guest *guests;
    struct matrix_core_group **groups;
    int host_cpu; /* negative: not pinned */
    uint64_t slice_ns;
    struct matrix_output *output;   /* where guests without a file of their own print */
    int screen_pipe[2];             /* with a screen: what they print passes through here */
    struct matrix_output *terminal; /* where the screen is, or the line of progress */
    FILE *frame;                    /* being drawn */
    char *frame_text;
    size_t frame_bytes;
    bool has_screen, shows_progress, cursor_hidden;
    unsigned screen_lines; /* on the terminal now, to be drawn over */
    uint64_t seen_ns, seen_cpu_ns;
};

/* `--check`: admits the contracts of the file, as a run would, and prints what they come to. */
struct matrix_error *cloud_check(const struct cloud_config *config, uint64_t slice_ns, FILE *file);

/* Draws the table anew, below what guests have printed since. */
void cloud_screen_draw(struct cloud *cloud);

/* Takes the table away, and leaves the terminal as it was; once. */
void cloud_screen_end(struct cloud *cloud);

/* One line that says how it goes, where there is no screen. */
void cloud_progress_print(struct cloud *cloud);

/* The contract: promised and given, for people. */
struct matrix_error *cloud_report_print(const struct cloud *cloud, FILE *file);

/* The same as JSON; the fields are documented in docs/cloud.md. */
struct matrix_error *cloud_report_write_json(const struct cloud *cloud, FILE *file);

#endif
