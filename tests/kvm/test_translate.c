// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Addresses: KVM_TRANSLATE and the software walk agree everywhere, and what lies at the end of
 * the chain is what the image and the guest put there.
 */
#include "tests/kvm/host.h"

#include "vmm/layout.h"
#include "vmm/x86_64/system.h"
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static struct matrix_translation translate(const struct test_guest *guest, uint64_t gva)
{
    struct matrix_translation translation;
    assert_success(matrix_vm_translate(guest->vm, gva, &translation));
    if (!translation.agree)
        fail_msg("%#llx: the walk says %d %#llx, KVM %d %#llx", (unsigned long long)gva,
                 translation.mapped, (unsigned long long)translation.gpa, translation.kvm_mapped,
                 (unsigned long long)translation.kvm_gpa);
    return translation;
}

/* A guest that has ended: all that it had is still there. */
static struct test_guest ended_guest(uint64_t memory_bytes, unsigned flags)
{
    struct test_guest guest = test_guest_create((struct matrix_vm_options){
        .argv = ARGUMENTS("reach", "1000003"),
        .memory_bytes = memory_bytes,
        .memory_flags = flags,
    });
    test_guest_run(&guest);
    assert_int_equal(test_guest_info(&guest).state, MATRIX_VM_EXITED);
    return guest;
}

static void assert_rights(const struct matrix_translation *t, const char *rights)
{
    const char found[] = {t->readable ? 'r' : '-', t->writable ? 'w' : '-',
                          t->executable ? 'x' : '-', '\0'};
    assert_string_equal(found, rights);
}

static void segments_are_where_the_image_says(void **state)
{
    struct test_guest guest = ended_guest(0, 0);
    const struct image *image = &guest.vm->image;
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        char rights[] = "r--";
        rights[1] = segment->writable ? 'w' : '-';
        rights[2] = segment->executable ? 'x' : '-';
        for (uint64_t at = 0; at < segment->memory_bytes; at++) {
            struct matrix_translation t;
            if (at && (segment->gva + at) % PAGE_BYTES)
                continue;
            t = translate(&guest, segment->gva + at);
            assert_true(t.mapped);
            assert_rights(&t, rights);
        }
    }
    test_guest_destroy(&guest);
}

static void content_is_what_the_image_has(void **state)
{
    struct test_guest guest = ended_guest(0, 0);
    const struct image *image = &guest.vm->image;
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        if (segment->writable)
            continue; /* it may have changed since */
        for (uint64_t at = 0; at < segment->file_bytes; at++) {
            uint8_t expected;
            struct matrix_translation t = translate(&guest, segment->gva + at);
            assert_success(image_read(image, segment->file_offset + at, &expected, 1));
            assert_int_equal(*(const uint8_t *)t.hva, expected);
        }
    }
    test_guest_destroy(&guest);
}

static void heap_holds_what_the_guest_wrote(void **state)
{
    /* reach writes the complement of its address into its heap's first word. */
    struct test_guest guest = ended_guest(64 << 20, 0);
    struct matrix_translation start = translate(&guest, LAYOUT_START);
    const uint64_t heap = ((const struct matrix_start *)start.hva)->heap;
    struct matrix_translation t = translate(&guest, heap);
    assert_true(t.mapped);
    assert_rights(&t, "rw-");
    assert_int_equal(*(const uint64_t *)t.hva, ~heap);
    test_guest_destroy(&guest);
}

static void unmapped_addresses_are_not_mapped(void **state)
{
    static const uint64_t addresses[] = {
        0,          1,          IMAGE_START - 1,    LAYOUT_STACK_TOP,   SYSTEM_GPA, 0x123456789000,
        UINT64_MAX, 1ULL << 63, 0x0000800000000000, 0xffff7fffffffffff,
    };
    struct test_guest guest = ended_guest(0, 0);
    for (size_t i = 0; i < COUNT(addresses); i++)
        assert_false(translate(&guest, addresses[i]).mapped);
    test_guest_destroy(&guest);
}

static void stack_has_a_guard_below_it(void **state)
{
    struct test_guest guest = ended_guest(0, 0);
    const uint64_t end = LAYOUT_STACK_TOP - MATRIX_STACK_DEFAULT;
    struct matrix_translation t = translate(&guest, LAYOUT_STACK_TOP - 8);
    assert_rights(&t, "rw-");
    t = translate(&guest, end);
    assert_rights(&t, "rw-");
    for (uint64_t page = 1; page <= 256; page++)
        assert_false(translate(&guest, end - page * PAGE_BYTES).mapped);
    test_guest_destroy(&guest);
}

