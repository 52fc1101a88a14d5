// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes at rest are read less often: when, how late that is at most, and when it is not so. */
#include "tests/unit/ksm_tree.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LONG_ENOUGH 9 /* samples, to be at rest after */

static void take(struct ksm_sampler *sampler, int samples)
{
    for (int i = 0; i < samples; i++)
        ksm_sampler_take(sampler);
}

/* --- resident memory ------------------------------------------------------------------------- */

/* The samples until the process's memory is seen to be so many pages. */
static int samples_until_resident(struct ksm_sampler *sampler, int pages)
{
    int samples = 1;
    put("proc/100/statm", "5000 %d 20 1 0 40 0\n", pages);
    while (number_of(&ksm_sampler_take(sampler)->processes[0], "resident_bytes") !=
               (int64_t)pages * getpagesize() &&
           samples < 100)
        samples++;
    return samples;
}

/* A process at rest is looked at less often, and again each time when it has moved. */
static void memory_at_rest(void **state)
{
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    int latest = 0;
    put_process(100, "a", 0, 777, 1);
    succeed(ksm_sampler_add(sampler, 100, NULL));
    for (int rest = 0; rest < 12; rest++) {
        take(sampler, rest);
        const int samples = samples_until_resident(sampler, 1000 + rest);
        assert_true(rest >= 4 || samples == 1);
        latest = samples > latest ? samples : latest;
        assert_int_equal(samples_until_resident(sampler, 2000 + rest), 1);
    }
    assert_in_range(latest, 2, 4);
    /* Its end is seen at once, however long it has rested. */
    take(sampler, LONG_ENOUGH);
    put("proc/100/ksm_stat", "%s", "");
    assert_true(ksm_sampler_take(sampler)->processes[0].ended);
    ksm_sampler_close(sampler);
}

/* --- what KSM does for a process ------------------------------------------------------------- */

/* A real process, whose files are made up. */
static pid_t start_process(void)
{
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (true)
            pause();
    }
    assert_true(pid > 0);
    put_process(pid, "real", 0, 777, 1);
    return pid;
}

static void end_process(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* A sampler of a process that ends with the test, on a host like a newer kernel's. */
static struct ksm_sampler *sampler_of_one(pid_t *pid)
{
    put("ksm/ksm_zero_pages", "0\n");
    put("ksm/pages_scanned", "0\n");
    put("ksm/full_scans", "0\n");
    *pid = start_process();
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, true);
    succeed(ksm_sampler_add(sampler, *pid, NULL));
    return sampler;
}

/* The process's counters move, to numbers that they have never been. */
static int64_t move(pid_t pid)
{
    static int64_t number = 1000;
    char path[64];
    snprintf(path, sizeof(path), "proc/%d/ksm_stat", pid);
    put(path,
        "ksm_rmap_items %jd\nksm_zero_pages 0\nksm_merging_pages 7\nksm_process_profit 5\n"
        "ksm_merge_any: no\nksm_mergeable: yes\n",
        (intmax_t)++number);
    return number;
}

static bool is_seen(struct ksm_sampler *sampler, int64_t number)
{
    return number_of(&ksm_sampler_take(sampler)->processes[0], "ksm_rmap_items") == number;
}

/* The samples until a movement is seen that no sum tells. */
static int samples_until_moved(struct ksm_sampler *sampler, pid_t pid)
{
    const int64_t number = move(pid);
    int samples = 1;
    while (!is_seen(sampler, number) && samples < 100)
        samples++;
    return samples;
}

/* The longest time that a movement of one at rest takes to be seen, whichever sample it falls in. */
static int latest_of(struct ksm_sampler *sampler, pid_t pid)
{
    int latest = 0;
    for (int phase = 0; phase < 4; phase++) {
        take(sampler, LONG_ENOUGH + phase);
        const int samples = samples_until_moved(sampler, pid);
        latest = samples > latest ? samples : latest;
    }
    return latest;
}

static void ksm_at_rest(void **state)
{
    pid_t pid;
    struct ksm_sampler *sampler = sampler_of_one(&pid);
    assert_int_equal(latest_of(sampler, pid), 4);
    /* It has moved: it is not at rest for some samples. */
    for (int i = 0; i < 4; i++)
        assert_int_equal(samples_until_moved(sampler, pid), 1);
    ksm_sampler_close(sampler);
    end_process(pid);
}

