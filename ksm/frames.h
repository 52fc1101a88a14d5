/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of each page frame that the merge map has met: a table by frame number, in chunks
 * that are made when one of their frames is met first. Frames of a process tend to lie together, so
 * that this is nearly as small, and a good deal faster, than sorting them would be.
 */
#ifndef KSM_FRAMES_H
#define KSM_FRAMES_H

#include <stddef.h>
#include <stdint.h>

struct ksm_frame {
    uint32_t mappings; /* met so often */
    uint32_t value;    /* its owner's: 0 at first */
};

/* Frames of a chunk: 16 MiB of RAM, and 32 KiB of table. */
#define KSM_FRAMES_SHIFT 12
#define KSM_FRAMES_CHUNK ((size_t)1 << KSM_FRAMES_SHIFT)

/* No x86-64 has physical addresses of more than 52 bits. */
#define KSM_FRAME_MAX ((1ULL << 40) - 1)

struct ksm_frames {
    struct ksm_frame **chunks; /* NULL: none of its frames was met */
    size_t chunk_count;
};

/* The chunk with a frame, made if need be. NULL: no memory, or no such frame can be. */
struct ksm_frame *ksm_frames_make_chunk(struct ksm_frames *frames, uint64_t number);

/* The same as ksm_frames_make_chunk for a chunk that is there already. */
static inline struct ksm_frame *ksm_frames_chunk(const struct ksm_frames *frames, uint64_t number)
{
    return frames->chunks[number >> KSM_FRAMES_SHIFT];
}

void ksm_frames_free(struct ksm_frames *frames);

#endif
