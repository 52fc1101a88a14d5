// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What share of the machine the ideal gives to each item, and what that makes for each core:
 *     share = activity * clamp(weight * lambda, floor, ceiling), with the lambda for which they add up.
 * It is the arithmetic of policy_rates.c, for M cores in place of one: with those at a floor or ceiling
 * set apart, lambda is what is left over the weight of the free, and those that change sides when it falls
 * or rises come in the order of limit / weight, from heaps. As every item has a ceiling, one core
 * at most, all can be at theirs; then there is more than anybody can use. Activity does not change that
 * order, only what somebody counts for.
 */
#include "cloud/placement_books.h"

typedef __int128 wide_t;

static struct placement_item *low_item(const struct heap_node *node)
{
    return node ? HEAP_ENTRY(node, struct placement_item, low) : NULL;
}

static struct placement_item *high_item(const struct heap_node *node)
{
    return node ? HEAP_ENTRY(node, struct placement_item, high) : NULL;
}

static uint32_t ceiling(const struct placement_item *item)
{
    return item->contract.ceiling_ppm ? item->contract.ceiling_ppm : PLACEMENT_MILLION;
}

/* Compares limit / weight of two items. */
static bool is_less(uint32_t first_limit, const struct placement_item *first, uint32_t second_limit,
                    const struct placement_item *second)
{
    return (uint64_t)first_limit * second->contract.weight <
           (uint64_t)second_limit * first->contract.weight;
}

static bool floor_below(const struct heap_node *a, const struct heap_node *b)
{
    const struct placement_item *first = low_item(a), *second = low_item(b);
    return is_less(first->contract.floor_ppm, first, second->contract.floor_ppm, second);
}

static bool floor_above(const struct heap_node *a, const struct heap_node *b)
{
    return floor_below(b, a);
}

static bool ceiling_below(const struct heap_node *a, const struct heap_node *b)
{
    const struct placement_item *first = high_item(a), *second = high_item(b);
    return is_less(ceiling(first), first, ceiling(second), second);
}

static bool ceiling_above(const struct heap_node *a, const struct heap_node *b)
{
    return ceiling_below(b, a);
}

void level_init(struct placement *placement)
{
    heap_init(&placement->free_floor, floor_above);
    heap_init(&placement->at_floor, floor_below);
    heap_init(&placement->free_ceiling, ceiling_below);
    heap_init(&placement->at_ceiling, ceiling_above);
}

void level_release(struct placement *placement)
{
    heap_release(&placement->free_floor);
    heap_release(&placement->at_floor);
    heap_release(&placement->free_ceiling);
    heap_release(&placement->at_ceiling);
}

struct matrix_error *level_reserve(struct placement *placement, size_t count)
{
    struct matrix_error *error = heap_reserve(&placement->free_floor, count);
    error = error ? error : heap_reserve(&placement->at_floor, count);
    error = error ? error : heap_reserve(&placement->free_ceiling, count);
    return error ? error : heap_reserve(&placement->at_ceiling, count);
}

/* --- sums --------------------------------------------------------------------------------------- */

/* What it counts for, on the side where it is. */
static struct placement_sums wants(const struct placement_item *item)
{
    const uint64_t activity = item->activity;
    switch (item->bound) {
    case PLACEMENT_AT_FLOOR:
        return (struct placement_sums){.bound = activity * item->contract.floor_ppm};
    case PLACEMENT_AT_CEILING:
        return (struct placement_sums){.bound = activity * ceiling(item)};
    default:
        return (struct placement_sums){.weight = activity * item->contract.weight};
    }
}

void level_count(struct placement_sums *sums, const struct placement_item *item)
{
    const struct placement_sums more = wants(item);
    sums->bound += more.bound;
    sums->weight += more.weight;
}

void level_discount(struct placement_sums *sums, const struct placement_item *item)
{
    const struct placement_sums less = wants(item);
    sums->bound -= less.bound;
    sums->weight -= less.weight;
}

static void count_everywhere(struct placement *placement, const struct placement_item *item)
{
    level_count(&placement->sums, item);
    if (item->core != PLACEMENT_NOWHERE)
        level_count(&placement->cores[item->core].sums, item);
}

static void discount_everywhere(struct placement *placement, const struct placement_item *item)
{
    level_discount(&placement->sums, item);
    if (item->core != PLACEMENT_NOWHERE)
        level_discount(&placement->cores[item->core].sums, item);
}

/* --- sides -------------------------------------------------------------------------------------- */

/* What is left to those that are free. */
static int64_t left(const struct placement *placement)
{
    return (int64_t)(placement->core_count * PLACEMENT_CORE) - (int64_t)placement->sums.bound;
}

