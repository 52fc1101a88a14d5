// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Translation without the module: /proc/PID/maps says what is mapped, /proc/PID/pagemap which frame
 * is behind it, /proc/kpageflags what that frame is, and where that is not true of merged pages
 * /proc/kpagecount how often it is mapped. All are read in large pieces: a read for each page would
 * be fifty times slower.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "lens/explain.h"
#include "lens/internal.h"
#include "lens/merged.h"
#include "lens/proc_text.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Pages whose entries are read at once; what is read of kpageflags stays in the cache. */
#define PIECE 4096

/* Whether what is told of merged pages is true. */
enum trust {
    TRUST_UNTRIED, /* none was met yet */
    TRUST_FULL,
    TRUST_NONE,
};

/* What is at work for one call. */
struct walk {
    pid_t pid;
    int directory, pagemap;
    int page_flags;  /* -1 with MATRIX_LENS_NO_ADDRESSES */
    int page_counts; /* -1 unless they are needed */
    enum trust trust;
    uint64_t first_page; /* of the range, and of entries */
    size_t count;
    uint64_t *entries;
    uint64_t flags[PIECE]; /* of the frames of one piece */
};

static struct matrix_error *fail(const struct walk *walk, uint64_t page, int number)
{
    const struct lens_subject subject = {.pid = walk->pid,
                                         .virtual_address = page * MATRIX_PAGE_BYTES};
    return lens_explain(LENS_TRANSLATE, &subject, number);
}

/*
 * Reads so many numbers at an index of a file; fewer at its end. Returns 0 or an errno. Both files
 * give whole numbers only.
 */
static int read_numbers(int fd, uint64_t index, uint64_t *numbers, size_t *count)
{
    size_t done = 0;
    while (done < *count) {
        const ssize_t bytes = pread(fd, numbers + done, (*count - done) * sizeof(*numbers),
                                    (off_t)((index + done) * sizeof(*numbers)));
        if (bytes < 0 && errno == EINTR)
            continue;
        if (bytes < 0)
            return errno;
        if (bytes < (ssize_t)sizeof(*numbers))
            break;
        done += (size_t)bytes / sizeof(*numbers);
    }
    *count = done;
    return 0;
}

/* Returns 0 or an errno. */
static int try_trust(struct walk *walk)
{
    bool is_true = true;
    CLEANUP_CLOSE int own = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    const int number = own < 0 ? errno : merged_flag_is_true(own, walk->page_flags, &is_true);
    walk->trust = is_true ? TRUST_FULL : TRUST_NONE;
    /* A process that has nothing merged has no merged page, however many it shares since a fork. */
    if (!is_true && merged_is_possible(walk->pid))
        walk->page_counts = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    return number;
}

/* Takes from frames' flags what some kernels say of merging that is not so. Returns 0 or an errno. */
static int correct_flags(struct walk *walk, uint64_t frame, uint64_t *flags, size_t count)
{
    bool any = false;
    for (size_t i = 0; i < count; i++)
        any |= (flags[i] & PROC_FRAME_KSM) != 0;
    const int number = any && walk->trust == TRUST_UNTRIED ? try_trust(walk) : 0;
    if (number || !any || walk->trust == TRUST_FULL)
        return number;
    return merged_clear_flags(walk->page_counts, frame, flags, count);
}

/* The flags of each frame of a piece; frames that follow one another are read at once. */
static struct matrix_error *read_flags(struct walk *walk, const uint64_t *pagemap, uint64_t page,
                                       size_t count)
{
    for (size_t i = 0; i < count;) {
        size_t run = 1;
        if (!proc_text_is_present(pagemap[i])) {
            i++;
            continue;
        }
        const uint64_t frame = proc_text_frame(pagemap[i]);
        if (frame == 0)
            return fail(walk, page + i, EPERM);
        while (i + run < count && proc_text_frame(pagemap[i + run]) == frame + run)
            run++;
        size_t got = run;
        int number = read_numbers(walk->page_flags, frame, walk->flags + i, &got);
        number = number ? number : correct_flags(walk, frame, walk->flags + i, got);
        if (number)
            return fail(walk, page + i, number);
        /* Frames beyond the last of RAM: a device. */
        for (size_t j = i + got; j < i + run; j++)
            walk->flags[j] = PROC_FRAME_NO_PAGE;
        i += run;
    }
    return NULL;
}

