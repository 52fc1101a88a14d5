// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for what the lens and its commands read of /proc and of the kernel's log. The first
 * byte says as what the rest is read.
 */
#include "cli/modules.h"
#include "lens/proc_text.h"
#include "lens/smaps.h"

#include "tests/fuzz/fuzz.h"
#include <ctype.h>
#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_mapping(char *text, size_t size)
{
    struct proc_mapping mapping;
    if (!proc_text_mapping(text, &mapping))
        return;
    FUZZ_CHECK(mapping.start < mapping.end, "an empty mapping");
    FUZZ_CHECK(mapping.start % MATRIX_PAGE_BYTES == 0 && mapping.end % MATRIX_PAGE_BYTES == 0,
               "half a page");
    /* A second reader. */
    unsigned long long start, end;
    char rights[5];
    FUZZ_CHECK(sscanf(text, "%llx-%llx %4c", &start, &end, rights) == 3, "not what sscanf reads");
    FUZZ_CHECK(start == mapping.start && end == mapping.end, "another range");
    FUZZ_CHECK(mapping.no_access == (memcmp(rights, "---", 3) == 0), "other rights");
}

static void fuzz_kilobytes(char *text, size_t size)
{
    uint64_t bytes;
    if (!proc_text_kilobytes(text, "Rss", &bytes))
        return;
    FUZZ_CHECK(strncmp(text, "Rss:", 4) == 0, "another field");
    FUZZ_CHECK(bytes == strtoull(text + 4, NULL, 10) * 1024, "another number");
}

static void fuzz_stat(char *text, size_t size)
{
    struct matrix_lens_task task;
    if (!proc_text_stat(text, 100, &task))
        return;
    FUZZ_CHECK(task.tid >= 0 && task.tid == task.pid && task.parent_pid >= 0, "a bad pid");
    FUZZ_CHECK(strnlen(task.name, sizeof(task.name)) < sizeof(task.name), "a name without end");
    FUZZ_CHECK(task.name[0] == '\0' || strstr(text, task.name), "a name from elsewhere");
    FUZZ_CHECK(task.start_time_ns % 10000000 == 0, "a tick is 10 ms");
}

static void check_footprint(const struct matrix_footprint *footprint)
{
    FUZZ_CHECK(footprint->resident_4k_bytes <= footprint->resident_bytes, "more than there is");
    FUZZ_CHECK(footprint->file_bytes <= footprint->resident_bytes, "more than there is");
    FUZZ_CHECK(footprint->shmem_bytes <= footprint->resident_bytes, "more than there is");
    FUZZ_CHECK(footprint->mappings > 0, "memory without a mapping");
}

static void fuzz_smaps(char *text, size_t size)
{
    struct matrix_footprint footprint;
    FILE *file = fmemopen(text, size, "r");
    if (!file) /* of no bytes */
        return;
    const int number = smaps_read(file, 4096, &footprint);
    fclose(file);
    FUZZ_CHECK(number == 0 || number == ENXIO, "errno %d", number);
    if (!number)
        check_footprint(&footprint);

    file = fmemopen(text, size, "r");
    if (!file)
        return;
    const int status = status_read(file, &footprint);
    fclose(file);
    FUZZ_CHECK(status == 0 || status == ENXIO, "errno %d", status);
}

static void fuzz_entry(char *text, size_t size)
{
    struct fuzz_input input = {(const uint8_t *)text, size};
    const uint64_t pagemap = fuzz_take(&input, 8), flags = fuzz_take(&input, 8);
    const struct proc_mapping mapping = {.no_access = fuzz_take(&input, 1) & 1};
    const uint64_t entry = proc_text_entry(pagemap, input.left & 1 ? NULL : &flags, &mapping);
    const bool present = entry & MATRIX_PAGE_PRESENT;
    FUZZ_CHECK(entry & MATRIX_PAGE_MAPPED, "not mapped");
    FUZZ_CHECK(present == proc_text_is_present(pagemap), "present or not");
    FUZZ_CHECK(present || !(entry & MATRIX_PAGE_ADDRESS), "an address of nothing");
    FUZZ_CHECK(!(entry & MATRIX_PAGE_ADDRESS) ||
                   (entry & MATRIX_PAGE_ADDRESS) ==
                       (proc_text_frame(pagemap) * MATRIX_PAGE_BYTES & MATRIX_PAGE_ADDRESS),
               "another address");
    FUZZ_CHECK(!(entry & MATRIX_PAGE_FILE) || !(entry & MATRIX_PAGE_ANONYMOUS), "both kinds");
    FUZZ_CHECK(!(entry & MATRIX_PAGE_SWAPPED) || !present, "swapped and present");
}

static void fuzz_log(char *text, size_t size)
{
    const char *line = modules_log_text(text, "lkm1");
    if (!line)
        return;
    FUZZ_CHECK(strncmp(line, "lkm1:", 5) == 0, "another's line");
    FUZZ_CHECK(!strchr(line, '\n'), "two lines");
}

static void (*const readers[])(char *text, size_t size) = {
    fuzz_mapping, fuzz_kilobytes, fuzz_stat, fuzz_smaps, fuzz_entry, fuzz_log,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    /* A copy of its own length, so that what reads beyond it is noticed. */
    char *text = malloc(size);
    if (!text)
        return 0;
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    readers[data[0] % (sizeof(readers) / sizeof(readers[0]))](text, size - 1);
    free(text);
    return 0;
}
