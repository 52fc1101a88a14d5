// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel says about KSM, read from made-up trees: as it is, old, and of nonsense. */
#include "tests/unit/ksm_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Linux 6.1 has no general_profit: it is computed, and says so. */
static void an_old_kernel(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    const struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_int_equal(number_of(&sample->host, "pages_shared"), 10);
    assert_int_equal(number_of(&sample->host, "general_profit"), 100 * getpagesize() - 1113 * 64);
    assert_int_equal(number_of(&sample->host, "memory_free_bytes"), 40 * 1024);
    assert_int_equal(number_of(&sample->host, "memory_available_bytes"), 60 * 1024);
    assert_int_equal(number_of(&sample->host, "ksmd_cpu_ns"), 123456789);
    for (size_t i = 0; i < sample->host.count; i++)
        assert_true(sample->host.readings[i].counter.computed ==
                    (strcmp(sample->host.readings[i].counter.name, "general_profit") == 0));
    ksm_sampler_close(sampler);
}

static void a_new_kernel(void **state)
{
    put("ksm/general_profit", "-77\n");
    put("ksm/advisor_mode", "[none] scan-time\n");
    put("ksm/of_the_future", "5\n");
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    const struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_int_equal(number_of(&sample->host, "general_profit"), -77);
    assert_int_equal(number_of(&sample->host, "of_the_future"), 5);
    assert_string_equal(ksm_source_value(&sample->host, "advisor_mode")->text, "[none] scan-time");
    for (size_t i = 0; i < sample->host.count; i++)
        assert_false(sample->host.readings[i].counter.computed);
    /* The next sample sees what has changed, by the same descriptors. */
    put("ksm/general_profit", "88\n");
    assert_int_equal(number_of(&ksm_sampler_take(sampler)->host, "general_profit"), 88);
    ksm_sampler_close(sampler);
}

/* What the store is told of a process: that nothing is new, or what is. */
static void changes_are_kept(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    put_process(100, "a", 0, 777, 1);
    succeed(ksm_sampler_add(sampler, 100, NULL));
    struct ksm_source *source = &ksm_sampler_take(sampler)->processes[0];
    assert_true(source->keeps_changes);
    for (size_t i = 0; i < source->count; i++)
        assert_true(source->changes >> i & 1);
    source->changes = 0;
    ksm_sampler_take(sampler);
    assert_int_equal(source->changes, 0);
    put("proc/100/ksm_stat", "ksm_rmap_items 12\nksm_zero_pages 0\nksm_merging_pages 8\n"
                             "ksm_process_profit -768\nksm_merge_any: no\nksm_mergeable: yes\n");
    ksm_sampler_take(sampler);
    ksm_sampler_take(sampler); /* and they stay until they are taken away */
    for (size_t i = 0; i < source->count; i++)
        assert_int_equal(source->changes >> i & 1,
                         strcmp(source->readings[i].counter.name, "ksm_merging_pages") == 0);
    ksm_sampler_close(sampler);
}

static void a_hostile_tree(void **state)
{
    char path[160];
    put("ksm/pages_shared", "18446744073709551615\n");
    put("ksm/pages_sharing", "\x1b]0;owned\x07\xff\n");
    put("ksm/pages_volatile", "%s", "");
    for (int i = 0; i < 300; i++) {
        snprintf(path, sizeof(path), "ksm/many%d", i);
        put(path, "%d", i);
    }
    snprintf(path, sizeof(path), "%s/a_fifo", tree_ksm);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof(path), "%s/a_link", tree_ksm);
    assert_int_equal(symlink("/dev/zero", path), 0);
    snprintf(path, sizeof(path), "%s/a_directory", tree_ksm);
    assert_int_equal(mkdir(path, 0700), 0);
    put("proc/meminfo", "MemFree: 99999999999999999999 kB\nMemAvailable");
    put("proc/37/schedstat", "lots\n");
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    const struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_true(sample->host.count <= 256 + 4);
    assert_null(ksm_source_value(&sample->host, "a_fifo"));
    assert_null(ksm_source_value(&sample->host, "a_link"));
    assert_int_equal(ksm_source_value(&sample->host, "memory_free_bytes")->kind, KSM_NOTHING);
    /* schedstat makes no sense: stat's ticks. */
    assert_int_equal(number_of(&sample->host, "ksmd_cpu_ns"),
                     33 * (1000000000 / sysconf(_SC_CLK_TCK)));
    ksm_sampler_close(sampler);
}

