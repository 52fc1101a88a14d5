/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of a running experiment show each other and nobody else. */
#ifndef KSM_EXPERIMENT_INTERNAL_H
#define KSM_EXPERIMENT_INTERNAL_H

#include "ksm/experiment.h"
#include "ksm/experiment_vm.h"
#include "ksm/schedule.h"
#include "ksm/value.h"

#define NS_PER_S UINT64_C(1000000000)

struct experiment {
    const struct experiment_file *file;
    const struct experiment_options *options;
    struct experiment_results *results;
    struct ksm_lease lease;
    struct experiment_vm *vms; /* room for each step's */
    size_t vm_count;
    pid_t command;      /* of a step `run`; 0: none */
    int command_status; /* as waitpid(2) tells it */
    int signal_fd;
    uint64_t started_ns; /* CLOCK_MONOTONIC */
    struct ksm_schedule schedule;
    size_t step; /* index of the one that is done */
    struct ksm_sampler *sampler;
    struct ksm_store *store;   /* NULL: not begun */
    struct ksm_sample *sample; /* the last; the sampler's */
    uint64_t next_scan_ns;
    bool in_phase, phase_is_named; /* by a mark */
    size_t phase_point;            /* the first of the phase's */
    char phase_label[EXPERIMENT_LABEL_MAX];
};

/* --- experiment.c ---------------------------------------------------------------------------- */

/*
 * Waits until then on CLOCK_MONOTONIC at the latest, or until something has happened: a sample was
 * due and is taken, a child has ended, a signal has come (results->signal). A VM that ends in
 * failure though nobody asked it to is an error.
 */
struct matrix_error *experiment_tick(struct experiment *x, uint64_t until_ns) MATRIX_MUST_CHECK;

/* Tells where it is; "step 3 of 7: " is put in front. */
void experiment_say(const struct experiment *x, bool passing, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds an event to the results, and a mark to the recording; marked: it is one of the file's. */
struct matrix_error *experiment_note(struct experiment *x, bool marked, const char *format,
                                     ...) MATRIX_MUST_CHECK __attribute__((format(printf, 3, 4)));

/* The running VM of that name: the file has been checked, but it may have ended by itself. */
struct matrix_error *experiment_find_vm(struct experiment *x, const char *name,
                                        struct experiment_vm **vm) MATRIX_MUST_CHECK;

/* --- experiment_actions.c: by action --------------------------------------------------------- */

typedef struct matrix_error *experiment_action_function(struct experiment *x,
                                                        const struct experiment_step *step);
extern experiment_action_function *const experiment_actions[EXPERIMENT_ACTIONS];

/* Asks all VMs to end, and ends those that do not. */
void experiment_stop_all(struct experiment *x);

/* --- experiment_sample.c --------------------------------------------------------------------- */

/* Looks at the host, beside the recording's schedule, and keeps the point in the results. */
struct matrix_error *experiment_sample(struct experiment *x) MATRIX_MUST_CHECK;

/* Keeps the point that a sample stands for. */
struct matrix_error *experiment_add_point(struct experiment *x,
                                          const struct ksm_sample *sample) MATRIX_MUST_CHECK;

/* Something disturbs the merging: a phase begins, or anew if it is to restart. */
struct matrix_error *experiment_phase_begin(struct experiment *x, bool restart,
                                            const char *label) MATRIX_MUST_CHECK;

/* A wait begins that will end the phase: where there is none one begins, and one without a name gets
 * this; the first is called after what was done before the steps. */
struct matrix_error *experiment_phase_wait(struct experiment *x,
                                           const char *label) MATRIX_MUST_CHECK;

/* It has been waited: the phase ends with the newest point. flat may be NULL. */
struct matrix_error *experiment_phase_end(struct experiment *x, const struct ksm_flat *flat,
                                          bool reached) MATRIX_MUST_CHECK;

/* --- experiment_record.c: the recording ------------------------------------------------------ */

struct matrix_error *experiment_record_begin(struct experiment *x) MATRIX_MUST_CHECK;
/* A sample that is not recorded: x->sample. VMs of which nothing is found yet are looked for before. */
struct matrix_error *experiment_record_look(struct experiment *x) MATRIX_MUST_CHECK;
/* A sample for the recording, and a point for the results. */
struct matrix_error *experiment_record_sample(struct experiment *x,
                                              uint64_t missed) MATRIX_MUST_CHECK;
struct matrix_error *experiment_record_mark(struct experiment *x,
                                            const char *text) MATRIX_MUST_CHECK;
struct matrix_error *experiment_record_end(struct experiment *x) MATRIX_MUST_CHECK;

/* --- experiment_map.c: the merge map --------------------------------------------------------- */

/* Takes the map of all VMs that run, if it has more of them than the one before; none run: nothing. */
struct matrix_error *experiment_take_map(struct experiment *x) MATRIX_MUST_CHECK;

/* What the map says of it; scope: one of the map's. A VM that runs but of which nothing can be merged is not
 * in the map: it has no pages there. */
int64_t experiment_map_value(const struct experiment_map *map,
                             const struct experiment_expectation *expectation);

/* The number that something is expected of. */
struct matrix_error *experiment_find_value(struct experiment *x,
                                           const struct experiment_expectation *expectation,
                                           int64_t *value) MATRIX_MUST_CHECK;

#endif
