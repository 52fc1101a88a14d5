// SPDX-License-Identifier: GPL-2.0-or-later
/* The SQLite below recordings; see database.h. */
#include "ksm/database.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS     10000
#define MAGIC       "SQLite format 3" /* with its end */
#define MAGIC_BYTES 16

#define REMEDY_DAMAGED "`sqlite3 FILE .recover` may save what is left"

/*
 * Times are nanoseconds since the session's start, but for realtime_ns (since 1970) and those that
 * say since when. docs/ksm.md explains each column. The texts are compared with the file's.
 */
static const struct {
    const char *name, *sql;
} tables[] = {
    {"session", "CREATE TABLE session (id INTEGER PRIMARY KEY, title TEXT, "
                "started_realtime_ns INTEGER, started_monotonic_ns INTEGER, ended_ns INTEGER, "
                "boot TEXT, kernel TEXT, processor TEXT, cpus INTEGER, memory_bytes INTEGER, "
                "page_bytes INTEGER, interval_ns INTEGER, recorder_pid INTEGER, "
                "recorder_start_time_ns INTEGER)"},
    {"subject", "CREATE TABLE subject (id INTEGER PRIMARY KEY, session INTEGER, scope TEXT, "
                "name TEXT, pid INTEGER, start_time_ns INTEGER, ended_ns INTEGER)"},
    {"series", "CREATE TABLE series (id INTEGER PRIMARY KEY, subject INTEGER, counter TEXT, "
               "unit TEXT, computed INTEGER)"},
    {"sample", "CREATE TABLE sample (id INTEGER PRIMARY KEY, session INTEGER, time_ns INTEGER, "
               "realtime_ns INTEGER, missed INTEGER)"},
    {"change",
     "CREATE TABLE change (id INTEGER PRIMARY KEY, sample INTEGER, series INTEGER, value)"},
    {"mark", "CREATE TABLE mark (id INTEGER PRIMARY KEY, session INTEGER, time_ns INTEGER, "
             "realtime_ns INTEGER, text TEXT)"},
};

#define TABLES (sizeof(tables) / sizeof(tables[0]))

static const char *path_of(sqlite3 *database)
{
    const char *path = sqlite3_db_filename(database, "main");
    return path && *path ? path : "a recording";
}

struct matrix_error *database_error(sqlite3 *database, const char *what)
{
    /* Not sqlite3_errmsg(), which may repeat what stands in the file, of many lines. */
    const int code = sqlite3_errcode(database) & 0xff;
    const char *why = sqlite3_errstr(sqlite3_extended_errcode(database));
    if (code == SQLITE_NOMEM)
        return error_host(ENOMEM, "%s %s", what, path_of(database));
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
        return error_usage(REMEDY_DAMAGED, "%s %s: it is damaged (%s)", what, path_of(database),
                           why);
    if (code == SQLITE_FULL)
        return error_new(MATRIX_ERROR_HOST, ENOSPC, "what was recorded till now is kept", "%s %s",
                         what, path_of(database));
    return error_host(0, "%s %s: %s", what, path_of(database), why);
}

struct matrix_error *database_run(sqlite3 *database, const char *sql, const char *what)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK
               ? NULL
               : database_error(database, what);
}

struct matrix_error *database_prepare(sqlite3 *database, const char *sql, sqlite3_stmt **statement)
{
    return sqlite3_prepare_v3(database, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, NULL) ==
                   SQLITE_OK
               ? NULL
               : database_error(database, "read");
}

struct matrix_error *database_step(sqlite3_stmt *statement, const char *what)
{
    struct matrix_error *error = NULL;
    if (sqlite3_step(statement) != SQLITE_DONE)
        error = database_error(sqlite3_db_handle(statement), what);
    sqlite3_reset(statement);
    return error;
}

/* What is no SQLite file is said better by us than by SQLite. */
static struct matrix_error *check_file(const char *path, enum database_mode mode)
{
    char start[MAGIC_BYTES] = "";
    struct stat status;
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &status))
        return error_host(errno, "open the recording %s", path);
    if (!S_ISREG(status.st_mode))
        return error_usage(REMEDY_RECORD, "%s is no recording: it is not a file", path);
    const ssize_t got = pread(fd, start, sizeof(start), 0);
    if (got < 0)
        return error_host(errno, "read the recording %s", path);
    if (got == 0)
        return mode == DATABASE_CREATE
                   ? NULL
                   : error_usage(REMEDY_RECORD, "%s is empty: nothing was recorded in it", path);
    if (memcmp(start, MAGIC, (size_t)got) != 0)
        return error_usage(REMEDY_RECORD, "%s is no recording, nor any SQLite file", path);
    if (got < MAGIC_BYTES)
        return error_usage(REMEDY_DAMAGED, "%s is cut off after %zd bytes", path, got);
    return NULL;
}

