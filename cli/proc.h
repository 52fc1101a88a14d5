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

struct matrix_error *proc_parse_pid(const char *text, pid_t *pid) MATRIX_MUST_CHECK;

/* Text for a table's cell, escaped as cli_print_escaped does; to be freed; NULL without memory. */
char *proc_escape(const char *text);

/* "12 (bash)", escaped. */
void proc_print_process(FILE *file, const struct matrix_lens_task *task);

/* The first members of every JSON object: version and source. */
json_t *proc_json_begin(const struct matrix_lens *lens);

/* An address as JSON has it: "0x1000". Its numbers may be doubles to who reads them. */
json_t *proc_json_address(uint64_t address);

/* Prints and frees an object, indented or on one line. NULL means that there was no memory. */
struct matrix_error *proc_json_print(json_t *root, bool one_line) MATRIX_MUST_CHECK;

/*
 * Below a table: "source: module", or "source: " and the files of /proc that were asked; "PID" in
 * them stands for the number.
 */
void proc_print_source(const struct matrix_lens *lens, const char *files, pid_t pid);

/* Fails if pid is no longer that process: it ended, and the number was given to another. */
struct matrix_error *proc_check_same(const struct matrix_lens *lens,
                                     const struct matrix_lens_task *before) MATRIX_MUST_CHECK;

/* --- looking again and again, in proc_clock.c ------------------------------------------------- */

/* From now on SIGINT, SIGTERM and SIGHUP come only while proc_wait_until waits. */
void proc_block_ends(void);

/* Sleeps until then on CLOCK_MONOTONIC; returns the signal that ended it, or 0. */
int proc_wait_until(uint64_t when_ns);

/*
 * When to look again, on CLOCK_MONOTONIC; 0: the duration is over first. Looks that were missed are
 * left out.
 */
uint64_t proc_next_look(const struct proc_options *options, uint64_t started_ns);

#endif
