/* SPDX-License-Identifier: GPL-2.0-or-later */
/* matrix-proc: the lens on any process. proc.c has the table of subcommands. */
#ifndef CLI_PROC_H
#define CLI_PROC_H

#include <jansson.h>
#include <matrix/lens.h>
#include <stdio.h>

#define PROC_JSON_VERSION 1

/* Why a subcommand ended, beside errors: 0, or EXIT_FAILURE where what was done did not hold. */
struct proc_options {
    struct matrix_lens *lens; /* open when a subcommand begins */
    enum matrix_lens_source source;
    char *const *arguments;
    size_t argument_count;
    int status; /* out */
    bool json, all, no_addresses, force;
    bool has_physical, has_interval;
    uint64_t physical_address;
    uint64_t interval_ns, duration_ns; /* duration 0: until the process ends, or a signal comes */
    const char *csv, *to, *out;
};

typedef struct matrix_error *proc_command(struct proc_options *options);

/* proc_list.c */
proc_command proc_list, proc_children;
/* proc_memory.c */
proc_command proc_translate, proc_footprint;
/* proc_change.c */
proc_command proc_poke, proc_reparent;
/* proc_watch.c */
proc_command proc_watch;
/* proc_pgfaults.c */
proc_command proc_pgfaults;
/* proc_plot.c */
proc_command proc_plot;

/* --- what they have in common, in proc_common.c ----------------------------------------------- */

/* "12 (bash)", escaped. */
void proc_print_process(FILE *file, const struct matrix_lens_task *task);

/* The first members of every JSON object: version and source. */
json_t *proc_json_begin(const struct matrix_lens *lens);

/*
 * Below a table: "source: module", or "source: " and the files of /proc that were asked; "PID" in
 * them stands for the number.
 */
void proc_print_source(const struct matrix_lens *lens, const char *files, pid_t pid);

/* Fails if pid is no longer that process: it ended, and the number was given to another. */
struct matrix_error *proc_check_same(const struct matrix_lens *lens,
                                     const struct matrix_lens_task *before) MATRIX_MUST_CHECK;

#endif
