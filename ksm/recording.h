/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Recordings, read: which sessions, processes and counters a file of store.h has, its marks, and
 * the values over time. For `matrix ksm plot` and `export`, experiments and their reports. The file may
 * be anybody's: whatever it holds gives an error that says why, or values.
 */
#ifndef KSM_RECORDING_H
#define KSM_RECORDING_H

#include "ksm/value.h"
#include <matrix/error.h>

/* From one start of a recorder to its end. Texts are never NULL. */
struct ksm_session {
    int64_t id;
    char *title;
    uint64_t started_realtime_ns, started_monotonic_ns;
    uint64_t ended_ns; /* since the start; 0: still running, or the recorder was killed */
    char *boot, *kernel, *processor;
    uint64_t cpus, memory_bytes, page_bytes, interval_ns;
};

/* What the values are of: the host, or a process. */
struct ksm_subject_record {
    int64_t id;
    size_t session; /* index */
    enum ksm_scope scope;
    char *name;
    pid_t pid;
    uint64_t start_time_ns;
    uint64_t ended_ns; /* since the session's start; 0: not in this recording */
};

/* The values of one counter of one subject over time. */
struct ksm_series {
    int64_t id;
    size_t subject; /* index */
    struct ksm_counter counter;
};

struct ksm_mark {
    size_t session; /* index */
    uint64_t time_ns, realtime_ns;
    char *text;
};

/* All of it in the order in which it came. */
struct ksm_recording {
    char *path;
    struct ksm_session *sessions;
    size_t session_count;
    struct ksm_subject_record *subjects;
    size_t subject_count;
    struct ksm_series *series;
    size_t series_count;
    struct ksm_mark *marks;
    size_t mark_count;
    void *database;
};

/* What is read is as it was at this moment, also if somebody is still recording. */
struct matrix_error *ksm_recording_open(const char *path,
                                        struct ksm_recording **recording) MATRIX_MUST_CHECK;
void ksm_recording_close(struct ksm_recording *recording); /* NULL is allowed */

/* One sample, as ksm_recording_walk() hands it out. */
struct ksm_step {
    size_t session; /* index */
    uint64_t time_ns, realtime_ns, missed;
    const struct ksm_value *values; /* by index of series; KSM_NOTHING: none at this time */
};

/* Returns an error to stop, which the walk then returns. */
typedef struct matrix_error *ksm_step_function(const struct ksm_step *step, void *context);

/* Calls visit for every sample, in order, with the values of all series carried forward. */
struct matrix_error *ksm_recording_walk(const struct ksm_recording *recording,
                                        ksm_step_function *visit, void *context) MATRIX_MUST_CHECK;

struct ksm_point {
    uint64_t time_ns; /* since the session's start */
    struct ksm_value value;
};

struct ksm_points {
    struct ksm_point *points; /* one a sample in which there was a value */
    size_t count, capacity;
};

/* The index of the series of a counter: of a session's host if pid is 0, else of that process, the
 * first of that number. -1: there is none. */
ssize_t ksm_recording_find(const struct ksm_recording *recording, size_t session, pid_t pid,
                           const char *counter);

/* The values of some series, by index, over time: points[i] those of wanted[i]. To be freed by
 * ksm_points_free(), also after an error, when they hold what could be read. */
struct matrix_error *ksm_recording_read(const struct ksm_recording *recording, const size_t *wanted,
                                        size_t count, struct ksm_points *points) MATRIX_MUST_CHECK;
void ksm_points_free(struct ksm_points *points, size_t count);

#endif
