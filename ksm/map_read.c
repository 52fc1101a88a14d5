// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel says of pages and frames, for the merge map: /proc/PID/pagemap, /proc/kpageflags
 * and /proc/kpagecount, read in large pieces, or the kernel module.
 */
#include "base/cleanup.h"
#include "base/crew.h"
#include "base/error.h"
#include "ksm/map_internal.h"
#include "lens/explain.h"
#include "lens/merged.h"
#include "lens/proc_text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Pages read at once: what was read is still in the cache when it is looked at. */
#define PIECE 16384

/*
 * Frames that nobody asked for are read along where so few lie between two that somebody did: a
 * system call costs more than their entries.
 */
#define GAP       32
#define COUNT_GAP 96 /* of kpagecount, whose entries cost less */

/* What takes a thread as long as its start does, many times over: chunks of frames, pieces of groups. */
#define CHUNKS_PER_THREAD 4
#define GROUPS_PIECE      1024

/* include/uapi/linux/kernel-page-flags.h */
#define FRAME_FLAG_ANONYMOUS (1ULL << 12)
#define FRAME_FLAG_ZERO      (1ULL << 24)

#define PAGEMAP_FILE (1ULL << 61)

static struct matrix_error *fail(pid_t pid, uint64_t hva, int number)
{
    const struct lens_subject subject = {.pid = pid, .virtual_address = hva};
    return lens_explain(LENS_TRANSLATE, &subject, number);
}

void map_from_pagemap(uint64_t *entries, size_t count)
{
    static const struct proc_mapping mapping = {0};
    for (size_t i = 0; i < count; i++) {
        const uint64_t entry = entries[i];
        if (proc_text_is_present(entry)) {
            entries[i] = entry & PAGEMAP_FILE ? map_page(KSM_OTHER, proc_text_frame(entry))
                                              : map_page(KSM_PRESENT, proc_text_frame(entry));
        } else if (entry) {
            const uint64_t told = proc_text_entry(entry, NULL, &mapping);
            const bool is_away = told & (MATRIX_PAGE_SWAPPED | MATRIX_PAGE_MOVING);
            entries[i] = map_page(is_away ? KSM_SWAPPED : KSM_UNTOUCHED, 0);
        }
    }
}

enum frame_kind map_kind(uint64_t flags, enum ksm_rule rule)
{
    if (flags & FRAME_FLAG_ZERO)
        return FRAME_ZERO;
    if ((flags & PROC_FRAME_NO_PAGE) || !(flags & FRAME_FLAG_ANONYMOUS))
        return FRAME_OTHER;
    if (flags & PROC_FRAME_LARGE)
        return FRAME_HUGE;
    return (flags & PROC_FRAME_KSM) && rule == KSM_BY_FLAG ? FRAME_MERGED : FRAME_ANONYMOUS;
}

/* --- the module ------------------------------------------------------------------------------- */

static enum frame_kind kind_by_lens(uint64_t entry)
{
    return entry & MATRIX_PAGE_ZERO                               ? FRAME_ZERO
           : !(entry & MATRIX_PAGE_ANONYMOUS)                     ? FRAME_OTHER
           : entry & (MATRIX_PAGE_COMPOUND | MATRIX_PAGE_HUGETLB) ? FRAME_HUGE
           : entry & MATRIX_PAGE_KSM                              ? FRAME_MERGED
                                                                  : FRAME_ANONYMOUS;
}

int map_from_lens(struct map_work *work, uint64_t *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t entry = entries[i];
        const uint64_t frame = (entry & MATRIX_PAGE_ADDRESS) / MATRIX_PAGE_BYTES;
        if (!(entry & MATRIX_PAGE_PRESENT)) {
            const bool is_away = entry & (MATRIX_PAGE_SWAPPED | MATRIX_PAGE_MOVING);
            entries[i] = map_page(is_away ? KSM_SWAPPED : KSM_UNTOUCHED, 0);
            continue;
        }
        const enum frame_kind kind = kind_by_lens(entry);
        entries[i] = map_page(kind == FRAME_OTHER ? KSM_OTHER : KSM_PRESENT, frame);
        if (kind == FRAME_OTHER)
            continue;
        uint8_t *known = ksm_frame_touch(&work->frames, frame);
        if (!known)
            return ENOMEM;
        *known = (uint8_t)((*known & KSM_FRAME_MET) | kind);
    }
    return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

/*
 * Reads so many numbers at an index of a file; what is beyond its end is filled with missing.
 * Returns how many there were, or minus an errno.
 */
static ssize_t read_numbers(int fd, uint64_t index, uint64_t *numbers, size_t count,
                            uint64_t missing)
{
    size_t done = 0;
    while (done < count) {
        const ssize_t bytes = pread(fd, numbers + done, (count - done) * sizeof(*numbers),
                                    (off_t)((index + done) * sizeof(*numbers)));
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes < 0)
            return -errno;
        if (bytes < (ssize_t)sizeof(*numbers))
            break;
        done += (size_t)bytes / sizeof(*numbers);
    }
    for (size_t i = done; i < count; i++)
        numbers[i] = missing;
    return (ssize_t)done;
}

