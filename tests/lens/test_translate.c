// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_TRANSLATE on ranges: whole address spaces page by page against pagemap, and every
 * way to ask wrongly.
 */
#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include "tests/lens/kinds.h"
#include "tests/lens/oracle.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of one mapping; more would only repeat themselves. */
#define PAGES_MAX 2048UL

static struct matrix_lens_translate request(const void *address, uint64_t count, uint64_t *entries)
{
    return (struct matrix_lens_translate){
        .size = sizeof(struct matrix_lens_translate),
        .pid = getpid(),
        .address = (uintptr_t)address,
        .count = count,
        .entries = (uintptr_t)entries,
    };
}

static int send(struct matrix_lens_translate *translate)
{
    return device_request(lens_fd, MATRIX_LENS_TRANSLATE, translate);
}

/* --- ranges ------------------------------------------------------------------------------- */

static void assert_mapping_agrees(pid_t pid, const struct oracle_mapping *mapping)
{
    static uint64_t entries[PAGES_MAX + 2];
    /* From a page before to a page behind it. */
    uintptr_t start = mapping->start >= PAGE ? mapping->start - PAGE : 0;
    size_t pages = (mapping->end + PAGE - start) / PAGE;
    pages = pages < COUNT(entries) ? pages : COUNT(entries);
    assert_int_equal(device_translate(lens_fd, pid, (void *)start, pages, entries), 0);
    assert_agrees(pid, start, pages, entries);
}

static size_t assert_process_agrees(pid_t pid)
{
    static struct oracle_mapping mappings[512];
    size_t count = oracle_mappings(pid, mappings, COUNT(mappings));
    assert_in_range(count, 5, COUNT(mappings) - 1);
    /* [vsyscall] is listed, but in no process's page tables. */
    count -= mappings[count - 1].start >> 63;
    for (size_t i = 0; i < count; i++)
        assert_mapping_agrees(pid, &mappings[i]);
    return count;
}

static void own_memory_is_as_pagemap_says(void **state)
{
    for (size_t i = 0; i < kinds_count; i++)
        if (!kinds[i].make())
            print_message("# without %s: %s\n", kinds[i].name, kinds_why);
    /* A range that is being read must not change: what the test itself touches is there by now. */
    assert_process_agrees(getpid());
    print_message("# %zu mappings\n", assert_process_agrees(getpid()));
}

/* Wherever it is, there it stops, and its memory changes no more. */
static void assert_stopped_process_agrees(pid_t child)
{
    int status;
    kill(child, SIGSTOP);
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    assert_true(WIFSTOPPED(status));
    assert_process_agrees(child);
}

static void memory_of_others_is_as_pagemap_says(void **state)
{
    pid_t child = child_start();
    assert_stopped_process_agrees(child);
    child_end(child);
    /* One that is not made of us. */
    child = fork();
    if (child == 0) {
        execlp("sleep", "sleep", "1000", (char *)NULL);
        _exit(127);
    }
    struct oracle_mapping mapping[1];
    while (oracle_mappings(child, mapping, 1) != 1 || !strstr(mapping[0].name, "sleep"))
        usleep(10000);
    assert_stopped_process_agrees(child);
    child_end(child);
}

