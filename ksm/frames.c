// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of page frames; see frames.h. */
#include "ksm/frames.h"

#include <stdlib.h>
#include <string.h>

static int grow(struct ksm_frames *frames, size_t wanted)
{
    const size_t doubled = 2 * frames->chunk_count;
    const size_t count = wanted > doubled ? wanted : doubled;
    struct ksm_frame **chunks = reallocarray(frames->chunks, count, sizeof(struct ksm_frame *));
    if (!chunks)
        return -1;
    memset(chunks + frames->chunk_count, 0,
           (count - frames->chunk_count) * sizeof(struct ksm_frame *));
    frames->chunks = chunks;
    frames->chunk_count = count;
    return 0;
}

struct ksm_frame *ksm_frames_make_chunk(struct ksm_frames *frames, uint64_t number)
{
    const size_t index = (size_t)(number >> KSM_FRAMES_SHIFT);
    if (number > KSM_FRAME_MAX || (index >= frames->chunk_count && grow(frames, index + 1)))
        return NULL;
    if (!frames->chunks[index])
        frames->chunks[index] = calloc(KSM_FRAMES_CHUNK, sizeof(struct ksm_frame));
    return frames->chunks[index];
}

void ksm_frames_free(struct ksm_frames *frames)
{
    for (size_t i = 0; i < frames->chunk_count; i++)
        free(frames->chunks[i]);
    free(frames->chunks);
    *frames = (struct ksm_frames){0};
}
