// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_READ_BYTE and MATRIX_LENS_WRITE_BYTE in the memory of a process. The oracle is the
 * process: what it reads by its own pointer, and /proc/PID/mem.
 */
#include "tests/lens/bytes.h"
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/* Reads and writes a byte in the middle of a page, and looks at it by pointer. */
static void assert_byte_goes_through(char *page, uint32_t flags)
{
    volatile char *byte = page + 123;
    uint64_t physical = physical_of(byte);
    uint8_t value = 0;
    *byte = 'A';
    assert_int_equal(read_own(byte, physical, &value), 0);
    assert_int_equal(value, 'A');
    value = 'B';
    assert_int_equal(
        device_write_byte(lens_fd, flags, getpid(), (const void *)byte, physical, &value), 0);
    assert_int_equal(value, 'A');
    assert_int_equal(*byte, 'B');
    assert_int_equal(byte[-1] | byte[1], page[122] | page[124]);
    *byte = 'C';
    assert_int_equal(read_own(byte, physical, &value), 0);
    assert_int_equal(value, 'C');
}

static void bytes_go_through(void **state)
{
    kind_maker *const makers[] = {kind_small, kind_thp, kind_hugetlb_2m, kind_memfd};
    for (size_t i = 0; i < COUNT(makers); i++) {
        char *page = makers[i]();
        assert_non_null(page);
        assert_byte_goes_through(page, 0);
        assert_byte_goes_through(page, MATRIX_LENS_FORCE);
    }
}

static void every_byte_of_a_page_is_reached(void **state)
{
    char *page = kind_small();
    for (size_t i = 0; i < PAGE; i++) {
        assert_int_equal(write_own(page + i, physical_of(page) + i, (uint8_t)(i * 7), 0), 0);
        assert_int_equal((uint8_t)page[i], (uint8_t)(i * 7));
    }
}

/* Of large shared pages the module cannot tell whether they are somebody else's too. */
static void large_shared_pages_need_force(void **state)
{
    char *page = kind_hugetlb_2m_shared();
    *page = 'a';
    assert_int_equal(write_own(page, physical_of(page), 'b', 0), EBUSY);
    assert_int_equal(*page, 'a');
    assert_byte_goes_through(page, MATRIX_LENS_FORCE);
}

/* They are the process's own bytes; what is forbidden is only its own access. */
static void protected_pages_are_reached(void **state)
{
    char *page = kind_small();
    uint64_t physical = physical_of(page);
    uint8_t value;
    *page = 'a';
    assert_int_equal(mprotect(page, PAGE, PROT_NONE), 0);
    assert_int_equal(read_own(page, physical, &value), 0);
    assert_int_equal(value, 'a');
    assert_int_equal(write_own(page, physical, 'b', 0), 0);
    assert_int_equal(mprotect(page, PAGE, PROT_READ), 0);
    assert_int_equal(*page, 'b');
}

static void bytes_of_another_process_are_its_own(void **state)
{
    char *page = kind_small();
    pid_t child = child_start();
    *page = 'p'; /* our copy; the child has the page of before alone */
    uint64_t physical = oracle_frame(child, page) * PAGE;
    uint8_t value = 'c';
    assert_int_equal(device_write_byte(lens_fd, 0, child, page, physical, &value), 0);
    assert_int_equal(value, 'f');
    assert_int_equal(oracle_peek(child, page), 'c');
    assert_int_equal(*page, 'p');
    assert_int_equal(device_read_byte(lens_fd, 0, child, page, physical, &value), 0);
    assert_int_equal(value, 'c');
    child_end(child);
}

/* --- not there (any more) ----------------------------------------------------------------- */

static void address_that_is_not_there_is_stale(void **state)
{
    char *page = kind_small();
    uint64_t physical = physical_of(page);
    assert_refuses(page, physical + PAGE, ESTALE);
    assert_refuses(page, 0, ESTALE);
    assert_refuses(page + PAGE, physical, ESTALE);
    assert_refuses(page, physical | 1ULL << 51, ESTALE);
    assert_refuses(page, physical | 1ULL << 52, ESTALE);
    assert_refuses(page, physical | 1ULL << 63, ESTALE);
    assert_refuses(NULL, physical, ESTALE);
    assert_refuses((char *)0xffffffff81000000, physical, ESTALE);
    assert_int_equal(*page, 'f');

    pid_t child = child_start();
    *page = 'g';
    assert_refuses(page, physical, ESTALE);
    child_end(child);
    physical = physical_of(page);
    assert_true(swap_out(page));
    assert_refuses(page, physical, ESTALE);
    assert_int_equal(*page, 'g');
    physical = physical_of(page);
    munmap(page, PAGE);
    assert_refuses(page, physical, ESTALE);
}

static void both_addresses_mean_the_same_byte(void **state)
{
    char *page = kind_small();
    assert_refuses(page, physical_of(page) + 1, EINVAL);
    assert_refuses(page + 1, physical_of(page), EINVAL);
}

