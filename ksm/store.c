// SPDX-License-Identifier: GPL-2.0-or-later
/* Writes recordings; see store.h. */
#include "ksm/store.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "ksm/database.h"
#include "ksm/facts.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define WHAT_SAMPLE "record a sample in"

enum statement {
    INSERT_SUBJECT,
    END_SUBJECT,
    INSERT_SERIES,
    INSERT_SAMPLE,
    INSERT_CHANGE,
    INSERT_MARK,
    BEGIN,
    COMMIT,
    STATEMENTS
};

static const char *const statements[STATEMENTS] = {
    [INSERT_SUBJECT] =
        "INSERT INTO subject (session, scope, name, pid, start_time_ns) VALUES (?, ?, ?, ?, ?)",
    [END_SUBJECT] = "UPDATE subject SET ended_ns = ? WHERE id = ?",
    [INSERT_SERIES] = "INSERT INTO series (subject, counter, unit, computed) VALUES (?, ?, ?, ?)",
    [INSERT_SAMPLE] =
        "INSERT INTO sample (session, time_ns, realtime_ns, missed) VALUES (?, ?, ?, ?)",
    [INSERT_CHANGE] = "INSERT INTO change (sample, series, value) VALUES (?, ?, ?)",
    [INSERT_MARK] = "INSERT INTO mark (session, time_ns, realtime_ns, text) VALUES (?, ?, ?, ?)",
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
};

/* A series: its number in the file, and the value there. */
struct stored {
    int64_t id;
    struct ksm_value value;
};

struct ksm_store {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
    uint64_t token; /* of this store, for the numbers in samples */
    int64_t session;
    uint64_t started_ns;   /* CLOCK_MONOTONIC */
    struct stored *stored; /* a reading's series is the index in it, plus one */
    size_t count, capacity;
    bool broken; /* a sample failed halfway: what is stored here is not what is in the file */
};

static struct matrix_error *run(struct ksm_store *store, enum statement which, const char *what)
{
    return database_step(store->statements[which], what);
}

/* Texts come from the kernel and from processes: bytes of any kind, which SQLite takes. */
static void bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    sqlite3_bind_text(statement, place, text, -1, SQLITE_TRANSIENT);
}

static void bind_value(sqlite3_stmt *statement, int place, const struct ksm_value *value)
{
    if (value->kind == KSM_NUMBER)
        sqlite3_bind_int64(statement, place, value->number);
    else if (value->kind == KSM_TEXT)
        bind_text(statement, place, value->text);
    else
        sqlite3_bind_null(statement, place);
}

static uint64_t since_start(const struct ksm_store *store, uint64_t monotonic_ns)
{
    return monotonic_ns > store->started_ns ? monotonic_ns - store->started_ns : 0;
}

/* --- opening ------------------------------------------------------------------------------- */

