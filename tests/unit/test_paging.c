// SPDX-License-Identifier: GPL-2.0-or-later
/* Page tables and the guest-physical memory below them, without KVM: slots made by hand. */
#include "vmm/x86_64/paging.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define RAM_BYTES    (8ULL << 20)
#define TABLES_GPA   MEMORY_HOLE_GPA
#define TABLES_BYTES (256 * PAGE_BYTES)
#define LARGE        (2ULL << 20)
#define USER         0x400000ULL
#define KERNEL       0xffff800000000000ULL

static struct memory memory;
static struct paging paging;

static int make(void **state)
{
    memory = (struct memory){.vm_fd = -1, .ram_bytes = RAM_BYTES, .slot_count = 3};
    memory.slots[0] = (struct memory_slot){0, RAM_BYTES, calloc(1, RAM_BYTES)};
    memory.slots[1] = (struct memory_slot){MEMORY_HOLE_END, LARGE, calloc(1, LARGE)};
    memory.slots[2] = (struct memory_slot){TABLES_GPA, TABLES_BYTES, calloc(1, TABLES_BYTES)};
    return paging_init(&paging, &memory, TABLES_GPA, TABLES_BYTES) ? -1 : 0;
}

static int release(void **state)
{
    for (unsigned i = 0; i < memory.slot_count; i++)
        free(memory.slots[i].hva);
    return 0;
}

static void map(uint64_t gva, uint64_t gpa, uint64_t bytes, unsigned flags)
{
    struct matrix_error *error = paging_map(&paging, gva, gpa, bytes, flags);
    assert_null(error);
}

static void assert_refused(struct matrix_error *error, const char *text)
{
    assert_non_null(error);
    if (!strstr(error->message, text))
        fail_msg("'%s' is missing in '%s'", text, error->message);
    matrix_error_free(error);
}

static void assert_mapped(uint64_t gva, uint64_t gpa, uint64_t page_bytes)
{
    struct paging_walk walk;
    assert_true(paging_walk(&paging, gva, &walk));
    assert_int_equal(walk.gpa, gpa);
    assert_int_equal(walk.page_bytes, page_bytes);
}

static void assert_unmapped(uint64_t gva)
{
    struct paging_walk walk;
    assert_false(paging_walk(&paging, gva, &walk));
}

/* --- mapping and walking ------------------------------------------------------------------- */

static void test_nothing_is_mapped_at_first(void **state)
{
    static const uint64_t addresses[] = {0, 1, USER, 0x7fffffffffff, KERNEL, UINT64_MAX};
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
        assert_unmapped(addresses[i]);
}

static void test_small_pages(void **state)
{
    map(USER, 0x5000, 2 * PAGE_BYTES, PAGING_USER);
    assert_mapped(USER, 0x5000, PAGE_BYTES);
    assert_mapped(USER + 0xabc, 0x5abc, PAGE_BYTES);
    assert_mapped(USER + 0x1fff, 0x6fff, PAGE_BYTES);
    assert_unmapped(USER - 1);
    assert_unmapped(USER + 0x2000);
}

static void test_large_pages_where_they_fit(void **state)
{
    map(USER, LARGE, LARGE, PAGING_USER);
    assert_mapped(USER, LARGE, LARGE);
    assert_mapped(USER + LARGE - 1, 2 * LARGE - 1, LARGE);
    assert_unmapped(USER + LARGE);
    /* Small pages lead up to the boundary, large ones go on, small ones end it. */
    map(2 * USER - PAGE_BYTES, 2 * LARGE - PAGE_BYTES, LARGE + 2 * PAGE_BYTES, PAGING_USER);
    assert_mapped(2 * USER - 1, 2 * LARGE - 1, PAGE_BYTES);
    assert_mapped(2 * USER, 2 * LARGE, LARGE);
    assert_mapped(2 * USER + LARGE, 3 * LARGE, PAGE_BYTES);
    assert_unmapped(2 * USER + LARGE + PAGE_BYTES);
}

static void test_small_pages_where_large_do_not_fit(void **state)
{
    map(USER, LARGE + PAGE_BYTES, LARGE, PAGING_USER); /* not aligned alike */
    assert_mapped(USER, LARGE + PAGE_BYTES, PAGE_BYTES);
    map(2 * USER, LARGE, LARGE, PAGING_USER | PAGING_SMALL); /* not wanted */
    assert_mapped(2 * USER, LARGE, PAGE_BYTES);
    map(3 * USER, LARGE, LARGE - PAGE_BYTES, PAGING_USER); /* too short */
    assert_mapped(3 * USER, LARGE, PAGE_BYTES);
}

static void test_rights(void **state)
{
    for (unsigned flags = 0; flags < 16; flags++) {
        struct paging_walk walk;
        const uint64_t gva = USER + flags * 4 * LARGE;
        map(gva, 0, LARGE, flags);
        assert_true(paging_walk(&paging, gva, &walk));
        assert_int_equal(walk.writable, (flags & PAGING_WRITE) != 0);
        assert_int_equal(walk.executable, (flags & PAGING_EXECUTE) != 0);
        assert_int_equal(walk.user, (flags & PAGING_USER) != 0);
        assert_int_equal(walk.page_bytes, flags & PAGING_SMALL ? PAGE_BYTES : LARGE);
    }
}

