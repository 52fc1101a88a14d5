// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages of files, of shared memory, and of no memory at all; see kinds.h. */
#include "tests/lens/kinds_internal.h"

#include "tests/lens/harness.h"
#include "tests/lens/oracle.h"
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

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
    char *start = fd < 0 ? kind_cannot("a file in ramfs") : kind_map(16 * PAGE, MAP_SHARED, fd);
    if (start)
        memset(start, 'f', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}

static char *map_program(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    return fd < 0 ? kind_cannot("/proc/self/exe") : kind_map(4 * PAGE, MAP_PRIVATE, fd);
}

void *kind_file_private(void)
{
    char *start = map_program();
    if (start)
        kind_touch(start + 2 * PAGE);
    return start ? start + 2 * PAGE : NULL;
}

void *kind_file_written(void)
{
    char *page = kind_file_private();
    if (page)
        *page = 'x';
    return page;
}

void *kind_shared(void)
{
    char *start = kind_map(16 * PAGE, MAP_SHARED | MAP_ANONYMOUS, -1);
    if (start)
        memset(start, 's', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}

static char *map_memfd(size_t size)
{
    int fd = memfd_create("kinds", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size))
        return kind_cannot("memfd_create");
    return size < HUGE_2M ? kind_map(size, MAP_SHARED, fd) : kind_map_large(MAP_SHARED, fd);
}

void *kind_memfd(void)
{
    char *start = map_memfd(16 * PAGE);
    if (start)
        memset(start, 'm', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}

static char *make_memfd_2m(void)
{
    char *start = map_memfd(4 * HUGE_2M);
    if (!start)
        return NULL;
    start[77 * PAGE] = 1;
    snprintf(kinds_why, sizeof(kinds_why), "the kernel makes no large page of it");
    return oracle_smaps(getpid(), start, "ShmemPmdMapped") >= HUGE_2M ? start + 77 * PAGE : NULL;
}

void *kind_memfd_2m(void)
{
    char *page = make_memfd_2m();
    if (!page) {
        kind_compact_memory();
        page = make_memfd_2m();
    }
    return page;
}

/* --- the rest ----------------------------------------------------------------------------- */

void *kind_vdso(void)
{
    const char *start = (const char *)getauxval(AT_SYSINFO_EHDR);
    if (!start)
        return kind_cannot("no vdso");
    kind_touch(start);
    return (void *)start;
}

void *kind_vvar(void)
{
    struct oracle_mapping mappings[128];
    size_t count = oracle_mappings(getpid(), mappings, COUNT(mappings));
    for (size_t i = 0; i < count; i++)
        if (strcmp(mappings[i].name, "[vvar]") == 0) {
            /* Its first page holds the clock's data, on every kernel that has it. */
            struct timespec now;
            clock_gettime(CLOCK_MONOTONIC, &now);
            kind_touch((const char *)mappings[i].start);
            return (void *)mappings[i].start;
        }
    errno = ENOENT;
    return kind_cannot("[vvar]");
}

/* The registers of a PCI device that no driver uses: addresses that are not memory at all. */
void *kind_device(void)
{
    glob_t found = {0};
    char *page = NULL;
    glob("/sys/bus/pci/devices/*/resource[0-9]", 0, NULL, &found);
    for (size_t i = 0; i < found.gl_pathc && !page; i++) {
        int fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
        page = fd < 0 ? NULL : kind_map(PAGE, MAP_SHARED, fd);
        close(fd);
    }
    globfree(&found);
    return page;
}

/* The screen's memory of old, which the kernel has page structures for, but does not manage. */
void *kind_low_memory(void)
{
    int fd = open("/dev/mem", O_RDWR | O_CLOEXEC);
    char *start =
        fd < 0 ? kind_cannot("/dev/mem") : mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0xa0000);
    return start == MAP_FAILED ? kind_cannot("mmap of /dev/mem") : start;
}

void *kind_secret(void)
{
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)(16 * PAGE)))
        return kind_cannot("memfd_secret");
    char *start = kind_map(16 * PAGE, MAP_SHARED, fd);
    if (start)
        memset(start, 'x', 16 * PAGE);
    return start ? start + 5 * PAGE : NULL;
}