static struct matrix_error *insert_session(struct ksm_store *store,
                                           const struct ksm_store_options *options)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    struct ksm_facts facts;
    ksm_facts_read(&facts);
    RETURN_IF_ERROR(database_prepare(
        store->database,
        "INSERT INTO session (title, started_realtime_ns, started_monotonic_ns, boot, kernel, "
        "processor, cpus, memory_bytes, page_bytes, interval_ns, recorder_pid, "
        "recorder_start_time_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        &statement));
    store->started_ns = clock_now_ns(CLOCK_MONOTONIC);
    const char *const texts[] = {facts.boot, facts.kernel, facts.processor};
    const uint64_t numbers[] = {facts.cpus,         facts.memory_bytes,
                                facts.page_bytes,   options->interval_ns,
                                (uint64_t)getpid(), ksm_facts_start_time_ns(getpid())};
    bind_text(statement, 1, options->title ? options->title : "");
    sqlite3_bind_int64(statement, 2, (int64_t)clock_now_ns(CLOCK_REALTIME));
    sqlite3_bind_int64(statement, 3, (int64_t)store->started_ns);
    for (int i = 0; i < 3; i++)
        bind_text(statement, 4 + i, texts[i]);
    for (int i = 0; i < 6; i++)
        sqlite3_bind_int64(statement, 7 + i, (int64_t)numbers[i]);
    RETURN_IF_ERROR(database_step(statement, "begin a session in"));
    store->session = sqlite3_last_insert_rowid(store->database);
    return NULL;
}

struct matrix_error *ksm_store_make_file(const char *path, bool append, bool *made)
{
    struct stat status;
    const int flags = O_RDWR | O_CREAT | O_CLOEXEC;
    CLEANUP_CLOSE int fd = open(path, flags | O_EXCL, 0666);
    *made = fd >= 0;
    if (fd >= 0)
        return NULL;
    if (errno != EEXIST)
        return error_host(errno, "make the recording %s", path);
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
        return error_usage("name a file in it", "%s is a directory", path);
    if (!append)
        return error_usage("--append adds to it; or take another name",
                           "%s is there already, and would be written over", path);
    fd = open(path, flags, 0666);
    return fd < 0 ? error_host(errno, "make the recording %s", path) : NULL;
}

static struct matrix_error *open_store(struct ksm_store *store, const char *path,
                                       const struct ksm_store_options *options)
{
    static uint64_t tokens;
    bool made;
    RETURN_IF_ERROR(ksm_store_make_file(path, options->append, &made));
    RETURN_IF_ERROR(database_open(path, DATABASE_CREATE, &store->database));
    for (unsigned i = 0; i < STATEMENTS; i++)
        RETURN_IF_ERROR(database_prepare(store->database, statements[i], &store->statements[i]));
    store->token = ++tokens;
    return insert_session(store, options);
}

static void free_store(struct ksm_store *store)
{
    for (unsigned i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(store->statements[i]);
    database_close(store->database);
    free(store->stored);
    free(store);
}

struct matrix_error *ksm_store_open(const char *path, const struct ksm_store_options *options,
                                    struct ksm_store **store)
{
    *store = calloc(1, sizeof(**store));
    if (!*store)
        return error_host(ENOMEM, "make the recording %s", path);
    struct matrix_error *error = open_store(*store, path, options);
    if (error)
        free_store(TAKE(*store));
    return error;
}

/* --- samples ------------------------------------------------------------------------------- */

static struct matrix_error *add_subject(struct ksm_store *store, struct ksm_source *source)
{
    sqlite3_stmt *statement = store->statements[INSERT_SUBJECT];
    sqlite3_bind_int64(statement, 1, store->session);
    bind_text(statement, 2, source->scope == KSM_SCOPE_HOST ? "host" : "process");
    bind_text(statement, 3, source->name);
    sqlite3_bind_int64(statement, 4, source->pid);
    sqlite3_bind_int64(statement, 5, (int64_t)source->start_time_ns);
    RETURN_IF_ERROR(run(store, INSERT_SUBJECT, WHAT_SAMPLE));
    source->subject = sqlite3_last_insert_rowid(store->database);
    source->store = store->token;
    for (size_t i = 0; i < source->count; i++)
        source->readings[i].series = 0;
    return NULL;
}

/* Room for what is known of one more series. */
static struct matrix_error *grow(struct ksm_store *store)
{
    if (store->count < store->capacity)
        return NULL;
    const size_t capacity = store->capacity ? 2 * store->capacity : 256;
    struct stored *stored = reallocarray(store->stored, capacity, sizeof(*stored));
    if (!stored)
        return error_host(ENOMEM, WHAT_SAMPLE " the recording");
    store->stored = stored;
    store->capacity = capacity;
    return NULL;
}

static struct matrix_error *add_series(struct ksm_store *store, int64_t subject,
                                       struct ksm_reading *reading)
{
    sqlite3_stmt *statement = store->statements[INSERT_SERIES];
    RETURN_IF_ERROR(grow(store));
    sqlite3_bind_int64(statement, 1, subject);
    bind_text(statement, 2, reading->counter.name);
    bind_text(statement, 3, reading->counter.unit);
    sqlite3_bind_int(statement, 4, reading->counter.computed);
    RETURN_IF_ERROR(run(store, INSERT_SERIES, WHAT_SAMPLE));
    store->stored[store->count++] = (struct stored){
        .id = sqlite3_last_insert_rowid(store->database),
        .value = {.kind = KSM_NOTHING},
    };
    reading->series = (int64_t)store->count;
    return NULL;
}

static struct matrix_error *add_reading(struct ksm_store *store, int64_t sample,
                                        const struct ksm_source *source,
                                        struct ksm_reading *reading)
{
    static const struct ksm_value nothing = {.kind = KSM_NOTHING};
    const struct ksm_value *value = source->ended ? &nothing : &reading->value;
    if (!reading->series && value->kind == KSM_NOTHING)
        return NULL;
    if (!reading->series)
        RETURN_IF_ERROR(add_series(store, source->subject, reading));
    struct stored *stored = &store->stored[reading->series - 1];
    if (ksm_value_equal(&stored->value, value))
        return NULL;
    sqlite3_stmt *statement = store->statements[INSERT_CHANGE];
    sqlite3_bind_int64(statement, 1, sample);
    sqlite3_bind_int64(statement, 2, stored->id);
    bind_value(statement, 3, value);
    stored->value = *value;
    return run(store, INSERT_CHANGE, WHAT_SAMPLE);
}

static struct matrix_error *add_source(struct ksm_store *store, int64_t sample, uint64_t time_ns,
                                       struct ksm_source *source)
{
    const bool is_new = source->store != store->token;
    const bool look_at_all = is_new || source->ended || !source->keeps_changes;
    if (is_new)
        RETURN_IF_ERROR(add_subject(store, source));
    /* Of most processes nothing has changed: what is not touched costs nothing. */
    for (size_t i = 0; i < source->count; i++)
        if (look_at_all || source->changes >> i & 1)
            RETURN_IF_ERROR(add_reading(store, sample, source, &source->readings[i]));
    source->changes = 0;
    if (!source->ended)
        return NULL;
    sqlite3_bind_int64(store->statements[END_SUBJECT], 1, (int64_t)time_ns);
    sqlite3_bind_int64(store->statements[END_SUBJECT], 2, source->subject);
    return run(store, END_SUBJECT, WHAT_SAMPLE);
}

static struct matrix_error *add_all(struct ksm_store *store, struct ksm_sample *sample)
{
    const uint64_t time_ns = since_start(store, sample->monotonic_ns);
    sqlite3_stmt *statement = store->statements[INSERT_SAMPLE];
    sqlite3_bind_int64(statement, 1, store->session);
    sqlite3_bind_int64(statement, 2, (int64_t)time_ns);
    sqlite3_bind_int64(statement, 3, (int64_t)sample->realtime_ns);
    sqlite3_bind_int64(statement, 4, (int64_t)sample->missed);
    RETURN_IF_ERROR(run(store, INSERT_SAMPLE, WHAT_SAMPLE));
    const int64_t id = sqlite3_last_insert_rowid(store->database);
    RETURN_IF_ERROR(add_source(store, id, time_ns, &sample->host));
    for (size_t i = 0; i < sample->process_count; i++)
        RETURN_IF_ERROR(add_source(store, id, time_ns, &sample->processes[i]));
    return run(store, COMMIT, WHAT_SAMPLE);
}

struct matrix_error *ksm_store_add(struct ksm_store *store, struct ksm_sample *sample)
{
    if (store->broken)
        return error_host(0, WHAT_SAMPLE " the recording: an earlier one failed");
    RETURN_IF_ERROR(run(store, BEGIN, WHAT_SAMPLE));
    struct matrix_error *error = add_all(store, sample);
    if (!error)
        return NULL;
    store->broken = true;
    sqlite3_exec(store->database, "ROLLBACK", NULL, NULL, NULL);
    return error;
}

/* --- marks and the end --------------------------------------------------------------------- */

static struct matrix_error *insert_mark(sqlite3_stmt *statement, int64_t session, uint64_t time_ns,
                                        const char *text)
{
    sqlite3_bind_int64(statement, 1, session);
    sqlite3_bind_int64(statement, 2, (int64_t)time_ns);
    sqlite3_bind_int64(statement, 3, (int64_t)clock_now_ns(CLOCK_REALTIME));
    bind_text(statement, 4, text);
    return database_step(statement, "add a mark to");
}

struct matrix_error *ksm_store_mark(struct ksm_store *store, const char *text)
{
    return insert_mark(store->statements[INSERT_MARK], store->session,
                       since_start(store, clock_now_ns(CLOCK_MONOTONIC)), text);
}

struct matrix_error *ksm_store_close(struct ksm_store *store)
{
    char sql[128];
    snprintf(sql, sizeof(sql), "UPDATE session SET ended_ns = %" PRIu64 " WHERE id = %" PRId64,
             since_start(store, clock_now_ns(CLOCK_MONOTONIC)), store->session);
    struct matrix_error *error = database_run(store->database, sql, "end the session in");
    for (unsigned i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    /* One file that can be copied. Where others have it open it stays as it is, which does as well. */
    if (!error)
        sqlite3_exec(store->database, "PRAGMA busy_timeout = 0; PRAGMA journal_mode = DELETE", NULL,
                     NULL, NULL);
    free_store(store);
    return error;
}

/* The newest session, when somebody is recording it: who wrote that line is alive. */
static struct matrix_error *find_running(sqlite3 *database, const char *path, int64_t *session,
                                         uint64_t *started_ns)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    struct ksm_facts facts;
    ksm_facts_read(&facts);
    RETURN_IF_ERROR(database_prepare(database,
                                     "SELECT id, started_monotonic_ns, boot, recorder_pid, "
                                     "recorder_start_time_ns FROM session WHERE ended_ns IS NULL "
                                     "ORDER BY id DESC LIMIT 1",
                                     &statement));
    const int code = sqlite3_step(statement);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return database_error(database, "add a mark to");
    const char *boot = code == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 2) : NULL;
    const int64_t pid = boot ? sqlite3_column_int64(statement, 3) : 0;
    if (!boot || strcmp(boot, facts.boot) != 0 || pid <= 0 || pid > INT32_MAX ||
        ksm_facts_start_time_ns((pid_t)pid) != (uint64_t)sqlite3_column_int64(statement, 4))
        return error_usage("marks are for recordings that are being made: name it with --file",
                           "nobody is recording %s now", path);
    *session = sqlite3_column_int64(statement, 0);
    *started_ns = (uint64_t)sqlite3_column_int64(statement, 1);
    return NULL;
}

static struct matrix_error *mark_running(sqlite3 *database, const char *path, const char *text)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    int64_t session = 0;
    uint64_t started_ns = 0;
    RETURN_IF_ERROR(find_running(database, path, &session, &started_ns));
    RETURN_IF_ERROR(database_prepare(database, statements[INSERT_MARK], &statement));
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    return insert_mark(statement, session, now > started_ns ? now - started_ns : 0, text);
}

struct matrix_error *ksm_store_mark_running(const char *path, const char *text)
{
    sqlite3 *database;
    RETURN_IF_ERROR(database_open(path, DATABASE_WRITE, &database));
    struct matrix_error *error = mark_running(database, path, text);
    database_close(database);
    return error;
}
