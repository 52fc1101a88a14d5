// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A discipline to compare with: a slice for each in turn, whatever its contract says. Floors and
 * weights are not kept, and the report shows by how much; ceilings are, as they are no discipline's
 * business.
 */
#include "cloud/policy_queue.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

struct robin {
    struct heap turns; /* by vruntime, which here is the number of the turn */
    policy_virtual_t last_turn;
};

static struct policy_entity *robin_entity(const struct heap_node *node)
{
    return HEAP_ENTRY(node, struct policy_entity, node);
}

static bool robin_before(const struct heap_node *first, const struct heap_node *second)
{
    return robin_entity(first)->vruntime < robin_entity(second)->vruntime;
}

static struct matrix_error *robin_create(struct policy_queue *queue)
{
    struct robin *order = calloc(1, sizeof(*order));
    if (!order)
        return error_host(ENOMEM, "make a scheduling policy");
    heap_init(&order->turns, robin_before);
    queue->order = order;
    return NULL;
}

static void robin_destroy(struct policy_queue *queue)
{
    struct robin *order = queue->order;
    if (order)
        heap_release(&order->turns);
    free(order);
}

static struct matrix_error *robin_reserve(struct policy_queue *queue, size_t count)
{
    struct robin *order = queue->order;
    return heap_reserve(&order->turns, count);
}

/* To the end of the queue, with a slice before it. */
static void robin_insert(struct policy_queue *queue, struct policy_entity *entity)
{
    struct robin *order = queue->order;
    entity->vruntime = ++order->last_turn;
    entity->left_ns = queue->policy->slice_ns;
    entity->place = POLICY_ELIGIBLE;
    heap_insert_reserved(&order->turns, &entity->node);
}

static void robin_remove(struct policy_queue *queue, struct policy_entity *entity)
{
    struct robin *order = queue->order;
    entity->place = POLICY_AWAY;
    heap_remove(&order->turns, &entity->node);
}

static struct policy_entity *robin_pick(struct policy_queue *queue)
{
    const struct robin *order = queue->order;
    return robin_entity(heap_peek(&order->turns));
}

static uint64_t robin_slice(const struct policy_queue *queue, const struct policy_entity *entity)
{
    return entity->left_ns;
}

static void robin_charge(struct policy_queue *queue, struct policy_entity *entity, uint64_t cpu_ns)
{
    if (entity->place == POLICY_AWAY)
        return;
    entity->left_ns -= cpu_ns < entity->left_ns ? cpu_ns : entity->left_ns;
    if (entity->left_ns > queue->policy->slice_ns / 8)
        return;
    robin_remove(queue, entity);
    robin_insert(queue, entity);
}

const struct policy_discipline policy_robin = {
    .name = "round-robin",
    .create = robin_create,
    .destroy = robin_destroy,
    .reserve = robin_reserve,
    .insert = robin_insert,
    .remove = robin_remove,
    .pick = robin_pick,
    .slice = robin_slice,
    .charge = robin_charge,
};
