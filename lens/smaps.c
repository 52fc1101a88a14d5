// SPDX-License-Identifier: GPL-2.0-or-later
/* How much memory a process has, without the module: /proc/PID/smaps, and /proc/PID/status. */
#include "lens/smaps.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "lens/explain.h"
#include "lens/internal.h"
#include "lens/proc_text.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define UNKNOWN MATRIX_FOOTPRINT_UNKNOWN

/* Sums of fields of smaps, before they are put together. */
enum sum { RSS, ANONYMOUS, KSM, HUGE_ANONYMOUS, HUGE_SHMEM, HUGE_FILE, SWAP, SUMS };

static const char *const sum_fields[SUMS] = {
    [RSS] = "Rss",
    [ANONYMOUS] = "Anonymous",
    [KSM] = "KSM",
    [HUGE_ANONYMOUS] = "AnonHugePages",
    [HUGE_SHMEM] = "ShmemPmdMapped",
    [HUGE_FILE] = "FilePmdMapped",
    [SWAP] = "Swap",
};

struct smaps {
    struct proc_mapping mapping; /* the one that lines belong to; end 0: none yet */
    uint64_t page_bytes;         /* its KernelPageSize */
    uint64_t sums[SUMS];
    bool has_ksm;
    struct matrix_footprint *footprint;
};

/* Wraps around nowhere: a sum beyond 64 bits stays the largest that is no UNKNOWN. */
static void add(uint64_t *sum, uint64_t bytes)
{
    if (__builtin_add_overflow(*sum, bytes, sum) || *sum == UNKNOWN)
        *sum = UNKNOWN - 1;
}

static void add_field(struct smaps *smaps, const char *line)
{
    uint64_t bytes;
    if (proc_text_kilobytes(line, "KernelPageSize", &bytes)) {
        smaps->page_bytes = bytes;
        return;
    }
    if (proc_text_kilobytes(line, "Shared_Hugetlb", &bytes) ||
        proc_text_kilobytes(line, "Private_Hugetlb", &bytes)) {
        add(smaps->page_bytes > (2ULL << 20) ? &smaps->footprint->hugetlb_1g_bytes
                                             : &smaps->footprint->hugetlb_2m_bytes,
            bytes);
        return;
    }
    for (unsigned i = 0; i < SUMS; i++)
        if (proc_text_kilobytes(line, sum_fields[i], &bytes)) {
            add(&smaps->sums[i], bytes);
            smaps->has_ksm |= i == KSM;
            if (i == RSS && smaps->mapping.no_access)
                add(&smaps->footprint->no_access_bytes, bytes);
            return;
        }
}

static void add_line(struct smaps *smaps, const char *line)
{
    struct matrix_footprint *footprint = smaps->footprint;
    if (proc_text_mapping(line, &smaps->mapping)) {
        if (smaps->mapping.is_gate)
            return;
        footprint->mappings++;
        add(&footprint->virtual_bytes, smaps->mapping.end - smaps->mapping.start);
    } else if (smaps->mapping.end && !smaps->mapping.is_gate) {
        add_field(smaps, line);
    }
}

static uint64_t less(uint64_t from, uint64_t what)
{
    return what < from ? from - what : 0;
}

/* smaps knows what is anonymous; of the rest status says how much is shmem. */
static void put_together(struct smaps *smaps, uint64_t shmem_bytes)
{
    struct matrix_footprint *footprint = smaps->footprint;
    const uint64_t *sums = smaps->sums;
    footprint->resident_bytes = sums[RSS];
    footprint->resident_2m_bytes = 0;
    for (unsigned i = HUGE_ANONYMOUS; i <= HUGE_FILE; i++)
        add(&footprint->resident_2m_bytes, sums[i]);
    footprint->resident_4k_bytes = less(sums[RSS], footprint->resident_2m_bytes);
    footprint->anonymous_bytes = sums[ANONYMOUS];
    const uint64_t rest = less(sums[RSS], sums[ANONYMOUS]);
    footprint->shmem_bytes = shmem_bytes < rest ? shmem_bytes : rest;
    footprint->file_bytes = rest - footprint->shmem_bytes;
    footprint->ksm_bytes = smaps->has_ksm ? sums[KSM] : UNKNOWN;
    footprint->swapped_bytes = sums[SWAP];
    footprint->zero_bytes = footprint->device_bytes = UNKNOWN;
}

