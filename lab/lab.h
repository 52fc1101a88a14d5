/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The lab: a throwaway QEMU machine with a stock Debian kernel in which one command runs
 * on the host's userland. Used by cli/lab.c.
 */
#ifndef LAB_LAB_H
#define LAB_LAB_H

#include "lab/kernel_log.h"
#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lab_options {
    char *const *command;     /* NULL-terminated; what to run as root inside */
    const char *kernel;       /* Debian package of the kernel, or a name in lab/kernels */
    uint64_t memory_bytes;    /* of the machine; files written inside live there, too */
    unsigned cpus;            /* virtual CPUs */
    uint64_t timeout_ns;      /* wall time that the command may take; 0: any */
    const char *log_path;     /* where the kernel's log is kept; NULL: nowhere */
    const char *const *share; /* host directories that the command may write to */
    size_t share_count;
    const char *const *environment; /* NAME=VALUE, beside what is passed anyway */
    size_t environment_count;
    bool terminal; /* the command gets the host's terminal, not three streams */
    bool verbose;  /* the kernel's log goes to standard error while it is written */
};

enum lab_end {
    LAB_COMMAND_ENDED, /* number is its exit status, 128+signal if a signal ended it */
    LAB_TIMED_OUT,     /* the time limit came first */
    LAB_MACHINE_DIED,  /* the machine went down under the command: a panic, or it turned it off */
    LAB_INTERRUPTED,   /* number is the signal that matrix-lab was asked to end by */
};

struct lab_result {
    enum lab_end end;
    int number;
    uint64_t boot_ns;       /* from power-on to the start of the command; 0: it never came */
    uint64_t taint;         /* kernel's taint mask at the end (tainted-kernels.rst) */
    struct kernel_log *log; /* all that the kernel said; the caller frees it */
    char *messages;         /* what QEMU itself said, usually ""; the caller frees it */
};

/*
 * Fetches what is missing, boots, runs the command, relays its streams to this process's
 * own, and takes the machine away again. On an error nothing ran; all else, a hang and a
 * panic too, is a result.
 */
struct matrix_error *lab_run(const struct lab_options *options,
                             struct lab_result *result) MATRIX_MUST_CHECK;

void lab_result_free(struct lab_result *result);

#endif
