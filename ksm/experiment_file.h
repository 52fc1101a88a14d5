/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file that describes an experiment: knobs, what is recorded, and steps. YAML; documented with
 * all its keys in docs/ksm.md. All of it is checked before anything starts. Read by `matrix ksm
 * experiment`.
 */
#ifndef KSM_EXPERIMENT_FILE_H
#define KSM_EXPERIMENT_FILE_H

#include "ksm/flat.h"
#include "ksm/knobs.h"
#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPERIMENT_STEPS_MAX 1024

enum experiment_action {
    EXPERIMENT_START,  /* a VM: a guest of Matrix, or any command */
    EXPERIMENT_WAIT,   /* for a time, until flat, or until a VM has said something */
    EXPERIMENT_MARK,   /* a line in the plots */
    EXPERIMENT_TELL,   /* a VM something, on its standard input */
    EXPERIMENT_RUN,    /* a command on the host, to its end */
    EXPERIMENT_STOP,   /* a VM */
    EXPERIMENT_SET,    /* knobs */
    EXPERIMENT_EXPECT, /* a number: else the experiment fails */
    EXPERIMENT_ACTIONS,
};

extern const char *const experiment_action_names[EXPERIMENT_ACTIONS];

/* What a command's memory is offered by; a guest of Matrix, and QEMU, offer it themselves. */
struct experiment_start {
    const char *name;
    const char **argv;     /* NULL-terminated; of a guest: its image, then its arguments */
    bool is_guest;         /* of `matrix run` */
    bool merge_all;        /* all anonymous memory of the command's, by prctl(2) */
    uint64_t memory_bytes; /* of a guest; 0: the default */
};

enum experiment_wait_kind { WAIT_FOR, WAIT_FLAT, WAIT_SAYS };

struct experiment_wait {
    enum experiment_wait_kind kind;
    uint64_t for_ns;
    struct ksm_flat_rule flat;
    const char *says, *name; /* the VM's */
    uint64_t ceiling_ns;     /* of WAIT_FLAT: then it goes on, not flat; of WAIT_SAYS: it fails */
};

/* What a number is of, and so where it comes from. */
enum experiment_scope {
    SCOPE_HOST,    /* a file of /sys/kernel/mm/ksm */
    SCOPE_VM,      /* a counter of a VM's processes, summed up */
    SCOPE_MAP,     /* the merge map of all VMs */
    SCOPE_MAP_VM,  /* the merge map's word on a VM */
    SCOPE_MAP_PAIR /* the merge map's word on two VMs */
};

struct experiment_quantity {
    const char *name;
    enum experiment_scope scope;
    const char *description;
};

/* The table of what can be expected; ends with a NULL name. */
extern const struct experiment_quantity experiment_quantities[];

struct experiment_expectation {
    const struct experiment_quantity *what;
    const char *of, *with; /* VMs; NULL where the scope has none */
    int64_t minimum, maximum;
};

struct experiment_step {
    enum experiment_action action;
    const char *text; /* a mark's, or what a VM is told */
    const char *name; /* the VM's: who is stopped or told */
    struct experiment_start start;
    struct experiment_wait wait;
    const char **command; /* NULL-terminated, of EXPERIMENT_RUN */
    uint64_t timeout_ns;  /* of it */
    struct ksm_knobs knobs;
    struct experiment_expectation expect;
};

/* What is waited for to be flat, and measured. */
enum experiment_curve {
    CURVE_HOST, /* what KSM saves on the host: pages_sharing and ksm_zero_pages */
    CURVE_VMS,  /* the merged pages of the VMs, whatever else is merged on the host */
};

struct experiment_file {
    const char *name, *description; /* NULL: none */
    struct ksm_knobs knobs;
    uint64_t interval_ns; /* between two samples */
    enum experiment_curve curve;
    uint64_t lab_memory_bytes; /* with --lab */
    uint64_t lab_timeout_ns;
    struct experiment_step *steps;
    size_t step_count;
    char *text; /* of the file itself */
    void *document;
};

/* Reads text; name stands for the file in messages, which also name the step and the key. */
struct matrix_error *experiment_file_parse(const char *text, size_t bytes, const char *name,
                                           struct experiment_file *file) MATRIX_MUST_CHECK;
struct matrix_error *experiment_file_read(const char *path,
                                          struct experiment_file *file) MATRIX_MUST_CHECK;
void experiment_file_free(struct experiment_file *file);

#endif