static void no_ksm(void **state)
{
    struct ksm_sampler *sampler;
    struct ksm_sampler_options options = {.ksm_root = "/nonexistent", .proc_root = tree_proc};
    struct matrix_error *error = ksm_sampler_open(&options, &sampler);
    assert_non_null(error);
    assert_non_null(strstr(error->remedy, "CONFIG_KSM"));
    matrix_error_free(error);
    options.ksm_root = tree_proc;
    error = ksm_sampler_open(&options, &sampler);
    assert_non_null(error);
    assert_non_null(strstr(error->message, "no counters of KSM"));
    matrix_error_free(error);
}

static void processes(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    put_process(100, ") R 1 ( \x1b[2J", 0, 777, 1);
    succeed(ksm_sampler_add(sampler, 100, NULL));
    succeed(ksm_sampler_add(sampler, 100, NULL)); /* once is enough */
    struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_int_equal(sample->process_count, 1);
    assert_string_equal(sample->processes[0].name, ") R 1 ( \x1b[2J");
    assert_int_equal(sample->processes[0].start_time_ns,
                     777 * (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK)));
    assert_int_equal(number_of(&sample->processes[0], "resident_bytes"), 300 * getpagesize());
    assert_int_equal(number_of(&sample->processes[0], "ksm_process_profit"), -768);
    assert_int_equal(number_of(&sample->processes[0], "ksm_merging_pages"), 7);
    put("proc/100/ksm_stat", "ksm_rmap_items 12\nksm_merging_pages 8\nksm_process_profit 4\n");
    sample = ksm_sampler_take(sampler);
    assert_int_equal(number_of(&sample->processes[0], "ksm_merging_pages"), 8);
    /* It ends: as a zombie it has no memory. */
    put("proc/100/statm", "0 0 0 0 0 0 0\n");
    sample = ksm_sampler_take(sampler);
    assert_int_equal(sample->process_count, 1);
    assert_true(sample->processes[0].ended);
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 0);
    /* Another by its number is another. */
    put_process(100, "next", 0, 999, 1);
    succeed(ksm_sampler_add(sampler, 100, "guest"));
    sample = ksm_sampler_take(sampler);
    assert_string_equal(sample->processes[0].name, "guest");
    assert_int_equal(sample->processes[0].subject, 0);

    struct matrix_error *error = ksm_sampler_add(sampler, 101, NULL);
    assert_int_equal(error->number, ESRCH);
    matrix_error_free(error);
    error = ksm_sampler_add(sampler, 37, NULL);
    assert_int_equal(error->number, ENXIO);
    matrix_error_free(error);
    ksm_sampler_close(sampler);
}

/* A look that nobody keeps takes no end away from the sample after it. */
static void an_end_is_in_a_sample_that_is_kept(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    put_process(100, "a", 0, 777, 1);
    succeed(ksm_sampler_add(sampler, 100, NULL));
    assert_false(ksm_sampler_take(sampler)->processes[0].ended);
    put("proc/100/statm", "0 0 0 0 0 0 0\n");
    for (int look = 0; look < 3; look++) {
        const struct ksm_sample *sample = ksm_sampler_look(sampler);
        assert_int_equal(sample->process_count, 1);
        assert_true(sample->processes[0].ended);
    }
    /* Its number is another's by now. */
    put_process(100, "b", 0, 999, 1);
    succeed(ksm_sampler_add(sampler, 100, NULL));
    const struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_int_equal(sample->process_count, 2);
    assert_true(sample->processes[0].ended);
    assert_false(sample->processes[1].ended);
    sample = ksm_sampler_look(sampler);
    assert_int_equal(sample->process_count, 1);
    assert_string_equal(sample->processes[0].name, "b");
    ksm_sampler_close(sampler);
}