/* limit / weight compared with lambda: negative, 0 or positive. */
static int against_lambda(const struct placement *placement, uint32_t limit, uint32_t weight)
{
    const int64_t rest = left(placement);
    if (!placement->sums.weight) /* nobody to take what is left: lambda is without bounds */
        return rest > 0 ? -1 : rest < 0;
    const wide_t ours = (wide_t)limit * placement->sums.weight;
    const wide_t lambda = (wide_t)rest * weight;
    return ours < lambda ? -1 : ours > lambda;
}

static void put(struct placement *placement, struct placement_item *item,
                enum placement_bound bound)
{
    item->bound = bound;
    if (item->contract.floor_ppm && bound != PLACEMENT_AT_CEILING)
        heap_insert_reserved(
            bound == PLACEMENT_FREE ? &placement->free_floor : &placement->at_floor, &item->low);
    if (bound != PLACEMENT_AT_FLOOR)
        heap_insert_reserved(bound == PLACEMENT_FREE ? &placement->free_ceiling
                                                     : &placement->at_ceiling,
                             &item->high);
    count_everywhere(placement, item);
}

static void take(struct placement *placement, struct placement_item *item)
{
    const enum placement_bound bound = item->bound;
    discount_everywhere(placement, item);
    if (item->contract.floor_ppm && bound != PLACEMENT_AT_CEILING)
        heap_remove(bound == PLACEMENT_FREE ? &placement->free_floor : &placement->at_floor,
                    &item->low);
    if (bound != PLACEMENT_AT_FLOOR)
        heap_remove(bound == PLACEMENT_FREE ? &placement->free_ceiling : &placement->at_ceiling,
                    &item->high);
}

static void cross(struct placement *placement, struct placement_item *item,
                  enum placement_bound bound)
{
    take(placement, item);
    put(placement, item, bound);
}

/* Of the two that lambda has passed (NULL: it has not) the one that it came by first. */
static struct placement_item *passed(const struct placement *placement,
                                     struct placement_item *floor, struct placement_item *top,
                                     int direction)
{
    if (floor &&
        against_lambda(placement, floor->contract.floor_ppm, floor->contract.weight) * direction >=
            0)
        floor = NULL;
    if (top && against_lambda(placement, ceiling(top), top->contract.weight) * direction >= 0)
        top = NULL;
    if (!floor || !top)
        return floor ? floor : top;
    const bool floor_is_less = is_less(floor->contract.floor_ppm, floor, ceiling(top), top);
    return floor_is_less == (direction > 0) ? floor : top;
}

/* Lambda has fallen: who would get less than its floor is bound, who gets less than its ceiling is free. */
static void fall(struct placement *placement)
{
    for (;;) {
        struct placement_item *floor = low_item(heap_peek(&placement->free_floor));
        struct placement_item *top = high_item(heap_peek(&placement->at_ceiling));
        struct placement_item *item = passed(placement, floor, top, -1);
        if (!item)
            return;
        cross(placement, item, item == floor ? PLACEMENT_AT_FLOOR : PLACEMENT_FREE);
    }
}

/* Lambda has risen: who gets more than its floor is free, who would exceed its ceiling is bound. */
static void rise(struct placement *placement)
{
    for (;;) {
        struct placement_item *floor = low_item(heap_peek(&placement->at_floor));
        struct placement_item *top = high_item(heap_peek(&placement->free_ceiling));
        struct placement_item *item = passed(placement, floor, top, 1);
        if (!item)
            return;
        cross(placement, item, item == floor ? PLACEMENT_FREE : PLACEMENT_AT_CEILING);
    }
}

/* --- who takes part ---------------------------------------------------------------------------- */

void level_enter(struct placement *placement, struct placement_item *item)
{
    const struct placement_contract *contract = &item->contract;
    enum placement_bound bound = PLACEMENT_FREE;
    if (contract->floor_ppm &&
        against_lambda(placement, contract->floor_ppm, contract->weight) >= 0)
        bound = PLACEMENT_AT_FLOOR;
    else if (against_lambda(placement, ceiling(item), contract->weight) <= 0)
        bound = PLACEMENT_AT_CEILING;
    put(placement, item, bound);
    fall(placement);
}

void level_leave(struct placement *placement, struct placement_item *item)
{
    take(placement, item);
    rise(placement);
}

void level_set_activity(struct placement *placement, struct placement_item *item, uint32_t ppm)
{
    discount_everywhere(placement, item);
    item->activity = ppm;
    count_everywhere(placement, item);
    rise(placement);
    fall(placement);
}

/* --- shares ------------------------------------------------------------------------------------- */

static uint64_t amount(const struct placement *placement, struct placement_sums sums)
{
    const int64_t rest = left(placement);
    if (!sums.weight || rest <= 0)
        return sums.bound;
    return sums.bound + (uint64_t)((wide_t)sums.weight * rest / placement->sums.weight);
}

uint64_t level_share(const struct placement *placement, const struct placement_item *item)
{
    return amount(placement, wants(item));
}

uint64_t level_load(const struct placement *placement, unsigned core)
{
    return amount(placement, placement->cores[core].sums);
}