/* SQLite gives meaning to some names (":memory:", "file:..."), but not to paths. */
static struct matrix_error *connect(const char *path, enum database_mode mode, sqlite3 **database)
{
    char name[PATH_MAX + 2];
    const int flags = mode == DATABASE_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (snprintf(name, sizeof(name), "%s%s", *path == '/' ? "" : "./", path) >= (int)sizeof(name))
        return error_host(ENAMETOOLONG, "open the recording %.80s...", path);
    if (sqlite3_open_v2(name, database, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        return error_host(0, "open the recording %s: %s", path,
                          *database ? sqlite3_errmsg(*database) : "out of memory");
    sqlite3_extended_result_codes(*database, 1);
    sqlite3_busy_timeout(*database, BUSY_MS);
    /* The file may be anybody's: https://www.sqlite.org/security.html. */
    sqlite3_db_config(*database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(*database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    return database_run(*database, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0", "open");
}

static struct matrix_error *ask_number(sqlite3 *database, const char *sql, int64_t *number)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    RETURN_IF_ERROR(database_prepare(database, sql, &statement));
    if (sqlite3_step(statement) != SQLITE_ROW)
        return database_error(database, "read");
    *number = sqlite3_column_int64(statement, 0);
    return NULL;
}

static bool is_ours(const char *type, const char *name, const char *sql)
{
    for (size_t i = 0; i < TABLES; i++)
        if (strcmp(type, "table") == 0 && strcmp(tables[i].name, name) == 0)
            return strcmp(tables[i].sql, sql) == 0;
    return false;
}

/* Exactly our tables: what else is called so (a view that never ends, say) is not asked. */
static struct matrix_error *check_tables(sqlite3 *database, const char *path)
{
    CLEANUP_STATEMENT sqlite3_stmt *statement = NULL;
    size_t found = 0;
    int code;
    RETURN_IF_ERROR(
        database_prepare(database, "SELECT type, name, sql FROM sqlite_schema", &statement));
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *words[3];
        for (int i = 0; i < 3; i++)
            words[i] = (const char *)sqlite3_column_text(statement, i);
        if (!words[0] || !words[1] || !words[2] || !is_ours(words[0], words[1], words[2]))
            return error_usage(REMEDY_RECORD, "%s is no recording: it has other tables", path);
        found++;
    }
    if (code != SQLITE_DONE)
        return database_error(database, "read");
    if (found != TABLES)
        return error_usage(REMEDY_RECORD, "%s is no recording: tables are missing", path);
    return NULL;
}

static struct matrix_error *check(sqlite3 *database, const char *path)
{
    int64_t application = 0, version = 0;
    RETURN_IF_ERROR(ask_number(database, "PRAGMA application_id", &application));
    if (application != DATABASE_APPLICATION_ID)
        return error_usage(REMEDY_RECORD, "%s is an SQLite file, but no recording of KSM", path);
    RETURN_IF_ERROR(ask_number(database, "PRAGMA user_version", &version));
    if (version != DATABASE_VERSION)
        return error_usage("use the Matrix that recorded it, or a newer one",
                           "%s is a recording of version %lld, and this program reads version %d",
                           path, (long long)version, DATABASE_VERSION);
    return check_tables(database, path);
}

/* In one transaction with a rollback journal: an empty file stays empty, or has all. */
static struct matrix_error *create_tables(sqlite3 *database)
{
    char sql[128];
    RETURN_IF_ERROR(database_run(database, "BEGIN EXCLUSIVE", "make the recording"));
    for (size_t i = 0; i < TABLES; i++)
        RETURN_IF_ERROR(database_run(database, tables[i].sql, "make the recording"));
    snprintf(sql, sizeof(sql), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             DATABASE_APPLICATION_ID, DATABASE_VERSION);
    return database_run(database, sql, "make the recording");
}

static struct matrix_error *prepare_file(sqlite3 *database, const char *path,
                                         enum database_mode mode)
{
    int64_t pages = 1;
    if (mode == DATABASE_CREATE)
        RETURN_IF_ERROR(ask_number(database, "SELECT count(*) FROM sqlite_schema", &pages));
    if (pages == 0)
        RETURN_IF_ERROR(create_tables(database));
    RETURN_IF_ERROR(check(database, path));
    /* Who only adds a mark leaves it as it is: what somebody records has a journal of that kind already. */
    if (mode != DATABASE_CREATE)
        return NULL;
    return database_run(database, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", "open");
}

/*
 * Beside a file in WAL mode a reader has to make both of these, and may not take them away. Where there is
 * a journal of the other kind, too, a writer would play that back: not for us to do.
 */
static bool has_empty_wal(const char *path)
{
    char wal[PATH_MAX + 8], journal[PATH_MAX + 16];
    struct stat status;
    snprintf(wal, sizeof(wal), "%s-wal", path);
    snprintf(journal, sizeof(journal), "%s-journal", path);
    return stat(wal, &status) == 0 && status.st_size == 0 && access(journal, F_OK) != 0;
}

/* SQLite takes them away when the last who may write closes: unless somebody else has the file open. */
static void tidy(const char *path)
{
    sqlite3 *database = NULL;
    if (sqlite3_open_v2(path, &database, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) ==
        SQLITE_OK)
        sqlite3_exec(database, "PRAGMA schema_version", NULL, NULL, NULL);
    sqlite3_close(database);
}

void database_close(sqlite3 *database)
{
    char path[PATH_MAX] = "";
    if (!database)
        return;
    if (sqlite3_db_readonly(database, "main") == 1)
        snprintf(path, sizeof(path), "%s", sqlite3_db_filename(database, "main"));
    sqlite3_close(database);
    if (path[0] && has_empty_wal(path))
        tidy(path);
}

struct matrix_error *database_open(const char *path, enum database_mode mode, sqlite3 **database)
{
    *database = NULL;
    RETURN_IF_ERROR(check_file(path, mode));
    struct matrix_error *error = connect(path, mode, database);
    if (!error)
        error = prepare_file(*database, path, mode);
    if (!error)
        return NULL;
    database_close(*database);
    *database = NULL;
    return error;
}
