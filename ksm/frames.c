// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of page frames; see frames.h. */
#include "ksm/frames.h"

#include <stdlib.h>
#include <string.h>

static int grow(struct ksm_frames *frames, size_t wanted)
{
    const size_t doubled = 2 * frames->chunk_count;
    const size_t count = wanted > doubled ? wanted : doubled;
    struct ksm_frames_chunk **chunks =
        reallocarray(frames->chunks, count, sizeof(struct ksm_frames_chunk *));
    if (!chunks)
        return -1;
    memset(chunks + frames->chunk_count, 0,
           (count - frames->chunk_count) * sizeof(struct ksm_frames_chunk *));
    frames->chunks = chunks;
    frames->chunk_count = count;
    return 0;
}

struct ksm_frames_chunk *ksm_frames_make_chunk(struct ksm_frames *frames, uint64_t number)
{
    const size_t index = (size_t)(number >> KSM_FRAMES_SHIFT);
    if (number > KSM_FRAME_MAX || (index >= frames->chunk_count && grow(frames, index + 1)))
        return NULL;
    if (!frames->chunks[index])
        frames->chunks[index] = calloc(1, sizeof(struct ksm_frames_chunk));
    return frames->chunks[index];
}

size_t ksm_frames_choose(struct ksm_frames *frames, bool (*is_chosen)(uint8_t frame, int argument),
                         int argument, uint8_t kind)
{
    size_t count = 0;
    for (size_t i = 0; i < frames->chunk_count; i++) {
        struct ksm_frames_chunk *chunk = frames->chunks[i];
        if (!chunk)
            continue;
        chunk->first_chosen = (uint32_t)count;
        for (size_t j = ksm_frames_next(chunk, 0); j < KSM_FRAMES_CHUNK;
             j = ksm_frames_next(chunk, j + 1)) {
            uint8_t *frame = &chunk->frames[j];
            if (!(*frame & KSM_FRAME_MET) || !is_chosen(*frame, argument))
                continue;
            *frame = (uint8_t)((*frame & KSM_FRAME_MET) | kind);
            chunk->chosen[j / 64] |= (uint64_t)1 << j % 64;
            count++;
        }
        for (size_t j = 1; j < KSM_FRAMES_CHUNK / 64; j++)
            chunk->before[j] =
                (uint16_t)(chunk->before[j - 1] + __builtin_popcountll(chunk->chosen[j - 1]));
    }
    return count;
}

void ksm_frames_free(struct ksm_frames *frames)
{
    for (size_t i = 0; i < frames->chunk_count; i++)
        free(frames->chunks[i]);
    free(frames->chunks);
    *frames = (struct ksm_frames){0};
}
