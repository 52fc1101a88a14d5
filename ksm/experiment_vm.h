/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM of an experiment: a child in a process group of its own, with a pipe to its standard input
 * and a log of all that it says; the group dies with us whatever happens. Used by ksm/experiment.
 */
#ifndef KSM_EXPERIMENT_VM_H
#define KSM_EXPERIMENT_VM_H

#include "ksm/experiment_file.h"
#include "ksm/guardian.h"
#include <sys/types.h>

struct experiment_vm {
    const char *name; /* the file's */
    pid_t pid;        /* and process group */
    struct guardian guardian;
    int input_fd; /* -1: closed */
    char *log_path;
    uint64_t log_offset; /* how far the log has been looked through */
    bool running;
    bool asked; /* to end */
    bool found; /* a process of it has memory that KSM may merge, and is sampled */
    int status; /* as waitpid(2) tells it, once it is not running */
};

/* Starts it; its log is directory/NAME.log. SIGPIPE must be ignored by the caller. */
struct matrix_error *experiment_vm_start(const struct experiment_start *start,
                                         const char *directory,
                                         struct experiment_vm *vm) MATRIX_MUST_CHECK;

/* A command on the host, the same way: its log is added to directory/run.log. */
struct matrix_error *experiment_command_start(const char *const *argv, const char *directory,
                                              pid_t *pid) MATRIX_MUST_CHECK;

/* Sends a signal to all of its process group, also if its own process has ended. */
void experiment_vm_signal(const struct experiment_vm *vm, int signal);

/* Kills what is left of its process group, and waits for it: for those that it has left as orphans where we
 * are their subreaper; frees what the structure holds. */
void experiment_vm_end(struct experiment_vm *vm);

/* Writes a line to its standard input. */
struct matrix_error *experiment_vm_tell(const struct experiment_vm *vm,
                                        const char *text) MATRIX_MUST_CHECK;

/* Looks through what the log has got since the last call. *found: it has said text. *more: it was
 * too much for one call, and there may be more of it. */
struct matrix_error *experiment_vm_says(struct experiment_vm *vm, const char *text, bool *found,
                                        bool *more) MATRIX_MUST_CHECK;

/* Its process and all that descend from it; *pids is to be freed. */
struct matrix_error *experiment_vm_pids(const struct experiment_vm *vm, pid_t **pids,
                                        size_t *count) MATRIX_MUST_CHECK;

#endif
