// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The discipline that keeps the contract: earliest eligible virtual deadline first (Stoica and
 * Abdel-Wahab, "Earliest Eligible Virtual Deadline First", 1995) with the virtual time of WF2Q+ (Bennett
 * and Zhang, 1997).
 *
 * Virtual time V advances by what is charged and left to the free / their weight. An entity's own virtual
 * time advances by its charged time / its weight; the difference, times the weight, is its lag: what
 * it is owed. It is eligible if it is not ahead (lag >= 0), and asks for one request at a time, to
 * be served by a virtual deadline. Of those eligible the earliest deadline is picked. Those at a floor or
 * ceiling live on an axis of their own, T, where it is the weight; who changes sides takes its lag along.
 * Of the heads of both axes the one is picked whose deadline comes first in time.
 *
 * Who leaves with a credit forfeits it; who leaves with a debt finds it again on its return,
 * less what the axis has moved on meanwhile: sleeping wins nothing. EEVDF moves V back or forth on such
 * a leave so that the lags of the rest sum to zero. That lets the lag of a heavy entity jump by
 * half a slice for EACH light one that leaves, without limit. So here V never jumps on a leave:
 *  - a debt that leaves is made good to those who stay, by V standing still until they have
 *    received as much; but it goes on as fast as any floor among the free needs it to;
 *  - a credit that leaves is used up when all that stay are ahead: time then moves on to the first.
 *
 * The bound, at every instant, through any joins and leaves, for each queued entity, where there are
 * neither floors nor ceilings:
 *     -(slice + overrun) <= lag <= slice + overrun
 * where overrun is the most that a run exceeded policy_slice(), up to one slice; who is alone may
 * run for any time and comes out of it with no lag. The overrun is learned: requests made before
 * one of that size was first seen do not allow for it. Beyond one slice, and until learned, the
 * upper bound grows by weight / total weight times the sum of the excesses outstanding. While
 * nobody joins or leaves, lag is exactly an entity's share of the time charged, less its own.
 *
 * With floors and ceilings the same holds while nobody joins, leaves or is changed. When lambda jumps,
 * deadlines on V come nearer or move away as against those on T. Through joins and leaves no request has
 * been seen to be late for that, in random histories; when contracts are changed, by a third of a slice.
 * Two slices are promised. Who has no floor waits in addition while V goes on for the sake of one.
 * In groups the bound holds on each level against what the level above gave, so that they add up: one slice
 * per level.
 * tests/unit/test_policy.c and test_policy_contract.c check this against independent models.
 */
#include "cloud/policy_queue.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

/* Where both axes begin: far enough from 0 for any lag. */
#define EEVDF_BEGIN ((policy_virtual_t)1 << 96)

typedef __int128 eevdf_difference_t;

struct eevdf_axis {
    struct heap eligible;      /* by deadline */
    struct heap waiting;       /* by vruntime: not eligible when last looked at */
    struct policy_clock clock; /* never goes back */
};

struct eevdf {
    struct eevdf_axis axes[POLICY_AXES];
    policy_virtual_t owed; /* debts that have left, not yet made good, times weight */
    uint64_t overrun_ns;   /* the longest seen, up to a slice; requests allow for it */
};

static struct policy_entity *eevdf_entity(const struct heap_node *node)
{
    return node ? HEAP_ENTRY(node, struct policy_entity, node) : NULL;
}

static bool eevdf_deadline_before(const struct heap_node *first, const struct heap_node *second)
{
    return eevdf_entity(first)->deadline < eevdf_entity(second)->deadline;
}

static bool eevdf_vruntime_before(const struct heap_node *first, const struct heap_node *second)
{
    return eevdf_entity(first)->vruntime < eevdf_entity(second)->vruntime;
}

static policy_virtual_t eevdf_minimum(policy_virtual_t first, policy_virtual_t second)
{
    return first < second ? first : second;
}

static struct matrix_error *eevdf_create(struct policy_queue *queue)
{
    struct eevdf *order = calloc(1, sizeof(*order));
    if (!order)
        return error_host(ENOMEM, "make a scheduling policy");
    for (int i = 0; i < POLICY_AXES; i++) {
        heap_init(&order->axes[i].eligible, eevdf_deadline_before);
        heap_init(&order->axes[i].waiting, eevdf_vruntime_before);
        order->axes[i].clock.now = EEVDF_BEGIN;
    }
    queue->order = order;
    return NULL;
}

static void eevdf_destroy(struct policy_queue *queue)
{
    struct eevdf *order = queue->order;
    for (int i = 0; order && i < POLICY_AXES; i++) {
        heap_release(&order->axes[i].eligible);
        heap_release(&order->axes[i].waiting);
    }
    free(order);
}