static void hostile_processes(void **state)
{
    char many[3000] = "";
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    put_process(100, "a", 0, 777, 1);
    for (int i = 0; i < 100; i++)
        snprintf(many + strlen(many), sizeof(many) - strlen(many), "field%d %d\n", i, i);
    put("proc/100/ksm_stat", "%s", many);
    put("proc/100/statm", "99999999999999999999 1 2 3\n");
    succeed(ksm_sampler_add(sampler, 100, NULL));
    const struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_true(sample->processes[0].count <= 24);
    assert_int_equal(ksm_source_value(&sample->processes[0], "resident_bytes")->kind, KSM_NOTHING);
    put("proc/102/stat", "102 (no end\n");
    struct matrix_error *error = ksm_sampler_add(sampler, 102, NULL);
    assert_non_null(error);
    matrix_error_free(error);
    ksm_sampler_close(sampler);
}

/* Before Linux 6.1 or so ksm_merging_pages is a file of its own, if there is anything. */
static void an_old_kernels_process(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    put_process(100, "a", 0, 777, 1);
    put("proc/100/ksm_stat", "ksm_rmap_items 4\n");
    put("proc/100/ksm_merging_pages", "9\n");
    put_process(101, "b", 0, 778, 1);
    char path[128];
    snprintf(path, sizeof(path), "%s/101/ksm_stat", tree_proc);
    unlink(path);
    succeed(ksm_sampler_add(sampler, 100, NULL));
    succeed(ksm_sampler_add(sampler, 101, NULL));
    const struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_int_equal(number_of(&sample->processes[0], "ksm_rmap_items"), 4);
    assert_int_equal(number_of(&sample->processes[0], "ksm_merging_pages"), 9);
    assert_int_equal(sample->processes[1].count, 1);
    ksm_sampler_close(sampler);
}

static void follows_what_it_finds(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_MERGEABLE, false);
    const struct ksm_sample *sample = ksm_sampler_take(sampler);
    assert_int_equal(sample->process_count, 2); /* 1 and 36; ksmd has no memory */
    put_process(200, "plain", 0, 1, 1);
    put("proc/200/ksm_stat", "ksm_rmap_items 0\nksm_merge_any: no\nksm_mergeable: no\n");
    put_process(201, "late", 0, 1, 1);
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 3);
    /* A process that was none becomes one: it is looked at again in its turn. */
    put("proc/200/ksm_stat", "ksm_rmap_items 0\nksm_merge_any: yes\nksm_mergeable: yes\n");
    size_t count = 0;
    for (int i = 0; i < 6; i++)
        count = ksm_sampler_take(sampler)->process_count;
    assert_int_equal(count, 4);
    ksm_sampler_close(sampler);

    sampler = sampler_of(KSM_FOLLOW_DESCENDANTS, false);
    put_process(300, "a", 0, 1, 1);
    succeed(ksm_sampler_add(sampler, 300, NULL));
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 1);
    put_process(301, "child", 0, 1, 300);
    put_process(302, "child of it", 0, 1, 301);
    put_process(303, "none of them", 0, 1, 1);
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 3);
    ksm_sampler_close(sampler);
}

/* Numbers begin anew some day: then a child stands before its parent. */
static void a_child_with_a_lower_number(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_DESCENDANTS, false);
    put_process(300, "a", 0, 1, 1);
    succeed(ksm_sampler_add(sampler, 300, NULL));
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 1);
    put_process(301, "child", 0, 1, 300);
    put_process(202, "its child", 0, 1, 301);
    put_process(101, "and its", 0, 1, 202);
    put_process(102, "none of them", 0, 1, 1);
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 4);
    /* The list was past 201 when that came. */
    put_process(305, "child of whom the list lacks", 0, 1, 201);
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 4);
    put_process(201, "who was missing", 0, 1, 300);
    assert_int_equal(ksm_sampler_take(sampler)->process_count, 6);
    assert_int_equal(ksm_sampler_skipped(sampler), 0);
    ksm_sampler_close(sampler);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, tree_make, tree_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_old_kernel),
        TEST(a_new_kernel),
        TEST(changes_are_kept),
        TEST(a_hostile_tree),
        TEST(no_ksm),
        TEST(processes),
        TEST(an_end_is_in_a_sample_that_is_kept),
        TEST(hostile_processes),
        TEST(an_old_kernels_process),
        TEST(follows_what_it_finds),
        TEST(a_child_with_a_lower_number),
    };
    return cmocka_run_group_tests_name("ksm_host", tests, NULL, NULL);
}