int smaps_read(FILE *file, uint64_t shmem_bytes, struct matrix_footprint *footprint)
{
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    struct smaps smaps = {.footprint = footprint};
    *footprint = (struct matrix_footprint){0};
    errno = 0;
    while (getline(&line, &size, file) > 0)
        add_line(&smaps, line);
    if (ferror(file))
        return errno ? errno : EIO;
    if (!footprint->mappings)
        return ENXIO;
    put_together(&smaps, shmem_bytes);
    return 0;
}

int status_read(FILE *file, struct matrix_footprint *footprint)
{
    static const struct {
        const char *name;
        size_t offset;
    } fields[] = {
        {"VmSize", offsetof(struct matrix_footprint, virtual_bytes)},
        {"VmRSS", offsetof(struct matrix_footprint, resident_bytes)},
        {"RssAnon", offsetof(struct matrix_footprint, anonymous_bytes)},
        {"RssFile", offsetof(struct matrix_footprint, file_bytes)},
        {"RssShmem", offsetof(struct matrix_footprint, shmem_bytes)},
        {"VmSwap", offsetof(struct matrix_footprint, swapped_bytes)},
    };
    char line[256];
    memset(footprint, 0xff, sizeof(*footprint)); /* all UNKNOWN */
    errno = 0;
    while (fgets(line, sizeof(line), file))
        for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
            uint64_t bytes;
            if (proc_text_kilobytes(line, fields[i].name, &bytes))
                memcpy((char *)footprint + fields[i].offset, &bytes, sizeof(bytes));
        }
    if (ferror(file))
        return errno ? errno : EIO;
    return footprint->virtual_bytes == UNKNOWN || footprint->resident_bytes == UNKNOWN ? ENXIO : 0;
}

static struct matrix_error *fail(pid_t pid, int number)
{
    const struct lens_subject subject = {.pid = pid};
    return lens_explain(LENS_FOOTPRINT, &subject, number);
}

static struct matrix_error *open_stream(pid_t pid, int directory, const char *name, FILE **file)
{
    const struct lens_subject subject = {.pid = pid};
    int fd;
    RETURN_IF_ERROR(process_open_file(LENS_FOOTPRINT, &subject, directory, name, &fd));
    *file = fdopen(fd, "r");
    if (*file)
        return NULL;
    close(fd);
    return fail(pid, ENOMEM);
}

static struct matrix_error *read_status(pid_t pid, int directory,
                                        struct matrix_footprint *footprint)
{
    CLEANUP_FILE FILE *file = NULL;
    RETURN_IF_ERROR(open_stream(pid, directory, "status", &file));
    const int number = status_read(file, footprint);
    return number ? fail(pid, number) : NULL;
}

struct matrix_error *status_footprint(pid_t pid, struct matrix_footprint *footprint)
{
    const struct lens_subject subject = {.pid = pid};
    CLEANUP_CLOSE int directory = -1;
    RETURN_IF_ERROR(process_open(LENS_FOOTPRINT, &subject, &directory));
    return read_status(pid, directory, footprint);
}

struct matrix_error *smaps_footprint(const struct matrix_lens *lens, pid_t pid,
                                     struct matrix_footprint *footprint)
{
    const struct lens_subject subject = {.pid = pid};
    CLEANUP_CLOSE int directory = -1;
    CLEANUP_FILE FILE *file = NULL;
    RETURN_IF_ERROR(process_open(LENS_FOOTPRINT, &subject, &directory));
    RETURN_IF_ERROR(read_status(pid, directory, footprint));
    const uint64_t shmem_bytes = footprint->shmem_bytes == UNKNOWN ? 0 : footprint->shmem_bytes;
    RETURN_IF_ERROR(open_stream(pid, directory, "smaps", &file));
    int number = smaps_read(file, shmem_bytes, footprint);
    /* A process that ends in the middle leaves a sum of what was there till then. */
    const int gone = process_memory_gone(directory);
    number = gone ? gone : number;
    return number ? fail(pid, number) : NULL;
}
