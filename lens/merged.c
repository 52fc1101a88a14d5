// SPDX-License-Identifier: GPL-2.0-or-later
/* What /proc says of merging; see merged.h. */
#include "lens/merged.h"

#include "base/cleanup.h"
#include "lens/proc_text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Counts that are read at once. */
#define PIECE 512

/* Reads whole numbers at an index; returns how many, or minus an errno. */
static ssize_t read_numbers(int fd, uint64_t index, uint64_t *numbers, size_t count)
{
    const off_t offset = (off_t)(index * sizeof(*numbers));
    const ssize_t bytes = TEMP_FAILURE_RETRY(pread(fd, numbers, count * sizeof(*numbers), offset));
    return bytes < 0 ? -errno : bytes / (ssize_t)sizeof(*numbers);
}

static int read_flags_of(const char *page, int own_pagemap, int page_flags, uint64_t *flags)
{
    uint64_t entry = 0;
    ssize_t got = read_numbers(own_pagemap, (uintptr_t)page / MATRIX_PAGE_BYTES, &entry, 1);
    if (got < 0)
        return (int)-got;
    if (got == 0 || !proc_text_frame(entry))
        return EPERM;
    got = read_numbers(page_flags, proc_text_frame(entry), flags, 1);
    return got == 1 ? 0 : got < 0 ? (int)-got : EIO;
}

int merged_flag_is_true(int own_pagemap, int page_flags, bool *is_true)
{
    uint64_t flags = 0;
    char *page = mmap(NULL, MATRIX_PAGE_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (page == MAP_FAILED)
        return errno;
    madvise(page, MATRIX_PAGE_BYTES, MADV_UNMERGEABLE); /* PR_SET_MEMORY_MERGE may be inherited */
    *(volatile char *)page = 1;
    const int number = read_flags_of(page, own_pagemap, page_flags, &flags);
    munmap(page, MATRIX_PAGE_BYTES);
    *is_true = !(flags & PROC_FRAME_KSM);
    return number;
}

int merged_clear_flags(int page_counts, uint64_t frame, uint64_t *flags, size_t count)
{
    uint64_t mappings[PIECE];
    for (size_t done = 0; done < count;) {
        const size_t piece = count - done < PIECE ? count - done : PIECE;
        const ssize_t got =
            page_counts < 0 ? 0 : read_numbers(page_counts, frame + done, mappings, piece);
        if (got < 0)
            return (int)-got;
        for (size_t i = 0; i < piece; i++)
            if (i >= (size_t)got || mappings[i] < 2 || flags[done + i] & PROC_FRAME_LARGE)
                flags[done + i] &= ~PROC_FRAME_KSM;
        done += piece;
    }
    return 0;
}

bool merged_is_possible(pid_t pid)
{
    char path[64], text[32] = "";
    snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", pid);
    CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 || read(fd, text, sizeof(text) - 1) <= 0 || strtoull(text, NULL, 10) > 0;
}