static void only_processes_have_bytes(void **state)
{
    uint8_t value;
    assert_int_equal(device_read_byte(lens_fd, 0, 0, NULL, 0, &value), EINVAL);
    assert_int_equal(device_read_byte(lens_fd, 0, -1, NULL, 0, &value), EINVAL);
    assert_int_equal(device_read_byte(lens_fd, 0, 2, NULL, 0, &value), ENXIO);
    assert_int_equal(device_read_byte(lens_fd, 0, INT32_MAX, NULL, 0, &value), ESRCH);
}

/* --- others see it too -------------------------------------------------------------------- */

static void page_shared_after_fork_needs_force(void **state)
{
    char *page = kind_small();
    pid_t child = child_start();
    uint64_t physical = physical_of(page);
    uint8_t value;
    assert_int_equal(read_own(page, physical, &value), 0);
    assert_int_equal(write_own(page, physical, 'x', 0), EBUSY);
    assert_int_equal(*page, 'f');
    assert_int_equal(write_own(page, physical, 'x', MATRIX_LENS_FORCE), 0);
    assert_int_equal(*page, 'x');
    assert_int_equal(oracle_peek(child, page), 'x');
    assert_int_equal(physical_of(page), physical);
    child_end(child);
    /* Now it is ours alone again. */
    assert_int_equal(write_own(page, physical, 'y', 0), 0);
    assert_int_equal(*page, 'y');
}

static void large_page_shared_after_fork_needs_force(void **state)
{
    kind_maker *const makers[] = {kind_thp, kind_hugetlb_2m};
    for (size_t i = 0; i < COUNT(makers); i++) {
        char *page = makers[i]();
        *page = 'f';
        pid_t child = child_start();
        uint64_t physical = physical_of(page);
        assert_int_equal(write_own(page, physical, 'x', 0), EBUSY);
        assert_int_equal(*page, 'f');
        assert_int_equal(write_own(page, physical, 'x', MATRIX_LENS_FORCE), 0);
        assert_int_equal(oracle_peek(child, page), 'x');
        child_end(child);
    }
}

static void shared_memory_of_two_needs_force(void **state)
{
    char *page = kind_memfd();
    pid_t child = child_start();
    uint64_t physical = physical_of(page);
    /* fork() leaves it out of the child's tables until the child touches it, or we do so for it. */
    assert_int_equal(oracle_peek(child, page), 'm');
    assert_int_equal(oracle_frame_count(physical / PAGE), 2);
    assert_int_equal(write_own(page, physical, 'x', 0), EBUSY);
    assert_int_equal(*page, 'm');
    assert_int_equal(write_own(page, physical, 'x', MATRIX_LENS_FORCE), 0);
    assert_int_equal(*page, 'x');
    assert_int_equal(oracle_peek(child, page), 'x');
    child_end(child);
    assert_int_equal(write_own(page, physical, 'y', 0), 0);
}

static void merged_page_needs_force_and_changes_for_all(void **state)
{
    char *twin, *page = kind_ksm(&twin);
    assert_non_null(page);
    uint64_t physical = physical_of(page);
    assert_int_equal(write_own(page, physical, 'x', 0), EBUSY);
    assert_int_equal(*page, 'K');
    assert_int_equal(*twin, 'K');
    assert_int_equal(write_own(page, physical, 'x', MATRIX_LENS_FORCE), 0);
    assert_int_equal(*page, 'x');
    assert_int_equal(*twin, 'x');
    /* Even if no more than one is left. */
    *twin = 'y';
    assert_int_equal(oracle_frame_count(physical / PAGE), 1);
    assert_int_equal(write_own(page, physical, 'z', 0), EBUSY);
}

/* --- never to be written ------------------------------------------------------------------ */

static void page_of_a_file_is_read_only(void **state)
{
    kind_maker *const makers[] = {kind_file_private, kind_file_shared};
    for (size_t i = 0; i < COUNT(makers); i++) {
        volatile char *page = makers[i]();
        assert_non_null((char *)page);
        uint8_t before = (uint8_t)*page, value;
        assert_int_equal(read_own(page, physical_of(page), &value), 0);
        assert_int_equal(value, before);
        assert_int_equal(write_own(page, physical_of(page), (uint8_t)~before, 0), EROFS);
        assert_int_equal(write_own(page, physical_of(page), (uint8_t)~before, MATRIX_LENS_FORCE),
                         EROFS);
        assert_int_equal((uint8_t)*page, before);
    }
}

