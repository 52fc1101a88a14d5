/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix trace`: options (trace.c), what a board tells (trace_read.c), the file for trace viewers
 * (trace_json.c), the picture (trace_picture.c). */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include "cli/boards.h"
#include <stdio.h>

#define PROGRAM "matrix trace"

/* A guest that was on the core. */
struct trace_guest {
    uint64_t id;
    char name[MATRIX_BOARD_NAME_BYTES];
    uint64_t stays, cpu_ns;
};

/* A core's part of it. */
struct trace {
    pid_t pid;
    unsigned number;               /* of the core, counted from 0 */
    struct matrix_board_core core; /* as of the end */
    uint64_t begin_ns, end_ns;     /* CLOCK_MONOTONIC */
    struct matrix_board_stay *stays;
    size_t stay_count, stay_room;
    uint64_t next;              /* the stay to be read next */
    uint64_t lost;              /* stays that were written over before they were read */
    bool is_full;               /* there were more than are kept */
    struct trace_guest *guests; /* by id */
    size_t guest_count;
    size_t *tracks; /* of each of them: its index among those of all cores */
};

/* All cores of a process. */
struct traces {
    struct trace *cores;
    size_t count;
    struct trace_guest *guests; /* of one core by id, of several by name: they may have moved */
    size_t guest_count;
};

/* Watches for that long, or until the run ends or a signal comes, whose number is in *number. */
struct matrix_error *trace_read(const struct cli_board *boards, size_t count, uint64_t duration_ns,
                                struct traces *traces, int *number) MATRIX_MUST_CHECK;

void trace_free(struct traces *traces);

/* The index of a stay's guest. */
size_t trace_guest_of(const struct trace *trace, const struct matrix_board_stay *stay);

/* Its part of what all guests were charged in this trace. */
double trace_share(const struct traces *traces, size_t guest);

/* Trace Event Format, as Perfetto and chrome://tracing read it. */
struct matrix_error *trace_write_json(const struct traces *traces, FILE *file) MATRIX_MUST_CHECK;

struct matrix_error *trace_draw(const struct traces *traces, const char *path) MATRIX_MUST_CHECK;

#endif