static void range_goes_across_holes_and_tables(void **state)
{
    /* Ends of tables are at multiples of 2 MiB and 1 GiB; every third page is touched or a hole. */
    char *start = mmap(NULL, 3 * GIB, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_true(start != MAP_FAILED);
    char *border = (char *)(((uintptr_t)start + 2 * GIB - 1) & ~(GIB - 1));
    madvise(border - 4 * MIB, 8 * MIB, MADV_NOHUGEPAGE);
    for (char *page = border - 4 * MIB; page < border + 4 * MIB; page += 3 * PAGE)
        *page = 1;
    for (char *page = border - 3 * MIB; page < border + 3 * MIB; page += 300 * PAGE)
        munmap(page, PAGE);
    uint64_t *entries = calloc(2048, sizeof(*entries));
    assert_int_equal(device_translate(lens_fd, getpid(), border - 4 * MIB, 2048, entries), 0);
    assert_agrees(getpid(), (uintptr_t)border - 4 * MIB, 2048, entries);
    free(entries);
    munmap(start, 3 * GIB);
}

/* Larger than what the module does at a time, and not beginning where a table does. */
static void long_range_is_the_same_as_short_ones(void **state)
{
    enum { LONG = 3 * 8192 + 17 };
    char *start = (char *)kind_thp() - 3 * PAGE;
    uint64_t *together = calloc(LONG, sizeof(*together)), *single = calloc(LONG, sizeof(*single));
    /* Large buffers: written to before, so that writing them later changes nothing. */
    memset(together, 1, LONG * sizeof(*together));
    memset(single, 1, LONG * sizeof(*single));
    assert_int_equal(device_translate(lens_fd, getpid(), start, LONG, together), 0);
    for (size_t i = 0; i < LONG; i++)
        assert_int_equal(device_translate(lens_fd, getpid(), start + i * PAGE, 1, single + i), 0);
    assert_memory_equal(together, single, LONG * sizeof(*single));
    free(together);
    free(single);
}

static void whole_range_up_to_the_top_can_be_asked(void **state)
{
    uint64_t entries[2] = {1, 1};
    assert_int_equal(device_translate(lens_fd, getpid(), (void *)-PAGE, 1, entries), 0);
    assert_int_equal(entries[0], 0);
    assert_int_equal(entries[1], 1);
}

static void no_page_is_no_page(void **state)
{
    struct matrix_lens_translate translate = request((void *)PAGE, 0, NULL);
    assert_int_equal(send(&translate), 0);
    assert_int_equal(translate.count, 0);
}

static void addresses_are_left_out_on_demand(void **state)
{
    uint64_t with[16], without[16];
    char *start = (char *)kind_small() - 5 * PAGE;
    struct matrix_lens_translate translate = request(start, 16, without);
    translate.flags = MATRIX_LENS_NO_ADDRESSES;
    assert_int_equal(send(&translate), 0);
    assert_int_equal(device_translate(lens_fd, getpid(), start, 16, with), 0);
    for (size_t i = 0; i < 16; i++) {
        assert_true(with[i] & MATRIX_PAGE_ADDRESS);
        assert_int_equal(without[i], with[i] & ~MATRIX_PAGE_ADDRESS);
    }
}

/* --- asked wrongly ------------------------------------------------------------------------ */

static void wrong_ranges_are_refused(void **state)
{
    static const struct {
        uint64_t address, count;
    } wrong[] = {
        {1, 1},
        {PAGE - 1, 1},
        {PAGE + 8, 0},
        {0, (1ULL << 52) + 1},
        {0, UINT64_MAX},
        {PAGE, UINT64_MAX / PAGE + 1},
        {0 - 2 * PAGE, 3},
        {0 - PAGE, 2},
        {0x7ffffffff000, (1ULL << 52) - 1},
    };
    uint64_t entry = 7;
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct matrix_lens_translate translate =
            request((void *)wrong[i].address, wrong[i].count, &entry);
        assert_int_equal(send(&translate), EINVAL);
        assert_int_equal(translate.count, wrong[i].count);
    }
    struct matrix_lens_translate translate = request(NULL, 1, &entry);
    translate.flags = MATRIX_LENS_NO_ADDRESSES << 1;
    assert_int_equal(send(&translate), EINVAL);
    translate.flags = 0;
    translate.reserved = 1;
    assert_int_equal(send(&translate), EINVAL);
    assert_int_equal(entry, 7);
}

static void short_buffer_is_filled_and_no_more(void **state)
{
    char *buffer = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(buffer + PAGE, PAGE);
    static const uint64_t counts[] = {513, 8192, 8193, 1ULL << 30, 1ULL << 52};
    for (size_t i = 0; i < COUNT(counts); i++) {
        struct matrix_lens_translate translate = request(NULL, counts[i], (uint64_t *)buffer);
        assert_int_equal(send(&translate), EFAULT);
        assert_int_equal(buffer[2 * PAGE], 0);
    }
    /* Exactly as much as fits; and addresses that are nobody's, or the kernel's. */
    struct matrix_lens_translate translate = request(NULL, 512, (uint64_t *)buffer);
    assert_int_equal(send(&translate), 0);
    static const uintptr_t bad[] = {
        0, 8, 0xffff888000000000, 0xffffffff81000000, -8UL, 0x7ffffffff000, 0x8000000000000000};
    for (size_t i = 0; i < COUNT(bad); i++) {
        translate = request(NULL, 1, (uint64_t *)bad[i]);
        assert_int_equal(send(&translate), EFAULT);
    }
    assert_int_equal(mprotect(buffer, PAGE, PROT_READ), 0);
    translate = request(NULL, 1, (uint64_t *)buffer);
    assert_int_equal(send(&translate), EFAULT);
}

