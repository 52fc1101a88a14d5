// SPDX-License-Identifier: GPL-2.0-or-later
/* Guest memory: sizes from the least to past the hole below 4 GiB, and how the host backs it. */
#include "tests/kvm/host.h"

#include "vmm/vm.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define MEBIBYTE (1ULL << 20)
#define GIBIBYTE (1ULL << 30)

/* --- sizes ------------------------------------------------------------------------------- */

static void memory_is_reached(uint64_t bytes, unsigned flags, const char *distance)
{
    struct sysinfo host;
    assert_int_equal(sysinfo(&host), 0);
    if ((uint64_t)host.totalram * host.mem_unit < bytes)
        SKIP_BECAUSE("this host has less memory than the guest should have\n");
    struct test_guest guest = test_guest_create((struct matrix_vm_options){
        .argv = ARGUMENTS("reach", distance),
        .memory_bytes = bytes,
        .memory_flags = flags,
    });
    assert_int_equal(test_guest_info(&guest).memory_bytes, bytes);
    assert_exits(guest, 0);
}

static void two_mebibytes(void **state)
{
    memory_is_reached(2 * MEBIBYTE, 0, "4096");
}

static void three_mebibytes(void **state)
{
    memory_is_reached(3 * MEBIBYTE, 0, "4096");
}

static void two_mebibytes_and_a_page(void **state)
{
    memory_is_reached(2 * MEBIBYTE + 4096, 0, "4096");
}

static void sixty_four_mebibytes(void **state)
{
    memory_is_reached(64 * MEBIBYTE, 0, "65536");
    memory_is_reached(64 * MEBIBYTE, MATRIX_MEMORY_SMALL_PAGES, "65536");
}

/* Prime distances, so that the words lie anywhere in their pages. */
static void up_to_the_hole(void **state)
{
    memory_is_reached(3 * GIBIBYTE, 0, "33554467");
}

static void just_across_the_hole(void **state)
{
    memory_is_reached(3 * GIBIBYTE + 2 * MEBIBYTE, 0, "33554467");
    memory_is_reached(3 * GIBIBYTE + 4096, MATRIX_MEMORY_SMALL_PAGES, "33554467");
}

static void far_across_the_hole(void **state)
{
    memory_is_reached(5 * GIBIBYTE, 0, "33554467");
}

static void talk_passes_in_the_least_memory(void **state)
{
    assert_exits(test_guest_create((struct matrix_vm_options){
                     .argv = ARGUMENTS("talk"), .memory_bytes = MATRIX_MEMORY_MINIMUM}),
                 0);
}

static void talk_passes_across_the_hole(void **state)
{
    struct sysinfo host;
    assert_int_equal(sysinfo(&host), 0);
    if ((uint64_t)host.totalram * host.mem_unit < 4 * GIBIBYTE)
        SKIP_BECAUSE("this host has less than 4 GiB of memory\n");
    assert_exits(test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("talk"),
                                                              .memory_bytes = 3 * GIBIBYTE + 4096}),
                 0);
}

static void wrong_sizes_are_refused(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {1, "too small"},
        {MEBIBYTE, "too small"},
        {2 * MEBIBYTE - 4096, "too small"},
        {2 * MEBIBYTE + 1, "not whole pages"},
        {1ULL << 50, "more than this host has"},
        {UINT64_MAX & ~4095ULL, "more than this host has"},
        {UINT64_MAX, "not whole pages"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct matrix_vm *vm;
        struct matrix_vm_options options = {.input_fd = -1, .memory_bytes = cases[i].bytes};
        assert_refused(matrix_vm_create(host_kvm, test_guest_path("hello"), &options, &vm),
                       MATRIX_ERROR_USAGE, cases[i].text);
    }
}

/* --- how the host backs it ------------------------------------------------------------------ */

struct mapping {
    uint64_t rss_kib, locked_kib;
    char flags[256];
};

/* What /proc/self/smaps says about the mapping that address lies in. */
static struct mapping find_mapping(const void *address)
{
    struct mapping mapping = {0};
    char line[512];
    bool inside = false;
    FILE *file = fopen("/proc/self/smaps", "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        uintptr_t start, end;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " ", &start, &end) == 2)
            inside = (uintptr_t)address >= start && (uintptr_t)address < end;
        if (!inside)
            continue;
        sscanf(line, "Rss: %" SCNu64, &mapping.rss_kib);
        sscanf(line, "Locked: %" SCNu64, &mapping.locked_kib);
        if (strncmp(line, "VmFlags:", 8) == 0)
            snprintf(mapping.flags, sizeof(mapping.flags), "%.255s", line + 8);
    }
    fclose(file);
    return mapping;
}

