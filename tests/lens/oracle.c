// SPDX-License-Identifier: GPL-2.0-or-later
/* What the kernel itself says of a process's memory; see oracle.h. */
#include "tests/lens/oracle.h"

#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static FILE *open_file(pid_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (!file)
        fail_msg("cannot open %s: %s", path, strerror(errno));
    return file;
}

/* --- maps and smaps ----------------------------------------------------------------------- */

static bool parse_mapping(const char *line, struct oracle_mapping *mapping)
{
    mapping->name[0] = '\0';
    return sscanf(line, "%lx-%lx %4s %*s %*s %*s %127s", &mapping->start, &mapping->end,
                  mapping->permissions, mapping->name) >= 3;
}

size_t oracle_mappings(pid_t pid, struct oracle_mapping *mappings, size_t max)
{
    char line[1024];
    size_t count = 0;
    FILE *file = open_file(pid, "maps");
    while (count < max && fgets(line, sizeof(line), file))
        count += parse_mapping(line, &mappings[count]);
    fclose(file);
    return count;
}

/* Leaves the file behind the line of the mapping that covers the address. */
static bool seek_mapping(FILE *file, uintptr_t address, struct oracle_mapping *mapping)
{
    char line[1024];
    while (fgets(line, sizeof(line), file))
        if (parse_mapping(line, mapping) && mapping->start <= address && address < mapping->end)
            return true;
    return false;
}

bool oracle_find_mapping(pid_t pid, uintptr_t address, struct oracle_mapping *mapping)
{
    FILE *file = open_file(pid, "maps");
    bool found = seek_mapping(file, address, mapping);
    fclose(file);
    return found;
}

static bool parse_field(const char *line, const char *field, uint64_t *bytes)
{
    size_t length = strlen(field);
    if (strncmp(line, field, length) != 0 || line[length] != ':')
        return false;
    *bytes = strtoull(line + length + 1, NULL, 10) << 10;
    return true;
}

uint64_t oracle_smaps(pid_t pid, const void *address, const char *field)
{
    struct oracle_mapping mapping;
    char line[1024];
    uint64_t bytes = 0;
    FILE *file = open_file(pid, "smaps");
    bool found = seek_mapping(file, (uintptr_t)address, &mapping);
    while (found && fgets(line, sizeof(line), file) && !parse_mapping(line, &mapping))
        if (parse_field(line, field, &bytes))
            break;
    fclose(file);
    return bytes;
}

bool oracle_has_vm_flag(pid_t pid, uintptr_t address, const char *flag)
{
    struct oracle_mapping mapping;
    char line[1024], wanted[8];
    bool has = false;
    snprintf(wanted, sizeof(wanted), " %s ", flag);
    FILE *file = open_file(pid, "smaps");
    bool found = seek_mapping(file, address, &mapping);
    while (found && fgets(line, sizeof(line), file) && !parse_mapping(line, &mapping))
        has |= strncmp(line, "VmFlags:", 8) == 0 && strstr(line, wanted);
    fclose(file);
    return has;
}

uint64_t oracle_total(pid_t pid, const char *file_name, const char *field)
{
    char line[1024];
    uint64_t total = 0, bytes;
    FILE *file = open_file(pid, file_name);
    while (fgets(line, sizeof(line), file))
        if (parse_field(line, field, &bytes))
            total += bytes;
    fclose(file);
    return total;
}

/* --- pages and frames --------------------------------------------------------------------- */

/* Numbers of 64 bits, from the index-th on, of one of the files that hold nothing else. */
static void read_numbers(const char *path, uint64_t index, size_t count, uint64_t *numbers)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("cannot open %s: %s", path, strerror(errno));
    /* pagemap reads as if it ended where user space does; there is nothing beyond. */
    ssize_t got = pread(fd, numbers, count * sizeof(*numbers), (off_t)(index * sizeof(*numbers)));
    close(fd);
    size_t read = got > 0 ? (size_t)got / sizeof(*numbers) : 0;
    memset(numbers + read, 0, (count - read) * sizeof(*numbers));
}

void oracle_pagemap(pid_t pid, uintptr_t address, size_t count, uint64_t *numbers)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
    read_numbers(path, address / PAGE, count, numbers);
}

uint64_t oracle_frame(pid_t pid, const void *address)
{
    uint64_t number;
    oracle_pagemap(pid, (uintptr_t)address, 1, &number);
    return number & PAGEMAP_PRESENT ? number & PAGEMAP_FRAME : 0;
}

/* Of the tails of a large page of shared memory the kernel tells less than of its head. */
uint64_t oracle_frame_flags(uint64_t frame)
{
    uint64_t flags[512];
    read_numbers("/proc/kpageflags", frame, 1, flags);
    if (!(flags[0] & FRAME_TAIL) || flags[0] & (FRAME_ANONYMOUS | FRAME_HUGETLB))
        return flags[0];
    uint64_t own = flags[0], first = frame & ~511ULL;
    read_numbers("/proc/kpageflags", first, 512, flags);
    while (frame > first && !(flags[frame - first] & FRAME_HEAD))
        frame--;
    return own | (flags[frame - first] & FRAME_SWAPBACKED);
}

bool oracle_knows_ksm(void)
{
    char on_the_stack = 0;
    return !(oracle_frame_flags(oracle_frame(getpid(), &on_the_stack)) & FRAME_KSM);
}

uint64_t oracle_frame_count(uint64_t frame)
{
    uint64_t count;
    read_numbers("/proc/kpagecount", frame, 1, &count);
    return count;
}

