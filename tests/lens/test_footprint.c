// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_FOOTPRINT against smaps, status and pagemap, for a process that has memory of every
 * kind and stands still.
 */
#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include "tests/lens/kinds.h"
#include "tests/lens/oracle.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* The process that has all kinds, and what the device says of it. */
static pid_t owner;
static struct matrix_lens_footprint footprint;

static struct matrix_lens_footprint take(pid_t pid)
{
    struct matrix_lens_footprint taken;
    assert_int_equal(device_footprint(lens_fd, pid, &taken), 0);
    return taken;
}

static int make_owner(void **state)
{
    int line[2];
    char done;
    if (pipe(line))
        return -1;
    owner = fork();
    if (owner == 0) {
        for (size_t i = 0; i < kinds_count; i++)
            if (!kinds[i].make() && !kinds[i].may_be_missing) {
                print_message("# cannot make %s: %s\n", kinds[i].name, kinds_why);
                _exit(1);
            }
        if (write(line[1], "d", 1) != 1)
            _exit(1);
        while (true)
            pause();
    }
    close(line[1]);
    if (owner < 0 || read(line[0], &done, 1) != 1)
        return -1;
    close(line[0]);
    return device_footprint(lens_fd, owner, &footprint);
}

static int end_owner(void **state)
{
    child_end(owner);
    return 0;
}

/* --- the sum over all pages, one by one ---------------------------------------------------- */

struct sum {
    uint64_t mappings, anonymous, file, shmem, ksm, zero, no_access;
};

static void add_frame(struct sum *sum, uint64_t frame, bool no_access)
{
    uint64_t flags = oracle_frame_flags(frame);
    if (flags & FRAME_ZERO) {
        sum->zero += PAGE;
        return;
    }
    sum->no_access += no_access ? PAGE : 0;
    sum->ksm += flags & FRAME_KSM ? PAGE : 0;
    if (flags & FRAME_ANONYMOUS)
        sum->anonymous += PAGE;
    else if (flags & FRAME_SWAPBACKED)
        sum->shmem += PAGE;
    else
        sum->file += PAGE;
}

static void add_mapping(struct sum *sum, const struct oracle_mapping *mapping)
{
    size_t pages = (mapping->end - mapping->start) / PAGE;
    sum->mappings++;
    /* smaps tells of these, and of every page beside them they have a quarter of a million. */
    if (oracle_has_vm_flag(owner, mapping->start, "ht"))
        return;
    uint64_t *numbers = calloc(pages, sizeof(*numbers));
    assert_non_null(numbers);
    oracle_pagemap(owner, mapping->start, pages, numbers);
    for (size_t i = 0; i < pages; i++)
        if (numbers[i] & PAGEMAP_PRESENT)
            add_frame(sum, numbers[i] & PAGEMAP_FRAME, mapping->permissions[0] == '-');
    free(numbers);
}

static struct sum sum_pages(void)
{
    static struct oracle_mapping mappings[512];
    struct sum sum = {0};
    size_t count = oracle_mappings(owner, mappings, COUNT(mappings));
    for (size_t i = 0; i < count; i++)
        if (!(mappings[i].start >> 63)) /* [vsyscall] is the kernel's own */
            add_mapping(&sum, &mappings[i]);
    return sum;
}

static void kinds_of_pages_add_up_as_in_pagemap(void **state)
{
    struct sum sum = sum_pages();
    assert_int_equal(footprint.mappings, sum.mappings);
    assert_int_equal(footprint.anonymous_bytes, sum.anonymous);
    assert_int_equal(footprint.file_bytes, sum.file);
    assert_int_equal(footprint.shmem_bytes, sum.shmem);
    assert_int_equal(footprint.ksm_bytes,
                     oracle_knows_ksm() ? sum.ksm : oracle_total(owner, "smaps", "KSM"));
    assert_int_equal(footprint.zero_bytes, sum.zero);
    assert_int_equal(footprint.no_access_bytes, sum.no_access);
    assert_int_equal(footprint.resident_bytes, sum.anonymous + sum.file + sum.shmem);
    assert_int_equal(footprint.resident_bytes,
                     footprint.resident_4k_bytes + footprint.resident_2m_bytes);
}

