// SPDX-License-Identifier: GPL-2.0-or-later
/* What the lens reads of /proc: mappings, fields, tasks with names that mislead, page entries. */
#include "lens/merged.h"
#include "lens/proc_text.h"
#include "lens/smaps.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define PRESENT  (1ULL << 63)
#define SWAPPED  (1ULL << 62)
#define FILE_61  (1ULL << 61)
#define KPF(bit) (1ULL << (bit))

static void reads_mappings(void **state)
{
    struct proc_mapping mapping;
    assert_true(
        proc_text_mapping("00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/x\n", &mapping));
    assert_int_equal(mapping.start, 0x400000);
    assert_int_equal(mapping.end, 0x452000);
    assert_false(mapping.no_access);
    assert_false(mapping.is_gate);
    assert_true(proc_text_mapping("7f0000000000-7f0000001000 ---p 0 00:00 0 \n", &mapping));
    assert_true(mapping.no_access);
    assert_true(proc_text_mapping(
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n", &mapping));
    assert_true(mapping.is_gate);

    static const char *const bad[] = {
        "",
        "\n",
        "Size:   4 kB\n",
        "400000",
        "400000-",
        "-500000 r-xp 0",
        "400000-500000",
        "400000-500000 r",
        "400000-500000 r-xp",
        "500000-400000 r-xp 0",
        "400000-400000 r-xp 0",
        "400001-500000 r-xp 0",
        "400000-500001 r-xp 0",
        "+400000-500000 r-xp 0",
        " 400000-500000 r-xp 0",
        "400000 -500000 r-xp 0",
        "400000-500000  r-xp",
        "400000-500000      0",
        "400000-500000 rwxq 0",
        "10000000000000000-20000000000000000 r-xp 0",
        "0x400000-0x500000 r-xp 0",
        "KernelPageSize: 4 kB",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (proc_text_mapping(bad[i], &mapping))
            fail_msg("taken for a mapping: '%s'", bad[i]);
}

static void reads_kilobytes(void **state)
{
    uint64_t bytes = 7;
    assert_true(proc_text_kilobytes("Rss:                  12 kB\n", "Rss", &bytes));
    assert_int_equal(bytes, 12 * 1024);
    assert_true(proc_text_kilobytes("VmRSS:\t       0 kB\n", "VmRSS", &bytes));
    assert_int_equal(bytes, 0);
    assert_true(proc_text_kilobytes("Rss: 18014398509481983 kB", "Rss", &bytes));
    assert_true(bytes == UINT64_MAX - 1023);
    assert_false(proc_text_kilobytes("Rss: 18014398509481984 kB", "Rss", &bytes));
    assert_false(proc_text_kilobytes("Rss: 99999999999999999999999 kB", "Rss", &bytes));
    assert_false(proc_text_kilobytes("Rss: -1 kB", "Rss", &bytes));
    assert_false(proc_text_kilobytes("Rss: 12", "Rss", &bytes));
    assert_false(proc_text_kilobytes("Rss: kB", "Rss", &bytes));
    assert_false(proc_text_kilobytes("RssAnon: 12 kB", "Rss", &bytes));
    assert_false(proc_text_kilobytes("Rs", "Rss", &bytes));
}

/* A line of stat with this name: pid 12, child of 7, started after 1234.56 s, on CPU 3. */
static bool read_stat(const char *name, const char *letter, struct matrix_lens_task *task)
{
    char text[1024];
    snprintf(text, sizeof(text),
             "12 (%s) %s 7 12 12 0 -1 4194304 1 0 0 0 1 2 0 0 -20 0 1 0 123456 9 9 "
             "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
             name, letter);
    return proc_text_stat(text, 100, task);
}

static void reads_tasks_whatever_their_name(void **state)
{
    static const char *const names[] = {"bash", "",          "a b",     ")",          "x) R 1 1",
                                        "(((",  "a\nb) Z 9", "\x1b[2J", "12 (bash) S"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct matrix_lens_task task;
        if (!read_stat(names[i], "S", &task))
            fail_msg("not read: '%s'", names[i]);
        assert_string_equal(task.name, names[i]);
        assert_int_equal(task.pid, 12);
        assert_int_equal(task.tid, 12);
        assert_int_equal(task.parent_pid, 7);
        assert_int_equal(task.state, 'S');
        assert_int_equal(task.cpu, 3);
        assert_int_equal(task.kernel_thread, 0);
        assert_int_equal(task.start_time_ns, 1234560000000);
    }
    struct matrix_lens_task task;
    assert_true(read_stat("kworker/u8:3-events_unbound", "I", &task));
    assert_string_equal(task.name, "kworker/u8:3-ev");
}

static void refuses_what_is_no_task(void **state)
{
    static const char *const bad[] = {
        "",
        "12",
        "12 (",
        "12 (x",
        "12 (x)",
        "12 (x) ",
        "12 (x) S",
        "12 (x) S 7 12",
        "x (x) S 7",
        "-1 (x) S 7",
        "99999999999 (x) S 7",
        "12 x S 7 12 12 0 -1 0 1 0 0 0 1 2 0 0 20 0 1 0 5 9 9 9 1 1 0 0 0 0 0 0 0 0 0 0 17 3",
        "12 (x) S -7 12 12 0 -1 0 1 0 0 0 1 2 0 0 20 0 1 0 5 9 9 9 1 1 0 0 0 0 0 0 0 0 0 0 17 3",
        "12 (x) S 7 12 12 0 -1 0 1 0 0 0 1 2 0 0 20 0 1 0 z 9 9 9 1 1 0 0 0 0 0 0 0 0 0 0 17 3",
    };
    struct matrix_lens_task task;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (proc_text_stat(bad[i], 100, &task))
            fail_msg("taken for a task: '%s'", bad[i]);
    /* Started after more nanoseconds than there are numbers. */
    assert_false(proc_text_stat("12 (x) S 7 12 12 0 -1 0 1 0 0 0 1 2 0 0 20 0 1 0 "
                                "18446744073709551615 9 9 9 1 1 0 0 0 0 0 0 0 0 0 0 17 3",
                                100, &task));
}

/* Frame 0x1234 of a mapping that can be reached, with these flags of the frame. */
static uint64_t entry_of(uint64_t pagemap, uint64_t flags)
{
    static const struct proc_mapping mapping = {.start = 0x1000, .end = 0x2000};
    return proc_text_entry(pagemap | PRESENT | 0x1234, &flags, &mapping);
}

static void decodes_pages(void **state)
{
    const uint64_t there = MATRIX_PAGE_MAPPED | MATRIX_PAGE_PRESENT | 0x1234000;
    const uint64_t small = there | MATRIX_PAGE_SIZE_4K, large = there | MATRIX_PAGE_COMPOUND;
    assert_true(entry_of(0, KPF(12) | KPF(14)) == (small | MATRIX_PAGE_ANONYMOUS));
    assert_true(entry_of(0, KPF(12) | KPF(21)) ==
                (small | MATRIX_PAGE_ANONYMOUS | MATRIX_PAGE_KSM));
    assert_true(entry_of(0, KPF(12) | KPF(16) | KPF(22)) == (large | MATRIX_PAGE_ANONYMOUS));
    assert_true(entry_of(FILE_61, 0) == (small | MATRIX_PAGE_FILE));
    assert_true(entry_of(FILE_61, KPF(14)) == (small | MATRIX_PAGE_FILE | MATRIX_PAGE_SHMEM));
    assert_true(entry_of(FILE_61, KPF(32)) == small); /* reserved: the vdso */
    assert_true(entry_of(0, KPF(24)) == (small | MATRIX_PAGE_ZERO));
    assert_true(entry_of(0, KPF(24) | KPF(22)) == (large | MATRIX_PAGE_ZERO | MATRIX_PAGE_SIZE_2M));
    assert_true(entry_of(0, KPF(17) | KPF(15)) == (large | MATRIX_PAGE_HUGETLB));
    assert_true(entry_of(0, KPF(20)) == (there | MATRIX_PAGE_DEVICE));

    const struct proc_mapping closed = {.start = 0x1000, .end = 0x2000, .no_access = true};
    const uint64_t flags = KPF(12);
    assert_true(proc_text_entry(PRESENT | 0x1234, &flags, &closed) & MATRIX_PAGE_NO_ACCESS);
    /* A frame that no address can have does not spill into the flags. */
    assert_int_equal(entry_of((1ULL << 55) - 1, KPF(12)) & ~MATRIX_PAGE_ADDRESS,
                     (small | MATRIX_PAGE_ANONYMOUS) & ~MATRIX_PAGE_ADDRESS);
}

static void decodes_what_is_not_there(void **state)
{
    const struct proc_mapping mapping = {.start = 0x1000, .end = 0x2000, .no_access = true};
    assert_true(proc_text_entry(0, NULL, &mapping) == MATRIX_PAGE_MAPPED);
    assert_true(proc_text_entry(FILE_61, NULL, &mapping) == MATRIX_PAGE_MAPPED);
    assert_true(proc_text_entry(SWAPPED | 1 << 5, NULL, &mapping) ==
                (MATRIX_PAGE_MAPPED | MATRIX_PAGE_SWAPPED));
    assert_true(proc_text_entry(SWAPPED | 25, NULL, &mapping) ==
                (MATRIX_PAGE_MAPPED | MATRIX_PAGE_MOVING));
    assert_true(proc_text_entry(SWAPPED | 31, NULL, &mapping) == MATRIX_PAGE_MAPPED);
    /* Without the frame's flags there is no address and no kind, but for FILE. */
    assert_true(
        proc_text_entry(PRESENT | FILE_61 | 0x1234, NULL, &mapping) ==
        (MATRIX_PAGE_MAPPED | MATRIX_PAGE_PRESENT | MATRIX_PAGE_NO_ACCESS | MATRIX_PAGE_FILE));
    assert_int_equal(proc_text_frame(SWAPPED | 0x1234), 0);
    assert_int_equal(matrix_page_piece_bytes(0), 0);
    assert_int_equal(matrix_page_piece_bytes(MATRIX_PAGE_SIZE_4K), 4096);
    assert_int_equal(matrix_page_piece_bytes(MATRIX_PAGE_SIZE_2M), 2 << 20);
    assert_int_equal(matrix_page_piece_bytes(MATRIX_PAGE_SIZE_1G), 1 << 30);
}

static int footprint_of(const char *text, uint64_t shmem_bytes, struct matrix_footprint *footprint)
{
    FILE *file = fmemopen((void *)text, strlen(text), "r");
    assert_non_null(file);
    const int number = smaps_read(file, shmem_bytes, footprint);
    fclose(file);
    return number;
}

static void sums_up_smaps(void **state)
{
    static const char text[] =
        "400000-402000 r-xp 0 08:02 1 /bin/Rss: 9 kB\n"
        "KernelPageSize: 4 kB\nRss: 8 kB\nAnonymous: 0 kB\nKSM: 0 kB\nSwap: 0 kB\n"
        "600000-a00000 rw-p 0 00:00 0 [heap]\n"
        "Rss: 2052 kB\nAnonymous: 2052 kB\nKSM: 4 kB\nAnonHugePages: 2048 kB\nSwap: 16 kB\n"
        "b00000-b01000 ---p 0 00:00 0\nRss: 4 kB\nAnonymous: 4 kB\n"
        "40000000-40400000 rw-s 0 00:00 0 /dev/hugepages/x\n"
        "KernelPageSize: 2048 kB\nRss: 0 kB\nShared_Hugetlb: 2048 kB\nPrivate_Hugetlb: 2048 kB\n"
        "80000000-c0000000 rw-s 0 00:00 0 /dev/hugepages/y\n"
        "KernelPageSize: 1048576 kB\nRss: 0 kB\nPrivate_Hugetlb: 1048576 kB\n"
        "ffffffffff600000-ffffffffff601000 --xp 0 00:00 0 [vsyscall]\nRss: 4 kB\n";
    struct matrix_footprint f;
    assert_int_equal(footprint_of(text, 4096, &f), 0);
    assert_int_equal(f.mappings, 5);
    assert_int_equal(f.virtual_bytes, 0x2000 + 0x400000 + 0x1000 + 0x400000 + 0x40000000);
    assert_int_equal(f.resident_bytes, 2064 << 10);
    assert_int_equal(f.resident_2m_bytes, 2 << 20);
    assert_int_equal(f.resident_4k_bytes, 16 << 10);
    assert_int_equal(f.anonymous_bytes, 2056 << 10);
    assert_int_equal(f.shmem_bytes, 4096);
    assert_int_equal(f.file_bytes, 4096);
    assert_int_equal(f.ksm_bytes, 4096);
    assert_int_equal(f.swapped_bytes, 16384);
    assert_int_equal(f.no_access_bytes, 4096);
    assert_int_equal(f.hugetlb_2m_bytes, 4 << 20);
    assert_int_equal(f.hugetlb_1g_bytes, 1 << 30);
    assert_true(f.zero_bytes == MATRIX_FOOTPRINT_UNKNOWN);

    assert_int_equal(footprint_of("400000-401000 r-xp 0 08:02 1\nRss: 4 kB\n", 1 << 20, &f), 0);
    assert_true(f.ksm_bytes == MATRIX_FOOTPRINT_UNKNOWN); /* an older kernel has no such field */
    assert_int_equal(f.shmem_bytes, 4096);                /* not more than there is */
    assert_int_equal(footprint_of("Rss: 4 kB\n", 0, &f), ENXIO);
    assert_int_equal(
        footprint_of("1000-2000 rw-p 0\nRss: 18014398509481983 kB\nRss: 18014398509481983 kB\n", 0,
                     &f),
        0);
    assert_true(f.resident_bytes == MATRIX_FOOTPRINT_UNKNOWN - 1); /* no overflow */
}

static void reads_status(void **state)
{
    static char text[] =
        "Name:\tVmRSS: 1 kB\nVmSize:\t  100 kB\nVmRSS:\t   12 kB\nRssAnon:\t 8 kB\n"
        "RssFile:\t 4 kB\nRssShmem:\t 0 kB\nVmSwap:\t 4 kB\n";
    struct matrix_footprint f;
    FILE *file = fmemopen(text, strlen(text), "r");
    assert_int_equal(status_read(file, &f), 0);
    fclose(file);
    assert_int_equal(f.virtual_bytes, 102400);
    assert_int_equal(f.resident_bytes, 12288);
    assert_int_equal(f.swapped_bytes, 4096);
    assert_true(f.ksm_bytes == MATRIX_FOOTPRINT_UNKNOWN);
    file = fmemopen((void *)"Name:\tkthreadd\nThreads:\t1\n", 26, "r");
    assert_int_equal(status_read(file, &f), ENXIO);
    fclose(file);
}

/* Of frames 2 to 6, by how often each is mapped: see merged.h. */
static void clears_flags_of_what_is_not_merged(void **state)
{
    const uint64_t counts[] = {9, 9, 1, 2, 3, 0}, set = KPF(12) | KPF(21);
    uint64_t flags[] = {set, set, set | KPF(16), set, set};
    const int fd = memfd_create("kpagecount", MFD_CLOEXEC);
    assert_int_equal(write(fd, counts, sizeof(counts)), sizeof(counts));
    assert_int_equal(merged_clear_flags(fd, 2, flags, 5), 0);
    assert_true(flags[0] == KPF(12));
    assert_true(flags[1] == set);
    assert_true(flags[2] == (KPF(12) | KPF(16)));
    assert_true(flags[3] == KPF(12));
    assert_true(flags[4] == KPF(12)); /* behind the end of what is counted */
    assert_int_equal(merged_clear_flags(-1, 0, flags, 5), 0);
    assert_true(flags[1] == KPF(12));
    close(fd);
    assert_int_equal(merged_clear_flags(fd, 0, flags, 1), EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_mappings),
        cmocka_unit_test(reads_kilobytes),
        cmocka_unit_test(reads_tasks_whatever_their_name),
        cmocka_unit_test(refuses_what_is_no_task),
        cmocka_unit_test(decodes_pages),
        cmocka_unit_test(clears_flags_of_what_is_not_merged),
        cmocka_unit_test(decodes_what_is_not_there),
        cmocka_unit_test(sums_up_smaps),
        cmocka_unit_test(reads_status),
    };
    return cmocka_run_group_tests_name("lens_text", tests, NULL, NULL);
}
