/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The merge map: which page of which process or guest is merged with which others, exact, from the
 * frame behind each page and the kernel's word on each frame. Made for `matrix ksm map`.
 *
 * It is a snapshot in two looks: first at the page tables, one subject after the other, then at the
 * frames. What is merged or written to in between is told as it was at one or the other. A page
 * that KSM merges stays the same frame until it is written to, so that a map of memory at rest is
 * exact; ksm_map_compare tells how much was not at rest.
 */
#ifndef KSM_MAP_H
#define KSM_MAP_H

#include "ksm/subject.h"
#include <matrix/error.h>
#include <matrix/lens.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ksm_state {
    KSM_UNTOUCHED, /* nothing behind it: never written to, or given back */
    KSM_PRIVATE,   /* a frame of its own; also one that was merged and has one mapping left */
    KSM_WITHIN,    /* merged, with pages of the same subject only */
    KSM_SHARED,    /* merged, with pages of others too */
    KSM_ZERO,      /* the kernel's page of zeros, small or huge */
    KSM_SWAPPED,   /* in swap, or about to be moved */
    KSM_HUGE,      /* a frame of its own, part of a larger page: KSM has to split that first */
    KSM_OTHER,     /* of a file, shared memory, or no page of the kernel's: never merged */
    KSM_STATES,
};

/* "merged with others" for people, "shared" for JSON; constants. */
const char *ksm_state_text(enum ksm_state state);
const char *ksm_state_name(enum ksm_state state);

/* How is known that a frame was merged. */
enum ksm_rule {
    KSM_BY_FLAG,   /* KPF_KSM of /proc/kpageflags */
    KSM_BY_MODULE, /* the kernel module matrix_lens */
    /*
     * By the number of mappings: this kernel sets KPF_KSM on every anonymous page (Linux 6.12 does).
     * What parent and child share since a fork cannot be told from what was merged then, and
     * nothing is known of mappings outside this map.
     */
    KSM_BY_MAPPINGS,
};

/* Where a frame is mapped: page is counted over the subject's regions, in their order. */
struct ksm_place {
    uint32_t subject;
    uint32_t page;
};

/* A merged frame, and all places of this map where it is: in order of subject and page. */
struct ksm_group {
    uint64_t frame;
    size_t first_place; /* in places of the map */
    uint32_t mappings;  /* places; 1 or more */
    uint32_t outside;   /* mappings that this map does not have */
};

struct ksm_counts {
    uint64_t pages[KSM_STATES];
    uint64_t alone;     /* of KSM_PRIVATE: merged once, and the others were written to since */
    uint64_t outside;   /* of KSM_SHARED: only with what this map does not have */
    double saved_bytes; /* this subject's part of what is saved: frames' costs split evenly */
};

struct ksm_map {
    const struct ksm_subject_list *list; /* the caller's, who keeps it */
    enum ksm_rule rule;
    uint64_t duration_ns; /* from the first look to the last */

    uint64_t **pages;          /* by subject, then page: see ksm_page_frame */
    struct ksm_counts *counts; /* by subject */
    uint64_t *pairs;  /* [a * subjects + b]: frames that both map; a == b: more than once */
    uint64_t *within; /* by subject: pages that it would need more if nothing in it was merged */

    struct ksm_group *groups; /* in order of frame */
    size_t group_count;
    struct ksm_place *places;

    uint64_t *page_memory; /* all pages */
    size_t page_memory_bytes;

    /* Of merged frames that are mapped more than once: in this map, or also outside. */
    uint64_t frames, mappings;
    uint64_t saved_bytes; /* (mappings - frames) pages, by mappings of this map alone */
};

#define KSM_PAGE_FRAME_MASK  ((1ULL << 52) - 1)
#define KSM_PAGE_STATE_SHIFT 56

/* A page in ksm_map.pages: its frame, 0 if it has none, and its state. */
static inline uint64_t ksm_page_frame(uint64_t page)
{
    return page & KSM_PAGE_FRAME_MASK;
}

static inline enum ksm_state ksm_page_state(uint64_t page)
{
    return (enum ksm_state)(page >> KSM_PAGE_STATE_SHIFT);
}

/*
 * Takes the map of a list of subjects. lens: the module if it can be used, else /proc is read in
 * large pieces, by up to four threads (base/crew.h). Costs 9 bytes of memory a page, up to 40 more for
 * one that is merged.
 *
 * EPERM without CAP_SYS_ADMIN, or where a process is another user's and CAP_SYS_PTRACE is missing;
 * ENOSYS: no pagemap or kpageflags in this kernel; EFBIG: more than 8 TiB. Who has ended meanwhile is
 * taken out of the list, and *map is NULL where nobody is left; or, if it is required: ESRCH.
 */
struct matrix_error *ksm_map_take(const struct matrix_lens *lens, struct ksm_subject_list *list,
                                  struct ksm_map **map) MATRIX_MUST_CHECK;

/* NULL is allowed. */
void ksm_map_free(struct ksm_map *map);

/* The group that a page is in, or NULL if it was not merged. */
const struct ksm_group *ksm_map_group(const struct ksm_map *map, size_t subject, uint64_t page);

/* The guest-physical address of a page, and where it is in the process. */
uint64_t ksm_map_gpa(const struct ksm_map *map, struct ksm_place place);
uint64_t ksm_map_hva(const struct ksm_map *map, struct ksm_place place);

/* Indices of the groups with the most mappings, most first; of equals the lower frame. Returns how
 * many there are: at most count, and none with a single mapping. */
size_t ksm_map_top(const struct ksm_map *map, size_t *groups, size_t count);

/* What differs for a subject between two maps of the same list. */
struct ksm_difference {
    uint64_t moved[KSM_STATES][KSM_STATES]; /* pages: state before, after; [s][s]: frame only */
    uint64_t total;
};

void ksm_map_compare(const struct ksm_map *before, const struct ksm_map *after, size_t subject,
                     struct ksm_difference *difference);

#endif
