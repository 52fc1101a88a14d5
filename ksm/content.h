/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stands in merged frames: read from one of the processes that map each. */
#ifndef KSM_CONTENT_H
#define KSM_CONTENT_H

#include "ksm/map.h"

#define KSM_CONTENT_FIRST 16

struct ksm_content {
    uint64_t hash; /* XXH64 of the page, seed 0; KSM itself goes by that function */
    uint8_t first[KSM_CONTENT_FIRST];
    bool is_known; /* false: the process is gone, or has unmapped it */
};

struct ksm_contents {
    struct ksm_content *items; /* by group of the map */
    uint64_t distinct;         /* of those that are known and mapped twice or more */
};

/*
 * Reads all groups of a map, some 2 us each. The memory is as it is now, which may be later than
 * the map's. EPERM: a process is another user's, and CAP_SYS_PTRACE is missing.
 */
struct matrix_error *ksm_contents_read(const struct ksm_map *map,
                                       struct ksm_contents *contents) MATRIX_MUST_CHECK;
void ksm_contents_free(struct ksm_contents *contents);

#endif
