/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside the placement: who is where, and the machine's lambda. For cloud/placement*.c only. */
#ifndef CLOUD_PLACEMENT_BOOKS_H
#define CLOUD_PLACEMENT_BOOKS_H

#include "cloud/placement.h"

#define PLACEMENT_MILLION 1000000
/* Shares are counted in parts per million of a core, times parts per million of the time. */
#define PLACEMENT_CORE    ((uint64_t)PLACEMENT_MILLION * PLACEMENT_MILLION)
#define PLACEMENT_NOWHERE UINT32_MAX

/* What some items want: those at a floor or ceiling that much, the others by weight. */
struct placement_sums {
    uint64_t bound;  /* in shares */
    uint64_t weight; /* times parts per million of the time */
};

struct placement_core {
    struct placement_item *items; /* the last one that came */
    uint64_t floors;              /* of all, in parts per million, whether they can run or not */
    struct placement_sums sums;
};

struct placement {
    struct placement_core *cores;
    unsigned core_count;
    size_t item_count;
    struct placement_sums sums; /* of all */
    /* Who is the next to change sides when lambda falls or rises. */
    struct heap free_floor, free_ceiling, at_floor, at_ceiling;
};

/* --- placement_level.c: what share each would have ideally ------------------------------------------ */

void level_init(struct placement *placement);
void level_release(struct placement *placement);
struct matrix_error *level_reserve(struct placement *placement, size_t count);

/* The item takes part in the ideal, and no more; wherever it is. */
void level_enter(struct placement *placement, struct placement_item *item);
void level_leave(struct placement *placement, struct placement_item *item);
void level_set_activity(struct placement *placement, struct placement_item *item, uint32_t ppm);

/* It counts for that core, and no more. */
void level_count(struct placement_sums *sums, const struct placement_item *item);
void level_discount(struct placement_sums *sums, const struct placement_item *item);

uint64_t level_share(const struct placement *placement, const struct placement_item *item);
uint64_t level_load(const struct placement *placement, unsigned core);

/* --- placement.c ---------------------------------------------------------------------------------------- */

struct matrix_error *placement_check(const struct placement *placement, const char *name,
                                     const struct placement_contract *contract);
bool placement_has_room(const struct placement *placement, unsigned core, uint32_t floor_ppm);
struct matrix_error *placement_refuse(const struct placement *placement, const char *name,
                                      const struct placement_contract *contract);

#endif