static struct mapping mapping_with(unsigned flags)
{
    struct test_guest guest = test_guest_create((struct matrix_vm_options){
        .argv = ARGUMENTS("hello"),
        .memory_bytes = 16 * MEBIBYTE,
        .memory_flags = flags,
    });
    struct mapping mapping = find_mapping(guest.vm->memory.slots[0].hva + 4 * MEBIBYTE);
    test_guest_destroy(&guest);
    return mapping;
}

/* The flags are two letters each, and all but "sd" may be missing (proc(5)). */
static void plain_memory_has_no_flags(void **state)
{
    struct mapping mapping = mapping_with(0);
    assert_null(strstr(mapping.flags, " mg"));
    assert_null(strstr(mapping.flags, " hg"));
    assert_null(strstr(mapping.flags, " lo"));
    /* Memory that nobody uses costs nothing; what is used may cost a whole huge page each. */
    assert_in_range(mapping.rss_kib, 0, 3 * 2048);
}

/* The monitor's own part of a guest: a few pages, whatever the host does with huge pages. */
static void system_area_has_no_huge_pages(void **state)
{
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0)
        SKIP_BECAUSE("this kernel has no transparent huge pages\n");
    struct test_guest guest =
        test_guest_create((struct matrix_vm_options){.argv = ARGUMENTS("hello")});
    const struct memory *memory = &guest.vm->memory;
    struct mapping mapping = find_mapping(memory->slots[memory->slot_count - 1].hva);
    test_guest_destroy(&guest);
    assert_contains(mapping.flags, " nh");
    assert_in_range(mapping.rss_kib, 4, 256);
}

static void mergeable_memory(void **state)
{
    assert_contains(mapping_with(MATRIX_MEMORY_MERGEABLE).flags, " mg");
}

static void huge_memory(void **state)
{
    assert_contains(mapping_with(MATRIX_MEMORY_HUGE).flags, " hg");
}

static void locked_memory(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    SKIP_BECAUSE("AddressSanitizer leaves mlock out\n");
#endif
    struct mapping mapping = mapping_with(MATRIX_MEMORY_LOCKED);
    assert_contains(mapping.flags, " lo");
    assert_in_range(mapping.locked_kib, 16384, 20480);
}

static void prefaulted_memory(void **state)
{
    struct mapping mapping = mapping_with(MATRIX_MEMORY_PREFAULT);
    assert_in_range(mapping.rss_kib, 16384, 20480);
    assert_null(strstr(mapping.flags, " lo"));
}

static void flags_can_be_combined(void **state)
{
    struct mapping mapping =
        mapping_with(MATRIX_MEMORY_MERGEABLE | MATRIX_MEMORY_HUGE | MATRIX_MEMORY_PREFAULT);
    assert_contains(mapping.flags, " mg");
    assert_contains(mapping.flags, " hg");
    assert_in_range(mapping.rss_kib, 16384, 20480);
}

static void guests_run_in_memory_of_any_kind(void **state)
{
    for (unsigned flags = 0; flags < 32; flags++)
        assert_exits(test_guest_create((struct matrix_vm_options){
                         .argv = ARGUMENTS("memory", "4", "seed", "1"), .memory_flags = flags}),
                     0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_mebibytes),
        cmocka_unit_test(two_mebibytes_and_a_page),
        cmocka_unit_test(three_mebibytes),
        cmocka_unit_test(sixty_four_mebibytes),
        cmocka_unit_test(up_to_the_hole),
        cmocka_unit_test(just_across_the_hole),
        cmocka_unit_test(far_across_the_hole),
        cmocka_unit_test(talk_passes_in_the_least_memory),
        cmocka_unit_test(talk_passes_across_the_hole),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(plain_memory_has_no_flags),
        cmocka_unit_test(system_area_has_no_huge_pages),
        cmocka_unit_test(mergeable_memory),
        cmocka_unit_test(huge_memory),
        cmocka_unit_test(locked_memory),
        cmocka_unit_test(prefaulted_memory),
        cmocka_unit_test(flags_can_be_combined),
        cmocka_unit_test(guests_run_in_memory_of_any_kind),
    };
    return host_run_tests(argc, argv, "memory", tests, COUNT(tests));
}