/* A piece of a mapping: read into the caller's entries, and turned into what they mean in place. */
static struct matrix_error *translate_piece(struct walk *walk, const struct proc_mapping *mapping,
                                            uint64_t page, size_t count)
{
    uint64_t *entries = walk->entries + (page - walk->first_page);
    size_t got = count;
    const int number = read_numbers(walk->pagemap, page, entries, &got);
    if (number)
        return fail(walk, page, number);
    /* pagemap ends at the end of the process's half, and early when its memory is gone. */
    if (got < count) {
        const int gone = process_memory_gone(walk->directory);
        if (gone)
            return fail(walk, page, gone);
        memset(entries + got, 0, (count - got) * sizeof(*entries));
    }
    if (walk->page_flags >= 0)
        RETURN_IF_ERROR(read_flags(walk, entries, page, count));
    for (size_t i = 0; i < count; i++)
        entries[i] =
            proc_text_entry(entries[i], walk->page_flags >= 0 ? &walk->flags[i] : NULL, mapping);
    return NULL;
}

/* What the range and a mapping have in common. */
static struct matrix_error *translate_mapping(struct walk *walk, const struct proc_mapping *mapping)
{
    const uint64_t last = walk->first_page + walk->count; /* at most 2^52 */
    uint64_t page = mapping->start / MATRIX_PAGE_BYTES;
    uint64_t end = mapping->end / MATRIX_PAGE_BYTES;
    page = page > walk->first_page ? page : walk->first_page;
    end = end < last ? end : last;
    while (page < end) {
        const size_t count = end - page < PIECE ? (size_t)(end - page) : PIECE;
        RETURN_IF_ERROR(translate_piece(walk, mapping, page, count));
        page += count;
    }
    return NULL;
}

static struct matrix_error *translate_all(struct walk *walk, FILE *maps)
{
    CLEANUP_FREE char *line = NULL;
    size_t size = 0;
    bool any = false;
    uint64_t seen = 0; /* where the last mapping ended: they ascend, or somebody plays with us */
    errno = 0;
    while (getline(&line, &size, maps) > 0) {
        struct proc_mapping mapping;
        if (!proc_text_mapping(line, &mapping) || mapping.is_gate || mapping.start < seen)
            continue;
        any = true;
        seen = mapping.end;
        RETURN_IF_ERROR(translate_mapping(walk, &mapping));
    }
    if (ferror(maps))
        return fail(walk, walk->first_page, errno);
    if (any)
        return NULL;
    const int gone = process_memory_gone(walk->directory);
    return fail(walk, walk->first_page, gone ? gone : ENXIO);
}

static struct matrix_error *open_page_flags(struct walk *walk)
{
    walk->page_flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    if (walk->page_flags >= 0)
        return NULL;
    const int number = errno;
    return fail(walk, walk->first_page,
                number == ENOENT                      ? ENOSYS
                : number == EACCES || number == EPERM ? EPERM
                                                      : number);
}

static struct matrix_error *open_and_translate(struct walk *walk, bool with_addresses)
{
    const struct lens_subject subject = {.pid = walk->pid,
                                         .virtual_address = walk->first_page * MATRIX_PAGE_BYTES};
    int fd;
    RETURN_IF_ERROR(process_open(LENS_TRANSLATE, &subject, &walk->directory));
    RETURN_IF_ERROR(
        process_open_file(LENS_TRANSLATE, &subject, walk->directory, "pagemap", &walk->pagemap));
    if (with_addresses)
        RETURN_IF_ERROR(open_page_flags(walk));
    RETURN_IF_ERROR(process_open_file(LENS_TRANSLATE, &subject, walk->directory, "maps", &fd));
    CLEANUP_FILE FILE *maps = fdopen(fd, "r");
    if (!maps) {
        close(fd);
        return fail(walk, walk->first_page, ENOMEM);
    }
    return translate_all(walk, maps);
}

struct matrix_error *pagemap_translate(const struct matrix_lens *lens, pid_t pid, uint64_t address,
                                       size_t count, unsigned flags, uint64_t *entries)
{
    CLEANUP_FREE struct walk *walk = malloc(sizeof(*walk));
    if (!walk)
        return error_host(ENOMEM, "translate addresses of process %d", pid);
    walk->pid = pid;
    walk->directory = walk->pagemap = walk->page_flags = walk->page_counts = -1;
    walk->trust = TRUST_UNTRIED;
    walk->first_page = address / MATRIX_PAGE_BYTES;
    walk->count = count;
    walk->entries = entries;
    memset(entries, 0, count * sizeof(*entries));
    struct matrix_error *error = open_and_translate(walk, !(flags & MATRIX_LENS_NO_ADDRESSES));
    cleanup_close_(&walk->directory);
    cleanup_close_(&walk->pagemap);
    cleanup_close_(&walk->page_flags);
    cleanup_close_(&walk->page_counts);
    return error;
}