static void test_both_ends_of_the_address_space(void **state)
{
    map(0, 0x1000, PAGE_BYTES, 0);
    map(0x7ffffffff000, 0x2000, PAGE_BYTES, 0);
    map(KERNEL, 0x3000, PAGE_BYTES, 0);
    map(0xfffffffffffff000, 0x4000, PAGE_BYTES, 0);
    assert_mapped(0, 0x1000, PAGE_BYTES);
    assert_mapped(0x7fffffffffff, 0x2fff, PAGE_BYTES);
    assert_mapped(KERNEL, 0x3000, PAGE_BYTES);
    assert_mapped(UINT64_MAX, 0x4fff, PAGE_BYTES);
}

static void test_not_canonical_is_not_mapped(void **state)
{
    map(KERNEL, 0, PAGE_BYTES, 0);
    assert_unmapped(0x0000800000000000); /* the same 48 bits */
    assert_unmapped(0x7fff800000000000);
    assert_unmapped(0xfffe800000000000);
    map(USER, 0, PAGE_BYTES, 0);
    assert_unmapped(USER | 1ULL << 63);
    assert_unmapped(USER | 1ULL << 48);
}

static void test_twice_is_refused(void **state)
{
    map(USER, 0, PAGE_BYTES, 0);
    assert_refused(paging_map(&paging, USER, 0x1000, PAGE_BYTES, 0), "mapped twice");
    assert_refused(paging_map(&paging, USER, LARGE, LARGE, 0), "mapped twice");
    map(USER + LARGE, LARGE, LARGE, 0);
    assert_refused(paging_map(&paging, USER + LARGE + 0x5000, 0, PAGE_BYTES, 0), "mapped twice");
    assert_mapped(USER, 0, PAGE_BYTES);
}

static void test_tables_can_run_out(void **state)
{
    struct matrix_error *error = NULL;
    for (uint64_t i = 0; i < 512 && !error; i++) /* each needs three tables of its own */
        error = paging_map(&paging, i << 39, 0, PAGE_BYTES, 0);
    assert_refused(error, "page tables are full");
    assert_mapped(0, 0, PAGE_BYTES);
}

/* What one layout after another needs at most is what paging_tables_bytes says. */
static void test_tables_are_enough_for_all_memory(void **state)
{
    const uint64_t bytes = paging_tables_bytes(RAM_BYTES);
    assert_true(bytes <= 512 * PAGE_BYTES && bytes % PAGE_BYTES == 0);
    assert_true(paging_tables_bytes(1ULL << 40) < 1ULL << 32);
    map(USER + PAGE_BYTES, 0, RAM_BYTES, PAGING_SMALL);
    assert_true(paging.next_gpa - TABLES_GPA <= bytes);
}

static void test_random_mappings_against_a_list(void **state)
{
    static uint64_t gpas[4096]; /* of the pages from USER on; 0: not mapped */
    uint64_t seed = 5;
    memset(gpas, 0, sizeof(gpas));
    for (unsigned i = 0; i < 3000; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        const uint64_t page = (seed >> 20) % 4096, gpa = PAGE_BYTES * (1 + (seed >> 40) % 2047);
        struct matrix_error *error =
            paging_map(&paging, USER + page * PAGE_BYTES, gpa, PAGE_BYTES, PAGING_USER);
        if (gpas[page]) {
            assert_refused(error, "mapped twice");
        } else {
            assert_null(error);
            gpas[page] = gpa;
        }
    }
    for (uint64_t page = 0; page < 4096; page++) {
        if (gpas[page])
            assert_mapped(USER + page * PAGE_BYTES + 7, gpas[page] + 7, PAGE_BYTES);
        else
            assert_unmapped(USER + page * PAGE_BYTES + 7);
    }
}

/* Should a guest ever get at its tables, the walk must stay inside its memory. */
static void test_tables_that_point_anywhere(void **state)
{
    uint64_t seed = 9, *tables = (uint64_t *)memory.slots[2].hva;
    for (unsigned i = 0; i < TABLES_BYTES / 8; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        tables[i] = i % 2 ? seed : (TABLES_GPA + (seed >> 30) % TABLES_BYTES) | 7;
    }
    for (unsigned i = 0; i < 100000; i++) {
        uint8_t byte[64];
        seed = seed * 6364136223846793005 + 1442695040888963407;
        const uint64_t gva = (uint64_t)((int64_t)seed >> 16);
        assert_true(paging_read(&paging, gva, byte, sizeof(byte)) <= sizeof(byte));
    }
}

/* --- copying -------------------------------------------------------------------------------- */

