// SPDX-License-Identifier: GPL-2.0-or-later
/* What of a process's memory is resident; see snapshot.h. */
#include "bench/snapshot.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#define PAGE_BYTES 4096UL

/* /proc/PID/pagemap has 64 bits per page, the highest of them set for a page that is present
 * (Documentation/admin-guide/mm/pagemap.rst). */
static struct matrix_error *add_pages(struct snapshot *snapshot, int pagemap, uint64_t start,
                                      uint64_t end)
{
    uint64_t entries[512];
    for (uint64_t page = start / PAGE_BYTES; page < end / PAGE_BYTES;) {
        ssize_t got = pread(pagemap, entries, sizeof(entries), (off_t)(page * sizeof(entries[0])));
        if (got <= 0)
            return error_host(errno, "read the page map of a process");
        for (size_t i = 0; i < (size_t)got / sizeof(entries[0]) && page < end / PAGE_BYTES;
             i++, page++) {
            if (!(entries[i] >> 63))
                continue;
            if (snapshot->page_count == SNAPSHOT_PAGES_MAX)
                return error_host(ENOBUFS, "note the resident pages of a process");
            snapshot->pages[snapshot->page_count++] = page;
        }
    }
    return NULL;
}

struct matrix_error *snapshot_take(pid_t pid, struct snapshot *snapshot)
{
    char path[64], line[512];
    snapshot->resident_bytes = 0;
    snapshot->page_count = 0;
    snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
    CLEANUP_CLOSE int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    if (pagemap < 0)
        return error_host(errno, "open %s", path);
    /* Not statm: that may lag behind. */
    snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file)
        return error_host(errno, "open %s", path);

    while (fgets(line, sizeof(line), file)) {
        uint64_t start, end, inode;
        int64_t kib;
        int name = 0;
        if (sscanf(line, "Rss: %" SCNd64, &kib) == 1)
            snapshot->resident_bytes += kib * 1024;
        else if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*4s %*s %*s %" SCNu64 " %n", &start, &end,
                        &inode, &name) == 3 &&
                 inode == 0 && line[name] == '\0')
            RETURN_IF_ERROR(add_pages(snapshot, pagemap, start, end));
    }
    return NULL;
}

int64_t snapshot_present_bytes(const struct snapshot *snapshot, uint64_t hva, uint64_t bytes)
{
    int64_t present = 0;
    for (unsigned i = 0; i < snapshot->page_count; i++)
        if (snapshot->pages[i] >= hva / PAGE_BYTES &&
            snapshot->pages[i] < (hva + bytes) / PAGE_BYTES)
            present += PAGE_BYTES;
    return present;
}
