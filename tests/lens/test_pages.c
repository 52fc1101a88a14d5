// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_TRANSLATE on each kind of page, against what the kernel says of it elsewhere.
 */
#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include "tests/lens/kinds.h"
#include "tests/lens/oracle.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Some pages around an address, as far as its mapping goes, and what is outside of that. */
#define AROUND 600UL

static uint64_t look(const void *page)
{
    uint64_t entry = 0;
    assert_int_equal(device_translate(lens_fd, getpid(), page, 1, &entry), 0);
    assert_agrees(getpid(), (uintptr_t)page, 1, &entry);
    return entry;
}

static void assert_neighbours_agree(uintptr_t address)
{
    uint64_t entries[2 * AROUND];
    uintptr_t start = address - AROUND * PAGE;
    assert_int_equal(device_translate(lens_fd, getpid(), (void *)start, COUNT(entries), entries),
                     0);
    assert_agrees(getpid(), start, COUNT(entries), entries);
}

static void assert_flags(const struct kind *kind, uint64_t entry)
{
    if ((entry & kind->is) != kind->is || entry & kind->is_not)
        fail_msg("%s: entry %#lx has not %#lx, or has of %#lx", kind->name, entry, kind->is,
                 kind->is_not);
}

static char *make(const struct kind *kind)
{
    char *page = kind->make();
    if (!page && kind->may_be_missing)
        SKIP_BECAUSE("%s\n", kinds_why);
    if (!page)
        fail_msg("cannot make a page of kind %s: %s", kind->name, kinds_why);
    return page;
}

static size_t size_of(uint64_t entry)
{
    switch (entry & MATRIX_PAGE_SIZE_MASK) {
    case MATRIX_PAGE_SIZE_1G:
        return GIB;
    case MATRIX_PAGE_SIZE_2M:
        return 2 * MIB;
    default:
        return PAGE;
    }
}

/* A cmocka test for each of kinds[], which is its initial state. */
static void is_told_as_it_is(void **state)
{
    const struct kind *kind = *state;
    char *page = make(kind);
    uint64_t entry = look(page);
    assert_flags(kind, entry);
    if (oracle_smaps(getpid(), page, kind->smaps) == 0)
        fail_msg("%s: its mapping has no %s in smaps", kind->name, kind->smaps);
    if (entry & MATRIX_PAGE_HUGETLB)
        assert_int_equal(oracle_smaps(getpid(), page, "KernelPageSize"), size_of(entry));
    assert_neighbours_agree((uintptr_t)page);
    if (kind->is_not_writable)
        return;
    /* Behind the test of neighbours: these change the page. Reading brings in what was swapped out,
     * and newer kernels may make it writable at once. */
    (void)*(volatile char *)page;
    entry = look(page);
    assert_int_equal(oracle_write_faults(page), !(entry & MATRIX_PAGE_WRITABLE));
    entry = look(page);
    assert_true(entry & MATRIX_PAGE_WRITABLE && entry & MATRIX_PAGE_DIRTY);
}

static void huge_pages_are_told_from_end_to_end(void **state)
{
    char *page = kind_thp();
    assert_non_null(page);
    char *start = page - 77 * PAGE;
    uint64_t first = look(start), last = look(start + 511 * PAGE);
    assert_int_equal(last, first + 511 * PAGE);
    assert_int_equal(first & (2 * MIB - 1) & MATRIX_PAGE_ADDRESS, 0);

    page = kind_hugetlb_1g();
    if (!page)
        SKIP_BECAUSE("no hugetlb page of 1 GiB: %s\n", kinds_why);
    first = look(page - GIB / 2);
    assert_int_equal(first & (GIB - 1) & MATRIX_PAGE_ADDRESS, 0);
    assert_int_equal(look(page + GIB / 2 - PAGE), first + GIB - PAGE);
    munmap(page - GIB / 2, GIB);
}

/* /sys tells where the device is; its driver's table is no part of it. */
static void device_is_where_the_bus_says(void **state)
{
    char *page = kind_device();
    struct oracle_mapping mapping;
    char path[160];
    unsigned long start = 0;
    assert_non_null(page);
    assert_true(oracle_find_mapping(getpid(), (uintptr_t)page, &mapping));
    int which = mapping.name[strlen(mapping.name) - 1] - '0';
    snprintf(path, sizeof(path), "%s", mapping.name);
    path[strlen(path) - 1] = '\0';
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    for (int i = 0; i <= which; i++)
        assert_int_equal(fscanf(file, "%lx %*x %*x", &start), 1);
    fclose(file);
    uint64_t entry = look(page);
    assert_true(entry & MATRIX_PAGE_PRESENT && entry & MATRIX_PAGE_DEVICE);
    assert_int_equal(entry & MATRIX_PAGE_ADDRESS, start);
}