/* Fails unless the subject's pid is still the process that it was. */
static struct matrix_error *check_same(const struct matrix_lens *lens,
                                       const struct ksm_subject *subject)
{
    struct matrix_lens_task task;
    RETURN_IF_ERROR(matrix_lens_process(lens, subject->pid, &task));
    return task.start_time_ns == subject->start_time_ns ? NULL : fail(subject->pid, 0, ESRCH);
}

static struct matrix_error *open_pagemap(const struct ksm_subject *subject, int *pagemap)
{
    char path[48];
    snprintf(path, sizeof(path), "/proc/%d/pagemap", subject->pid);
    *pagemap = open(path, O_RDONLY | O_CLOEXEC);
    if (*pagemap >= 0)
        return NULL;
    const int number = errno;
    return fail(subject->pid, 0,
                number == EACCES                                              ? EPERM
                : number == ENOENT && access("/proc/self/pagemap", F_OK) == 0 ? ESRCH
                : number == ENOENT                                            ? ENOSYS
                                                                              : number);
}

/* A frame without a number: the kernel hides them from who lacks CAP_SYS_ADMIN. */
static bool is_hidden(const uint64_t *pages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ksm_page_state(pages[i]) == KSM_PRESENT && !ksm_page_frame(pages[i]))
            return true;
    return false;
}

static struct matrix_error *read_piece(struct map_work *work, int pagemap, pid_t pid, uint64_t hva,
                                       uint64_t *pages, size_t count)
{
    const ssize_t got = read_numbers(pagemap, hva / MATRIX_PAGE_BYTES, pages, count, 0);
    if (got < 0)
        return fail(pid, hva, (int)-got);
    if (got == 0)
        return fail(pid, hva, ESRCH); /* its memory is gone */
    map_from_pagemap(pages, count);
    if (is_hidden(pages, count))
        return fail(pid, hva, EPERM);
    const int number = map_enter_frames(work, pages, count);
    return number ? error_host(number, "enter the pages of process %d into a map", pid) : NULL;
}

static struct matrix_error *ask_piece(struct map_work *work, const struct matrix_lens *lens,
                                      pid_t pid, uint64_t hva, uint64_t *pages, size_t count)
{
    RETURN_IF_ERROR(matrix_lens_translate(lens, pid, hva, count, 0, pages));
    int number = map_from_lens(work, pages, count);
    number = number ? number : map_enter_frames(work, pages, count);
    return number ? error_host(number, "enter the pages of process %d into a map", pid) : NULL;
}

static struct matrix_error *read_subject(struct map_work *work, const struct matrix_lens *lens,
                                         const struct ksm_subject *subject, uint64_t *pages)
{
    CLEANUP_CLOSE int pagemap = -1;
    const bool by_module = work->map->rule == KSM_BY_MODULE;
    if (!by_module)
        RETURN_IF_ERROR(open_pagemap(subject, &pagemap));
    RETURN_IF_ERROR(check_same(lens, subject));
    for (size_t i = 0; i < subject->region_count; i++) {
        const struct ksm_region *region = &subject->regions[i];
        for (uint64_t done = 0; done < region->bytes;) {
            const uint64_t left = (region->bytes - done) / MATRIX_PAGE_BYTES;
            const size_t count = left < PIECE ? (size_t)left : PIECE;
            const uint64_t hva = region->hva + done;
            RETURN_IF_ERROR(by_module ? ask_piece(work, lens, subject->pid, hva, pages, count)
                                      : read_piece(work, pagemap, subject->pid, hva, pages, count));
            pages += count;
            done += count * MATRIX_PAGE_BYTES;
        }
    }
    return NULL;
}

struct matrix_error *map_read_pages(struct map_work *work, const struct matrix_lens *lens)
{
    const struct ksm_subject_list *list = work->map->list;
    for (size_t i = 0; i < list->count; i++) {
        work->reading = &list->subjects[i];
        RETURN_IF_ERROR(read_subject(work, lens, work->reading, work->map->pages[i]));
    }
    work->reading = NULL;
    return NULL;
}

/* --- frames ----------------------------------------------------------------------------------- */

static struct matrix_error *open_frames(const char *path, int *fd)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0)
        return NULL;
    const int number = errno;
    return error_new(MATRIX_ERROR_HOST, number,
                     number == ENOENT
                         ? "this kernel lacks CONFIG_PROC_PAGE_MONITOR; load the module: "
                           "matrix modules load"
                         : "run it as root (CAP_SYS_ADMIN)",
                     "open %s, which tells what is merged", path);
}

