// SPDX-License-Identifier: GPL-2.0-or-later
/* Opens recordings, and reads what is in them beside the values; see recording.h. */
#include "ksm/recording.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "ksm/database.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct matrix_error *damaged(const struct ksm_recording *recording, const char *what)
{
    return error_usage("`sqlite3 FILE .recover` may save what is left",
                       "read the recording %s: it is damaged (%s)", recording->path, what);
}

/* A text of the file: whatever stands there is a text, and nothing is an empty one. */
static bool take_text(sqlite3_stmt *row, int column, char **text)
{
    const char *bytes = (const char *)sqlite3_column_text(row, column);
    *text = strdup(bytes ? bytes : "");
    return *text;
}

static void copy_text(sqlite3_stmt *row, int column, char *text, size_t size)
{
    const char *bytes = (const char *)sqlite3_column_text(row, column);
    snprintf(text, size, "%s", bytes ? bytes : "");
}

/* Negative numbers make no sense in any of the columns that are read by this. */
static uint64_t take_number(sqlite3_stmt *row, int column)
{
    const int64_t number = sqlite3_column_int64(row, column);
    return number > 0 ? (uint64_t)number : 0;
}

/* Each reads a row into the new last entry, zeroed, of its array. */
typedef struct matrix_error *read_row(struct ksm_recording *recording, sqlite3_stmt *row);

static struct matrix_error *read_session(struct ksm_recording *recording, sqlite3_stmt *row)
{
    struct ksm_session *session = &recording->sessions[recording->session_count++];
    session->id = sqlite3_column_int64(row, 0);
    session->started_realtime_ns = take_number(row, 2);
    session->started_monotonic_ns = take_number(row, 3);
    session->ended_ns = take_number(row, 4);
    session->cpus = take_number(row, 8);
    session->memory_bytes = take_number(row, 9);
    session->page_bytes = take_number(row, 10);
    session->interval_ns = take_number(row, 11);
    return take_text(row, 1, &session->title) && take_text(row, 5, &session->boot) &&
                   take_text(row, 6, &session->kernel) && take_text(row, 7, &session->processor)
               ? NULL
               : error_host(ENOMEM, "read the recording %s", recording->path);
}

/* Which session has this number; they are in order of it. */
static bool find_session(const struct ksm_recording *recording, int64_t id, size_t *index)
{
    for (size_t i = recording->session_count; i-- > 0;)
        if (recording->sessions[i].id == id) {
            *index = i;
            return true;
        }
    return false;
}

static bool find_subject(const struct ksm_recording *recording, int64_t id, size_t *index)
{
    size_t low = 0, high = recording->subject_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (recording->subjects[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    *index = low;
    return low < recording->subject_count && recording->subjects[low].id == id;
}

static struct matrix_error *read_subject(struct ksm_recording *recording, sqlite3_stmt *row)
{
    struct ksm_subject_record *subject = &recording->subjects[recording->subject_count++];
    const uint64_t pid = take_number(row, 4);
    char scope[16];
    copy_text(row, 2, scope, sizeof(scope));
    subject->id = sqlite3_column_int64(row, 0);
    subject->scope = strcmp(scope, "host") == 0 ? KSM_SCOPE_HOST : KSM_SCOPE_PROCESS;
    subject->pid = pid <= INT_MAX ? (pid_t)pid : 0;
    subject->start_time_ns = take_number(row, 5);
    subject->ended_ns = take_number(row, 6);
    if (!take_text(row, 3, &subject->name))
        return error_host(ENOMEM, "read the recording %s", recording->path);
    return find_session(recording, sqlite3_column_int64(row, 1), &subject->session)
               ? NULL
               : damaged(recording, "a process of no session");
}

static struct matrix_error *read_series(struct ksm_recording *recording, sqlite3_stmt *row)
{
    struct ksm_series *series = &recording->series[recording->series_count++];
    series->id = sqlite3_column_int64(row, 0);
    copy_text(row, 2, series->counter.name, sizeof(series->counter.name));
    copy_text(row, 3, series->counter.unit, sizeof(series->counter.unit));
    series->counter.computed = sqlite3_column_int(row, 4) != 0;
    if (!find_subject(recording, sqlite3_column_int64(row, 1), &series->subject))
        return damaged(recording, "a counter of nothing");
    return NULL;
}

static struct matrix_error *read_mark(struct ksm_recording *recording, sqlite3_stmt *row)
{
    struct ksm_mark *mark = &recording->marks[recording->mark_count++];
    mark->time_ns = take_number(row, 2);
    mark->realtime_ns = take_number(row, 3);
    if (!take_text(row, 4, &mark->text))
        return error_host(ENOMEM, "read the recording %s", recording->path);
    return find_session(recording, sqlite3_column_int64(row, 1), &mark->session)
               ? NULL
               : damaged(recording, "a mark of no session");
}

/* Makes room for one more entry, zeroed, in the array whose pointer, of any type, is at place. */
static bool grow(void *place, size_t count, size_t *capacity, size_t size)
{
    void *array;
    memcpy(&array, place, sizeof(array));
    if (count == *capacity) {
        const size_t wanted = *capacity ? 2 * *capacity : 16;
        void *larger = reallocarray(array, wanted, size);
        if (!larger)
            return false;
        array = larger;
        memcpy(place, &array, sizeof(array));
        *capacity = wanted;
    }
    memset((char *)array + count * size, 0, size);
    return true;
}

struct table {
    const char *sql;
    void *array; /* where its pointer is */
    const size_t *count;
    size_t size; /* of an entry */
    read_row *read;
};

/* In order of their numbers: a damaged file, whose pages lead in a circle, would have no end. */
static struct matrix_error *read_table(struct ksm_recording *recording, const struct table *table)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    size_t capacity = 0;
    int64_t last = INT64_MIN;
    int code;
    RETURN_IF_ERROR(database_prepare(recording->database, table->sql, &statement));
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const int64_t id = sqlite3_column_int64(statement, 0);
        if (id <= last)
            return damaged(recording, "rows are out of order");
        last = id;
        if (!grow(table->array, *table->count, &capacity, table->size))
            return error_host(ENOMEM, "read the recording %s", recording->path);
        RETURN_IF_ERROR(table->read(recording, statement));
    }
    return code == SQLITE_DONE ? NULL : database_error(recording->database, "read the recording");
}

