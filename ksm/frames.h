/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of each page frame that the merge map has met: a table with a byte for each frame of
 * the machine, 0.02 % of its memory, of which only what was met is touched. And how that and other
 * large things are allocated: in huge pages, for on many machines the first touch of a page costs
 * more than all that is done with what is in it.
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

/* The table is gone through in chunks, of 16 MiB of RAM, and those that nobody touched left out. */
#define KSM_FRAMES_SHIFT 12
#define KSM_FRAMES_CHUNK ((size_t)1 << KSM_FRAMES_SHIFT)

/* No x86-64 has physical addresses of more than 52 bits. */
#define KSM_FRAME_MAX ((1ULL << 40) - 1)

/* Of 64 frames: which were chosen, and how many before them. */
struct ksm_rank {
    uint64_t chosen;
    uint64_t before;
};

struct ksm_frames {
    uint8_t *table;   /* by frame */
    uint8_t *touched; /* by chunk */
    struct ksm_rank *ranks;
    uint64_t capacity; /* frames; a multiple of KSM_FRAMES_CHUNK */
};

/* Zero-filled memory for large things, NULL without. What is NULL is freed by doing nothing. */
void *ksm_memory_make(size_t bytes);
void ksm_memory_free(void *memory, size_t bytes);

/* Makes room in the table; false without memory, or if no such frame can be. */
bool ksm_frames_make_room(struct ksm_frames *frames, uint64_t number);

/* A frame's byte, which will be changed; NULL as above. */
static inline uint8_t *ksm_frame_touch(struct ksm_frames *frames, uint64_t number)
{
    if (number >= frames->capacity && !ksm_frames_make_room(frames, number))
        return NULL;
    frames->touched[number >> KSM_FRAMES_SHIFT] = 1;
    return &frames->table[number];
}

/* Notes that a frame was met once more. */
static inline void ksm_frame_meet(uint8_t *frame)
{
    *frame += *frame < KSM_FRAME_TWICE ? KSM_FRAME_ONCE : 0;
}

/* In a chunk, the index of the next frame that is known, from one on; KSM_FRAMES_CHUNK: none. */
static inline size_t ksm_frames_next(const uint8_t *chunk, size_t index)
{
    for (; index < KSM_FRAMES_CHUNK; index++) {
        uint64_t eight;
        /* Most are not. */
        while (index % 8 == 0 && index < KSM_FRAMES_CHUNK) {
            memcpy(&eight, &chunk[index], sizeof(eight));
            if (eight)
                break;
            index += 8;
        }
        if (index < KSM_FRAMES_CHUNK && chunk[index])
            break;
    }
    return index < KSM_FRAMES_CHUNK ? index : KSM_FRAMES_CHUNK;
}

/*
 * Chooses the frames that were met and of which is_chosen says so, and numbers them in order from 0
 * on; their kind becomes the one given. Once only. Returns 0 or ENOMEM.
 */
int ksm_frames_choose(struct ksm_frames *frames, bool (*is_chosen)(uint8_t frame, int argument),
                      int argument, uint8_t kind, size_t *count);

/* The number of a chosen frame. */
static inline size_t ksm_frame_chosen(const struct ksm_frames *frames, uint64_t number)
{
    const struct ksm_rank *rank = &frames->ranks[number / 64];
    const uint64_t below = ((uint64_t)1 << number % 64) - 1;
    return (size_t)(rank->before + (uint64_t)__builtin_popcountll(rank->chosen & below));
}

void ksm_frames_free(struct ksm_frames *frames);

#endif