/* Room for all in any heap, so that moving between them cannot fail. Who has no limits stays on the
 * first axis. */
static struct matrix_error *eevdf_reserve(struct policy_queue *queue, size_t count)
{
    struct eevdf *order = queue->order;
    const size_t limited = queue->rates.at_floor.capacity;
    RETURN_IF_ERROR(heap_reserve(&order->axes[POLICY_BY_WEIGHT].eligible, count));
    RETURN_IF_ERROR(heap_reserve(&order->axes[POLICY_BY_WEIGHT].waiting, count));
    RETURN_IF_ERROR(heap_reserve(&order->axes[POLICY_BY_LIMIT].eligible, limited));
    return heap_reserve(&order->axes[POLICY_BY_LIMIT].waiting, limited);
}

/* Whether anybody can ever be on the second axis. */
static bool eevdf_has_limits(const struct policy_queue *queue)
{
    return queue->rates.at_floor.capacity > 0;
}

/* --- requests, and the heaps ------------------------------------------------------------------ */

static policy_virtual_t eevdf_span(const struct policy_queue *queue,
                                   const struct policy_entity *entity, uint64_t request_ns)
{
    const struct eevdf *order = queue->order;
    const policy_virtual_t span =
        (policy_virtual_t)request_ns + (entity->request_ns ? 0 : order->overrun_ns);
    return (span << POLICY_SHIFT) / entity->rate_weight;
}

/*
 * A request covers the overruns to be expected: were deadlines set for the bare slice, many
 * light entities that each overrun it would together delay a heavy one by the sum. Not that of who has a
 * latency target: it would be due later by overrun / share, and the wait is what was promised.
 */
static void eevdf_request(const struct policy_queue *queue, struct policy_entity *entity)
{
    entity->left_ns = policy_request_ns(queue->policy, entity);
    entity->deadline = entity->vruntime + eevdf_span(queue, entity, entity->left_ns);
}

static void eevdf_enqueue(struct eevdf *order, struct policy_entity *entity)
{
    struct eevdf_axis *axis = &order->axes[policy_axis_of(entity)];
    const bool eligible = entity->vruntime <= axis->clock.now;
    entity->place = eligible ? POLICY_ELIGIBLE : POLICY_WAITING;
    heap_insert_reserved(eligible ? &axis->eligible : &axis->waiting, &entity->node);
}

static void eevdf_dequeue(struct eevdf *order, struct policy_entity *entity,
                          enum policy_axis axis_index)
{
    struct eevdf_axis *axis = &order->axes[axis_index];
    const bool eligible = entity->place == POLICY_ELIGIBLE;
    entity->place = POLICY_AWAY;
    heap_remove(eligible ? &axis->eligible : &axis->waiting, &entity->node);
}

/* How much more than its due the entity has had, times weight; 0 if it is not ahead. */
static policy_virtual_t eevdf_debt(const struct eevdf_axis *axis,
                                   const struct policy_entity *entity, uint32_t weight)
{
    return entity->vruntime <= axis->clock.now ? 0 : (entity->vruntime - axis->clock.now) * weight;
}

static void eevdf_insert(struct policy_queue *queue, struct policy_entity *entity)
{
    struct eevdf *order = queue->order;
    const struct eevdf_axis *axis = &order->axes[policy_axis_of(entity)];
    /* It pays what is left of its debt itself. */
    order->owed -= eevdf_minimum(order->owed, eevdf_debt(axis, entity, entity->rate_weight));
    if (entity->vruntime < axis->clock.now)
        entity->vruntime = axis->clock.now;
    eevdf_request(queue, entity);
    eevdf_enqueue(order, entity);
}

static void eevdf_remove(struct policy_queue *queue, struct policy_entity *entity)
{
    struct eevdf *order = queue->order;
    const enum policy_axis axis = policy_axis_of(entity);
    eevdf_dequeue(order, entity, axis);
    order->owed += eevdf_debt(&order->axes[axis], entity, entity->rate_weight);
    if (queue->queued == 1)
        order->owed = 0; /* nobody is left to make it good to */
}