/* Met, and nobody knows yet what it is. */
static bool is_asked(uint8_t frame)
{
    return frame && !(frame & KSM_FRAME_KIND);
}

/* What the crew reads about. */
struct kinds {
    struct map_work *work;
    int fd;
    size_t *chunks; /* that were touched */
};

/* Returns 0 or an errno. */
static int read_chunk(void *context, size_t index)
{
    const struct kinds *kinds = context;
    const uint64_t number = (uint64_t)kinds->chunks[index] << KSM_FRAMES_SHIFT;
    uint8_t *chunk = kinds->work->frames.table + number;
    uint64_t flags[KSM_FRAMES_CHUNK];
    for (size_t i = ksm_frames_next(chunk, 0); i < KSM_FRAMES_CHUNK;
         i = ksm_frames_next(chunk, i)) {
        if (!is_asked(chunk[i])) {
            i++;
            continue;
        }
        size_t last = i;
        for (size_t j = i + 1; j < KSM_FRAMES_CHUNK && j - last <= GAP;
             j = ksm_frames_next(chunk, j + 1))
            last = is_asked(chunk[j]) ? j : last;
        const size_t count = last - i + 1;
        const ssize_t got = read_numbers(kinds->fd, number + i, flags, count, PROC_FRAME_NO_PAGE);
        if (got < 0)
            return (int)-got;
        for (size_t j = 0; j < count; j++)
            if (is_asked(chunk[i + j]))
                chunk[i + j] |= (uint8_t)map_kind(flags[j], kinds->work->map->rule);
        i = last + 1;
    }
    return 0;
}

struct matrix_error *map_read_kinds(struct map_work *work)
{
    CLEANUP_CLOSE int fd = -1;
    const size_t all = (size_t)(work->frames.capacity >> KSM_FRAMES_SHIFT);
    CLEANUP_FREE size_t *chunks = calloc(all + 1, sizeof(*chunks));
    size_t count = 0;
    if (!chunks)
        return error_host(ENOMEM, "read /proc/kpageflags");
    RETURN_IF_ERROR(open_frames("/proc/kpageflags", &fd));
    for (size_t i = 0; i < all; i++)
        if (work->frames.touched[i])
            chunks[count++] = i;
    struct kinds kinds = {.work = work, .fd = fd, .chunks = chunks};
    const int number = crew_do(count, CHUNKS_PER_THREAD, read_chunk, &kinds);
    return number ? error_host(number, "read /proc/kpageflags") : NULL;
}

struct outside {
    struct ksm_map *map;
    int fd;
};

static int read_counts(void *context, size_t index)
{
    const struct outside *outside = context;
    struct ksm_group *groups = outside->map->groups;
    const size_t left = outside->map->group_count - index * GROUPS_PIECE;
    const size_t limit = index * GROUPS_PIECE + (left < GROUPS_PIECE ? left : GROUPS_PIECE);
    uint64_t counts[PIECE];
    for (size_t i = index * GROUPS_PIECE; i < limit;) {
        const uint64_t first = groups[i].frame;
        size_t end = i + 1;
        while (end < limit && groups[end].frame - first < PIECE &&
               groups[end].frame - groups[end - 1].frame <= COUNT_GAP)
            end++;
        const uint64_t last = groups[end - 1].frame - first; /* they are in order */
        if (last >= PIECE || read_numbers(outside->fd, first, counts, last + 1, 0) < 0)
            return EIO;
        for (; i < end; i++) {
            const uint64_t all = counts[groups[i].frame - first], inside = groups[i].mappings;
            groups[i].outside = all > inside && all <= UINT32_MAX ? (uint32_t)(all - inside) : 0;
        }
    }
    return 0;
}

void map_read_outside(struct ksm_map *map)
{
    CLEANUP_CLOSE int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    struct outside outside = {.map = map, .fd = fd};
    /* Where it cannot be read, nobody else is known of. */
    if (fd >= 0)
        crew_do((map->group_count + GROUPS_PIECE - 1) / GROUPS_PIECE, 2, read_counts, &outside);
}

struct matrix_error *map_find_rule(enum ksm_rule *rule)
{
    CLEANUP_CLOSE int pagemap = -1, page_flags = -1;
    const struct ksm_subject own = {.pid = getpid()};
    bool is_true = false;
    RETURN_IF_ERROR(open_pagemap(&own, &pagemap));
    RETURN_IF_ERROR(open_frames("/proc/kpageflags", &page_flags));
    const int number = merged_flag_is_true(pagemap, page_flags, &is_true);
    if (number == EPERM)
        return error_new(MATRIX_ERROR_HOST, EPERM, "run it as root, with CAP_SYS_ADMIN",
                         "read from /proc/PID/pagemap where pages are, which the kernel hides");
    if (number)
        return error_host(number, "try /proc/kpageflags on a page of our own");
    *rule = is_true ? KSM_BY_FLAG : KSM_BY_MAPPINGS;
    return NULL;
}
