// SPDX-License-Identifier: GPL-2.0-or-later
/* What an entry of the lens says; see page_flags.h. */
#include "cli/page_flags.h"

#include <matrix/lens.h>
#include <stdio.h>

/* What an entry can say, in the order in which it is printed. Names are those of --json. */
static const struct {
    uint64_t bit;
    const char *name;
} page_flags[] = {
    {MATRIX_PAGE_MAPPED, "mapped"},       {MATRIX_PAGE_PRESENT, "present"},
    {MATRIX_PAGE_SWAPPED, "swapped"},     {MATRIX_PAGE_MOVING, "moving"},
    {MATRIX_PAGE_NO_ACCESS, "no_access"}, {MATRIX_PAGE_WRITABLE, "writable"},
    {MATRIX_PAGE_DIRTY, "dirty"},         {MATRIX_PAGE_FILE, "file"},
    {MATRIX_PAGE_SHMEM, "shmem"},         {MATRIX_PAGE_ANONYMOUS, "anonymous"},
    {MATRIX_PAGE_ZERO, "zero"},           {MATRIX_PAGE_KSM, "ksm"},
    {MATRIX_PAGE_DEVICE, "device"},       {MATRIX_PAGE_COMPOUND, "compound"},
    {MATRIX_PAGE_HUGETLB, "hugetlb"},
};

#define PAGE_FLAGS (sizeof(page_flags) / sizeof(page_flags[0]))

char *page_flags_text(char buffer[PAGE_FLAGS_BYTES], uint64_t entry)
{
    size_t length = 0;
    snprintf(buffer, PAGE_FLAGS_BYTES, "not mapped");
    for (size_t i = 0; i < PAGE_FLAGS; i++)
        if (entry & page_flags[i].bit)
            length += (size_t)snprintf(buffer + length, PAGE_FLAGS_BYTES - length, "%s%s",
                                       length ? " " : "", page_flags[i].name);
    return buffer;
}

json_t *page_flags_json(uint64_t entry)
{
    json_t *flags = json_array();
    for (size_t i = 0; i < PAGE_FLAGS; i++)
        if (entry & page_flags[i].bit)
            json_array_append_new(flags, json_string(page_flags[i].name));
    return flags;
}