bool oracle_write_faults(volatile char *address)
{
    struct rusage before, after;
    /* Twice, so that what it needs itself is there. */
    getrusage(RUSAGE_SELF, &before);
    getrusage(RUSAGE_SELF, &after);
    const char same = *address;
    getrusage(RUSAGE_SELF, &before);
    *address = same;
    getrusage(RUSAGE_SELF, &after);
    return after.ru_minflt + after.ru_majflt > before.ru_minflt + before.ru_majflt;
}

char oracle_peek(pid_t pid, const char *address)
{
    char path[64], byte;
    snprintf(path, sizeof(path), "/proc/%d/mem", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)(uintptr_t)address), 1);
    close(fd);
    return byte;
}

/* --- what an entry should be -------------------------------------------------------------- */

/* All that the kernel tells of each page; not how it is mapped, which it tells of mappings only. */
#define KNOWN                                                                                 \
    (MATRIX_PAGE_MAPPED | MATRIX_PAGE_PRESENT | MATRIX_PAGE_SWAPPED | MATRIX_PAGE_NO_ACCESS | \
     MATRIX_PAGE_FILE | MATRIX_PAGE_ANONYMOUS | MATRIX_PAGE_ZERO | MATRIX_PAGE_KSM |          \
     MATRIX_PAGE_DEVICE | MATRIX_PAGE_COMPOUND | MATRIX_PAGE_HUGETLB | MATRIX_PAGE_SHMEM |    \
     MATRIX_PAGE_MOVING | MATRIX_PAGE_ADDRESS)

static uint64_t expect_frame(uint64_t flags)
{
    static const struct {
        uint64_t flag, bit;
    } same[] = {
        {FRAME_ZERO, MATRIX_PAGE_ZERO},       {FRAME_ANONYMOUS, MATRIX_PAGE_ANONYMOUS},
        {FRAME_HEAD, MATRIX_PAGE_COMPOUND},   {FRAME_TAIL, MATRIX_PAGE_COMPOUND},
        {FRAME_HUGETLB, MATRIX_PAGE_HUGETLB}, {FRAME_KSM, MATRIX_PAGE_KSM},
    };
    uint64_t entry = 0;
    for (size_t i = 0; i < COUNT(same); i++)
        if (flags & same[i].flag)
            entry |= same[i].bit;
    if (entry & (MATRIX_PAGE_ANONYMOUS | MATRIX_PAGE_ZERO))
        return entry;
    entry |= MATRIX_PAGE_FILE;
    if (flags & FRAME_SWAPBACKED && !(flags & FRAME_HUGETLB))
        entry |= MATRIX_PAGE_SHMEM;
    return entry;
}

static uint64_t expect(uint64_t number, bool no_access)
{
    uint64_t entry = MATRIX_PAGE_MAPPED;
    if (number & PAGEMAP_SWAPPED)
        return entry | MATRIX_PAGE_SWAPPED;
    if (!(number & PAGEMAP_PRESENT))
        return entry;
    entry |= MATRIX_PAGE_PRESENT | (number & PAGEMAP_FRAME) * PAGE;
    entry |= no_access ? MATRIX_PAGE_NO_ACCESS : 0;
    return entry | expect_frame(oracle_frame_flags(number & PAGEMAP_FRAME));
}

static void assert_entry(uintptr_t address, uint64_t entry, uint64_t number, uint64_t wanted)
{
    const uint64_t known = oracle_knows_ksm() ? KNOWN : KNOWN & ~MATRIX_PAGE_KSM;
    if ((entry & known) != (wanted & known))
        fail_msg("address %#lx: entry %#lx, not %#lx; pagemap %#lx, kpageflags %#lx", address,
                 entry, wanted, number,
                 number & PAGEMAP_PRESENT ? oracle_frame_flags(number & PAGEMAP_FRAME) : 0);
    if (number & PAGEMAP_PRESENT && !(entry & MATRIX_PAGE_ZERO))
        assert_int_equal((number & PAGEMAP_FILE) != 0, (entry & MATRIX_PAGE_FILE) != 0);
    if (entry & MATRIX_PAGE_PRESENT)
        assert_true(entry & MATRIX_PAGE_SIZE_MASK);
    else
        assert_int_equal(entry & ~(MATRIX_PAGE_MAPPED | MATRIX_PAGE_SWAPPED), 0);
}

/* pagemap leaves these mappings out. */
static void assert_device_entry(uintptr_t address, uint64_t entry)
{
    uint64_t kind = entry & KNOWN & ~MATRIX_PAGE_ADDRESS & ~MATRIX_PAGE_NO_ACCESS;
    if (kind != MATRIX_PAGE_MAPPED &&
        kind != (MATRIX_PAGE_MAPPED | MATRIX_PAGE_PRESENT | MATRIX_PAGE_DEVICE))
        fail_msg("address %#lx: entry %#lx in a mapping of bare frames", address, entry);
}

void assert_agrees(pid_t pid, uintptr_t address, size_t count, const uint64_t *entries)
{
    struct oracle_mapping mapping = {0};
    bool mapped = false, bare = false;
    uint64_t *numbers = calloc(count, sizeof(*numbers));
    assert_non_null(numbers);
    oracle_pagemap(pid, address, count, numbers);
    for (size_t i = 0; i < count; i++) {
        uintptr_t at = address + i * PAGE;
        if (i == 0 || !mapped || at >= mapping.end) {
            mapped = oracle_find_mapping(pid, at, &mapping);
            bare = mapped && oracle_has_vm_flag(pid, at, "pf");
        }
        if (bare)
            assert_device_entry(at, entries[i]);
        else
            assert_entry(at, entries[i], numbers[i],
                         mapped ? expect(numbers[i], mapping.permissions[0] == '-') : 0);
    }
    free(numbers);
}
