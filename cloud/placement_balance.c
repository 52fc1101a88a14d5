// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is moved: towards balance, or to make room for a floor. placement.h says when it comes to an end. */
#include "base/error.h"
#include "cloud/placement_books.h"
#include <errno.h>
#include <stdlib.h>

#define SHARES(cores) ((uint64_t)((cores) * (double)PLACEMENT_CORE))

/* A smoothing over some four intervals: a burst is no reason to move. */
#define OLD_PARTS 3
#define ALL_PARTS 4

void placement_observe(struct placement *placement, struct placement_item *item,
                       uint32_t activity_ppm)
{
    const uint64_t sum = (uint64_t)item->activity * OLD_PARTS + activity_ppm + ALL_PARTS - 1;
    uint32_t activity = (uint32_t)(sum / ALL_PARTS);
    /* Rounding up must not keep it from falling; it is not 0, so that it is always worth something. */
    if (activity == item->activity && activity_ppm < activity && activity > 1)
        activity--;
    activity = activity > PLACEMENT_MILLION ? PLACEMENT_MILLION : activity;
    level_set_activity(placement, item, activity < 1 ? 1 : activity);
}

/* --- balance -------------------------------------------------------------------------------------- */

/* One attempt to balance: cores in the order of their loads, the least first. */
struct order {
    unsigned core;
    uint64_t load;
};

static int by_load(const void *a, const void *b)
{
    const struct order *first = a, *second = b;
    if (first->load != second->load)
        return first->load < second->load ? -1 : 1;
    return first->core < second->core ? -1 : first->core > second->core;
}

static void sort(const struct placement *placement, struct order *order)
{
    for (unsigned k = 0; k < placement->core_count; k++)
        order[k] = (struct order){k, level_load(placement, k)};
    qsort(order, placement->core_count, sizeof(*order), by_load);
}

/* The least loaded core where it would help that the item comes from one of such a load. How far from
 * halving the difference that would be goes to *rest. PLACEMENT_NOWHERE: there is none. */
static unsigned find_place(const struct placement *placement, const struct placement_item *item,
                           const struct order *order, uint64_t load, uint64_t *rest)
{
    const uint64_t share = level_share(placement, item);
    if (item->contract.pinned || item->held || share < SHARES(PLACEMENT_LEAST))
        return PLACEMENT_NOWHERE;
    for (; order->load + share + SHARES(PLACEMENT_HYSTERESIS) < load; order++) {
        if (!placement_has_room(placement, order->core, item->contract.floor_ppm))
            continue;
        const uint64_t difference = load - order->load;
        *rest = difference > 2 * share ? difference - 2 * share : 2 * share - difference;
        return order->core;
    }
    return PLACEMENT_NOWHERE;
}

/* The move away from that core which halves the difference best. */
static bool find_from(const struct placement *placement, const struct order *order,
                      const struct order *from, struct placement_move *move)
{
    uint64_t least = UINT64_MAX;
    struct placement_item *item = placement->cores[from->core].items;
    for (; item; item = item->next) {
        uint64_t rest;
        const unsigned to = find_place(placement, item, order, from->load, &rest);
        if (to == PLACEMENT_NOWHERE || rest >= least)
            continue;
        least = rest;
        *move = (struct placement_move){item, from->core, to};
    }
    return least != UINT64_MAX;
}

/* From the most loaded core from where one is possible. */
static bool find_move(const struct placement *placement, const struct order *order,
                      struct placement_move *move)
{
    for (unsigned k = placement->core_count; k-- > 0;) {
        if (order[k].load <= order[0].load + SHARES(PLACEMENT_HYSTERESIS))
            return false;
        if (find_from(placement, order, &order[k], move))
            return true;
    }
    return false;
}

size_t placement_balance(struct placement *placement, struct placement_move *moves, size_t max)
{
    size_t count = 0;
    struct order *order = calloc(placement->core_count, sizeof(*order));
    if (!order)
        return 0; /* better luck at the next interval */
    for (; count < max; count++) {
        sort(placement, order);
        if (!find_move(placement, order, &moves[count]))
            break;
        placement_put(placement, moves[count].item, moves[count].to);
        moves[count].item->held = true;
    }
    free(order);
    for (size_t i = 0; i < count; i++)
        moves[i].item->held = false;
    return count;
}

/* --- room for a floor ------------------------------------------------------------------------------- */

/* What that floor lacks on a core. */
static uint64_t lack(const struct placement *placement, unsigned core, uint32_t floor_ppm)
{
    const uint64_t sum = placement->cores[core].floors + floor_ppm;
    return sum > PLACEMENT_MILLION ? sum - PLACEMENT_MILLION : 0;
}

/* Where the floor of somebody who leaves that core fits best. */
static unsigned find_room(const struct placement *placement, const struct placement_item *item)
{
    unsigned best = PLACEMENT_NOWHERE;
    for (unsigned k = 0; k < placement->core_count; k++) {
        if (k == item->core || !placement_has_room(placement, k, item->contract.floor_ppm))
            continue;
        if (best == PLACEMENT_NOWHERE || placement->cores[k].floors > placement->cores[best].floors)
            best = k;
    }
    return best;
}

/* Who should leave a core that lacks so much: the smallest floor that is enough, else the largest. */
static bool find_leaver(const struct placement *placement, unsigned core, uint64_t lacking,
                        struct placement_move *move)
{
    *move = (struct placement_move){.from = core};
    for (struct placement_item *item = placement->cores[core].items; item; item = item->next) {
        const uint32_t floor = item->contract.floor_ppm;
        const uint32_t best = move->item ? move->item->contract.floor_ppm : 0;
        const bool is_better = best >= lacking ? floor >= lacking && floor < best : floor > best;
        if (item->contract.pinned || item->held || !is_better)
            continue;
        const unsigned to = find_room(placement, item);
        if (to == PLACEMENT_NOWHERE)
            continue;
        move->item = item;
        move->to = to;
    }
    return move->item != NULL;
}

/* Takes guests off that core until the floor fits; false, and nothing has changed, if it can't be. */
static bool clear(struct placement *placement, unsigned core, uint32_t floor_ppm,
                  struct placement_move *moves, size_t max, size_t *count)
{
    for (*count = 0;; ++*count) {
        const uint64_t lacking = lack(placement, core, floor_ppm);
        if (!lacking)
            return true;
        if (*count == max || !find_leaver(placement, core, lacking, &moves[*count]))
            break;
        placement_put(placement, moves[*count].item, moves[*count].to);
    }
    while (*count) {
        const struct placement_move *move = &moves[--*count];
        placement_put(placement, move->item, move->from);
    }
    return false;
}

struct matrix_error *placement_make_room(struct placement *placement, const char *name,
                                         const struct placement_contract *contract,
                                         struct placement_move *moves, size_t max, size_t *count)
{
    *count = 0;
    RETURN_IF_ERROR(placement_check(placement, name, contract));
    const unsigned first = contract->pinned ? contract->core : 0;
    const unsigned end = contract->pinned ? contract->core + 1 : placement->core_count;
    struct order *order = calloc(placement->core_count, sizeof(*order));
    if (!order)
        return error_host(ENOMEM, "find room for %s", name);
    /* Where least is lacking first. */
    for (unsigned k = first; k < end; k++)
        order[k] = (struct order){k, lack(placement, k, contract->floor_ppm)};
    qsort(&order[first], end - first, sizeof(*order), by_load);
    bool found = false;
    for (unsigned k = first; k < end && !found; k++)
        found = clear(placement, order[k].core, contract->floor_ppm, moves, max, count);
    free(order);
    return found ? NULL : placement_refuse(placement, name, contract);
}
