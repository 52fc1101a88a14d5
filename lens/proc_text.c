// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads lines and numbers of /proc; see proc_text.h. */
#include "lens/proc_text.h"

#include <stdlib.h>
#include <string.h>

/* /proc/PID/pagemap: Documentation/admin-guide/mm/pagemap.rst. */
#define PAGEMAP_PRESENT   (1ULL << 63)
#define PAGEMAP_SWAPPED   (1ULL << 62)
#define PAGEMAP_FILE      (1ULL << 61) /* or shared anonymous */
#define PAGEMAP_FRAME     ((1ULL << 55) - 1)
#define PAGEMAP_SWAP_TYPE 31U

/*
 * Swap types from here on are no swap (include/linux/swap.h): pages on the move or, of type 31
 * since Linux 5.19, markers of pages that are not there. A kernel that lacks some of these begins
 * later, but nobody has 23 swap files.
 */
#define SWAP_TYPE_SPECIAL 23U
#define SWAP_TYPE_MARKER  31U

/* /proc/kpageflags: include/uapi/linux/kernel-page-flags.h, and KPF_RESERVED of the kernel. */
#define FRAME_ANONYMOUS   (1ULL << 12)
#define FRAME_SWAP_BACKED (1ULL << 14)
#define FRAME_HUGETLB     (1ULL << 17)
#define FRAME_THP         (1ULL << 22)
#define FRAME_ZERO        (1ULL << 24)
#define FRAME_RESERVED    (1ULL << 32)

/* PF_KTHREAD of include/linux/sched.h; the number is part of stat's format by now. */
#define TASK_KERNEL_THREAD 0x00200000U

#define NS_PER_S 1000000000ULL

/*
 * Reads digits and steps over them; false if there are none or too many. No strtoull: it takes
 * signs and spaces.
 */
static bool read_number(const char **text, unsigned base, uint64_t *value)
{
    const char *start = *text;
    for (*value = 0;; (*text)++) {
        const char character = **text;
        unsigned digit;
        if (character >= '0' && character <= '9')
            digit = (unsigned)(character - '0');
        else if (base == 16 && character >= 'a' && character <= 'f')
            digit = (unsigned)(character - 'a') + 10;
        else
            return *text != start;
        if (__builtin_mul_overflow(*value, base, value) ||
            __builtin_add_overflow(*value, digit, value))
            return false;
    }
}

/* "rw-p" and a space behind it. */
static bool has_rights(const char *text)
{
    static const char *const letters[] = {"r-", "w-", "x-", "ps"};
    if (strnlen(text, 5) < 5 || text[4] != ' ')
        return false;
    for (size_t i = 0; i < sizeof(letters) / sizeof(letters[0]); i++)
        if (!strchr(letters[i], text[i]))
            return false;
    return true;
}

bool proc_text_mapping(const char *line, struct proc_mapping *mapping)
{
    uint64_t start, end;
    if (!read_number(&line, 16, &start) || *line++ != '-' || !read_number(&line, 16, &end) ||
        *line++ != ' ')
        return false;
    if (start >= end || start % MATRIX_PAGE_BYTES || end % MATRIX_PAGE_BYTES)
        return false;
    if (!has_rights(line))
        return false;
    *mapping = (struct proc_mapping){
        .start = start,
        .end = end,
        .no_access = memcmp(line, "---", 3) == 0,
        .is_gate = start >> 63,
    };
    return true;
}

bool proc_text_kilobytes(const char *line, const char *field, uint64_t *bytes)
{
    const size_t length = strlen(field);
    uint64_t kilobytes;
    if (strncmp(line, field, length) != 0 || line[length] != ':')
        return false;
    line += length + 1;
    line += strspn(line, " \t");
    if (!read_number(&line, 10, &kilobytes) || strncmp(line, " kB", 3) != 0)
        return false;
    return !__builtin_mul_overflow(kilobytes, (uint64_t)1024, bytes);
}

/* The fields behind the name, counted as proc_pid_stat(5) does; all others are stepped over. */
enum { FIELD_STATE = 3, FIELD_PARENT = 4, FIELD_FLAGS = 9, FIELD_START = 22, FIELD_CPU = 39 };

static bool read_fields(const char *text, uint64_t fields[FIELD_CPU + 1])
{
    for (unsigned field = FIELD_PARENT; field <= FIELD_CPU; field++) {
        if (*text++ != ' ')
            return false;
        /* Priorities and the foreground group can be negative, and nobody here asks for them. */
        const bool negative = *text == '-';
        text += negative;
        if (!read_number(&text, 10, &fields[field]) ||
            (negative && (field == FIELD_PARENT || field == FIELD_START)))
            return false;
    }
    return true;
}