/* A process whose memory moves is not at rest, though KSM may have done nothing for it for long. */
static void memory_moves(void **state)
{
    pid_t pid;
    char path[64];
    struct ksm_sampler *sampler = sampler_of_one(&pid);
    snprintf(path, sizeof(path), "proc/%d/statm", pid);
    for (int phase = 0; phase < 4; phase++) {
        for (int i = 0; i < LONG_ENOUGH + phase; i++) {
            put(path, "5000 %d 20 1 0 40 0\n", 400 + i);
            ksm_sampler_take(sampler);
        }
        assert_int_equal(samples_until_moved(sampler, pid), 1);
    }
    ksm_sampler_close(sampler);
    end_process(pid);
}

static const char *const sums[] = {"ksm/pages_shared", "ksm/pages_sharing", "ksm/pages_unshared",
                                   "ksm/pages_volatile", "ksm/ksm_zero_pages"};

/* When a sum moves, all is read in the same sample, and once more in the next. */
static void a_sum_moves(void **state)
{
    pid_t pid;
    struct ksm_sampler *sampler = sampler_of_one(&pid);
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)
        for (int phase = 0; phase < 4; phase++) {
            take(sampler, LONG_ENOUGH + phase);
            put(sums[i], "%d\n", 5000 + phase);
            assert_true(is_seen(sampler, move(pid)));
            take(sampler, LONG_ENOUGH + phase);
            put(sums[i], "%d\n", 6000 + phase);
            ksm_sampler_take(sampler);
            assert_true(is_seen(sampler, move(pid)));
        }
    ksm_sampler_close(sampler);
    end_process(pid);
}

/* ksmd always scans: that changes nothing by itself. */
static void ksmd_scans(void **state)
{
    pid_t pid;
    struct ksm_sampler *sampler = sampler_of_one(&pid);
    int seen_late = 0;
    for (int i = 0; i < 8; i++) {
        for (int scan = 0; scan < LONG_ENOUGH + i; scan++) {
            put("ksm/pages_scanned", "%d\n", 100 * i + scan);
            put("ksm/full_scans", "%d\n", 10 * i + scan);
            ksm_sampler_take(sampler);
        }
        put("ksm/pages_scanned", "%d\n", 10000 + i);
        const int64_t number = move(pid);
        seen_late += !is_seen(sampler, number);
    }
    assert_int_equal(seen_late, 6); /* but for those in whose turn it falls */
    ksm_sampler_close(sampler);
    end_process(pid);
}

/* --- where the rule would not be sound ------------------------------------------------------- */

/* Without one of the sums, or with one that makes no sense, everything is read each time. */
static void a_sum_is_missing(void **state)
{
    char path[160];
    for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
        pid_t pid;
        struct ksm_sampler *sampler = sampler_of_one(&pid);
        put(sums[i], "%s", "");
        assert_int_equal(latest_of(sampler, pid), 1);
        put(sums[i], "%d\n", 1);
        assert_int_equal(latest_of(sampler, pid), 4);
        ksm_sampler_close(sampler);

        snprintf(path, sizeof(path), "%s/%s", tree_root, sums[i]);
        unlink(path);
        sampler = sampler_of(KSM_FOLLOW_GIVEN, true);
        succeed(ksm_sampler_add(sampler, pid, NULL));
        assert_int_equal(latest_of(sampler, pid), 1);
        ksm_sampler_close(sampler);
        put(sums[i], "%d\n", 1);
        end_process(pid);
    }
}

/* A process's counter of its own: is one that has moved seen late where a sum is not known? */
static bool is_late(const char *counter, const char *sum)
{
    char path[64];
    bool late = false;
    const pid_t pid = start_process();
    snprintf(path, sizeof(path), "proc/%d/ksm_stat", pid);
    put(path, "%s 0\n", counter);
    put("ksm/ksm_zero_pages", "0\n");
    put(sum, "%s", "");
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, true);
    succeed(ksm_sampler_add(sampler, pid, NULL));
    for (int i = 1; i <= 4; i++) {
        take(sampler, LONG_ENOUGH + i);
        put(path, "%s %d\n", counter, i);
        late = late || number_of(&ksm_sampler_take(sampler)->processes[0], counter) != i;
    }
    put(sum, "1\n");
    ksm_sampler_close(sampler);
    end_process(pid);
    return late;
}

/* Which counters of a process are in which sums. */
static void what_counters_need(void **state)
{
    static const struct {
        const char *counter, *sums; /* in the above order; -: not needed */
    } counters[] = {
        {"ksm_rmap_items", "xxxx-"},
        {"ksm_merging_pages", "xx---"},
        {"ksm_zero_pages", "----x"},
        {"ksm_process_profit", "xxxxx"},
    };
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        for (size_t sum = 0; sum < sizeof(sums) / sizeof(sums[0]); sum++)
            if (is_late(counters[i].counter, sums[sum]) != (counters[i].sums[sum] == '-'))
                fail_msg("%s without %s", counters[i].counter, sums[sum]);
}

