/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of each page frame that the merge map has met: a byte by frame number, in chunks
 * that are made when one of their frames is met first. Frames of a process lie near each other, so
 * that this is smaller than a list of them, and nothing has to be sorted. It is small because on
 * many machines the first touch of a page costs more than all that is done with what is in it.
 */
#ifndef KSM_FRAMES_H
#define KSM_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A frame's byte: its owner's number for what it is, 0 at first; and whether it was met. */
#define KSM_FRAME_KIND  0x0f
#define KSM_FRAME_ONCE  0x10
#define KSM_FRAME_TWICE 0x20 /* or more often */
#define KSM_FRAME_MET   0x30

/* 16 MiB of RAM. */
#define KSM_FRAMES_SHIFT 12
#define KSM_FRAMES_CHUNK ((size_t)1 << KSM_FRAMES_SHIFT)

/* No x86-64 has physical addresses of more than 52 bits. */
#define KSM_FRAME_MAX ((1ULL << 40) - 1)

struct ksm_frames_chunk {
    uint8_t frames[KSM_FRAMES_CHUNK];
    uint32_t first_chosen;                  /* how many were chosen in the chunks before */
    uint16_t before[KSM_FRAMES_CHUNK / 64]; /* and in this one before these 64 */
    uint64_t chosen[KSM_FRAMES_CHUNK / 64]; /* a bit for each */
};

struct ksm_frames {
    struct ksm_frames_chunk **chunks; /* NULL: none of its frames was met */
    size_t chunk_count;
};

/* The chunk with a frame, made if need be. NULL: no memory, or no such frame can be. */
struct ksm_frames_chunk *ksm_frames_make_chunk(struct ksm_frames *frames, uint64_t number);

/* The same for a chunk that is there. */
static inline struct ksm_frames_chunk *ksm_frames_chunk(const struct ksm_frames *frames,
                                                        uint64_t number)
{
    return frames->chunks[number >> KSM_FRAMES_SHIFT];
}

static inline uint8_t *ksm_frame_in(struct ksm_frames_chunk *chunk, uint64_t number)
{
    return &chunk->frames[number % KSM_FRAMES_CHUNK];
}

/* Notes that a frame was met once more. */
static inline void ksm_frame_meet(uint8_t *frame)
{
    *frame += *frame < KSM_FRAME_TWICE ? KSM_FRAME_ONCE : 0;
}

/* The index in a chunk of the next frame that was met, from one on; KSM_FRAMES_CHUNK: none. */
static inline size_t ksm_frames_next(const struct ksm_frames_chunk *chunk, size_t index)
{
    for (; index < KSM_FRAMES_CHUNK; index++) {
        uint64_t eight;
        /* Most were not. */
        while (index % 8 == 0 && index < KSM_FRAMES_CHUNK) {
            memcpy(&eight, &chunk->frames[index], sizeof(eight));
            if (eight)
                break;
            index += 8;
        }
        if (index < KSM_FRAMES_CHUNK && chunk->frames[index])
            break;
    }
    return index < KSM_FRAMES_CHUNK ? index : KSM_FRAMES_CHUNK;
}

/*
 * Chooses the frames that were met and of which is_chosen says so, and numbers them in order from 0
 * on; their kind becomes the one given. Returns how many.
 */
size_t ksm_frames_choose(struct ksm_frames *frames, bool (*is_chosen)(uint8_t frame, int argument),
                         int argument, uint8_t kind);

/* The number of a chosen frame. */
static inline size_t ksm_frame_chosen(const struct ksm_frames_chunk *chunk, uint64_t number)
{
    const size_t index = number % KSM_FRAMES_CHUNK;
    const uint64_t below = ((uint64_t)1 << index % 64) - 1;
    return (size_t)chunk->first_chosen + chunk->before[index / 64] +
           (size_t)__builtin_popcountll(chunk->chosen[index / 64] & below);
}

void ksm_frames_free(struct ksm_frames *frames);

#endif
