/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `matrix metrics`: options (metrics.c), HTTP (metrics_http.c), whose figures (metrics_boards.c, metrics_ksm.c,
 * metrics_map.c), which figures (metrics_table.c) and how they are written (metrics_text.c).
 */
#ifndef CLI_METRICS_H
#define CLI_METRICS_H

#include "cli/boards.h"
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define PROGRAM "matrix metrics"

/* --- whose ----------------------------------------------------------------------------------- */

/* What KSM did for a whole process, from /proc/PID/ksm_stat. What a kernel does not tell is not known. */
struct metrics_ksm {
    bool knows_merged, knows_zero, knows_profit;
    int64_t merged_bytes, zero_bytes, profit_bytes;
};

/* A process that has a control socket, from one scrape to the next. */
struct metrics_process {
    char *path;
    dev_t device; /* these three tell a socket from a later one of that name */
    ino_t inode;
    struct timespec made;
    struct cli_board from; /* without a board: it could not be had */
    int pidfd;
    uint64_t retry_ns; /* without a board: not to be asked before */
    bool is_silent;    /* there is somebody, but no board of theirs can be read */

    /* As it was at this scrape. */
    bool is_shown;
    uint64_t seen_ns;
    struct matrix_board_core core;
    struct matrix_board_guest *guests; /* in the order of their coming */
    char **labels;                     /* of each guest, written out */
    char *core_labels, *pid_label;
    size_t guest_count;
    struct metrics_ksm ksm;
};

/* A guest as the last map found it: what of its memory is merged, and its part of what that saves. */
struct metrics_merged {
    pid_t pid;
    unsigned core;
    uint64_t id;
    uint64_t merged_bytes;
    double saved_bytes;
};

/* What KSM merged of each guest. All times CLOCK_MONOTONIC. */
struct metrics_map {
    uint64_t interval_ns;
    uint64_t next_ns;              /* when the next is due */
    uint64_t taken_ns;             /* 0: there is none */
    uint64_t duration_ns;          /* what it took */
    struct metrics_merged *guests; /* by pid, core and id; to be freed */
    size_t count;
};

struct metrics {
    struct metrics_map *map; /* the caller's; NULL: none is taken */
    const char *socket_path; /* only this one; NULL: */
    pid_t pid;               /* only that process's; 0: all */
    struct metrics_process *processes;
    size_t count;
};

/* Looks at all there are by now. Of those who were there before nobody is asked for anything. */
struct matrix_error *metrics_look(struct metrics *metrics) MATRIX_MUST_CHECK;

void metrics_free(struct metrics *metrics);

struct metrics_ksm metrics_ksm_read(pid_t pid);

/* Whether maps can be taken here: EPERM without CAP_SYS_ADMIN. */
struct matrix_error *metrics_map_check(void) MATRIX_MUST_CHECK;

/* Takes one if it is due, of all guests that metrics_look has found. Where that fails it says so, and nothing
 * is known until it can be taken. */
void metrics_map_look(struct metrics *metrics);

/* NULL: nothing is known of this guest. */
const struct metrics_merged *metrics_map_find(const struct metrics_map *map,
                                              const struct metrics_process *process,
                                              const struct matrix_board_guest *guest);

/* --- which ----------------------------------------------------------------------------------- */

enum metrics_type {
    METRICS_GAUGE,
    METRICS_COUNTER,
    METRICS_STATESET,
    METRICS_HISTOGRAM,
};

struct metrics_family {
    const char *name; /* without what all have in front, and without _total */
    enum metrics_type type;
    const char *unit; /* NULL: none */
    const char *help;
    /* Writes the samples of one guest or process; its table says which. */
    void (*write)(FILE *file, const struct metrics_family *family, const char *labels,
                  const void *entry);
    size_t offset; /* of what is written, for some */
};

struct metrics_table {
    const struct metrics_family *families;
    size_t count;
};

extern const struct metrics_table metrics_of_guests;    /* entry: struct matrix_board_guest */
extern const struct metrics_table metrics_of_cores;     /* entry: struct metrics_process */
extern const struct metrics_table metrics_of_processes; /* the same */
extern const struct metrics_table metrics_of_merged;    /* entry: struct metrics_merged */

/* --- how ------------------------------------------------------------------------------------- */

#define METRICS_PREFIX "matrix_"

enum metrics_format {
    METRICS_OPENMETRICS, /* 1.0.0 */
    METRICS_PLAIN,       /* the text format of Prometheus, 0.0.4 */
    METRICS_FORMATS,
};

/* Labels as they stand in braces; to be freed; NULL without memory. */
char *metrics_guest_labels(const struct metrics_process *process,
                           const struct matrix_board_guest *guest);
char *metrics_core_labels(const struct metrics_process *process);

/* All of it, to be freed. */
struct matrix_error *metrics_print(const struct metrics *metrics, enum metrics_format format,
                                   char **text, size_t *bytes) MATRIX_MUST_CHECK;

/* --- to whom --------------------------------------------------------------------------------- */

struct metrics_server;

/* ADDRESS:PORT, both as numbers; an IPv6 address in brackets. A port alone is one of 127.0.0.1. */
struct matrix_error *metrics_parse_address(const char *text,
                                           struct sockaddr_storage *address) MATRIX_MUST_CHECK;

/* Answers in a thread of its own from now on. url: out, where; to be freed. */
struct matrix_error *metrics_serve(const struct sockaddr_storage *address, struct metrics *metrics,
                                   struct metrics_server **server, char **url) MATRIX_MUST_CHECK;

void metrics_stop(struct metrics_server *server); /* NULL is allowed */

bool metrics_is_loopback(const struct sockaddr_storage *address);

#endif
