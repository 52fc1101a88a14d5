// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_PHYSICAL: bytes by their physical address alone, and which ones are refused. Frames
 * to try are found through /proc/kpageflags and /proc/iomem.
 */
#include "tests/lens/bytes.h"
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* include/uapi/linux/kernel-page-flags.h */
#define FRAME_SLAB  (1ULL << 7)
#define FRAME_BUDDY (1ULL << 10)

static void assert_physical_refused(uint64_t physical, int number)
{
    static const uint32_t flags[] = {0, MATRIX_LENS_FORCE};
    uint8_t value;
    for (size_t i = 0; i < COUNT(flags); i++) {
        int reading = read_physical(physical, flags[i], &value);
        int writing = write_physical(physical, flags[i], 0);
        if (reading != number || writing != number)
            fail_msg("address %#lx, flags %u: read %d, write %d, not %d", physical, flags[i],
                     reading, writing, number);
    }
}

static void bytes_go_through(void **state)
{
    kind_maker *const makers[] = {kind_small, kind_hugetlb_2m, kind_memfd};
    for (size_t i = 0; i < COUNT(makers); i++) {
        volatile char *byte = (char *)makers[i]() + 77;
        uint8_t value;
        *byte = 'A';
        assert_int_equal(read_physical(physical_of(byte), 0, &value), 0);
        assert_int_equal(value, 'A');
        assert_int_equal(write_physical(physical_of(byte), 0, 'B'), 0);
        assert_int_equal(*byte, 'B');
        value = 'C';
        assert_int_equal(device_write_byte(lens_fd, MATRIX_LENS_PHYSICAL | MATRIX_LENS_FORCE, 0,
                                           NULL, physical_of(byte), &value),
                         0);
        assert_int_equal(value, 'B');
        assert_int_equal(*byte, 'C');
    }
}

static void shared_pages_need_force(void **state)
{
    char *twin, *merged = kind_ksm(&twin), *page = kind_small();
    assert_non_null(merged);
    assert_int_equal(write_physical(physical_of(merged), 0, 'x'), EBUSY);
    assert_int_equal(*merged, 'K');
    assert_int_equal(write_physical(physical_of(merged), MATRIX_LENS_FORCE, 'x'), 0);
    assert_int_equal(*twin, 'x');
    pid_t child = child_start();
    assert_int_equal(write_physical(physical_of(page), 0, 'x'), EBUSY);
    assert_int_equal(write_physical(physical_of(page), MATRIX_LENS_FORCE, 'x'), 0);
    assert_int_equal(oracle_peek(child, page), 'x');
    child_end(child);
    /* Whether a large page is shared depends on how it is mapped, which not every kernel tells. */
    page = kind_thp();
    int number = write_physical(physical_of(page), 0, 'x');
    assert_true(number == 0 || number == EBUSY);
    assert_int_equal(*page, number ? 1 : 'x');
    assert_int_equal(write_physical(physical_of(page), MATRIX_LENS_FORCE, 'y'), 0);
    assert_int_equal(*page, 'y');
}

static void page_of_a_file_is_read_only(void **state)
{
    kind_maker *const makers[] = {kind_file_private, kind_file_shared};
    for (size_t i = 0; i < COUNT(makers); i++) {
        volatile char *page = makers[i]();
        uint8_t before = (uint8_t)*page, value;
        assert_int_equal(read_physical(physical_of(page), 0, &value), 0);
        assert_int_equal(value, before);
        assert_int_equal(write_physical(physical_of(page), 0, (uint8_t)~before), EROFS);
        assert_int_equal(write_physical(physical_of(page), MATRIX_LENS_FORCE, (uint8_t)~before),
                         EROFS);
        assert_int_equal((uint8_t)*page, before);
    }
}

static void zero_page_is_never_written(void **state)
{
    volatile char *page = kind_zero();
    assert_int_equal(write_physical(physical_of(page), 0, 1), EACCES);
    assert_int_equal(write_physical(physical_of(page), MATRIX_LENS_FORCE, 1), EACCES);
    for (size_t i = 0; i < kinds_count; i++)
        if (strcmp(kinds[i].name, "huge zero page") == 0) {
            volatile char *huge = kinds[i].make();
            assert_int_equal(write_physical(physical_of(huge), 0, 1), EACCES);
            assert_int_equal(write_physical(physical_of(huge), MATRIX_LENS_FORCE, 1), EACCES);
            assert_int_equal(*huge, 0);
        }
    assert_int_equal(*page, 0);
}

static void secret_memory_is_out_of_reach(void **state)
{
    volatile char *page = kind_secret();
    if (!page)
        SKIP_BECAUSE("%s\n", kinds_why);
    assert_physical_refused(physical_of(page), EACCES);
    assert_int_equal(*page, 'x');
}

static void what_is_no_ram_is_a_fault(void **state)
{
    uint64_t entry = device_entry(lens_fd, getpid(), kind_device());
    assert_physical_refused(entry & MATRIX_PAGE_ADDRESS, EFAULT);
    static const uint64_t none[] = {
        0xa0000, /* the screen's memory of old */
        0xf0000, /* the BIOS */
        0xfed00000, 0xfee00000, 0xffffffff, 1ULL << 40,
        1ULL << 51, 1ULL << 52, 1ULL << 63, UINT64_MAX,
    };
    for (size_t i = 0; i < COUNT(none); i++)
        assert_physical_refused(none[i], EFAULT);
}

