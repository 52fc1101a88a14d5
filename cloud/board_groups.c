// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups on a board; see board_groups.h. */
#include "cloud/board_groups.h"

#include <stdio.h>

#define NO_SLOT BOARD_GROUP_SLOTS

/* Whose slot that is; id 0: the first that is free. */
static uint32_t find_slot(const struct board_groups *groups, uint64_t id)
{
    uint32_t slot = 0;
    while (slot < BOARD_GROUP_SLOTS && groups->ids[slot] != id)
        slot++;
    return slot;
}

static void write_group(struct board_memory *memory, uint32_t slot,
                        const struct policy_entity *group)
{
    const struct policy_entity *parent = policy_group(group);
    struct matrix_board_group entry = {
        .id = group->label,
        .parent = parent ? parent->label : 0,
        .weight = group->contract.weight,
        .floor_ppm = group->contract.floor_ppm,
        .ceiling_ppm = group->contract.ceiling_ppm,
        .latency_ns = group->contract.latency_ns,
    };
    snprintf(entry.name, sizeof(entry.name), "%s", group->name);
    board_memory_write_group(memory, slot, &entry);
}

/* Those around it first, whose numbers are less. */
uint64_t board_groups_show(struct board_groups *groups, struct board_memory *memory,
                           struct policy_entity *group)
{
    if (!group || group->label)
        return group ? group->label : 0;
    board_groups_show(groups, memory, policy_group(group));
    const uint32_t slot = find_slot(groups, 0);
    if (slot == NO_SLOT)
        return 0;
    group->label = groups->ids[slot] = ++groups->last_id;
    write_group(memory, slot, group);
    return group->label;
}

void board_groups_change(struct board_groups *groups, struct board_memory *memory,
                         const struct policy_entity *group)
{
    if (group->label)
        write_group(memory, find_slot(groups, group->label), group);
}

void board_groups_forget(struct board_groups *groups, struct board_memory *memory, uint64_t label)
{
    if (!label)
        return;
    const uint32_t slot = find_slot(groups, label);
    groups->ids[slot] = 0;
    board_memory_write_group(memory, slot, &(struct matrix_board_group){.id = 0});
}