static bool read_pid(const char **text, int32_t *pid)
{
    uint64_t number;
    if (!read_number(text, 10, &number) || number > INT32_MAX)
        return false;
    *pid = (int32_t)number;
    return true;
}

bool proc_text_stat(const char *text, uint64_t ticks_per_s, struct matrix_lens_task *task)
{
    uint64_t fields[FIELD_CPU + 1];
    *task = (struct matrix_lens_task){0};
    if (!read_pid(&text, &task->tid) || strncmp(text, " (", 2) != 0)
        return false;
    text += 2;
    const char *end = strrchr(text, ')');
    if (!end || end[1] != ' ' || !end[2] || !read_fields(end + 3, fields))
        return false;
    if (fields[FIELD_PARENT] > INT32_MAX || fields[FIELD_CPU] > UINT32_MAX || !ticks_per_s)
        return false;

    const size_t length = (size_t)(end - text), room = sizeof(task->name) - 1;
    memcpy(task->name, text, length < room ? length : room);
    task->pid = task->tid;
    task->state = (uint8_t)end[2];
    task->parent_pid = (int32_t)fields[FIELD_PARENT];
    task->cpu = (uint32_t)fields[FIELD_CPU];
    task->kernel_thread = (fields[FIELD_FLAGS] & TASK_KERNEL_THREAD) != 0;
    const uint64_t start = fields[FIELD_START];
    return !__builtin_mul_overflow(start / ticks_per_s, NS_PER_S, &task->start_time_ns) &&
           !__builtin_add_overflow(task->start_time_ns,
                                   start % ticks_per_s * NS_PER_S / ticks_per_s,
                                   &task->start_time_ns);
}

uint64_t proc_text_frame(uint64_t pagemap)
{
    return pagemap & PAGEMAP_PRESENT ? pagemap & PAGEMAP_FRAME : 0;
}

bool proc_text_is_present(uint64_t pagemap)
{
    return pagemap & PAGEMAP_PRESENT;
}

static uint64_t kind_of_frame(uint64_t pagemap, uint64_t flags)
{
    if (flags & FRAME_ZERO)
        return MATRIX_PAGE_ZERO | (flags & FRAME_THP ? MATRIX_PAGE_COMPOUND | MATRIX_PAGE_SIZE_2M
                                                     : MATRIX_PAGE_SIZE_4K);
    if (flags & PROC_FRAME_NO_PAGE)
        return MATRIX_PAGE_DEVICE;

    uint64_t entry = 0;
    if (flags & FRAME_ANONYMOUS)
        entry |= MATRIX_PAGE_ANONYMOUS;
    else if ((pagemap & PAGEMAP_FILE) && !(flags & FRAME_RESERVED))
        entry |= MATRIX_PAGE_FILE | (flags & FRAME_SWAP_BACKED ? MATRIX_PAGE_SHMEM : 0);
    if (flags & PROC_FRAME_KSM)
        entry |= MATRIX_PAGE_KSM;
    if (flags & FRAME_HUGETLB)
        entry |= MATRIX_PAGE_HUGETLB | MATRIX_PAGE_COMPOUND;
    /* A page that is no part of a larger one cannot be mapped as one. */
    entry |= flags & PROC_FRAME_LARGE ? MATRIX_PAGE_COMPOUND : MATRIX_PAGE_SIZE_4K;
    return entry;
}

uint64_t proc_text_entry(uint64_t pagemap, const uint64_t *page_flags,
                         const struct proc_mapping *mapping)
{
    if (!(pagemap & PAGEMAP_PRESENT)) {
        const unsigned type = pagemap & PAGEMAP_SWAP_TYPE;
        if (!(pagemap & PAGEMAP_SWAPPED) || type == SWAP_TYPE_MARKER)
            return MATRIX_PAGE_MAPPED;
        return MATRIX_PAGE_MAPPED |
               (type >= SWAP_TYPE_SPECIAL ? MATRIX_PAGE_MOVING : MATRIX_PAGE_SWAPPED);
    }

    uint64_t entry =
        MATRIX_PAGE_MAPPED | MATRIX_PAGE_PRESENT | (mapping->no_access ? MATRIX_PAGE_NO_ACCESS : 0);
    if (!page_flags)
        return entry | (pagemap & PAGEMAP_FILE ? MATRIX_PAGE_FILE : 0);
    /* Frames beyond what an address can be in x86-64's tables: no kernel says so. */
    entry |= (proc_text_frame(pagemap) * MATRIX_PAGE_BYTES) & MATRIX_PAGE_ADDRESS;
    return entry | kind_of_frame(pagemap, *page_flags);
}
