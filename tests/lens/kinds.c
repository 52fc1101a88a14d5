// SPDX-License-Identifier: GPL-2.0-or-later
/* A page of each kind; see kinds.h. What the lab must have for it is made by prepare.sh. */
#include "tests/lens/kinds.h"

#include "tests/lens/harness.h"
#include "tests/lens/oracle.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/memfd.h>
#include <matrix/uapi/matrix_lens.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define HUGE_2M (2 * MIB)

char kinds_why[256];

static void *cannot(const char *what)
{
    snprintf(kinds_why, sizeof(kinds_why), "%s: %s", what, strerror(errno));
    return NULL;
}

static char *map(size_t size, int flags, int fd)
{
    char *start = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
    return start == MAP_FAILED ? cannot("mmap") : start;
}

static char read_byte(const volatile char *address)
{
    return *address;
}

/* --- small pages -------------------------------------------------------------------------- */

/* 16 pages of which the kernel makes no large one; the middle is neither end's. */
static char *map_small(void)
{
    char *start = map(16 * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
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
        read_byte(start + 5 * PAGE);
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
    char *start = map(GIB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
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
        return cannot("MADV_MERGEABLE");
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

/* The middle one of three pages of 2 MiB that may become large. */
static char *map_large(int flags, int fd)
{
    char *start = map(4 * HUGE_2M, flags, fd);
    if (!start)
        return NULL;
    if (madvise(start, 4 * HUGE_2M, MADV_HUGEPAGE))
        return cannot("MADV_HUGEPAGE");
    return (char *)(((uintptr_t)start + 2 * HUGE_2M - 1) & ~(HUGE_2M - 1));
}

void *kind_thp(void)
{
    char *start = map_large(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (!start)
        return NULL;
    start[77 * PAGE] = 1;
    snprintf(kinds_why, sizeof(kinds_why), "the kernel makes no large page of it");
    return oracle_smaps(getpid(), start, "AnonHugePages") >= HUGE_2M ? start + 77 * PAGE : NULL;
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
    char *start = map_large(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (start)
        read_byte(start + 77 * PAGE);
    return start ? start + 77 * PAGE : NULL;
}

static char *map_hugetlb(size_t size, int flags)
{
    int shift = size == GIB ? 30 : 21;
    char *start = map(size, flags | MAP_ANONYMOUS | MAP_HUGETLB | (shift << MAP_HUGE_SHIFT), -1);
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

/* --- files and shared memory -------------------------------------------------------------- */

/* A file whose pages are in the page cache only. ramfs, unlike tmpfs, is to the kernel a disk. */
static int open_cached_file(void)
{
    char directory[] = "/run/kinds-XXXXXX", path[64];
    if (!mkdtemp(directory) || mount("ramfs", directory, "ramfs", 0, NULL))
        return -1;
    snprintf(path, sizeof(path), "%s/file", directory);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    umount2(directory, MNT_DETACH);
    rmdir(directory);
    return fd >= 0 && ftruncate(fd, (off_t)(16 * PAGE)) == 0 ? fd : -1;
}

void *kind_file_shared(void)
{
    int fd = open_cached_file();
    char *start = fd < 0 ? cannot("a file in ramfs") : map(16 * PAGE, MAP_SHARED, fd);
    if (start)
        memset(start, 'f', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}

static char *map_program(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? cannot("/proc/self/exe") : map(4 * PAGE, MAP_PRIVATE, fd);
}

void *kind_file_private(void)
{
    char *start = map_program();
    if (start)
        read_byte(start + 2 * PAGE);
    return start ? start + 2 * PAGE : NULL;
}

static void *make_file_written(void)
{
    char *page = kind_file_private();
    if (page)
        *page = 'x';
    return page;
}

static void *make_shared(void)
{
    char *start = map(16 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
    if (start)
        memset(start, 's', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}

static char *map_memfd(size_t size)
{
    int fd = memfd_create("kinds", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size))
        return cannot("memfd_create");
    return size < HUGE_2M ? map(size, MAP_SHARED, fd) : map_large(MAP_SHARED, fd);
}

void *kind_memfd(void)
{
    char *start = map_memfd(16 * PAGE);
    if (start)
        memset(start, 'm', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}

static void *make_memfd_huge(void)
{
    char *start = map_memfd(4 * HUGE_2M);
    if (start)
        start[77 * PAGE] = 1;
    return start ? start + 77 * PAGE : NULL;
}

/* --- the rest ----------------------------------------------------------------------------- */

static void *make_vdso(void)
{
    const char *start = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (!start)
        return cannot("no vdso");
    read_byte(start);
    return (void *)start;
}

static void *make_vvar(void)
{
    struct oracle_mapping mappings[128];
    size_t count = oracle_mappings(getpid(), mappings, COUNT(mappings));
    for (size_t i = 0; i < count; i++)
        if (strcmp(mappings[i].name, "[vvar]") == 0) {
            /* Its first page holds the clock's data, on every kernel that has it. */
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            read_byte((const char *)mappings[i].start);
            return (void *)mappings[i].start;
        }
    errno = ENOENT;
    return cannot("[vvar]");
}

/* The registers of a PCI device that no driver uses: addresses that are not memory at all. */
void *kind_device(void)
{
    glob_t found = {0};
    char *page = NULL;
    glob("/sys/bus/pci/devices/*/resource[0-9]", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc && !page; i++) {
        int fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
        page = fd < 0 ? NULL : map(PAGE, MAP_SHARED, fd);
        close(fd);
    }
    globfree(&found);
    return page;
}

/* The screen's memory of old, which the kernel has page structures for, but does not manage. */
static void *make_low_memory(void)
{
    int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
    char *start =
        fd < 0 ? cannot("/dev/mem") : mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0xa0000);
    return start == MAP_FAILED ? cannot("mmap of /dev/mem") : start;
}

void *kind_secret(void)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)(16 * PAGE)))
        return cannot("memfd_secret");
    char *start = map(16 * PAGE, MAP_SHARED, fd);
    if (start)
        memset(start, 'x', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
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
    {"private page of a file, written", make_file_written, IS_4K | ANONYMOUS | WRITTEN, SHMEM,
     "Private_Dirty"},
    {"shared page of a file", kind_file_shared, IS_4K | IS_FILE | WRITTEN, SHMEM, "Rss"},
    {"shared memory", make_shared, IS_4K | IS_FILE | SHMEM | WRITTEN, HUGETLB, "Private_Dirty"},
    {"memfd", kind_memfd, IS_4K | IS_FILE | SHMEM | WRITTEN, HUGETLB, "Private_Dirty"},
    {"memfd, 2 MiB", make_memfd_huge, IS_2M | IS_FILE | SHMEM | WRITTEN, HUGETLB, "ShmemPmdMapped"},
    {"vdso", make_vdso, PRESENT, WRITABLE | ANONYMOUS, "Rss", .is_not_writable = true},
    {"vvar", make_vvar, IS_4K, WRITABLE | ANONYMOUS | SHMEM, "Size", .is_not_writable = true},
    {"device", kind_device, MATRIX_PAGE_MAPPED, ANONYMOUS | IS_FILE | SHMEM, "Size",
     .is_not_writable = true},
    {"device below 1 MiB", make_low_memory, MATRIX_PAGE_MAPPED, ANONYMOUS | IS_FILE | SHMEM, "Size",
     .is_not_writable = true},
    {"secret memory", kind_secret, IS_4K | IS_FILE | WRITTEN, ANONYMOUS, "Size",
     .may_be_missing = true},
};
const size_t kinds_count = COUNT(kinds);