/* --- what the kernel has added up itself --------------------------------------------------- */

static void virtual_bytes_are_those_of_status(void **state)
{
    assert_int_equal(footprint.virtual_bytes, oracle_total(owner, "status", "VmSize"));
}

/* The page of 2 MiB that is PROT_NONE is not in smaps (follow_trans_huge_pmd() leaves it out), on
 * some kernels; in pagemap it is. */
static void resident_bytes_are_those_of_smaps(void **state)
{
    uint64_t rss = oracle_total(owner, "smaps_rollup", "Rss");
    assert_int_equal(oracle_total(owner, "smaps", "Rss"), rss);
    if (rss != footprint.resident_bytes)
        assert_int_equal(rss + 2 * MIB, footprint.resident_bytes);
    uint64_t anonymous = oracle_total(owner, "smaps", "Anonymous");
    assert_int_equal(footprint.anonymous_bytes - anonymous, footprint.resident_bytes - rss);
    uint64_t large = oracle_total(owner, "smaps", "AnonHugePages") +
                     oracle_total(owner, "smaps", "ShmemPmdMapped") +
                     oracle_total(owner, "smaps", "FilePmdMapped");
    assert_int_equal(footprint.resident_2m_bytes - large, footprint.resident_bytes - rss);
}

/* The counters of status lag behind by some events for each processor and task. */
static void counters_of_status_are_near(void **state)
{
    static const struct {
        const char *field;
        size_t offset;
    } fields[] = {
        {"VmRSS", offsetof(struct matrix_lens_footprint, resident_bytes)},
        {"RssAnon", offsetof(struct matrix_lens_footprint, anonymous_bytes)},
        {"RssFile", offsetof(struct matrix_lens_footprint, file_bytes)},
        {"RssShmem", offsetof(struct matrix_lens_footprint, shmem_bytes)},
        {"VmSwap", offsetof(struct matrix_lens_footprint, swapped_bytes)},
    };
    const uint64_t lag = 64 * PAGE * (uint64_t)sysconf(_SC_NPROCESSORS_CONF);
    for (size_t i = 0; i < COUNT(fields); i++) {
        uint64_t theirs = oracle_total(owner, "status", fields[i].field), ours;
        memcpy(&ours, (char *)&footprint + fields[i].offset, sizeof(ours));
        if (ours + lag < theirs || theirs + lag < ours)
            fail_msg("%s: %lu in status, %lu here", fields[i].field, theirs, ours);
    }
}

static void swapped_bytes_are_those_of_smaps(void **state)
{
    assert_int_equal(footprint.swapped_bytes, oracle_total(owner, "smaps", "Swap"));
    assert_int_equal(footprint.swapped_bytes, PAGE);
    assert_int_equal(footprint.swapped_bytes, oracle_total(owner, "status", "VmSwap"));
}

static void hugetlb_bytes_are_those_of_smaps_and_status(void **state)
{
    uint64_t all = footprint.hugetlb_2m_bytes + footprint.hugetlb_1g_bytes;
    assert_int_equal(all, oracle_total(owner, "smaps", "Private_Hugetlb") +
                              oracle_total(owner, "smaps", "Shared_Hugetlb"));
    assert_int_equal(all, oracle_total(owner, "status", "HugetlbPages"));
    assert_int_equal(footprint.hugetlb_2m_bytes, 3 * 2 * MIB);
    assert_int_equal(footprint.hugetlb_1g_bytes % GIB, 0);
}

/* --- one kind at a time -------------------------------------------------------------------- */

static void assert_adds(const char *name, size_t offset, uint64_t bytes)
{
    struct matrix_lens_footprint before, after;
    uint64_t first, second;
    for (size_t i = 0; i < kinds_count; i++) {
        if (strcmp(kinds[i].name, name) != 0)
            continue;
        before = take(getpid());
        if (!kinds[i].make())
            fail_msg("cannot make %s: %s", name, kinds_why);
        after = take(getpid());
        memcpy(&first, (char *)&before + offset, sizeof(first));
        memcpy(&second, (char *)&after + offset, sizeof(second));
        if (second - first != bytes)
            fail_msg("%s adds %lu bytes, not %lu", name, second - first, bytes);
        return;
    }
    fail_msg("no kind %s", name);
}

