// SPDX-License-Identifier: GPL-2.0-or-later
/* Recordings that are cut off, damaged, foreign, or of a recorder that was killed: all say why. */
#include "tests/unit/store_world.h"

#include "ksm/database.h"
#include "ksm/recording.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
    struct ksm_store *store = store_make(false, "whole");
    store_record(store);
    succeed(ksm_store_close(store));
    size_t size;
    bool complete;
    char *bytes = slurp(store_path, &size);
    for (size_t length = 0; length < size; length = next_length(length)) {
        spit(store_copy, bytes, length);
        read_all(store_copy, &complete);
        if (complete)
            fail_msg("%zu of %zu bytes pass for the whole", length, size);
    }
    spit(store_copy, bytes, size);
    assert_int_equal(read_all(store_copy, &complete), SAMPLES);
    assert_true(complete);
    free(bytes);
}

/* The -wal of a recorder that was killed: what is whole of it counts, the rest never happened. */
static void cut_off_wal(void **state)
{
    struct ksm_store *store = store_make(false, "whole");
    store_record(store);
    size_t size, wal_size;
    bool complete;
    char *bytes = slurp(store_path, &size), *wal_bytes = slurp(store_wal, &wal_size);
    succeed(ksm_store_close(store));
    int before = 0;
    for (size_t length = 0; length <= wal_size; length = next_length(length)) {
        store_remove_files(NULL);
        spit(store_copy, bytes, size);
        spit(store_copy_wal, wal_bytes, length);
        const int steps = read_all(store_copy, &complete);
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
    struct ksm_store *store = store_make(false, "whole");
    store_record(store);
    succeed(ksm_store_close(store));
    size_t size;
    bool complete;
    char *bytes = slurp(store_path, &size);
    srand(1);
    for (int round = 0; round < 600; round++) {
        char *broken = malloc(size);
        memcpy(broken, bytes, size);
        for (int i = 0; i <= round % 20; i++)
            broken[(size_t)rand() % size] = (char)rand();
        store_remove_files(NULL);
        spit(store_copy, broken, size);
        read_all(store_copy, &complete);
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
    if (ksm_store_open(store_path, &options, &store))
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
        if (before + *count == 0 &&
            (access(store_path, F_OK) || read_all(store_path, &complete) == 0))
            continue; /* before its first sample */
        const int steps = read_all(store_path, &complete);
        assert_true(complete);
        assert_in_range(steps, before + *count, before + *count + 1);
        before = steps;
    }
    assert_true(before >= 60 / 7 * (1 + 2 + 3 + 4 + 5 + 6));
    munmap((void *)count, sizeof(*count));
}

/* What was to be stored and was not would be missing from all that follows: no sample is added then. */
static void disk_is_full_for_a_while(void **state)
{
    struct world world;
    struct rlimit before, none;
    struct ksm_store *store = store_make(false, NULL);
    world_make(&world);
    world_set(&world, 0);
    succeed(ksm_store_add(store, &world.sample));
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 4096, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    world_set(&world, 1);
    struct matrix_error *error = ksm_store_add(store, &world.sample);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    fails_with(error, store_path);
    world_set(&world, 2);
    fails_with(ksm_store_add(store, &world.sample), "an earlier one failed");
    matrix_error_free(ksm_store_close(store));
    /* What was there before is whole. */
    struct ksm_recording *recording;
    succeed(ksm_recording_open(store_path, &recording));
    assert_int_equal(recording->series_count, 5);
    ksm_recording_close(recording);
}

/* A recorder that was killed, and whose pid is another's now: by a start time that is not ours. */
static void nobody_records_any_more(void **state)
{
    struct ksm_store *store = store_make(false, NULL);
    sqlite3 *database;
    succeed(ksm_store_mark_running(store_path, "here"));
    succeed(database_open(store_path, DATABASE_WRITE, &database));
    succeed(database_run(database, "UPDATE session SET recorder_start_time_ns = 1", "change"));
    sqlite3_close(database);
    fails_with(ksm_store_mark_running(store_path, "there"), "nobody is recording");
    succeed(ksm_store_close(store));
    fails_with(ksm_store_mark_running(store_path, "there"), "nobody is recording");
}

static void make_foreign(const char *sql)
{
    sqlite3 *database;
    store_remove_files(NULL);
    assert_int_equal(sqlite3_open(store_copy, &database), SQLITE_OK);
    if (sqlite3_exec(database, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(database));
    sqlite3_close(database);
}

static void foreign_files(void **state)
{
    struct ksm_recording *recording;
    fails_with(ksm_recording_open("/nonexistent/x", &recording), "No such file");
    fails_with(ksm_recording_open("/etc/passwd", &recording), "nor any SQLite file");
    fails_with(ksm_recording_open(store_directory, &recording), "not a file");
    fails_with(ksm_recording_open("/dev/null", &recording), "not a file");
    assert_int_equal(mkfifo(store_copy, 0600), 0);
    fails_with(ksm_recording_open(store_copy, &recording), "not a file");
    make_foreign("CREATE TABLE x (y)");
    fails_with(ksm_recording_open(store_copy, &recording), "no recording of KSM");
    make_foreign("CREATE TABLE x (y); PRAGMA application_id = 1296782157; PRAGMA user_version = 1");
    fails_with(ksm_recording_open(store_copy, &recording), "other tables");
    make_foreign("CREATE TABLE x (y); PRAGMA application_id = 1296782157; PRAGMA user_version = 2");
    fails_with(ksm_recording_open(store_copy, &recording), "of version 2");
    make_foreign("PRAGMA application_id = 1296782157; PRAGMA user_version = 1");
    fails_with(ksm_recording_open(store_copy, &recording), "tables are missing");
    /* A view that never ends, by a name of ours. */
    make_foreign("CREATE VIEW sample AS WITH RECURSIVE c(id) AS (VALUES(1) UNION ALL SELECT id + 1 "
                 "FROM c) SELECT id, 1 session, 1 time_ns, 1 realtime_ns, 0 missed FROM c; "
                 "PRAGMA application_id = 1296782157; PRAGMA user_version = 1");
    fails_with(ksm_recording_open(store_copy, &recording), "other tables");
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
        store_remove_files(NULL);
        struct ksm_store *store = store_make(false, NULL);
        store_record(store);
        succeed(ksm_store_close(store));
        sqlite3 *database;
        assert_int_equal(sqlite3_open(store_path, &database), SQLITE_OK);
        assert_int_equal(sqlite3_exec(database, cases[i].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(database);
        struct ksm_recording *recording;
        int steps = 0;
        struct matrix_error *error = ksm_recording_open(store_path, &recording);
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
        cmocka_unit_test_teardown(cut_off_anywhere, store_remove_files),
        cmocka_unit_test_teardown(cut_off_wal, store_remove_files),
        cmocka_unit_test_teardown(damaged_anywhere, store_remove_files),
        cmocka_unit_test_teardown(killed_at_any_moment, store_remove_files),
        cmocka_unit_test_teardown(disk_is_full_for_a_while, store_remove_files),
        cmocka_unit_test_teardown(nobody_records_any_more, store_remove_files),
        cmocka_unit_test_teardown(foreign_files, store_remove_files),
        cmocka_unit_test_teardown(senseless_rows, store_remove_files),
    };
    return cmocka_run_group_tests_name("ksm_store_damage", tests, store_make_directory,
                                       store_remove_directory);
}
