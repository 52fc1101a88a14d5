// SPDX-License-Identifier: GPL-2.0-or-later
/* Recordings: what is written is read again; what is cut off, damaged or foreign says why. */
#include "base/clock.h"
#include "ksm/database.h"
#include "ksm/recording.h"
#include "ksm/store.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define SAMPLES 40

static char directory[64], path[96], copy[96], copy_wal[112], wal[112];

static void succeed(struct matrix_error *error)
{
    if (error)
        fail_msg("%s", error->message);
}

static void fails_with(struct matrix_error *error, const char *text)
{
    assert_non_null(error);
    if (!strstr(error->message, text))
        fail_msg("'%s' is not in: %s", text, error->message);
    matrix_error_free(error);
}

/* A host with two counters and a process with two. */
struct world {
    struct ksm_reading host[3], process[2];
    struct ksm_source processes[1];
    struct ksm_sample sample;
};

static void world_make(struct world *world)
{
    *world = (struct world){
        .host = {{.counter = {"pages_shared", "pages", false}},
                 {.counter = {"general_profit", "bytes", true}},
                 {.counter = {"advisor_mode", "", false}}},
        .process = {{.counter = {"ksm_merging_pages", "pages", false}},
                    {.counter = {"resident_bytes", "bytes", false}}},
        .processes = {{.scope = KSM_SCOPE_PROCESS,
                       .name = "a\x1b[2J\xff",
                       .pid = 77,
                       .start_time_ns = 123456,
                       .count = 2}},
        .sample = {.host = {.scope = KSM_SCOPE_HOST, .name = "host", .count = 3},
                   .process_count = 1},
    };
    world->sample.host.readings = world->host;
    world->sample.processes = world->processes;
    world->processes[0].readings = world->process;
}

static void set(struct ksm_reading *reading, int64_t number)
{
    reading->value = (struct ksm_value){.kind = KSM_NUMBER, .number = number};
}

/* The values of the sample of this number. Some change each time, some seldom, one goes away. */
static void world_set(struct world *world, int number)
{
    set(&world->host[0], 1000 + number);
    set(&world->host[1], -5);
    world->host[2].value = (struct ksm_value){.kind = KSM_TEXT};
    strcpy(world->host[2].value.text,
           number < SAMPLES / 2 ? "[none] scan-time" : "none [scan-time]");
    set(&world->process[0], number / 10);
    set(&world->process[1], INT64_MAX - number);
    world->processes[0].ended = number == SAMPLES - 1;
    world->sample.monotonic_ns = clock_now_ns(CLOCK_MONOTONIC);
    world->sample.realtime_ns = clock_now_ns(CLOCK_REALTIME);
    world->sample.missed = number == 3 ? 7 : 0;
}

static struct ksm_store *make(bool append, const char *title)
{
    struct ksm_store *store;
    const struct ksm_store_options options = {
        .title = title, .interval_ns = 1000000, .append = append};
    succeed(ksm_store_open(path, &options, &store));
    return store;
}

static void record(struct ksm_store *store)
{
    struct world world;
    world_make(&world);
    for (int i = 0; i < SAMPLES; i++) {
        world_set(&world, i);
        succeed(ksm_store_add(store, &world.sample));
        if (i == 10)
            succeed(ksm_store_mark(store, "VM 1 started"));
    }
}

static int64_t rows(const char *table)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    char sql[64];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    succeed(database_open(path, DATABASE_READ, &database));
    succeed(database_prepare(database, sql, &statement));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
}

static int make_directory(void **state)
{
    snprintf(directory, sizeof(directory), "%s/matrix-store-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof(path), "%s/r.sqlite", directory);
    snprintf(wal, sizeof(wal), "%s-wal", path);
    snprintf(copy, sizeof(copy), "%s/copy", directory);
    snprintf(copy_wal, sizeof(copy_wal), "%s-wal", copy);
    return 0;
}

static int remove_directory(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", directory);
    return system(command); /* NOLINT(cert-env33-c): a name of ours */
}

static int remove_files(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char name[128];
        snprintf(name, sizeof(name), "%s%s", path, ends[i]);
        unlink(name);
        snprintf(name, sizeof(name), "%s%s", copy, ends[i]);
        unlink(name);
    }
    return 0;
}