static void entries_may_stand_anywhere(void **state)
{
    char *buffer = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t entry;
    char *page = kind_small();
    uint64_t wanted = device_entry(lens_fd, getpid(), page);
    assert_int_equal(device_translate(lens_fd, getpid(), page, 1, (uint64_t *)(buffer + PAGE - 3)),
                     0);
    memcpy(&entry, buffer + PAGE - 3, sizeof(entry));
    assert_int_equal(entry, wanted);
}

/* The answer is about the buffer, which is touched by writing the answer. */
static void buffer_may_be_what_is_looked_at(void **state)
{
    uint64_t *buffer =
        mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_int_equal(device_translate(lens_fd, getpid(), buffer, 64, buffer), 0);
    assert_int_equal(buffer[0], MATRIX_PAGE_MAPPED);
    assert_int_equal(device_translate(lens_fd, getpid(), buffer, 64, buffer), 0);
    assert_true(buffer[0] & MATRIX_PAGE_PRESENT);
}

/* --- whose memory ------------------------------------------------------------------------- */

static int translate_pid(pid_t pid)
{
    uint64_t entry;
    return device_translate(lens_fd, pid, NULL, 1, &entry);
}

static void only_processes_have_memory(void **state)
{
    static const pid_t invalid[] = {0, -1, -2, INT32_MIN};
    for (size_t i = 0; i < COUNT(invalid); i++)
        assert_int_equal(translate_pid(invalid[i]), EINVAL);
    assert_int_equal(translate_pid(INT32_MAX), ESRCH);
    assert_int_equal(translate_pid(2), ENXIO); /* kthreadd */

    pid_t child = fork();
    if (child == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(translate_pid(child), ESRCH); /* a zombie */
    waitpid(child, NULL, 0);
    assert_int_equal(translate_pid(child), ESRCH);
}

static int lines[2];

static void *report_thread(void *unused)
{
    pid_t id = (pid_t)syscall(SYS_gettid);
    assert_int_equal(write(lines[1], &id, sizeof(id)), sizeof(id));
    pause();
    return NULL;
}

static void thread_stands_for_its_process(void **state)
{
    pthread_t thread;
    pid_t id;
    char *page = kind_small();
    assert_int_equal(pipe(lines), 0);
    assert_int_equal(pthread_create(&thread, NULL, report_thread, NULL), 0);
    assert_int_equal(read(lines[0], &id, sizeof(id)), sizeof(id));
    assert_int_not_equal(id, getpid());
    assert_int_equal(device_entry(lens_fd, id, page), device_entry(lens_fd, getpid(), page));
    pthread_cancel(thread);
    pthread_join(thread, NULL);
}

/* --- signals ------------------------------------------------------------------------------ */

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    signals++;
}

static void set_timer(suseconds_t microseconds)
{
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    struct sigaction action = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* With a signal every 2 ms no call over this range comes to its end; each tells how far it came. */
static void signal_cuts_the_range_short(void **state)
{
    const size_t pages = 16UL << 20;
    uint64_t *entries = mmap(NULL, pages * sizeof(*entries), PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    bool cut = false;
    set_timer(2000);
    for (int i = 0; i < 100 && !cut; i++) {
        struct matrix_lens_translate translate = request(NULL, pages, entries);
        int number = send(&translate);
        assert_true(number == 0 || number == EINTR);
        cut = number == 0 && translate.count < pages;
        if (cut) {
            assert_true(translate.count > 0);
            assert_int_equal(entries[translate.count], 0);
        }
    }
    set_timer(0);
    assert_true(cut);
    assert_true(signals > 0);
    munmap(entries, pages * sizeof(*entries));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_page_is_no_page),
        cmocka_unit_test(addresses_are_left_out_on_demand),
        cmocka_unit_test(range_goes_across_holes_and_tables),
        cmocka_unit_test(long_range_is_the_same_as_short_ones),
        cmocka_unit_test(whole_range_up_to_the_top_can_be_asked),
        cmocka_unit_test(wrong_ranges_are_refused),
        cmocka_unit_test(short_buffer_is_filled_and_no_more),
        cmocka_unit_test(entries_may_stand_anywhere),
        cmocka_unit_test(buffer_may_be_what_is_looked_at),
        cmocka_unit_test(only_processes_have_memory),
        cmocka_unit_test(thread_stands_for_its_process),
        cmocka_unit_test(signal_cuts_the_range_short),
        cmocka_unit_test(memory_of_others_is_as_pagemap_says),
        cmocka_unit_test(own_memory_is_as_pagemap_says),
    };
    return harness_run("translate", tests, COUNT(tests));
}