/* Code and read-only data of the kernel, as /proc/iomem has them. */
static void image_of_the_kernel_is_refused(void **state)
{
    char line[256];
    int found = 0;
    unsigned long start, end;
    FILE *file = fopen("/proc/iomem", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (!strstr(line, "Kernel code") && !strstr(line, "Kernel rodata"))
            continue;
        assert_int_equal(sscanf(line, " %lx-%lx", &start, &end), 2);
        assert_true(start > 0);
        assert_physical_refused(start + (end - start) / 2, EACCES);
        found++;
    }
    fclose(file);
    assert_int_equal(found, 2);
}

/* The first frame that has this flag, from the first GiB on or, if that has none, from the start. */
static uint64_t find_frame(uint64_t flag)
{
    static uint64_t flags[4096];
    FILE *file = fopen("/proc/kpageflags", "re");
    assert_non_null(file);
    uint64_t frame = 0, found = 0;
    size_t got;
    while (!found && (got = fread(flags, sizeof(*flags), COUNT(flags), file)) > 0)
        for (size_t i = 0; i < got; i++, frame++)
            if (!found && flags[i] & flag && frame > 4096)
                found = frame;
    fclose(file);
    assert_int_not_equal(found, 0);
    return found;
}

/* Free memory is nobody's: it may become somebody's at any moment. */
static void free_memory_is_refused(void **state)
{
    for (int i = 0; i < 100; i++) {
        uint8_t value;
        uint64_t frame = find_frame(FRAME_BUDDY);
        int plain = read_physical(frame * PAGE, 0, &value);
        int forced = write_physical(frame * PAGE, MATRIX_LENS_FORCE, 0);
        if (!(oracle_frame_flags(frame) & FRAME_BUDDY))
            continue; /* it did become somebody's */
        assert_int_equal(plain, EACCES);
        assert_int_equal(forced, EACCES);
        return;
    }
    fail_msg("no frame stays free");
}

static void slab_of_the_kernel_needs_force(void **state)
{
    uint64_t physical = find_frame(FRAME_SLAB) * PAGE;
    uint8_t value;
    assert_int_equal(read_physical(physical, 0, &value), EACCES);
    assert_int_equal(write_physical(physical, 0, 0), EACCES);
    /* Newer kernels take no reference for such pages, which then look like free ones. */
    int number = read_physical(physical, MATRIX_LENS_FORCE, &value);
    assert_true(number == 0 || number == EACCES);
}

/* Memory of the kernel's that we can see, and that is not used: slots of io_uring's queue. */
static void memory_of_the_kernel_needs_force(void **state)
{
    struct io_uring_params parameters = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 8, &parameters);
    if (fd < 0)
        SKIP_BECAUSE("io_uring_setup: %s\n", strerror(errno));
    volatile char *byte =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, IORING_OFF_SQES);
    assert_true(byte != MAP_FAILED);
    *byte = 'k';
    uint64_t entry = device_entry(lens_fd, getpid(), (const void *)byte);
    assert_true(entry & MATRIX_PAGE_PRESENT);
    uint64_t physical = entry & MATRIX_PAGE_ADDRESS;
    uint8_t value;
    assert_int_equal(read_physical(physical, 0, &value), EACCES);
    assert_int_equal(write_physical(physical, 0, 'x'), EACCES);
    assert_int_equal(*byte, 'k');
    assert_int_equal(read_physical(physical, MATRIX_LENS_FORCE, &value), 0);
    assert_int_equal(value, 'k');
    assert_int_equal(write_physical(physical, MATRIX_LENS_FORCE, 'x'), 0);
    assert_int_equal(*byte, 'x');
    close(fd);
}

/* All of RAM, read a byte a page without force and with it: whatever it is, the kernel lives. */
static void all_of_memory_can_be_tried(void **state)
{
    unsigned long long pages = (unsigned long long)sysconf(_SC_PHYS_PAGES) * 2, read = 0;
    uint8_t value;
    for (uint64_t frame = 0; frame < pages; frame += 7) {
        int number = read_physical(frame * PAGE, frame & 1 ? MATRIX_LENS_FORCE : 0, &value);
        assert_true(number == 0 || number == EACCES || number == EFAULT);
        read += number == 0;
    }
    assert_true(read > 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_through),
        cmocka_unit_test(shared_pages_need_force),
        cmocka_unit_test(page_of_a_file_is_read_only),
        cmocka_unit_test(zero_page_is_never_written),
        cmocka_unit_test(secret_memory_is_out_of_reach),
        cmocka_unit_test(what_is_no_ram_is_a_fault),
        cmocka_unit_test(image_of_the_kernel_is_refused),
        cmocka_unit_test(free_memory_is_refused),
        cmocka_unit_test(slab_of_the_kernel_needs_force),
        cmocka_unit_test(memory_of_the_kernel_needs_force),
        cmocka_unit_test(all_of_memory_can_be_tried),
    };
    return harness_run("physical", tests, COUNT(tests));
}