static void test_copies_across_pages_that_lie_apart(void **state)
{
    static uint8_t text[3 * PAGE_BYTES], back[sizeof(text)];
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 7);
    map(USER, 0x9000, PAGE_BYTES, PAGING_USER | PAGING_WRITE);
    map(USER + PAGE_BYTES, 0x3000, PAGE_BYTES, PAGING_USER | PAGING_WRITE);
    map(USER + 2 * PAGE_BYTES, MEMORY_HOLE_END, 2 * PAGE_BYTES, PAGING_USER | PAGING_WRITE);
    assert_int_equal(paging_write(&paging, USER + 100, text, sizeof(text)), sizeof(text));
    assert_int_equal(paging_read(&paging, USER + 100, back, sizeof(back)), sizeof(back));
    assert_memory_equal(text, back, sizeof(text));
    assert_memory_equal(memory.slots[0].hva + 0x9000 + 100, text, PAGE_BYTES - 100);
    assert_memory_equal(memory.slots[0].hva + 0x3000, text + PAGE_BYTES - 100, PAGE_BYTES);
}

static void test_copies_stop_at_the_first_bad_byte(void **state)
{
    uint8_t text[64] = {0};
    map(USER, 0, PAGE_BYTES, PAGING_USER | PAGING_WRITE);
    map(USER + PAGE_BYTES, PAGE_BYTES, PAGE_BYTES, PAGING_USER);          /* read-only */
    map(USER + 2 * PAGE_BYTES, 2 * PAGE_BYTES, PAGE_BYTES, PAGING_WRITE); /* not the program's */
    assert_int_equal(paging_write(&paging, USER + PAGE_BYTES - 10, text, 64), 10);
    assert_int_equal(paging_read(&paging, USER + 2 * PAGE_BYTES - 20, text, 64), 20);
    assert_int_equal(paging_read(&paging, USER + 2 * PAGE_BYTES, text, 64), 0);
    assert_int_equal(paging_write(&paging, USER + 2 * PAGE_BYTES, text, 64), 0);
    assert_int_equal(paging_read(&paging, USER - 1, text, 64), 0);
    assert_int_equal(paging_read(&paging, 0, text, 0), 0);
    assert_int_equal(paging_read(&paging, UINT64_MAX, text, 64), 0);
}

/* --- guest-physical memory -------------------------------------------------------------------- */

static void test_memory_is_bounded(void **state)
{
    uint8_t *ram = memory.slots[0].hva, *high = memory.slots[1].hva;
    assert_ptr_equal(memory_at(&memory, 0, RAM_BYTES), ram);
    assert_ptr_equal(memory_at(&memory, 100, 8), ram + 100);
    assert_ptr_equal(memory_at(&memory, RAM_BYTES - 8, 8), ram + RAM_BYTES - 8);
    assert_ptr_equal(memory_at(&memory, MEMORY_HOLE_END, LARGE), high);
    assert_non_null(memory_at(&memory, RAM_BYTES, 0));
    assert_null(memory_at(&memory, 0, RAM_BYTES + 1));
    assert_null(memory_at(&memory, RAM_BYTES - 7, 8));
    assert_null(memory_at(&memory, RAM_BYTES, 1));
    assert_null(memory_at(&memory, MEMORY_HOLE_END - 1, 2));
    assert_null(memory_at(&memory, MEMORY_HOLE_END + LARGE, 1));
    assert_null(memory_at(&memory, UINT64_MAX, 1));
    assert_null(memory_at(&memory, UINT64_MAX, 2));
    assert_null(memory_at(&memory, 1, UINT64_MAX));
    assert_null(memory_at(&memory, MEMORY_HOLE_END, UINT64_MAX - MEMORY_HOLE_END + 1));
}

static void test_ram_goes_around_the_hole(void **state)
{
    assert_int_equal(memory_ram_gpa(0), 0);
    assert_int_equal(memory_ram_gpa(MEMORY_HOLE_GPA - 1), MEMORY_HOLE_GPA - 1);
    assert_int_equal(memory_ram_gpa(MEMORY_HOLE_GPA), MEMORY_HOLE_END);
    assert_int_equal(memory_ram_gpa(MEMORY_HOLE_GPA + 5), MEMORY_HOLE_END + 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, release)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_mapped_at_first),
        TEST(test_small_pages),
        TEST(test_large_pages_where_they_fit),
        TEST(test_small_pages_where_large_do_not_fit),
        TEST(test_rights),
        TEST(test_both_ends_of_the_address_space),
        TEST(test_not_canonical_is_not_mapped),
        TEST(test_twice_is_refused),
        TEST(test_tables_can_run_out),
        TEST(test_tables_are_enough_for_all_memory),
        TEST(test_random_mappings_against_a_list),
        TEST(test_tables_that_point_anywhere),
        TEST(test_copies_across_pages_that_lie_apart),
        TEST(test_copies_stop_at_the_first_bad_byte),
        TEST(test_memory_is_bounded),
        TEST(test_ram_goes_around_the_hole),
    };
    return cmocka_run_group_tests_name("paging", tests, NULL, NULL);
}
