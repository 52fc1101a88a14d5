/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who else maps a frame: every process and guest that can have merged memory is looked through. Used
 * by matrix translate. */
#ifndef KSM_SHARERS_H
#define KSM_SHARERS_H

#include "ksm/subject.h"
#include <matrix/lens.h>

/* A page that is at a frame. Addresses are of the page's beginning. */
struct ksm_sharer {
    uint64_t physical_address;
    const struct ksm_subject *subject; /* of the list that was looked through */
    uint64_t gpa;                      /* hva for a plain process */
    uint64_t hva;
};

struct ksm_sharer_list {
    struct ksm_sharer *sharers;
    size_t count;
};

/*
 * Appends every page of the subjects that is at one of the frames, in the order of subjects and
 * addresses. Each page is as it was when it was looked at. Processes that end meanwhile, or may not
 * be looked at, are left out.
 *
 * frames: physical addresses of pages, in ascending order.
 */
struct matrix_error *ksm_sharers_find(const struct matrix_lens *lens,
                                      const struct ksm_subject_list *subjects,
                                      const uint64_t *frames, size_t frame_count,
                                      struct ksm_sharer_list *list) MATRIX_MUST_CHECK;

/* How many mappings the kernel knows of a frame (/proc/kpagecount); 0: that cannot be read. */
uint64_t ksm_frame_mappings(uint64_t physical_address);

#endif