static void start_page_is_read_only(void **state)
{
    struct test_guest guest = ended_guest(0, 0);
    struct matrix_translation t = translate(&guest, LAYOUT_START);
    assert_rights(&t, "r--");
    const struct matrix_start *start = (const void *)t.hva;
    assert_int_equal(start->magic, MATRIX_START_MAGIC);
    t = translate(&guest, start->work);
    assert_rights(&t, "rw-");
    test_guest_destroy(&guest);
}

static void monitors_half_is_not_the_programs(void **state)
{
    struct test_guest guest = ended_guest(0, 0);
    for (unsigned page = 0; page < SYSTEM_PAGES; page++) {
        struct matrix_translation t = translate(&guest, SYSTEM_BASE + page * PAGE_BYTES);
        assert_true(t.mapped);
        assert_int_equal(t.gpa, SYSTEM_GPA + page * PAGE_BYTES);
        assert_rights(&t, "---");
    }
    /* The page tables, which lie behind, are mapped nowhere. */
    assert_false(translate(&guest, SYSTEM_BASE + SYSTEM_PAGES * PAGE_BYTES).mapped);
    test_guest_destroy(&guest);
}

static uint64_t pages_of_size(const struct test_guest *guest, uint64_t page_bytes)
{
    struct matrix_translation t = translate(guest, LAYOUT_START);
    const struct matrix_start *start = (const void *)t.hva;
    uint64_t count = 0;
    for (uint64_t at = start->heap; at < start->heap + start->heap_bytes; at += t.page_bytes) {
        t = translate(guest, at);
        assert_true(t.mapped);
        count += t.page_bytes == page_bytes;
    }
    return count;
}

static void large_memory_has_large_pages(void **state)
{
    struct test_guest guest = ended_guest(64 << 20, 0);
    assert_in_range(pages_of_size(&guest, 2 << 20), 30, 32);
    test_guest_destroy(&guest);
}

static void small_pages_on_demand(void **state)
{
    struct test_guest guest = ended_guest(64 << 20, MATRIX_MEMORY_SMALL_PAGES);
    assert_int_equal(pages_of_size(&guest, 2 << 20), 0);
    assert_in_range(pages_of_size(&guest, 4096), 16000, 16384);
    test_guest_destroy(&guest);
}

static void random_addresses_agree(void **state)
{
    static const uint64_t bases[] = {IMAGE_START,    0x400000,    LAYOUT_HEAP, LAYOUT_STACK_TOP,
                                     LAYOUT_START,   SYSTEM_BASE, 0,           UINT64_MAX,
                                     PAGING_USER_END};
    struct test_guest guest = ended_guest(64 << 20, 0);
    uint64_t seed = 1;
    for (unsigned i = 0; i < 20000; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        const uint64_t base = bases[(seed >> 40) % COUNT(bases)];
        const uint64_t offset = seed >> (20 + seed % 44);
        translate(&guest, seed & 1 << 20 ? base + offset : base - offset);
    }
    test_guest_destroy(&guest);
}

static void a_guest_that_never_ran_can_be_asked(void **state)
{
    struct test_guest guest = test_guest("hello");
    struct matrix_translation t = translate(&guest, LAYOUT_START);
    assert_true(t.mapped);
    assert_rights(&t, "r--");
    assert_false(translate(&guest, 0).mapped);
    test_guest_destroy(&guest);
}

static void symbols_are_found(void **state)
{
    struct test_guest guest = test_guest("faulty", "null");
    test_guest_run(&guest);
    const struct matrix_report *report = matrix_vm_report(guest.vm);
    assert_non_null(report);
    uint64_t offset;
    const char *symbol = matrix_vm_symbol(guest.vm, report->rip, &offset);
    assert_non_null(symbol);
    assert_string_equal(symbol, "fault_null");
    assert_int_equal(offset, report->rip_place.offset);
    assert_string_equal(matrix_vm_symbol(guest.vm, report->rip - offset, &offset), "fault_null");
    assert_int_equal(offset, 0);
    assert_null(matrix_vm_symbol(guest.vm, 0, &offset));
    assert_null(matrix_vm_symbol(guest.vm, UINT64_MAX, &offset));
    test_guest_destroy(&guest);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_are_where_the_image_says),
        cmocka_unit_test(content_is_what_the_image_has),
        cmocka_unit_test(heap_holds_what_the_guest_wrote),
        cmocka_unit_test(unmapped_addresses_are_not_mapped),
        cmocka_unit_test(stack_has_a_guard_below_it),
        cmocka_unit_test(start_page_is_read_only),
        cmocka_unit_test(monitors_half_is_not_the_programs),
        cmocka_unit_test(large_memory_has_large_pages),
        cmocka_unit_test(small_pages_on_demand),
        cmocka_unit_test(random_addresses_agree),
        cmocka_unit_test(a_guest_that_never_ran_can_be_asked),
        cmocka_unit_test(symbols_are_found),
    };
    return host_run_tests(argc, argv, "translate", tests, COUNT(tests));
}
