// SPDX-License-Identifier: GPL-2.0-or-later
/* The values of a recording over time, carried forward from change to change; see recording.h. */
#include "base/cleanup.h"
#include "base/error.h"
#include "ksm/database.h"
#include "ksm/recording.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
    const struct ksm_recording *recording;
    sqlite3_stmt *samples, *changes;
    int64_t last_change;
    bool has_change; /* the row that changes stands on is still to be applied */
    struct ksm_value *values;
    uint64_t *times; /* of each session's last sample */
};

static struct matrix_error *damaged(const struct walk *walk, const char *what)
{
    return error_usage("`sqlite3 FILE .recover` may save what is left",
                       "read the recording %s: it is damaged (%s)", walk->recording->path, what);
}

static int compare_series(const void *key, const void *entry)
{
    const int64_t id = *(const int64_t *)key, other = ((const struct ksm_series *)entry)->id;
    return (id > other) - (id < other);
}

static struct matrix_error *read_value(const struct walk *walk, struct ksm_value *value)
{
    *value = (struct ksm_value){.kind = KSM_NOTHING};
    switch (sqlite3_column_type(walk->changes, 3)) {
    case SQLITE_NULL:
        return NULL;
    case SQLITE_INTEGER:
        value->kind = KSM_NUMBER;
        value->number = sqlite3_column_int64(walk->changes, 3);
        return NULL;
    case SQLITE_TEXT:
        value->kind = KSM_TEXT;
        const char *text = (const char *)sqlite3_column_text(walk->changes, 3);
        snprintf(value->text, sizeof(value->text), "%s", text ? text : "");
        return NULL;
    default:
        return damaged(walk, "a value that is neither a number nor a text");
    }
}

static struct matrix_error *next_change(struct walk *walk)
{
    const int code = sqlite3_step(walk->changes);
    walk->has_change = code == SQLITE_ROW;
    if (code == SQLITE_DONE)
        return NULL;
    if (code != SQLITE_ROW)
        return database_error(walk->recording->database, "read the recording");
    const int64_t id = sqlite3_column_int64(walk->changes, 0);
    if (id <= walk->last_change)
        return damaged(walk, "changes are out of order");
    walk->last_change = id;
    return NULL;
}

/* Those of a sample stand together, and samples in order. */
static struct matrix_error *apply_changes(struct walk *walk, int64_t sample)
{
    const struct ksm_recording *recording = walk->recording;
    while (walk->has_change && sqlite3_column_int64(walk->changes, 1) == sample) {
        const int64_t id = sqlite3_column_int64(walk->changes, 2);
        const struct ksm_series *series = bsearch(&id, recording->series, recording->series_count,
                                                  sizeof(*series), compare_series);
        if (!series)
            return damaged(walk, "a value of no counter");
        RETURN_IF_ERROR(read_value(walk, &walk->values[series - recording->series]));
        RETURN_IF_ERROR(next_change(walk));
    }
    return NULL;
}

static struct matrix_error *read_step(struct walk *walk, struct ksm_step *step)
{
    const struct ksm_recording *recording = walk->recording;
    const int64_t session = sqlite3_column_int64(walk->samples, 1);
    const int64_t time_ns = sqlite3_column_int64(walk->samples, 2);
    const int64_t realtime_ns = sqlite3_column_int64(walk->samples, 3);
    const int64_t missed = sqlite3_column_int64(walk->samples, 4);
    size_t i = recording->session_count;
    while (i-- > 0)
        if (recording->sessions[i].id == session)
            break;
    if (i >= recording->session_count)
        return damaged(walk, "a sample of no session");
    if (time_ns < 0 || (uint64_t)time_ns < walk->times[i])
        return damaged(walk, "time goes backwards");
    walk->times[i] = (uint64_t)time_ns;
    *step = (struct ksm_step){
        .session = i,
        .time_ns = (uint64_t)time_ns,
        .realtime_ns = realtime_ns > 0 ? (uint64_t)realtime_ns : 0,
        .missed = missed > 0 ? (uint64_t)missed : 0,
        .values = walk->values,
    };
    return NULL;
}