static void zero_page_is_read_only(void **state)
{
    volatile char *page = kind_zero();
    uint8_t value = 1;
    assert_int_equal(read_own(page, physical_of(page), &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(write_own(page, physical_of(page), 1, 0), EACCES);
    assert_int_equal(write_own(page, physical_of(page), 1, MATRIX_LENS_FORCE), EACCES);
    for (size_t i = 0; i < kinds_count; i++)
        if (strcmp(kinds[i].name, "huge zero page") == 0) {
            page = kinds[i].make();
            assert_int_equal(write_own(page, physical_of(page), 1, 0), EACCES);
            assert_int_equal(write_own(page, physical_of(page), 1, MATRIX_LENS_FORCE), EACCES);
        }
    assert_int_equal(*page, 0);
}

static void secret_memory_is_out_of_reach(void **state)
{
    volatile char *page = kind_secret();
    if (!page)
        SKIP_BECAUSE("%s\n", kinds_why);
    assert_refuses(page, physical_of(page), EACCES);
    assert_int_equal(*page, 'x');
}

static void device_is_out_of_reach(void **state)
{
    char *page = kind_device();
    assert_non_null(page);
    uint64_t entry = device_entry(lens_fd, getpid(), page);
    assert_true(entry & MATRIX_PAGE_DEVICE);
    assert_refuses(page, entry & MATRIX_PAGE_ADDRESS, EFAULT);
}

/* Newer kernels map it as a page like any other. It is not the process's own, all the same. */
static void clock_of_the_kernel_is_not_written(void **state)
{
    for (size_t i = 0; i < kinds_count; i++)
        if (strcmp(kinds[i].name, "vvar") == 0) {
            char *page = kinds[i].make();
            uint64_t entry = device_entry(lens_fd, getpid(), page);
            assert_true(entry & MATRIX_PAGE_PRESENT);
            assert_int_equal(write_own(page, entry & MATRIX_PAGE_ADDRESS, 1, 0), EACCES);
            if (entry & MATRIX_PAGE_DEVICE)
                assert_refuses(page, entry & MATRIX_PAGE_ADDRESS, EACCES);
        }
}

/* --- swap --------------------------------------------------------------------------------- */

static void written_byte_survives_swap(void **state)
{
    kind_maker *const makers[] = {kind_small, kind_memfd};
    for (size_t i = 0; i < COUNT(makers); i++) {
        volatile char *page = makers[i]();
        uint64_t physical = physical_of(page);
        assert_int_equal(write_own(page, physical, 'x', 0), 0);
        madvise((void *)page, PAGE, MADV_PAGEOUT);
        assert_int_equal(*page, 'x');
    }
}

/*
 * A page that came back from swap and still has its place there is clean: unless the write marks it
 * dirty, swapping it out again drops it, and the byte with it. It keeps its place as long as there
 * are two that share it.
 */
static void byte_survives_in_a_page_that_is_in_swap_already(void **state)
{
    volatile char *page = kind_small();
    assert_true(swap_out((void *)page));
    pid_t child = child_start();
    assert_int_equal(*page, 'f');
    uint64_t physical = physical_of(page);
    assert_int_equal(write_own(page, physical, 'x', 0), EBUSY);
    assert_int_equal(write_own(page, physical, 'x', MATRIX_LENS_FORCE), 0);
    assert_true(swap_out((void *)page));
    assert_int_equal(*page, 'x');
    child_end(child);
}

/* MADV_FREE lets the kernel drop a page that nobody writes to afterwards. */
static void byte_survives_in_a_page_that_was_given_up(void **state)
{
    volatile char *page = kind_small();
    assert_int_equal(madvise((void *)page, PAGE, MADV_FREE), 0);
    assert_int_equal(write_own(page, physical_of(page), 'x', 0), 0);
    for (int i = 0; i < 20; i++)
        madvise((void *)page, PAGE, MADV_PAGEOUT);
    assert_int_equal(*page, 'x');
}

/* A page of a memfd that was only ever read is clean, and as good as not there. */
static void byte_survives_in_shared_memory_that_was_only_read(void **state)
{
    volatile char *page = (char *)kind_memfd();
    assert_int_equal(madvise((void *)page, PAGE, MADV_REMOVE), 0);
    assert_int_equal(*page, 0);
    assert_int_equal(write_own(page, physical_of(page), 'x', 0), 0);
    for (int i = 0; i < 20; i++)
        madvise((void *)page, PAGE, MADV_PAGEOUT);
    assert_int_equal(*page, 'x');
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_through),
        cmocka_unit_test(every_byte_of_a_page_is_reached),
        cmocka_unit_test(large_shared_pages_need_force),
        cmocka_unit_test(protected_pages_are_reached),
        cmocka_unit_test(bytes_of_another_process_are_its_own),
        cmocka_unit_test(address_that_is_not_there_is_stale),
        cmocka_unit_test(both_addresses_mean_the_same_byte),
        cmocka_unit_test(only_processes_have_bytes),
        cmocka_unit_test(page_shared_after_fork_needs_force),
        cmocka_unit_test(large_page_shared_after_fork_needs_force),
        cmocka_unit_test(shared_memory_of_two_needs_force),
        cmocka_unit_test(merged_page_needs_force_and_changes_for_all),
        cmocka_unit_test(page_of_a_file_is_read_only),
        cmocka_unit_test(zero_page_is_read_only),
        cmocka_unit_test(secret_memory_is_out_of_reach),
        cmocka_unit_test(device_is_out_of_reach),
        cmocka_unit_test(clock_of_the_kernel_is_not_written),
        cmocka_unit_test(written_byte_survives_swap),
        cmocka_unit_test(byte_survives_in_a_page_that_is_in_swap_already),
        cmocka_unit_test(byte_survives_in_a_page_that_was_given_up),
        cmocka_unit_test(byte_survives_in_shared_memory_that_was_only_read),
    };
    return harness_run("byte", tests, COUNT(tests));
}
