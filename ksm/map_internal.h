/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The steps of a merge map, as map.c takes them: map_read.c fills the pages and says what the
 * frames are, map_build.c reckons. Tests take the second alone, with pages that they make up.
 */
#ifndef KSM_MAP_INTERNAL_H
#define KSM_MAP_INTERNAL_H

#include "ksm/frames.h"
#include "ksm/map.h"

/* The state of a page whose frame is known, and not yet what that is. */
#define KSM_PRESENT KSM_STATES

/* What a frame is, in the table of frames. */
enum frame_kind {
    FRAME_UNKNOWN,
    FRAME_ANONYMOUS,
    FRAME_MERGED,
    FRAME_ZERO,
    FRAME_HUGE,
    FRAME_OTHER,
};

/* 8 TiB: the number of a page, and how many there are, fits in 32 bits. */
#define MAP_PAGES_MAX (1ULL << 31)

struct map_work {
    struct ksm_map *map;
    struct ksm_frames frames;
    const struct ksm_subject *reading; /* whose pages are being read; NULL: all are */
};

static inline uint64_t map_page(enum ksm_state state, uint64_t frame)
{
    return (uint64_t)state << KSM_PAGE_STATE_SHIFT | frame;
}

/* --- map_build.c ------------------------------------------------------------------------------ */

/* A map with room for all pages of the list, none of them touched. */
struct matrix_error *map_create(const struct ksm_subject_list *list,
                                struct ksm_map **map) MATRIX_MUST_CHECK;

/* Enters the frames of pages that are KSM_PRESENT; 0 or ENOMEM. */
int map_enter_frames(struct map_work *work, const uint64_t *pages, size_t count);

/* Once each frame's kind is known: the groups, with their places. map->rule is set. */
struct matrix_error *map_make_groups(struct map_work *work) MATRIX_MUST_CHECK;

/* And at last, with each group's outside set: what is left of states and counts, and the pairs. */
void map_settle(struct ksm_map *map);

/* --- map_read.c ------------------------------------------------------------------------------- */

/* Entries of /proc/PID/pagemap to pages, in place. Pure. */
void map_from_pagemap(uint64_t *entries, size_t count);

/* The same of MATRIX_PAGE_*, whose frames' kinds are entered at once; 0 or ENOMEM. */
int map_from_lens(struct map_work *work, uint64_t *entries, size_t count);

/* What a frame is by its /proc/kpageflags. Pure. */
enum frame_kind map_kind(uint64_t flags, enum ksm_rule rule);

/* The pages of all subjects; by the module with what their frames are. */
struct matrix_error *map_read_pages(struct map_work *work,
                                    const struct matrix_lens *lens) MATRIX_MUST_CHECK;

/* What the frames are that nobody has told of yet. */
struct matrix_error *map_read_kinds(struct map_work *work) MATRIX_MUST_CHECK;

/* How often each group is mapped outside; where the kernel does not tell: not at all. */
void map_read_outside(struct ksm_map *map);

/* Whether KPF_KSM can be believed, tried on a page of our own. EPERM, ENOSYS. */
struct matrix_error *map_find_rule(enum ksm_rule *rule) MATRIX_MUST_CHECK;

#endif
