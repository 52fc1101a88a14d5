/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs an experiment: sets knobs, starts VMs, waits, checks, and takes everything back whatever
 * happens. Called by `matrix ksm experiment`, which prints what the results say.
 */
#ifndef KSM_EXPERIMENT_H
#define KSM_EXPERIMENT_H

#include "base/parse.h"
#include "ksm/experiment_file.h"
#include "ksm/lease.h"
#include "ksm/map.h"
#include "ksm/measure.h"
#include <sys/types.h>

#define EXPERIMENT_LABEL_MAX 96

/* In the output directory. */
#define EXPERIMENT_RECORDING "recording.sqlite"

/* Tells what the experiment is at. passing: the next takes its place. */
typedef void experiment_say_function(void *context, bool passing, const char *text);

/* Draws the merge map while there is one; what that fails at is its own. */
typedef void experiment_draw_function(void *context, const struct ksm_map *map);

struct experiment_options {
    const char *directory; /* takes all files; is there, and was empty */
    struct ksm_places places;
    experiment_say_function *say;
    experiment_draw_function *draw; /* NULL: no picture */
    void *context;
};

struct experiment_phase {
    char label[EXPERIMENT_LABEL_MAX];
    bool waited_flat, flat;
    uint64_t to_flat_ns; /* from the phase's start until the slope was small, and stayed so */
    struct measure_phase measured;
};

struct experiment_check {
    size_t step;
    const struct experiment_expectation *expectation; /* the file's */
    int64_t value;
    bool passed;
};

struct experiment_event {
    uint64_t time_ns; /* since the start */
    char text[EXPERIMENT_LABEL_MAX];
};

struct experiment_map_vm {
    char name[NAME_LENGTH_MAX + 1];
    uint64_t pages[KSM_STATES];
    uint64_t saved_bytes; /* its part: frames' costs split evenly */
};

/* The merge map by VM. shared_pages[i * vm_count + j]: pages of i on merged frames that j has as
 * well; i == j: on frames that it has more than once. */
struct experiment_map {
    uint64_t time_ns;
    size_t running; /* VMs it was taken of; 0: it was not */
    struct experiment_map_vm *vms;
    size_t vm_count;
    uint64_t *shared_pages;
    uint64_t frames, mappings, saved_bytes;
};

struct experiment_results {
    uint64_t started_realtime_ns, duration_ns;
    int signal; /* that ended it, or came while it cleaned up; 0: none */
    size_t steps_done;
    unsigned checks_failed;
    bool knobs_restored;
    struct ksm_knobs before, during, after; /* during: after the file's were set */
    struct experiment_phase *phases;
    size_t phase_count;
    struct experiment_check *checks;
    size_t check_count;
    struct experiment_event *events; /* marks, starts and stops */
    size_t event_count;
    struct experiment_map map;
    struct measure_point *points; /* all of them; times since the start */
    size_t point_count;
};

/*
 * Runs it, to the end, an error or a signal (SIGINT, SIGTERM, SIGHUP). Whatever comes out, no VM is
 * left, and the knobs are as they were: else there is an error that says so. results holds what
 * there was up to then; to be freed in any case. After a signal they stay blocked; who must not be ended
 * by one before the results are written blocks them himself.
 */
struct matrix_error *experiment_run(const struct experiment_file *file,
                                    const struct experiment_options *options,
                                    struct experiment_results *results) MATRIX_MUST_CHECK;

void experiment_results_free(struct experiment_results *results);

#endif