/* It takes its lag and what is left of its request along; who is away, its debt. */
static void eevdf_reweigh(struct policy_queue *queue, struct policy_entity *entity,
                          enum policy_axis old_axis, uint32_t old_weight)
{
    struct eevdf *order = queue->order;
    const struct eevdf_axis *from = &order->axes[old_axis];
    const struct eevdf_axis *to = &order->axes[policy_axis_of(entity)];
    const eevdf_difference_t weight = entity->rate_weight;
    entity->remainder = 0;
    if (entity->place == POLICY_AWAY) {
        entity->vruntime =
            to->clock.now + eevdf_debt(from, entity, old_weight) / (policy_virtual_t)weight;
        return;
    }
    eevdf_dequeue(order, entity, old_axis);
    const eevdf_difference_t lag =
        (eevdf_difference_t)(from->clock.now - entity->vruntime) * (eevdf_difference_t)old_weight;
    const eevdf_difference_t rest =
        (eevdf_difference_t)(entity->deadline - entity->vruntime) * (eevdf_difference_t)old_weight;
    entity->vruntime = to->clock.now - (policy_virtual_t)(lag / weight);
    entity->deadline = entity->vruntime + (policy_virtual_t)(rest / weight);
    eevdf_enqueue(order, entity);
}

/* --- who is next ------------------------------------------------------------------------------- */

/* Makes those eligible whom virtual time has caught up with. */
static void eevdf_promote(struct eevdf *order, struct eevdf_axis *axis)
{
    for (;;) {
        struct policy_entity *first = eevdf_entity(heap_peek(&axis->waiting));
        if (!first || first->vruntime > axis->clock.now)
            return;
        heap_remove(&axis->waiting, &first->node);
        eevdf_enqueue(order, first);
    }
}

/* All are ahead, by credits that have left: the core does not wait, time moves on to the first. */
static void eevdf_catch_up(const struct policy_queue *queue, struct eevdf *order)
{
    const struct policy_rates *rates = &queue->rates;
    struct eevdf_axis *free = &order->axes[POLICY_BY_WEIGHT];
    struct eevdf_axis *bound = &order->axes[POLICY_BY_LIMIT];
    const struct policy_entity *first_free = eevdf_entity(heap_peek(&free->waiting));
    const struct policy_entity *first_bound = eevdf_entity(heap_peek(&bound->waiting));
    if (!eevdf_has_limits(queue)) {
        free->clock.now = first_free->vruntime;
        return;
    }
    /* The time until each is eligible, times part: the free have so much of whole. */
    const policy_virtual_t part = rates->bound < rates->whole ? rates->whole - rates->bound : 0;
    const policy_virtual_t divisor = rates_divisor(rates);
    const policy_virtual_t weighted = (policy_virtual_t)rates->weight * rates->whole;
    const policy_virtual_t until_free =
        first_free ? (first_free->vruntime - free->clock.now) * weighted : 0;
    const policy_virtual_t until_bound =
        first_bound ? (first_bound->vruntime - bound->clock.now) * divisor * part : 0;
    if (first_free && (!first_bound || (part && until_free <= until_bound))) {
        free->clock.now = first_free->vruntime;
        if (part)
            bound->clock.now += until_free / part / divisor;
    } else {
        bound->clock.now = first_bound->vruntime;
        if (rates->weight)
            free->clock.now += until_bound / weighted;
    }
}

/* Of the eligible heads of both axes the one whose deadline is nearer, in time. */
static struct policy_entity *eevdf_first(const struct policy_queue *queue, struct eevdf *order)
{
    const struct eevdf_axis *free = &order->axes[POLICY_BY_WEIGHT];
    const struct eevdf_axis *bound = &order->axes[POLICY_BY_LIMIT];
    struct policy_entity *by_weight = eevdf_entity(heap_peek(&free->eligible));
    struct policy_entity *by_limit = eevdf_entity(heap_peek(&bound->eligible));
    if (!by_weight || !by_limit)
        return by_weight ? by_weight : by_limit;
    const eevdf_difference_t until_limit =
        (eevdf_difference_t)(by_limit->deadline - bound->clock.now) *
        (eevdf_difference_t)rates_part(&queue->rates);
    const eevdf_difference_t until_weight =
        (eevdf_difference_t)(by_weight->deadline - free->clock.now) *
            (eevdf_difference_t)queue->rates.weight +
        (eevdf_difference_t)order->owed;
    return until_limit <= until_weight ? by_limit : by_weight;
}

static struct policy_entity *eevdf_pick(struct policy_queue *queue)
{
    struct eevdf *order = queue->order;
    for (;;) {
        eevdf_promote(order, &order->axes[POLICY_BY_WEIGHT]);
        if (eevdf_has_limits(queue))
            eevdf_promote(order, &order->axes[POLICY_BY_LIMIT]);
        struct policy_entity *first = eevdf_first(queue, order);
        if (first)
            return first;
        eevdf_catch_up(queue, order);
    }
}

