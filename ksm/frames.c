// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of page frames; see frames.h. */
#include "ksm/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

/* The table at first: for 16 GiB of RAM. It grows to what is there. */
#define FIRST_CAPACITY (1ULL << 22)
#define HUGE_PAGE      ((size_t)2 << 20)

/* A whole number of huge pages, so that the kernel puts it where they fit. */
static size_t whole(size_t bytes)
{
    return (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

void *ksm_memory_make(size_t bytes)
{
    if (bytes > SIZE_MAX / 2)
        return NULL;
    const size_t size = whole(bytes ? bytes : 1);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    madvise(memory, size, MADV_HUGEPAGE); /* or do without */
    return memory;
}

void ksm_memory_free(void *memory, size_t bytes)
{
    if (memory)
        munmap(memory, whole(bytes ? bytes : 1));
}

bool ksm_frames_make_room(struct ksm_frames *frames, uint64_t number)
{
    uint64_t capacity = frames->capacity ? frames->capacity : FIRST_CAPACITY;
    if (number > KSM_FRAME_MAX)
        return false;
    while (capacity <= number)
        capacity *= 2;
    uint8_t *table = frames->table ? mremap(frames->table, whole(frames->capacity), whole(capacity),
                                            MREMAP_MAYMOVE)
                                   : ksm_memory_make(capacity);
    if (!table || table == MAP_FAILED)
        return false;
    frames->table = table;
    uint8_t *touched = realloc(frames->touched, (size_t)(capacity >> KSM_FRAMES_SHIFT) + 1);
    if (!touched) {
        /* The table is as long as capacity says. */
        frames->table = mremap(table, whole(capacity), whole(frames->capacity), 0);
        return false;
    }
    memset(touched + (frames->capacity >> KSM_FRAMES_SHIFT), 0,
           (capacity - frames->capacity) >> KSM_FRAMES_SHIFT);
    frames->touched = touched;
    frames->capacity = capacity;
    return true;
}

static size_t choose(struct ksm_frames *frames, uint64_t first,
                     bool (*is_chosen)(uint8_t frame, int argument), int argument, uint8_t kind,
                     size_t before)
{
    uint8_t *chunk = &frames->table[first];
    struct ksm_rank *ranks = &frames->ranks[first / 64];
    for (size_t i = ksm_frames_next(chunk, 0); i < KSM_FRAMES_CHUNK;
         i = ksm_frames_next(chunk, i + 1)) {
        if (!(chunk[i] & KSM_FRAME_MET) || !is_chosen(chunk[i], argument))
            continue;
        chunk[i] = (uint8_t)((chunk[i] & KSM_FRAME_MET) | kind);
        ranks[i / 64].chosen |= (uint64_t)1 << i % 64;
    }
    for (size_t i = 0; i < KSM_FRAMES_CHUNK / 64; i++) {
        ranks[i].before = before;
        before += (size_t)__builtin_popcountll(ranks[i].chosen);
    }
    return before;
}

int ksm_frames_choose(struct ksm_frames *frames, bool (*is_chosen)(uint8_t frame, int argument),
                      int argument, uint8_t kind, size_t *count)
{
    *count = 0;
    frames->ranks = ksm_memory_make((size_t)(frames->capacity / 64) * sizeof(struct ksm_rank));
    if (!frames->ranks)
        return ENOMEM;
    for (uint64_t i = 0; i < frames->capacity >> KSM_FRAMES_SHIFT; i++)
        if (frames->touched[i])
            *count = choose(frames, i << KSM_FRAMES_SHIFT, is_chosen, argument, kind, *count);
    return 0;
}

void ksm_frames_free(struct ksm_frames *frames)
{
    ksm_memory_free(frames->table, frames->capacity);
    ksm_memory_free(frames->ranks, (size_t)(frames->capacity / 64) * sizeof(struct ksm_rank));
    free(frames->touched);
    *frames = (struct ksm_frames){0};
}
