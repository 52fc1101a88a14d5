// SPDX-License-Identifier: GPL-2.0-or-later
/* Recordings: what is written is read again, by one recorder or several, and changes only. */
#include "tests/unit/store_world.h"

#include "ksm/database.h"
#include "ksm/recording.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int64_t rows(const char *table)
{
    sqlite3 *database;
    sqlite3_stmt *statement;
    char sql[64];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    succeed(database_open(store_path, DATABASE_READ, &database));
    succeed(database_prepare(database, sql, &statement));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(database);
    return count;
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

static struct matrix_error *check_missed(const struct ksm_step *step, void *context)
{
    assert_int_equal(step->missed, *(int *)context == 3 ? 7 : 0);
    ++*(int *)context;
    return NULL;
}

static void reads_what_was_written(void **state)
{
    struct ksm_recording *recording;
    struct ksm_store *store = store_make(false, "first");
    store_record(store);
    succeed(ksm_store_close(store));
    assert_int_equal(access(store_wal, F_OK), -1); /* a single file */

    succeed(ksm_recording_open(store_path, &recording));
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
    int samples = 0;
    succeed(ksm_recording_walk(recording, check_missed, &samples));
    assert_int_equal(samples, SAMPLES);
    assert_int_equal(ksm_recording_find(recording, 0, 0, "no_such"), -1);
    assert_int_equal(ksm_recording_find(recording, 0, 78, "resident_bytes"), -1);
    ksm_recording_close(recording);
}

static void stores_changes_only(void **state)
{
    struct ksm_store *store = store_make(false, NULL);
    store_record(store);
    succeed(ksm_store_close(store));
    /* Every time, once, twice; every tenth, every time; and the two that end. */
    assert_int_equal(rows("change"), SAMPLES + 1 + 2 + SAMPLES / 10 + SAMPLES - 1 + 2);
    assert_int_equal(rows("sample"), SAMPLES);
}

/* Of a source that keeps changes, and only then, what is not among them is not looked at. */
static void believes_what_has_not_changed(void **state)
{
    struct world world;
    struct ksm_store *store = store_make(false, "");
    world_make(&world);
    struct ksm_source *process = &world.processes[0];
    process->keeps_changes = true;
    world_set(&world, 0);
    succeed(ksm_store_add(store, &world.sample)); /* the first time all of them */
    assert_int_equal(rows("change"), 5);
    world_set(&world, 10); /* one for the host; of the process both, but only one is said to be */
    process->changes = 1;
    succeed(ksm_store_add(store, &world.sample));
    assert_int_equal(process->changes, 0);
    assert_int_equal(rows("change"), 5 + 1 + 1);
    process->changes = 2;
    succeed(ksm_store_add(store, &world.sample));
    assert_int_equal(rows("change"), 5 + 2 + 1);
    process->ended = true; /* that changes all */
    succeed(ksm_store_add(store, &world.sample));
    assert_int_equal(rows("change"), 5 + 2 + 1 + 2);
    succeed(ksm_store_close(store));
}

static void appends(void **state)
{
    struct ksm_recording *recording;
    struct ksm_store *store = store_make(false, "one");
    store_record(store);
    succeed(ksm_store_close(store));
    const struct ksm_store_options options = {.append = false};
    fails_with(ksm_store_open(store_path, &options, &store), "is there already");
    for (int i = 0; i < 2; i++) {
        store = store_make(true, "two");
        store_record(store);
        succeed(ksm_store_close(store));
    }
    succeed(ksm_recording_open(store_path, &recording));
    assert_int_equal(recording->session_count, 3);
    for (size_t i = 0; i < 3; i++)
        check_points(recording, i);
    assert_int_equal(recording->marks[2].session, 2);
    ksm_recording_close(recording);
}

static void two_record_at_once(void **state)
{
    struct ksm_recording *recording;
    struct ksm_store *one = store_make(false, "one"), *two = store_make(true, "two");
    struct world first, second;
    world_make(&first);
    world_make(&second);
    for (int i = 0; i < SAMPLES; i++) {
        world_set(&first, i);
        world_set(&second, i);
        succeed(ksm_store_add(one, &first.sample));
        succeed(ksm_store_add(two, &second.sample));
        succeed(ksm_store_mark_running(store_path, "a mark"));
    }
    succeed(ksm_recording_open(store_path, &recording)); /* and somebody reads meanwhile */
    check_points(recording, 0);
    check_points(recording, 1);
    assert_int_equal(recording->mark_count, SAMPLES);
    assert_int_equal(recording->marks[0].session, 1); /* the newest */
    ksm_recording_close(recording);
    succeed(ksm_store_close(one));
    succeed(ksm_store_close(two));
    fails_with(ksm_store_mark_running(store_path, "late"), "nobody is recording");
}

/* One sample's numbers are of another store: they are not taken for this one's. */
static void a_sample_goes_to_two_stores(void **state)
{
    struct world world;
    world_make(&world);
    struct ksm_store *store = store_make(false, NULL);
    world_set(&world, 0);
    succeed(ksm_store_add(store, &world.sample));
    succeed(ksm_store_close(store));
    store = store_make(true, NULL);
    succeed(ksm_store_add(store, &world.sample));
    succeed(ksm_store_close(store));
    assert_int_equal(rows("series"), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(reads_what_was_written, store_remove_files),
        cmocka_unit_test_teardown(stores_changes_only, store_remove_files),
        cmocka_unit_test_teardown(believes_what_has_not_changed, store_remove_files),
        cmocka_unit_test_teardown(appends, store_remove_files),
        cmocka_unit_test_teardown(two_record_at_once, store_remove_files),
        cmocka_unit_test_teardown(a_sample_goes_to_two_stores, store_remove_files),
    };
    return cmocka_run_group_tests_name("ksm_store", tests, store_make_directory,
                                       store_remove_directory);
}