static struct matrix_error *walk_all(struct walk *walk, ksm_step_function *visit, void *context)
{
    int64_t last = INT64_MIN;
    int code;
    RETURN_IF_ERROR(next_change(walk));
    while ((code = sqlite3_step(walk->samples)) == SQLITE_ROW) {
        const int64_t id = sqlite3_column_int64(walk->samples, 0);
        struct ksm_step step;
        if (id <= last)
            return damaged(walk, "samples are out of order");
        last = id;
        RETURN_IF_ERROR(read_step(walk, &step));
        RETURN_IF_ERROR(apply_changes(walk, id));
        /* cppcheck-suppress returnDanglingLifetime; an error is no step */
        RETURN_IF_ERROR(visit(&step, context));
    }
    if (code != SQLITE_DONE)
        return database_error(walk->recording->database, "read the recording");
    return walk->has_change ? damaged(walk, "values of no sample") : NULL;
}

static struct matrix_error *prepare(struct walk *walk)
{
    const struct ksm_recording *recording = walk->recording;
    walk->values = calloc(recording->series_count + 1, sizeof(*walk->values));
    walk->times = calloc(recording->session_count + 1, sizeof(*walk->times));
    if (!walk->values || !walk->times)
        return error_host(ENOMEM, "read the recording %s", recording->path);
    RETURN_IF_ERROR(
        database_prepare(recording->database,
                         "SELECT id, session, time_ns, realtime_ns, missed FROM sample ORDER BY id",
                         &walk->samples));
    return database_prepare(recording->database,
                            "SELECT id, sample, series, value FROM change ORDER BY id",
                            &walk->changes);
}

struct matrix_error *ksm_recording_walk(const struct ksm_recording *recording,
                                        ksm_step_function *visit, void *context)
{
    struct walk walk = {.recording = recording, .last_change = INT64_MIN};
    struct matrix_error *error = prepare(&walk);
    if (!error)
        error = walk_all(&walk, visit, context);
    sqlite3_finalize(walk.samples);
    sqlite3_finalize(walk.changes);
    free(walk.values);
    free(walk.times);
    return error;
}

/* --- some series --------------------------------------------------------------------------- */

struct reader {
    const struct ksm_recording *recording;
    const size_t *wanted;
    size_t count;
    struct ksm_points *points;
};

static struct matrix_error *add_points(const struct ksm_step *step, void *context)
{
    struct reader *reader = context;
    for (size_t i = 0; i < reader->count; i++) {
        struct ksm_points *points = &reader->points[i];
        const struct ksm_value *value = &step->values[reader->wanted[i]];
        const size_t subject = reader->recording->series[reader->wanted[i]].subject;
        if (value->kind == KSM_NOTHING ||
            reader->recording->subjects[subject].session != step->session)
            continue;
        if (points->count == points->capacity) {
            const size_t capacity = points->capacity ? 2 * points->capacity : 256;
            struct ksm_point *larger = reallocarray(points->points, capacity, sizeof(*larger));
            if (!larger)
                return error_host(ENOMEM, "read the recording %s", reader->recording->path);
            points->points = larger;
            points->capacity = capacity;
        }
        points->points[points->count++] =
            (struct ksm_point){.time_ns = step->time_ns, .value = *value};
    }
    return NULL;
}

struct matrix_error *ksm_recording_read(const struct ksm_recording *recording, const size_t *wanted,
                                        size_t count, struct ksm_points *points)
{
    struct reader reader = {recording, wanted, count, points};
    memset(points, 0, count * sizeof(*points));
    /* cppcheck-suppress returnDanglingLifetime; an error is no reader */
    return ksm_recording_walk(recording, add_points, &reader);
}

void ksm_points_free(struct ksm_points *points, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(points[i].points);
    memset(points, 0, count * sizeof(*points));
}
