// SPDX-License-Identifier: GPL-2.0-or-later
/* A page of each kind; see kinds.h. What the lab must have for it is made by prepare.sh. */
#include "tests/lens/kinds_internal.h"

#include "tests/lens/harness.h"
#include "tests/lens/oracle.h"
#include <errno.h>
#include <fcntl.h>
#include <matrix/uapi/matrix_lens.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

char kinds_why[256];

void *kind_cannot(const char *what)
{
    snprintf(kinds_why, sizeof(kinds_why), "%s: %s", what, strerror(errno));
    return NULL;
}

char *kind_map(size_t size, int flags, int fd)
{
    char *start = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    return start == MAP_FAILED ? kind_cannot("mmap") : start;
}

char kind_touch(const volatile char *address)
{
    return *address;
}

/* --- small pages -------------------------------------------------------------------------- */

/* 16 pages of which the kernel makes no large one; the middle is neither end's. */
static char *map_small(void)
{
    char *start = kind_map(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (start)
        madvise(start, 16 * PAGE, MADV_NOHUGEPAGE);
    return start;
}

void *kind_small(void)
{
    char *start = map_small();
    for (size_t i = 0; start && i < 16; i++)
        start[i * PAGE] = (char)('a' + i);
    return start ? start + 5 * PAGE : NULL;
}

static void *make_read_only(void)
{
    char *page = kind_small();
    return page && mprotect(page, PAGE, PROT_READ) == 0 ? page : NULL;
}

static void *make_no_access(void)
{
    char *page = kind_small();
    return page && mprotect(page, PAGE, PROT_NONE) == 0 ? page : NULL;
}

void *kind_zero(void)
{
    char *start = map_small();
    if (start)
        kind_touch(start + 5 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}

static void *make_untouched(void)
{
    char *start = map_small();
    if (start)
        start[0] = 1; /* so that there is a table, with an empty entry */
    return start ? start + 5 * PAGE : NULL;
}

static void *make_no_table(void)
{
    char *start = kind_map(GIB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
    return start ? start + GIB / 2 : NULL;
}

bool swap_out(void *page)
{
    uint64_t number;
    for (int i = 0; i < 1000; i++) {
        madvise(page, PAGE, MADV_PAGEOUT);
        oracle_pagemap(getpid(), (uintptr_t)page, 1, &number);
        if (number & PAGEMAP_SWAPPED)
            return true;
        usleep(10000);
    }
    snprintf(kinds_why, sizeof(kinds_why), "the kernel does not swap the page out");
    return false;
}

static void *make_swapped(void)
{
    char *page = kind_small();
    return page && swap_out(page) ? page : NULL;
}

void *kind_ksm(char **other)
{
    char *page = kind_small(), *twin = kind_small();
    if (!page || !twin)
        return NULL;
    snprintf(page, PAGE, "KSM %d", getpid());
    snprintf(twin, PAGE, "KSM %d", getpid());
    if (madvise(page, PAGE, MADV_MERGEABLE) || madvise(twin, PAGE, MADV_MERGEABLE))
        return kind_cannot("MADV_MERGEABLE");
    file_write("/sys/kernel/mm/ksm/run", "1");
    bool merged = false;
    for (int i = 0; i < 6000 && !merged; i++, usleep(10000))
        merged = oracle_frame(getpid(), page) != 0 &&
                 oracle_frame(getpid(), page) == oracle_frame(getpid(), twin);
    file_write("/sys/kernel/mm/ksm/run", "0");
    if (other)
        *other = twin;
    snprintf(kinds_why, sizeof(kinds_why), "KSM does not merge");
    return merged ? page : NULL;
}

static void *make_ksm(void)
{
    return kind_ksm(NULL);
}

/* --- large pages -------------------------------------------------------------------------- */

char *kind_map_large(int flags, int fd)
{
    char *start = kind_map(4 * HUGE_2M, flags, fd);
    if (!start)
        return NULL;
    if (madvise(start, 4 * HUGE_2M, MADV_HUGEPAGE))
        return kind_cannot("MADV_HUGEPAGE");
    return (char *)(((uintptr_t)start + 2 * HUGE_2M - 1) & ~(HUGE_2M - 1));
}

void kind_compact_memory(void)
{
    FILE *file = fopen("/proc/sys/vm/compact_memory", "w");
    if (file && fputs("1", file) >= 0)
        fclose(file);
}

static char *make_thp(void)
{
    char *start = kind_map_large(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (!start)
        return NULL;
    start[77 * PAGE] = 1;
    snprintf(kinds_why, sizeof(kinds_why), "the kernel makes no large page of it");
    return oracle_smaps(getpid(), start, "AnonHugePages") >= HUGE_2M ? start + 77 * PAGE : NULL;
}

void *kind_thp(void)
{
    char *page = make_thp();
    if (!page) {
        kind_compact_memory();
        page = make_thp();
    }
    return page;
}

static void *make_thp_no_access(void)
{
    char *page = kind_thp();
    return page && mprotect(page - 77 * PAGE, HUGE_2M, PROT_NONE) == 0 ? page : NULL;
}

/* What splits the table entry leaves the page in one piece (and may note dirt in the page alone). */
static void *make_thp_protected(void)
{
    char *page = kind_thp();
    return page && mprotect(page + PAGE, PAGE, PROT_READ) == 0 ? page : NULL;
}

static void *make_thp_unmapped(void)
{
    char *page = kind_thp();
    return page && munmap(page + PAGE, PAGE) == 0 ? page : NULL;
}

static void *make_thp_discarded(void)
{
    char *page = kind_thp();
    return page && madvise(page + PAGE, PAGE, MADV_DONTNEED) == 0 ? page : NULL;
}

static void *make_thp_small_no_access(void)
{
    char *page = kind_thp();
    return page && mprotect(page, PAGE, PROT_NONE) == 0 ? page : NULL;
}

static void *make_huge_zero(void)
{
    char *start = kind_map_large(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (start)
        kind_touch(start + 77 * PAGE);
    return start ? start + 77 * PAGE : NULL;
}

static char *map_hugetlb(size_t size, int flags)
{
    int shift = size == GIB ? 30 : 21;
    char *start =
        kind_map(size, flags | MAP_ANONYMOUS | MAP_HUGETLB | (shift << MAP_HUGE_SHIFT), -1);
    if (start)
        start[size / 2] = 1;
    return start ? start + size / 2 : NULL;
}

void *kind_hugetlb_2m(void)
{
    return map_hugetlb(HUGE_2M, MAP_PRIVATE);
}

void *kind_hugetlb_2m_shared(void)
{
    return map_hugetlb(HUGE_2M, MAP_SHARED);
}

void *kind_hugetlb_1g(void)
{
    return map_hugetlb(GIB, MAP_PRIVATE);
}

static void *forbid(char *middle, size_t size)
{
    return middle && mprotect(middle - size / 2, size, PROT_NONE) == 0 ? middle : NULL;
}

static void *make_hugetlb_2m_no_access(void)
{
    return forbid(kind_hugetlb_2m(), HUGE_2M);
}

static void *make_hugetlb_1g_no_access(void)
{
    return forbid(kind_hugetlb_1g(), GIB);
}

/* --- the table ---------------------------------------------------------------------------- */

#define PRESENT   MATRIX_PAGE_PRESENT
#define NO_ACCESS MATRIX_PAGE_NO_ACCESS
#define WRITABLE  MATRIX_PAGE_WRITABLE
#define DIRTY     MATRIX_PAGE_DIRTY
#define IS_FILE   MATRIX_PAGE_FILE
#define ANONYMOUS MATRIX_PAGE_ANONYMOUS
#define COMPOUND  MATRIX_PAGE_COMPOUND
#define HUGETLB   MATRIX_PAGE_HUGETLB
#define SHMEM     MATRIX_PAGE_SHMEM
#define IS_4K     (PRESENT | MATRIX_PAGE_SIZE_4K)
#define IS_2M     (PRESENT | COMPOUND | MATRIX_PAGE_SIZE_2M)
#define IS_1G     (PRESENT | COMPOUND | MATRIX_PAGE_SIZE_1G)
#define WRITTEN   (WRITABLE | DIRTY)

/* What is neither in is nor in is_not differs between kernels. That each is what the kernel says
 * it is, assert_agrees() looks at. */
const struct kind kinds[] = {
    {"4 KiB page", kind_small, IS_4K | ANONYMOUS | WRITTEN, COMPOUND, "Private_Dirty"},
    {"4 KiB page, read-only", make_read_only, IS_4K | ANONYMOUS | DIRTY, WRITABLE, "Private_Dirty",
     .is_not_writable = true},
    {"4 KiB page, PROT_NONE", make_no_access, IS_4K | ANONYMOUS | NO_ACCESS, WRITABLE, "Rss",
     .is_not_writable = true},
    {"zero page", kind_zero, IS_4K | MATRIX_PAGE_ZERO, WRITTEN | ANONYMOUS | IS_FILE, "Size"},
    {"never touched", make_untouched, MATRIX_PAGE_MAPPED, PRESENT, "Size"},
    {"never touched, without a table", make_no_table, MATRIX_PAGE_MAPPED, PRESENT, "Size"},
    {"swapped out", make_swapped, MATRIX_PAGE_SWAPPED, PRESENT, "Swap"},
    {"merged by KSM", make_ksm, IS_4K | ANONYMOUS | MATRIX_PAGE_KSM, WRITABLE, "Rss"},
    {"2 MiB page (THP)", kind_thp, IS_2M | ANONYMOUS | WRITTEN, HUGETLB, "AnonHugePages"},
    {"2 MiB page, PROT_NONE", make_thp_no_access, IS_2M | ANONYMOUS | NO_ACCESS, WRITABLE, "Size",
     .is_not_writable = true},
    {"2 MiB page, a part mprotected", make_thp_protected, IS_4K | COMPOUND | ANONYMOUS | WRITABLE,
     0, "Rss"},
    {"2 MiB page, a part unmapped", make_thp_unmapped, IS_4K | COMPOUND | ANONYMOUS | WRITABLE, 0,
     "Rss"},
    {"2 MiB page, a part discarded", make_thp_discarded, IS_4K | COMPOUND | ANONYMOUS | WRITABLE, 0,
     "Rss"},
    {"2 MiB page, a part PROT_NONE", make_thp_small_no_access,
     IS_4K | COMPOUND | ANONYMOUS | NO_ACCESS, WRITABLE, "Rss", .is_not_writable = true},
    {"huge zero page", make_huge_zero, PRESENT | MATRIX_PAGE_ZERO, WRITTEN | ANONYMOUS | IS_FILE,
     "Size"},
    {"hugetlb 2 MiB", kind_hugetlb_2m, IS_2M | HUGETLB | ANONYMOUS | WRITTEN, SHMEM,
     "Private_Hugetlb"},
    {"hugetlb 2 MiB, shared", kind_hugetlb_2m_shared, IS_2M | HUGETLB | IS_FILE | WRITTEN, SHMEM,
     "Private_Hugetlb"},
    {"hugetlb 2 MiB, PROT_NONE", make_hugetlb_2m_no_access, IS_2M | HUGETLB | NO_ACCESS, WRITABLE,
     "Size", .is_not_writable = true},
    {"hugetlb 1 GiB", kind_hugetlb_1g, IS_1G | HUGETLB | ANONYMOUS | WRITTEN, SHMEM, "Size",
     .may_be_missing = true},
    {"hugetlb 1 GiB, PROT_NONE", make_hugetlb_1g_no_access, IS_1G | HUGETLB | NO_ACCESS, WRITABLE,
     "Size", .may_be_missing = true, .is_not_writable = true},
    {"private page of a file", kind_file_private, IS_4K | IS_FILE, WRITTEN | SHMEM, "Rss"},
    {"private page of a file, written", kind_file_written, IS_4K | ANONYMOUS | WRITTEN, SHMEM,
     "Private_Dirty"},
    {"shared page of a file", kind_file_shared, IS_4K | IS_FILE | WRITTEN, SHMEM, "Rss"},
    {"shared memory", kind_shared, IS_4K | IS_FILE | SHMEM | WRITTEN, HUGETLB, "Private_Dirty"},
    {"memfd", kind_memfd, IS_4K | IS_FILE | SHMEM | WRITTEN, HUGETLB, "Private_Dirty"},
    {"memfd, 2 MiB", kind_memfd_2m, IS_2M | IS_FILE | SHMEM | WRITTEN, HUGETLB, "ShmemPmdMapped"},
    {"vdso", kind_vdso, PRESENT, WRITABLE | ANONYMOUS, "Rss", .is_not_writable = true},
    {"vvar", kind_vvar, IS_4K, WRITABLE | ANONYMOUS | SHMEM, "Size", .is_not_writable = true},
    {"device", kind_device, MATRIX_PAGE_MAPPED, ANONYMOUS | IS_FILE | SHMEM, "Size",
     .is_not_writable = true},
    {"device below 1 MiB", kind_low_memory, MATRIX_PAGE_MAPPED, ANONYMOUS | IS_FILE | SHMEM, "Size",
     .is_not_writable = true},
    {"secret memory", kind_secret, IS_4K | IS_FILE | WRITTEN, ANONYMOUS, "Size",
     .may_be_missing = true},
};
const size_t kinds_count = COUNT(kinds);