/* A counter that newer kernels have may move without any of the sums. */
static void a_counter_of_the_future(void **state)
{
    pid_t pid;
    char path[64];
    struct ksm_sampler *sampler = sampler_of_one(&pid);
    take(sampler, LONG_ENOUGH);
    snprintf(path, sizeof(path), "proc/%d/ksm_stat", pid);
    put(path, "ksm_rmap_items 12\nksm_of_the_future 5\n");
    assert_int_equal(latest_of(sampler, pid), 1);
    ksm_sampler_close(sampler);
    end_process(pid);
}

/* Where nothing but reading tells the process's end, it is read. */
static void unwatched(void **state)
{
    put("ksm/ksm_zero_pages", "0\n");
    put_process(100, "a", 0, 777, 1);
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, false);
    succeed(ksm_sampler_add(sampler, 100, NULL));
    assert_int_equal(latest_of(sampler, 100), 1);
    ksm_sampler_close(sampler);
}

static int64_t merged_of(struct ksm_sampler *sampler)
{
    return number_of(&ksm_sampler_take(sampler)->processes[0], "ksm_merging_pages");
}

/* Linux 6.1 has no zero pages, and ksm_merging_pages as a file of its own: two sums are enough. */
static void an_old_kernels_process(void **state)
{
    char stat[64], merging[64];
    const pid_t pid = start_process();
    snprintf(stat, sizeof(stat), "proc/%d/ksm_stat", pid);
    snprintf(merging, sizeof(merging), "proc/%d/ksm_merging_pages", pid);
    put(stat, "ksm_rmap_items 4\n");
    put(merging, "0\n");
    struct ksm_sampler *sampler = sampler_of(KSM_FOLLOW_GIVEN, true);
    succeed(ksm_sampler_add(sampler, pid, NULL));
    int latest = 0;
    for (int i = 1; i <= 4; i++) {
        int samples = 1;
        take(sampler, LONG_ENOUGH + i);
        put(merging, "%d\n", 2 * i);
        while (merged_of(sampler) != 2 * i)
            assert_in_range(++samples, 1, 4);
        latest = samples > latest ? samples : latest;
        put(merging, "%d\n", 500 + i); /* it has just moved */
        assert_int_equal(merged_of(sampler), 500 + i);
        take(sampler, LONG_ENOUGH);
        put(merging, "%d\n", 2 * i + 1);
        put("ksm/pages_sharing", "%d\n", 200 + i);
        assert_int_equal(merged_of(sampler), 2 * i + 1);
    }
    assert_int_equal(latest, 4);
    ksm_sampler_close(sampler);
    end_process(pid);
}

/* --- ends ------------------------------------------------------------------------------------ */

/* Its files say what they always did; the next sample knows that it has ended, and of no other. */
static void its_end(void **state)
{
    for (int phase = 0; phase < 4; phase++) {
        pid_t pid;
        struct ksm_sampler *sampler = sampler_of_one(&pid);
        const pid_t other = start_process();
        succeed(ksm_sampler_add(sampler, other, NULL));
        take(sampler, LONG_ENOUGH + phase);
        end_process(pid);
        const struct ksm_sample *sample = ksm_sampler_take(sampler);
        assert_int_equal(sample->process_count, 2);
        assert_true(sample->processes[0].ended);
        assert_int_equal(number_of(&sample->processes[0], "ksm_merging_pages"), 7);
        assert_false(sample->processes[1].ended);
        sample = ksm_sampler_take(sampler);
        assert_int_equal(sample->process_count, 1);
        assert_int_equal(sample->processes[0].pid, other);
        end_process(other);
        assert_true(ksm_sampler_take(sampler)->processes[0].ended);
        ksm_sampler_close(sampler);
    }
}

/* A zombie has ended, though nobody has waited for it yet. */
static void a_zombie(void **state)
{
    pid_t pid;
    siginfo_t info;
    struct ksm_sampler *sampler = sampler_of_one(&pid);
    take(sampler, LONG_ENOUGH);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_true(ksm_sampler_take(sampler)->processes[0].ended);
    ksm_sampler_close(sampler);
    waitpid(pid, NULL, 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, tree_make, tree_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_at_rest),
        TEST(ksm_at_rest),
        TEST(memory_moves),
        TEST(a_sum_moves),
        TEST(ksmd_scans),
        TEST(a_sum_is_missing),
        TEST(what_counters_need),
        TEST(a_counter_of_the_future),
        TEST(unwatched),
        TEST(an_old_kernels_process),
        TEST(its_end),
        TEST(a_zombie),
    };
    return cmocka_run_group_tests_name("ksm_rest", tests, NULL, NULL);
}
