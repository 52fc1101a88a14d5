// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * mergeable EQUAL UNIQUE [ZERO]: a process with so many MiB of memory that KSM may merge: EQUAL, whose
 * pages differ from each other and are the same in every such process; UNIQUE, whose pages are
 * like no other's; ZERO, all zeros. It says "ready", and holds them until its input ends. A line
 * "write N" has it change the first N pages of EQUAL, so that they are no longer merged.
 *
 * Stands in for a VM in experiments where there is no need of a real one.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES 4096

/* The finaliser of MurmurHash3: a well-mixed function of its argument. */
static uint64_t mix(uint64_t value)
{
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccd;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53;
    return value ^ value >> 33;
}

static void fill(unsigned char *pages, size_t count, uint64_t seed)
{
    for (size_t page = 0; page < count; page++) {
        uint64_t *words = (uint64_t *)(void *)(pages + page * PAGE_BYTES);
        for (size_t i = 0; i < PAGE_BYTES / sizeof(*words); i++)
            words[i] = mix(seed ^ mix(page * PAGE_BYTES + i + 1));
    }
}

/* MiB as pages; an argument that is missing is 0. */
static size_t pages_of(const char *text)
{
    return text ? strtoul(text, NULL, 10) << 20 >> 12 : 0;
}

/* The change is never nothing, and no two processes make the same: ksmd would merge the pages again. */
static void rewrite(unsigned char *pages, size_t count, size_t wanted)
{
    static uint64_t round;
    const uint64_t change = (uint64_t)getpid() << 32 | ++round;
    for (size_t i = 0; i < count && i < wanted; i++)
        *(uint64_t *)(void *)(pages + i * PAGE_BYTES) ^= change;
    printf("wrote %zu\n", wanted < count ? wanted : count);
}

int main(int argc, char **argv)
{
    char line[64];

    if (argc < 3 || argc > 4) {
        fputs("usage: mergeable EQUAL-MiB UNIQUE-MiB [ZERO-MiB]\n", stderr);
        return 2;
    }
    const size_t equal = pages_of(argv[1]), unique = pages_of(argv[2]), zero = pages_of(argv[3]);
    const size_t bytes = (equal + unique + zero) * PAGE_BYTES;
    unsigned char *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mergeable: mmap");
        return 1;
    }
    /* KSM splits huge pages, but only when it gets there. */
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    fill(memory, equal, 1);
    fill(memory + equal * PAGE_BYTES, unique, (uint64_t)getpid() << 32);
    for (size_t i = 0; i < zero; i++)
        memset(memory + (equal + unique + i) * PAGE_BYTES, 0, PAGE_BYTES);
    if (madvise(memory, bytes, MADV_MERGEABLE)) {
        perror("mergeable: madvise(MADV_MERGEABLE)");
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    puts("ready");
    while (fgets(line, sizeof(line), stdin))
        if (strncmp(line, "write ", 6) == 0)
            rewrite(memory, equal, strtoul(line + 6, NULL, 10));
    return 0;
}