#define FIELD(name) offsetof(struct matrix_lens_footprint, name)

static void each_kind_adds_what_it_is(void **state)
{
    assert_adds("2 MiB page (THP)", FIELD(resident_2m_bytes), 2 * MIB);
    assert_adds("2 MiB page, PROT_NONE", FIELD(no_access_bytes), 2 * MIB);
    assert_adds("2 MiB page, a part mprotected", FIELD(resident_2m_bytes), 0);
    assert_adds("huge zero page", FIELD(zero_bytes), 2 * MIB);
    assert_adds("zero page", FIELD(zero_bytes), PAGE);
    assert_adds("hugetlb 2 MiB", FIELD(hugetlb_2m_bytes), 2 * MIB);
    assert_adds("hugetlb 2 MiB, PROT_NONE", FIELD(hugetlb_2m_bytes), 2 * MIB);
    assert_adds("swapped out", FIELD(swapped_bytes), PAGE);
    assert_adds("merged by KSM", FIELD(ksm_bytes), 2 * PAGE);
    assert_adds("memfd, 2 MiB", FIELD(shmem_bytes), 2 * MIB);
    assert_adds("never touched, without a table", FIELD(virtual_bytes), GIB);
    assert_adds("device", FIELD(device_bytes), PAGE);
}

/* --- asked wrongly, and disturbed ---------------------------------------------------------- */

static void only_processes_have_memory(void **state)
{
    struct matrix_lens_footprint taken;
    assert_int_equal(device_footprint(lens_fd, 0, &taken), EINVAL);
    assert_int_equal(device_footprint(lens_fd, -1, &taken), EINVAL);
    assert_int_equal(device_footprint(lens_fd, 2, &taken), ENXIO);
    assert_int_equal(device_footprint(lens_fd, INT32_MAX, &taken), ESRCH);
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT);
    assert_int_equal(device_footprint(lens_fd, child, &taken), ESRCH);
    waitpid(child, NULL, 0);
}

static void ignore_signal(int number)
{
}

static void set_timer(suseconds_t microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    struct sigaction action = {.sa_handler = ignore_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* With a page in each of 8192 tables the walk is longer than the time between two signals. */
static void signal_ends_a_long_walk(void **state)
{
    char *start = mmap(NULL, 16 * GIB, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    struct matrix_lens_footprint taken;
    int number = 0;
    assert_true(start != MAP_FAILED);
    madvise(start, 16 * GIB, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < 16 * GIB; at += 2 * MIB)
        (void)*(volatile char *)(start + at);
    set_timer(1000);
    for (int i = 0; i < 100 && number == 0; i++)
        number = device_footprint(lens_fd, getpid(), &taken);
    set_timer(0);
    assert_int_equal(number, EINTR);
    assert_int_equal(taken.virtual_bytes, 0);
    assert_in_range(take(getpid()).zero_bytes, 8192 * PAGE, 8192 * PAGE + 8 * MIB);
    munmap(start, 16 * GIB);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(virtual_bytes_are_those_of_status, make_owner, end_owner),
        cmocka_unit_test_setup_teardown(resident_bytes_are_those_of_smaps, make_owner, end_owner),
        cmocka_unit_test_setup_teardown(kinds_of_pages_add_up_as_in_pagemap, make_owner, end_owner),
        cmocka_unit_test_setup_teardown(counters_of_status_are_near, make_owner, end_owner),
        cmocka_unit_test_setup_teardown(swapped_bytes_are_those_of_smaps, make_owner, end_owner),
        cmocka_unit_test_setup_teardown(hugetlb_bytes_are_those_of_smaps_and_status, make_owner,
                                        end_owner),
        cmocka_unit_test(each_kind_adds_what_it_is),
        cmocka_unit_test(only_processes_have_memory),
        cmocka_unit_test(signal_ends_a_long_walk),
    };
    return harness_run("footprint", tests, COUNT(tests));
}
