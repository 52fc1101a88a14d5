// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What share the contract gives to each of those that are present in a queue:
 *     share = clamp(weight * lambda, floor, ceiling), with the lambda for which they add up to all.
 * With those at a floor or ceiling (bound) set apart, lambda is what is left over the weight of the
 * free. When somebody comes or goes lambda falls or rises, and others change sides, in the order of
 * limit / weight: that of the next of each kind is at the top of a heap. Going through them in this
 * order lambda moves in one direction only, so each changes sides once at most.
 *
 * Floors of a group's members are parts of its floor: as the group gets its floor or more, each of
 * them gets its own or more. A ceiling is a part of the core by wall time, which a group's share varies
 * against; so only on the core's own queue it also bounds the share.
 */
#include "cloud/policy_queue.h"

static struct policy_entity *low_entity(const struct heap_node *node)
{
    return node ? HEAP_ENTRY(node, struct policy_entity, low) : NULL;
}

static struct policy_entity *high_entity(const struct heap_node *node)
{
    return node ? HEAP_ENTRY(node, struct policy_entity, high) : NULL;
}

/* Compares limit / weight of two entities. */
static bool is_less(uint32_t first_limit, const struct policy_entity *first, uint32_t second_limit,
                    const struct policy_entity *second)
{
    return (uint64_t)first_limit * second->weight < (uint64_t)second_limit * first->weight;
}

static bool floor_below(const struct heap_node *a, const struct heap_node *b)
{
    const struct policy_entity *first = low_entity(a), *second = low_entity(b);
    return is_less(first->contract.floor_ppm, first, second->contract.floor_ppm, second);
}

static bool floor_above(const struct heap_node *a, const struct heap_node *b)
{
    return floor_below(b, a);
}

static bool ceiling_below(const struct heap_node *a, const struct heap_node *b)
{
    const struct policy_entity *first = high_entity(a), *second = high_entity(b);
    return is_less(first->contract.ceiling_ppm, first, second->contract.ceiling_ppm, second);
}

static bool ceiling_above(const struct heap_node *a, const struct heap_node *b)
{
    return ceiling_below(b, a);
}

void rates_init(struct policy_rates *rates, uint32_t whole, bool has_ceilings)
{
    *rates = (struct policy_rates){.whole = whole, .has_ceilings = has_ceilings};
    heap_init(&rates->free_floor, floor_above);
    heap_init(&rates->at_floor, floor_below);
    heap_init(&rates->free_ceiling, ceiling_below);
    heap_init(&rates->at_ceiling, ceiling_above);
}

void rates_release(struct policy_rates *rates)
{
    heap_release(&rates->free_floor);
    heap_release(&rates->at_floor);
    heap_release(&rates->free_ceiling);
    heap_release(&rates->at_ceiling);
}

struct matrix_error *rates_reserve(struct policy_rates *rates, size_t count)
{
    struct matrix_error *error = heap_reserve(&rates->free_floor, count);
    error = error ? error : heap_reserve(&rates->at_floor, count);
    error = error ? error : heap_reserve(&rates->free_ceiling, count);
    return error ? error : heap_reserve(&rates->at_ceiling, count);
}

static bool is_capped(const struct policy_rates *rates, const struct policy_entity *entity)
{
    return rates->has_ceilings && entity->has_ceiling;
}

/* limit / weight compared with lambda: negative, 0 or positive. */
static int against_lambda(const struct policy_rates *rates, uint32_t limit, uint32_t weight)
{
    const int64_t left = (int64_t)rates->whole - (int64_t)rates->bound;
    if (!rates->weight) /* nobody to take what is left: lambda is without bounds */
        return left > 0 ? -1 : left < 0;
    const int64_t ours = (int64_t)limit * (int64_t)rates->weight;
    const int64_t lambda = left * (int64_t)weight;
    return ours < lambda ? -1 : ours > lambda;
}

/* Takes a side, and its place among those that may change it. */
static void put(struct policy_rates *rates, struct policy_entity *entity, enum policy_bound bound)
{
    const struct policy_contract *contract = &entity->contract;
    entity->bound = bound;
    if (bound == POLICY_FREE) {
        entity->rate_weight = entity->weight;
        rates->weight += entity->weight;
        if (contract->floor_ppm)
            heap_insert_reserved(&rates->free_floor, &entity->low);
        if (is_capped(rates, entity))
            heap_insert_reserved(&rates->free_ceiling, &entity->high);
        return;
    }
    const bool at_floor = bound == POLICY_AT_FLOOR;
    entity->rate_weight = at_floor ? contract->floor_ppm : contract->ceiling_ppm;
    rates->bound += entity->rate_weight;
    heap_insert_reserved(at_floor ? &rates->at_floor : &rates->at_ceiling,
                         at_floor ? &entity->low : &entity->high);
}