static struct matrix_error *read_tables(struct ksm_recording *recording)
{
    const struct table tables[] = {
        {"SELECT id, title, started_realtime_ns, started_monotonic_ns, ended_ns, boot, kernel, "
         "processor, cpus, memory_bytes, page_bytes, interval_ns FROM session ORDER BY id",
         &recording->sessions, &recording->session_count, sizeof(*recording->sessions),
         read_session},
        {"SELECT id, session, scope, name, pid, start_time_ns, ended_ns FROM subject ORDER BY id",
         &recording->subjects, &recording->subject_count, sizeof(*recording->subjects),
         read_subject},
        {"SELECT id, subject, counter, unit, computed FROM series ORDER BY id", &recording->series,
         &recording->series_count, sizeof(*recording->series), read_series},
        {"SELECT id, session, time_ns, realtime_ns, text FROM mark ORDER BY id", &recording->marks,
         &recording->mark_count, sizeof(*recording->marks), read_mark},
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        RETURN_IF_ERROR(read_table(recording, &tables[i]));
    return NULL;
}

static struct matrix_error *open_recording(struct ksm_recording *recording, const char *path)
{
    sqlite3 *database;
    recording->path = strdup(path);
    if (!recording->path)
        return error_host(ENOMEM, "read the recording %s", path);
    RETURN_IF_ERROR(database_open(path, DATABASE_READ, &database));
    recording->database = database;
    /* One transaction for as long as it is open: everything is of one moment. */
    RETURN_IF_ERROR(database_run(database, "BEGIN", "read the recording"));
    return read_tables(recording);
}

struct matrix_error *ksm_recording_open(const char *path, struct ksm_recording **recording)
{
    *recording = calloc(1, sizeof(**recording));
    if (!*recording)
        return error_host(ENOMEM, "read the recording %s", path);
    struct matrix_error *error = open_recording(*recording, path);
    if (error)
        ksm_recording_close(TAKE(*recording));
    return error;
}

void ksm_recording_close(struct ksm_recording *recording)
{
    if (!recording)
        return;
    for (size_t i = 0; i < recording->session_count; i++) {
        free(recording->sessions[i].title);
        free(recording->sessions[i].boot);
        free(recording->sessions[i].kernel);
        free(recording->sessions[i].processor);
    }
    for (size_t i = 0; i < recording->subject_count; i++)
        free(recording->subjects[i].name);
    for (size_t i = 0; i < recording->mark_count; i++)
        free(recording->marks[i].text);
    free(recording->sessions);
    free(recording->subjects);
    free(recording->series);
    free(recording->marks);
    free(recording->path);
    database_close(recording->database);
    free(recording);
}

ssize_t ksm_recording_find(const struct ksm_recording *recording, size_t session, pid_t pid,
                           const char *counter)
{
    for (size_t i = 0; i < recording->series_count; i++) {
        const struct ksm_subject_record *subject =
            &recording->subjects[recording->series[i].subject];
        const bool meant = pid ? subject->scope == KSM_SCOPE_PROCESS && subject->pid == pid
                               : subject->scope == KSM_SCOPE_HOST;
        if (meant && subject->session == session &&
            strcmp(recording->series[i].counter.name, counter) == 0)
            return (ssize_t)i;
    }
    return -1;
}