static void page_is_shared_after_fork_until_written(void **state)
{
    char *page = kind_small();
    uint64_t before = look(page), theirs = 0;
    pid_t child = child_start();
    uint64_t shared = look(page);
    assert_int_equal(shared & MATRIX_PAGE_ADDRESS, before & MATRIX_PAGE_ADDRESS);
    assert_false(shared & MATRIX_PAGE_WRITABLE);
    assert_int_equal(device_translate(lens_fd, child, page, 1, &theirs), 0);
    assert_agrees(child, (uintptr_t)page, 1, &theirs);
    assert_int_equal(theirs & MATRIX_PAGE_ADDRESS, shared & MATRIX_PAGE_ADDRESS);
    assert_int_equal(oracle_frame_count((shared & MATRIX_PAGE_ADDRESS) / PAGE), 2);

    assert_true(oracle_write_faults(page));
    uint64_t own = look(page);
    assert_int_not_equal(own & MATRIX_PAGE_ADDRESS, before & MATRIX_PAGE_ADDRESS);
    assert_true(own & MATRIX_PAGE_WRITABLE);
    assert_int_equal(device_entry(lens_fd, child, page) & MATRIX_PAGE_ADDRESS,
                     before & MATRIX_PAGE_ADDRESS);
    child_end(child);
}

static void equal_pages_merged_by_ksm_have_one_address(void **state)
{
    char *twin, *page = kind_ksm(&twin);
    assert_non_null(page);
    uint64_t merged = look(page);
    assert_true(merged & MATRIX_PAGE_KSM);
    assert_int_equal(look(twin), merged);
    assert_int_equal(oracle_frame_count((merged & MATRIX_PAGE_ADDRESS) / PAGE), 2);

    *page = 'x';
    assert_false(look(page) & MATRIX_PAGE_KSM);
    assert_int_not_equal(look(page) & MATRIX_PAGE_ADDRESS, merged & MATRIX_PAGE_ADDRESS);
    assert_true(look(twin) & MATRIX_PAGE_KSM);
}

static void swapped_page_is_told_when_it_is_back(void **state)
{
    char *page = kind_small();
    assert_true(swap_out(page));
    assert_int_equal(look(page), MATRIX_PAGE_MAPPED | MATRIX_PAGE_SWAPPED);
    assert_int_equal(*(volatile char *)page, 'f');
    assert_true(look(page) & MATRIX_PAGE_PRESENT);
    assert_false(look(page) & MATRIX_PAGE_SWAPPED);
}

static void mapping_begins_and_ends_where_it_does(void **state)
{
    char *start = (char *)kind_small() - 5 * PAGE;
    assert_int_equal(munmap(start, PAGE), 0);
    assert_int_equal(munmap(start + 4 * PAGE, PAGE), 0);
    static const bool is_mapped[] = {false, true, true, true, false, true};
    for (size_t i = 0; i < COUNT(is_mapped); i++)
        assert_int_equal((look(start + i * PAGE) & MATRIX_PAGE_PRESENT) != 0, is_mapped[i]);
    assert_int_equal(look(start), 0);
    assert_int_equal(look(start + 4 * PAGE), 0);
}

static void nothing_is_outside_any_mapping(void **state)
{
    static const uintptr_t nowhere[] = {
        0,
        PAGE,
        0x7ffffffff000,
        0x800000000000,
        0xffff800000000000,
        0xffffffff81000000,
        0xffffffffff600000, /* vsyscall: the kernel's own, in nobody's page tables to give */
    };
    uint64_t entry;
    for (size_t i = 0; i < COUNT(nowhere); i++) {
        entry = 1;
        assert_int_equal(device_translate(lens_fd, getpid(), (void *)nowhere[i], 1, &entry), 0);
        assert_int_equal(entry, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(huge_pages_are_told_from_end_to_end),
        cmocka_unit_test(device_is_where_the_bus_says),
        cmocka_unit_test(page_is_shared_after_fork_until_written),
        cmocka_unit_test(equal_pages_merged_by_ksm_have_one_address),
        cmocka_unit_test(swapped_page_is_told_when_it_is_back),
        cmocka_unit_test(mapping_begins_and_ends_where_it_does),
        cmocka_unit_test(nothing_is_outside_any_mapping),
    };
    struct CMUnitTest *tests = calloc(kinds_count + COUNT(others), sizeof(*tests));
    if (!tests)
        return 1;
    memcpy(tests, others, sizeof(others));
    for (size_t i = 0; i < kinds_count; i++)
        tests[COUNT(others) + i] = (struct CMUnitTest){.name = kinds[i].name,
                                                       .test_func = is_told_as_it_is,
                                                       .initial_state = (void *)&kinds[i]};
    return harness_run("pages", tests, kinds_count + COUNT(others));
}