static void check_points(const struct ksm_recording *recording, size_t session)
{
    size_t wanted[5];
    static const char *const names[] = {"pages_shared", "general_profit", "advisor_mode",
                                        "ksm_merging_pages", "resident_bytes"};
    for (size_t i = 0; i < 5; i++) {
        const ssize_t found = ksm_recording_find(recording, session, i < 3 ? 0 : 77, names[i]);
        assert_true(found >= 0);
        wanted[i] = (size_t)found;
    }
    struct ksm_points points[5];
    succeed(ksm_recording_read(recording, wanted, 5, points));
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(points[i].count, i < 3 ? SAMPLES : SAMPLES - 1);
    for (int i = 0; i < SAMPLES - 1; i++) {
        struct world world;
        world_make(&world);
        world_set(&world, i);
        for (size_t k = 0; k < 5; k++)
            assert_true(
                ksm_value_equal(&points[k].points[i].value,
                                k < 3 ? &world.host[k].value : &world.process[k - 3].value));
        assert_true(i == 0 || points[0].points[i].time_ns >= points[0].points[i - 1].time_ns);
    }
    ksm_points_free(points, 5);
}

static void reads_what_was_written(void **state)
{
    struct ksm_recording *recording;
    struct ksm_store *store = make(false, "first");
    record(store);
    succeed(ksm_store_close(store));
    assert_int_equal(access(wal, F_OK), -1); /* a single file */

    succeed(ksm_recording_open(path, &recording));
    assert_int_equal(recording->session_count, 1);
    assert_string_equal(recording->sessions[0].title, "first");
    assert_int_equal(recording->sessions[0].interval_ns, 1000000);
    assert_true(recording->sessions[0].ended_ns > 0);
    assert_true(recording->sessions[0].page_bytes >= 4096);
    assert_int_equal(recording->subject_count, 2);
    assert_string_equal(recording->subjects[1].name, "a\x1b[2J\xff");
    assert_int_equal(recording->subjects[1].start_time_ns, 123456);
    assert_true(recording->subjects[1].ended_ns > 0);
    assert_int_equal(recording->series_count, 5);
    assert_true(recording->series[1].counter.computed);
    assert_string_equal(recording->series[4].counter.unit, "bytes");
    assert_int_equal(recording->mark_count, 1);
    assert_string_equal(recording->marks[0].text, "VM 1 started");
    check_points(recording, 0);
    assert_int_equal(ksm_recording_find(recording, 0, 0, "no_such"), -1);
    assert_int_equal(ksm_recording_find(recording, 0, 78, "resident_bytes"), -1);
    ksm_recording_close(recording);
}

static void stores_changes_only(void **state)
{
    struct ksm_store *store = make(false, NULL);
    record(store);
    succeed(ksm_store_close(store));
    /* Every time, once, twice; every tenth, every time; and the two that end. */
    assert_int_equal(rows("change"), SAMPLES + 1 + 2 + SAMPLES / 10 + SAMPLES - 1 + 2);
    assert_int_equal(rows("sample"), SAMPLES);
}

static void appends(void **state)
{
    struct ksm_recording *recording;
    struct ksm_store *store = make(false, "one");
    record(store);
    succeed(ksm_store_close(store));
    const struct ksm_store_options options = {.append = false};
    fails_with(ksm_store_open(path, &options, &store), "is there already");
    for (int i = 0; i < 2; i++) {
        store = make(true, "two");
        record(store);
        succeed(ksm_store_close(store));
    }
    succeed(ksm_recording_open(path, &recording));
    assert_int_equal(recording->session_count, 3);
    for (size_t i = 0; i < 3; i++)
        check_points(recording, i);
    assert_int_equal(recording->marks[2].session, 2);
    ksm_recording_close(recording);
}

static void two_record_at_once(void **state)
{
    struct ksm_recording *recording;
    struct ksm_store *one = make(false, "one"), *two = make(true, "two");
    struct world first, second;
    world_make(&first);
    world_make(&second);
    for (int i = 0; i < SAMPLES; i++) {
        world_set(&first, i);
        world_set(&second, i);
        succeed(ksm_store_add(one, &first.sample));
        succeed(ksm_store_add(two, &second.sample));
        succeed(ksm_store_mark_running(path, "a mark"));
    }
    succeed(ksm_recording_open(path, &recording)); /* and somebody reads meanwhile */
    check_points(recording, 0);
    check_points(recording, 1);
    assert_int_equal(recording->mark_count, SAMPLES);
    assert_int_equal(recording->marks[0].session, 1); /* the newest */
    ksm_recording_close(recording);
    succeed(ksm_store_close(one));
    succeed(ksm_store_close(two));
    fails_with(ksm_store_mark_running(path, "late"), "nobody is recording");
}

/* One sample's numbers are of another store: they are not taken for this one's. */
static void a_sample_goes_to_two_stores(void **state)
{
    struct world world;
    world_make(&world);
    struct ksm_store *store = make(false, NULL);
    world_set(&world, 0);
    succeed(ksm_store_add(store, &world.sample));
    succeed(ksm_store_close(store));
    store = make(true, NULL);
    succeed(ksm_store_add(store, &world.sample));
    succeed(ksm_store_close(store));
    assert_int_equal(rows("series"), 10);
}