static void take(struct policy_rates *rates, struct policy_entity *entity)
{
    if (entity->bound != POLICY_FREE) {
        const bool at_floor = entity->bound == POLICY_AT_FLOOR;
        rates->bound -= entity->rate_weight;
        heap_remove(at_floor ? &rates->at_floor : &rates->at_ceiling,
                    at_floor ? &entity->low : &entity->high);
        return;
    }
    rates->weight -= entity->weight;
    if (entity->contract.floor_ppm)
        heap_remove(&rates->free_floor, &entity->low);
    if (is_capped(rates, entity))
        heap_remove(&rates->free_ceiling, &entity->high);
}

static void reweigh(struct policy_queue *queue, struct policy_entity *entity,
                    enum policy_axis old_axis, uint32_t old_weight)
{
    if (policy_axis_of(entity) == old_axis && entity->rate_weight == old_weight)
        return;
    if (queue->policy->discipline->reweigh)
        queue->policy->discipline->reweigh(queue, entity, old_axis, old_weight);
}

static void cross(struct policy_queue *queue, struct policy_entity *entity, enum policy_bound bound)
{
    const enum policy_axis old_axis = policy_axis_of(entity);
    const uint32_t old_weight = entity->rate_weight;
    share_end(entity);
    take(&queue->rates, entity);
    put(&queue->rates, entity, bound);
    share_begin(entity);
    reweigh(queue, entity, old_axis, old_weight);
}

/* Lambda has fallen: who would be below its floor is bound by it, who no more reaches its ceiling is
 * free. */
static void fall(struct policy_queue *queue)
{
    struct policy_rates *rates = &queue->rates;
    for (;;) {
        struct policy_entity *floor = low_entity(heap_peek(&rates->free_floor));
        struct policy_entity *ceiling = high_entity(heap_peek(&rates->at_ceiling));
        if (floor && against_lambda(rates, floor->contract.floor_ppm, floor->weight) <= 0)
            floor = NULL;
        if (ceiling && against_lambda(rates, ceiling->contract.ceiling_ppm, ceiling->weight) <= 0)
            ceiling = NULL;
        if (floor && ceiling) { /* the one that lambda comes by first */
            if (is_less(floor->contract.floor_ppm, floor, ceiling->contract.ceiling_ppm, ceiling))
                floor = NULL;
            else
                ceiling = NULL;
        }
        if (!floor && !ceiling)
            return;
        cross(queue, floor ? floor : ceiling, floor ? POLICY_AT_FLOOR : POLICY_FREE);
    }
}

/* Lambda has risen: who gets more than its floor is free, who would exceed its ceiling is bound. */
static void rise(struct policy_queue *queue)
{
    struct policy_rates *rates = &queue->rates;
    for (;;) {
        struct policy_entity *floor = low_entity(heap_peek(&rates->at_floor));
        struct policy_entity *ceiling = high_entity(heap_peek(&rates->free_ceiling));
        if (floor && against_lambda(rates, floor->contract.floor_ppm, floor->weight) >= 0)
            floor = NULL;
        if (ceiling && against_lambda(rates, ceiling->contract.ceiling_ppm, ceiling->weight) >= 0)
            ceiling = NULL;
        if (floor && ceiling) {
            if (is_less(floor->contract.floor_ppm, floor, ceiling->contract.ceiling_ppm, ceiling))
                ceiling = NULL;
            else
                floor = NULL;
        }
        if (!floor && !ceiling)
            return;
        cross(queue, floor ? floor : ceiling, floor ? POLICY_FREE : POLICY_AT_CEILING);
    }
}

/* The side on which it does not move lambda by more than it must. */
static enum policy_bound side(const struct policy_rates *rates, const struct policy_entity *entity)
{
    const struct policy_contract *contract = &entity->contract;
    if (contract->floor_ppm && against_lambda(rates, contract->floor_ppm, entity->weight) >= 0)
        return POLICY_AT_FLOOR;
    if (is_capped(rates, entity) &&
        against_lambda(rates, contract->ceiling_ppm, entity->weight) <= 0)
        return POLICY_AT_CEILING;
    return POLICY_FREE;
}

static void place(struct policy_queue *queue, struct policy_entity *entity,
                  enum policy_axis old_axis, uint32_t old_weight)
{
    put(&queue->rates, entity, side(&queue->rates, entity));
    share_begin(entity);
    reweigh(queue, entity, old_axis, old_weight);
    fall(queue);
}

void rates_enter(struct policy_queue *queue, struct policy_entity *entity)
{
    share_sync(queue);
    place(queue, entity, policy_axis_of(entity), entity->rate_weight);
}

void rates_leave(struct policy_queue *queue, struct policy_entity *entity)
{
    share_sync(queue);
    share_end(entity);
    take(&queue->rates, entity); /* bound and rate_weight stay: a debt is counted in them */
    rise(queue);
}

void rates_change(struct policy_queue *queue, struct policy_entity *entity,
                  const struct policy_contract *contract)
{
    const enum policy_axis old_axis = policy_axis_of(entity);
    const uint32_t old_weight = entity->rate_weight;
    rates_leave(queue, entity);
    policy_set_contract(entity, contract);
    place(queue, entity, old_axis, old_weight);
}

void rates_set_whole(struct policy_queue *queue, uint32_t whole)
{
    share_sync(queue);
    queue->rates.whole = whole;
    rise(queue);
    fall(queue);
}
