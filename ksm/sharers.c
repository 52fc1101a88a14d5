// SPDX-License-Identifier: GPL-2.0-or-later
/* Who else maps a frame; see sharers.h. */
#include "ksm/sharers.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "lens/merged.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Pages that are asked for at once. */
#define CHUNK ((size_t)1 << 16)

/* One search at work. */
struct search {
    const struct matrix_lens *lens;
    const uint64_t *frames;
    size_t frame_count;
    uint64_t *entries;
    struct ksm_sharer_list *list;
};

static int by_number(const void *a, const void *b)
{
    const uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return first < second ? -1 : first > second;
}

static bool is_wanted(const struct search *search, uint64_t entry)
{
    const uint64_t frame = entry & MATRIX_PAGE_ADDRESS;
    /* The first two are cheap, and true of few pages. */
    return entry & MATRIX_PAGE_PRESENT && entry & MATRIX_PAGE_KSM &&
           bsearch(&frame, search->frames, search->frame_count, sizeof(frame), by_number);
}

static struct matrix_error *append(struct ksm_sharer_list *list, const struct ksm_sharer *sharer)
{
    /* A power of two: it is full. */
    if ((list->count & (list->count - 1)) == 0) {
        struct ksm_sharer *grown =
            reallocarray(list->sharers, list->count ? list->count * 2 : 1, sizeof(*list->sharers));
        if (!grown)
            return error_host(ENOMEM, "keep a list of merged pages");
        list->sharers = grown;
    }
    list->sharers[list->count++] = *sharer;
    return NULL;
}

static struct matrix_error *search_region(struct search *search, const struct ksm_subject *subject,
                                          const struct ksm_region *region)
{
    const uint64_t pages = region->bytes / MATRIX_PAGE_BYTES;
    for (uint64_t done = 0; done < pages;) {
        const size_t count = pages - done < CHUNK ? (size_t)(pages - done) : CHUNK;
        const uint64_t offset = done * MATRIX_PAGE_BYTES;
        RETURN_IF_ERROR(matrix_lens_translate(search->lens, subject->pid, region->hva + offset,
                                              count, 0, search->entries));
        for (size_t i = 0; i < count; i++) {
            const struct ksm_sharer sharer = {
                .physical_address = search->entries[i] & MATRIX_PAGE_ADDRESS,
                .subject = subject,
                .gpa = region->gpa + offset + i * MATRIX_PAGE_BYTES,
                .hva = region->hva + offset + i * MATRIX_PAGE_BYTES,
            };
            if (is_wanted(search, search->entries[i]))
                RETURN_IF_ERROR(append(search->list, &sharer));
        }
        done += count;
    }
    return NULL;
}

struct matrix_error *ksm_sharers_find(const struct matrix_lens *lens,
                                      const struct ksm_subject_list *subjects,
                                      const uint64_t *frames, size_t frame_count,
                                      struct ksm_sharer_list *list)
{
    CLEANUP_FREE uint64_t *entries = malloc(CHUNK * sizeof(*entries));
    struct search search = {lens, frames, frame_count, entries, list};
    if (!entries)
        return error_host(ENOMEM, "look for merged pages");
    for (size_t i = 0; i < subjects->count; i++) {
        const struct ksm_subject *subject = &subjects->subjects[i];
        struct matrix_error *error = NULL;
        if (!merged_is_possible(subject->pid))
            continue;
        for (size_t j = 0; !error && j < subject->region_count; j++)
            error = search_region(&search, subject, &subject->regions[j]);
        if (error && error->number != ESRCH && error->number != ENXIO && error->number != EPERM)
            return error;
        matrix_error_free(error);
    }
    return NULL;
}

uint64_t ksm_frame_mappings(uint64_t physical_address)
{
    uint64_t count = 0;
    const off_t offset = (off_t)(physical_address / MATRIX_PAGE_BYTES * sizeof(count));
    CLEANUP_CLOSE int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    return fd >= 0 && pread(fd, &count, sizeof(count), offset) == sizeof(count) ? count : 0;
}