static uint64_t eevdf_slice(const struct policy_queue *queue, const struct policy_entity *entity)
{
    return entity->left_ns;
}

/* --- time ----------------------------------------------------------------------------------------- */

/* The entity's own virtual time. Returns by how much it advanced, times weight. */
static policy_virtual_t eevdf_advance_entity(struct policy_entity *entity, uint64_t cpu_ns)
{
    const policy_virtual_t time = ((policy_virtual_t)cpu_ns << POLICY_SHIFT) + entity->remainder;
    const policy_virtual_t advance = time / entity->rate_weight;
    entity->remainder = (uint32_t)(time % entity->rate_weight);
    entity->vruntime += advance;
    return advance * entity->rate_weight;
}

/* Of what flows to the free, that which floors among them need even while debts are made good. */
static policy_virtual_t eevdf_needed(const struct policy_rates *rates, policy_virtual_t time)
{
    const struct heap_node *first = heap_peek(&rates->free_floor);
    if (!first)
        return 0;
    const struct policy_entity *steepest = HEAP_ENTRY(first, struct policy_entity, low);
    const policy_virtual_t needed = time * steepest->contract.floor_ppm / steepest->weight;
    return needed * rates->weight / (rates->bound ? 1 : rates->whole);
}

/* Everybody's virtual time; that of the free stands still while debts that left are made good. */
static void eevdf_advance(struct policy_queue *queue, policy_virtual_t time)
{
    struct eevdf *order = queue->order;
    const struct policy_rates *rates = &queue->rates;
    struct eevdf_axis *free = &order->axes[POLICY_BY_WEIGHT];
    struct eevdf_axis *bound = &order->axes[POLICY_BY_LIMIT];
    const uint64_t part = rates_part(rates), unit = rates_unit(rates);
    policy_virtual_t made_good = 0;
    if (!order->owed && !eevdf_has_limits(queue)) { /* as it mostly is */
        policy_clock_advance(&free->clock, time, 1, rates->weight);
        return;
    }
    if (order->owed) {
        const policy_virtual_t flow = rates->weight ? time * part : time * unit;
        const policy_virtual_t needed = eevdf_needed(rates, time);
        made_good = eevdf_minimum(order->owed * unit, flow > needed ? flow - needed : 0);
        order->owed -= made_good / unit;
    }
    if (rates->weight)
        policy_clock_advance(&free->clock, time * part - made_good, unit, rates->weight);
    if (eevdf_has_limits(queue))
        policy_clock_advance(&bound->clock, rates->weight ? time : time - made_good / unit, 1,
                             rates_divisor(rates));
}

/* Alone, nobody waits for the end of its slice, and no timer needs to be set to it. */
static void eevdf_learn_overrun(const struct policy_queue *queue,
                                const struct policy_entity *entity, uint64_t cpu_ns)
{
    struct eevdf *order = queue->order;
    if (queue->queued < 2 || cpu_ns <= entity->left_ns)
        return;
    uint64_t overrun = cpu_ns - entity->left_ns;
    if (overrun > queue->policy->slice_ns)
        overrun = queue->policy->slice_ns;
    if (overrun > order->overrun_ns)
        order->overrun_ns = overrun;
}

static void eevdf_charge(struct policy_queue *queue, struct policy_entity *entity, uint64_t cpu_ns)
{
    struct eevdf *order = queue->order;
    const enum policy_axis axis = policy_axis_of(entity);
    if (entity->place == POLICY_AWAY)
        return;
    eevdf_learn_overrun(queue, entity, cpu_ns);
    eevdf_dequeue(order, entity, axis);
    eevdf_advance(queue, eevdf_advance_entity(entity, cpu_ns));
    if (queue->queued == 1 && entity->vruntime > order->axes[axis].clock.now) {
        /* Alone, however long: it has all that it was owed, and cannot be ahead of anybody. */
        order->axes[axis].clock.now = entity->vruntime;
        order->owed = 0;
    }
    entity->left_ns -= cpu_ns < entity->left_ns ? cpu_ns : entity->left_ns;
    if (entity->left_ns <= policy_request_ns(queue->policy, entity) / 8)
        eevdf_request(queue, entity);
    eevdf_enqueue(order, entity);
}

const struct policy_discipline policy_eevdf = {
    .name = "contract",
    .create = eevdf_create,
    .destroy = eevdf_destroy,
    .reserve = eevdf_reserve,
    .insert = eevdf_insert,
    .remove = eevdf_remove,
    .pick = eevdf_pick,
    .slice = eevdf_slice,
    .charge = eevdf_charge,
    .reweigh = eevdf_reweigh,
};