static struct matrix_error *count_steps(const struct ksm_step *step, void *context)
{
    ++*(int *)context;
    return NULL;
}

/* Opens the file and reads all; says why it cannot, and how many samples there were. */
static int read_all(const char *file, bool *complete)
{
    struct ksm_recording *recording;
    int steps = 0;
    struct matrix_error *error = ksm_recording_open(file, &recording);
    if (!error) {
        error = ksm_recording_walk(recording, count_steps, &steps);
        ksm_recording_close(recording);
    }
    *complete = !error;
    if (error) {
        assert_true(error->message[0]);
        assert_null(strchr(error->message, '\n'));
        assert_non_null(strstr(error->message, file));
    }
    matrix_error_free(error);
    return steps;
}

static char *slurp(const char *name, size_t *size)
{
    FILE *file = fopen(name, "re");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    fclose(file);
    return bytes;
}

static void spit(const char *name, const char *bytes, size_t size)
{
    FILE *file = fopen(name, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

/* Every length of the first page, then a step that no page size is a multiple of. */
static size_t next_length(size_t length)
{
    return length + (length < 200 ? 1 : 97);
}

static void cut_off_anywhere(void **state)
{
    struct ksm_store *store = make(false, "whole");
    record(store);
    succeed(ksm_store_close(store));
    size_t size;
    bool complete;
    char *bytes = slurp(path, &size);
    for (size_t length = 0; length < size; length = next_length(length)) {
        spit(copy, bytes, length);
        read_all(copy, &complete);
        if (complete)
            fail_msg("%zu of %zu bytes pass for the whole", length, size);
    }
    spit(copy, bytes, size);
    assert_int_equal(read_all(copy, &complete), SAMPLES);
    assert_true(complete);
    free(bytes);
}

/* The -wal of a recorder that was killed: what is whole of it counts, the rest never happened. */
static void cut_off_wal(void **state)
{
    struct ksm_store *store = make(false, "whole");
    record(store);
    size_t size, wal_size;
    bool complete;
    char *bytes = slurp(path, &size), *wal_bytes = slurp(wal, &wal_size);
    succeed(ksm_store_close(store));
    int before = 0;
    for (size_t length = 0; length <= wal_size; length = next_length(length)) {
        remove_files(NULL);
        spit(copy, bytes, size);
        spit(copy_wal, wal_bytes, length);
        const int steps = read_all(copy, &complete);
        assert_true(complete);
        assert_true(steps >= before);
        before = steps;
    }
    assert_in_range(before, SAMPLES - 1, SAMPLES);
    free(bytes);
    free(wal_bytes);
}

/* Bytes turned over, one at a time and many: an error or values, but it ends, and nothing breaks. */
static void damaged_anywhere(void **state)
{
    struct ksm_store *store = make(false, "whole");
    record(store);
    succeed(ksm_store_close(store));
    size_t size;
    bool complete;
    char *bytes = slurp(path, &size);
    srand(1);
    for (int round = 0; round < 600; round++) {
        char *broken = malloc(size);
        memcpy(broken, bytes, size);
        for (int i = 0; i <= round % 20; i++)
            broken[(size_t)rand() % size] = (char)rand();
        remove_files(NULL);
        spit(copy, broken, size);
        read_all(copy, &complete);
        free(broken);
    }
    free(bytes);
}

/* Records for ever; counts what is done in memory that outlives it. */
static void record_until_killed(volatile int *count)
{
    struct world world;
    struct ksm_store *store;
    const struct ksm_store_options options = {.interval_ns = 1, .append = true};
    world_make(&world);
    if (ksm_store_open(path, &options, &store))
        _exit(1);
    for (int i = 0;; i++) {
        world_set(&world, i % (SAMPLES - 1));
        if (ksm_store_add(store, &world.sample))
            _exit(1);
        ++*count;
    }
}

/* Each sample that was added is there; the one that was being added may be. */
static void killed_at_any_moment(void **state)
{
    volatile int *count =
        mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int before = 0;
    bool complete = false;
    assert_ptr_not_equal(count, MAP_FAILED);
    for (unsigned round = 0; round < 60; round++) {
        int status = 0;
        *count = 0;
        const pid_t pid = fork();
        if (pid == 0)
            record_until_killed(count);
        assert_true(pid > 0);
        while (*count < (int)(round % 7) && waitpid(pid, &status, WNOHANG) == 0)
            usleep(100);
        usleep(round * 997 % 3000);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        if (before + *count == 0 && (access(path, F_OK) || read_all(path, &complete) == 0))
            continue; /* before its first sample */
        const int steps = read_all(path, &complete);
        assert_true(complete);
        assert_in_range(steps, before + *count, before + *count + 1);
        before = steps;
    }
    assert_true(before >= 60 / 7 * (1 + 2 + 3 + 4 + 5 + 6));
    munmap((void *)count, sizeof(*count));
}

static void make_foreign(const char *sql)
{
    sqlite3 *database;
    remove_files(NULL);
    assert_int_equal(sqlite3_open(copy, &database), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(database));
    sqlite3_close(database);
}

static void foreign_files(void **state)
{
    struct ksm_recording *recording;
    fails_with(ksm_recording_open("/nonexistent/x", &recording), "No such file");
    fails_with(ksm_recording_open("/etc/passwd", &recording), "nor any SQLite file");
    fails_with(ksm_recording_open(directory, &recording), "not a file");
    fails_with(ksm_recording_open("/dev/null", &recording), "not a file");
    assert_int_equal(mkfifo(copy, 0600), 0);
    fails_with(ksm_recording_open(copy, &recording), "not a file");
    make_foreign("CREATE TABLE x (y)");
    fails_with(ksm_recording_open(copy, &recording), "no recording of KSM");
    make_foreign("CREATE TABLE x (y); PRAGMA application_id = 1296782157; PRAGMA user_version = 1");
    fails_with(ksm_recording_open(copy, &recording), "other tables");
    make_foreign("CREATE TABLE x (y); PRAGMA application_id = 1296782157; PRAGMA user_version = 2");
    fails_with(ksm_recording_open(copy, &recording), "of version 2");
    make_foreign("PRAGMA application_id = 1296782157; PRAGMA user_version = 1");
    fails_with(ksm_recording_open(copy, &recording), "tables are missing");
    /* A view that never ends, by a name of ours. */
    make_foreign("CREATE VIEW sample AS WITH RECURSIVE c(id) AS (VALUES(1) UNION ALL SELECT id + 1 "
                 "FROM c) SELECT id, 1 session, 1 time_ns, 1 realtime_ns, 0 missed FROM c; "
                 "PRAGMA application_id = 1296782157; PRAGMA user_version = 1");
    fails_with(ksm_recording_open(copy, &recording), "other tables");
}

/* Rows that make no sense, in tables that are ours. */
static void senseless_rows(void **state)
{
    static const struct {
        const char *sql, *complaint;
    } cases[] = {
        {"UPDATE subject SET session = 99", "a process of no session"},
        {"UPDATE series SET subject = 99", "a counter of nothing"},
        {"UPDATE mark SET session = -1", "a mark of no session"},
        {"UPDATE sample SET session = 99", "a sample of no session"},
        {"UPDATE sample SET time_ns = -1", "time goes backwards"},
        {"UPDATE sample SET time_ns = 1000000 - id", "time goes backwards"},
        {"UPDATE change SET series = 99", "a value of no counter"},
        {"UPDATE change SET value = x'00ff'", "neither a number nor a text"},
        {"UPDATE change SET value = 1.5", "neither a number nor a text"},
        {"UPDATE change SET sample = 99", "values of no sample"},
        {"DELETE FROM sample WHERE id = 5", "values of no sample"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        remove_files(NULL);
        struct ksm_store *store = make(false, NULL);
        record(store);
        succeed(ksm_store_close(store));
        sqlite3 *database;
        assert_int_equal(sqlite3_open(path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, cases[i].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(database);
        struct ksm_recording *recording;
        int steps = 0;
        struct matrix_error *error = ksm_recording_open(path, &recording);
        if (!error) {
            error = ksm_recording_walk(recording, count_steps, &steps);
            ksm_recording_close(recording);
        }
        fails_with(error, cases[i].complaint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(reads_what_was_written, remove_files),
        cmocka_unit_test_teardown(stores_changes_only, remove_files),
        cmocka_unit_test_teardown(appends, remove_files),
        cmocka_unit_test_teardown(two_record_at_once, remove_files),
        cmocka_unit_test_teardown(a_sample_goes_to_two_stores, remove_files),
        cmocka_unit_test_teardown(cut_off_anywhere, remove_files),
        cmocka_unit_test_teardown(cut_off_wal, remove_files),
        cmocka_unit_test_teardown(damaged_anywhere, remove_files),
        cmocka_unit_test_teardown(killed_at_any_moment, remove_files),
        cmocka_unit_test_teardown(foreign_files, remove_files),
        cmocka_unit_test_teardown(senseless_rows, remove_files),
    };
    return cmocka_run_group_tests_name("ksm_store", tests, make_directory, remove_directory);
}
