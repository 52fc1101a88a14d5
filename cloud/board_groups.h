/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Groups on a board (include/matrix/board.h): each has a slot from when one of its guests is shown first
 * until it is removed, and its board's number for it as its label. Called by board.
 */
#ifndef CLOUD_BOARD_GROUPS_H
#define CLOUD_BOARD_GROUPS_H

#include "cloud/board_memory.h"
#include "cloud/policy.h"

#define BOARD_GROUP_SLOTS 1024

struct board_groups {
    uint64_t last_id;
    uint64_t ids[BOARD_GROUP_SLOTS]; /* who has a slot; 0: nobody */
};

/* The number of that group, which is shown from now on; 0: it is NULL, or there is no slot. */
uint64_t board_groups_show(struct board_groups *groups, struct board_memory *memory,
                           struct policy_entity *group);

/* It has another contract; the one of that label was removed. Nothing happens if it is not shown. */
void board_groups_change(struct board_groups *groups, struct board_memory *memory,
                         const struct policy_entity *group);
void board_groups_forget(struct board_groups *groups, struct board_memory *memory, uint64_t label);

#endif
