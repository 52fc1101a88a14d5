// SPDX-License-Identifier: GPL-2.0-or-later
/* The scheduling policy: the tree of groups, and the way down and up it. What it promises is said in
 * policy.h, how it is kept in the other files. */
#include "cloud/policy_queue.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct policy_discipline *const disciplines[] = {&policy_eevdf, &policy_robin};

#define DISCIPLINES (sizeof(disciplines) / sizeof(disciplines[0]))

const char *policy_name(size_t index)
{
    return index < DISCIPLINES ? disciplines[index]->name : NULL;
}

static const struct policy_discipline *find_discipline(const char *name)
{
    for (size_t i = 0; i < DISCIPLINES; i++)
        if (!name || strcmp(disciplines[i]->name, name) == 0)
            return disciplines[i];
    return NULL;
}

struct matrix_error *queue_create(struct policy *policy, struct policy_queue *queue,
                                  struct policy_entity *group)
{
    const uint32_t floor = group ? group->contract.floor_ppm : 0;
    *queue = (struct policy_queue){
        .policy = policy, .group = group, .depth = group ? group->queue->depth + 1 : 0};
    rates_init(&queue->rates, floor ? floor : POLICY_WHOLE, !group);
    return policy->discipline->create(queue);
}

void queue_destroy(struct policy_queue *queue)
{
    queue->policy->discipline->destroy(queue);
    rates_release(&queue->rates);
}

struct matrix_error *policy_create(uint64_t slice_ns, const char *name, struct policy **result)
{
    const struct policy_discipline *discipline = find_discipline(name);
    if (slice_ns == 0)
        return error_usage("the default is 1ms", "a slice of 0 lets nobody run");
    if (!discipline)
        return error_usage("use contract or round-robin", "there is no policy \"%s\"", name);
    struct policy *policy = calloc(1, sizeof(*policy));
    if (!policy)
        return error_host(ENOMEM, "make a scheduling policy");
    policy->slice_ns = slice_ns;
    policy->version = 1;
    policy->discipline = discipline;
    heap_init(&policy->throttled, ceiling_release_before);
    struct matrix_error *error = queue_create(policy, &policy->root, NULL);
    if (error) {
        policy_destroy(policy);
        return error;
    }
    *result = policy;
    return NULL;
}

void policy_destroy(struct policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->group_count; i++) {
        queue_destroy(policy->groups[i]->inside);
        free(policy->groups[i]);
    }
    free(policy->groups);
    heap_release(&policy->throttled);
    queue_destroy(&policy->root);
    free(policy);
}

void policy_entity_init(struct policy_entity *entity, uint32_t weight)
{
    weight = weight < 1 ? 1 : weight;
    weight = weight > POLICY_WEIGHT_MAX ? POLICY_WEIGHT_MAX : weight;
    *entity = (struct policy_entity){
        .weight = weight, .rate_weight = weight, .contract.weight = weight, .place = POLICY_AWAY};
}

struct matrix_error *policy_reserve(struct policy *policy, size_t count)
{
    return policy->discipline->reserve(&policy->root, count);
}

/* --- who is queued -------------------------------------------------------------------------- */

static void throttle(struct policy *policy, struct policy_entity *entity)
{
    entity->throttled = true;
    heap_insert_reserved(&policy->throttled, &entity->release);
}

/* One that is present gets into its queue, and its group with it; unless it is at its ceiling. */
static void queue_up(struct policy *policy, struct policy_entity *entity)
{
    for (; entity; entity = entity->queue->group) {
        if (entity->has_ceiling && ceiling_is_reached(policy, entity)) {
            throttle(policy, entity);
            return;
        }
        policy->discipline->insert(entity->queue, entity);
        if (entity->queue->queued++ > 0)
            return;
    }
}

static void queue_off(struct policy *policy, struct policy_entity *entity)
{
    for (; entity; entity = entity->queue->group) {
        if (entity->throttled) {
            entity->throttled = false;
            heap_remove(&policy->throttled, &entity->release);
            return;
        }
        policy->discipline->remove(entity->queue, entity);
        if (--entity->queue->queued > 0)
            return;
    }
}

void policy_look_again(struct policy *policy, struct policy_entity *entity)
{
    if (!entity->throttled)
        return;
    entity->throttled = false;
    heap_remove(&policy->throttled, &entity->release);
    queue_up(policy, entity);
}

struct matrix_error *policy_join(struct policy *policy, struct policy_entity *entity)
{
    if (entity->joined)
        return NULL;
    if (!entity->added) {
        entity->queue = &policy->root;
        RETURN_IF_ERROR(policy_reserve(policy, policy->root.present + 1));
    }
    for (struct policy_entity *one = entity; one; one = one->queue->group) {
        rates_enter(one->queue, one);
        one->joined = true;
        one->joined_total_ns = policy->contended_ns;
        if (one->queue->present++ > 0)
            break;
    }
    queue_up(policy, entity);
    policy->runnable++;
    return NULL;
}

void policy_leave(struct policy *policy, struct policy_entity *entity)
{
    if (!entity->joined)
        return;
    queue_off(policy, entity);
    for (struct policy_entity *one = entity; one; one = one->queue->group) {
        rates_leave(one->queue, one);
        one->joined = false;
        one->contended_total_ns += policy->contended_ns - one->joined_total_ns;
        if (--one->queue->present > 0)
            break;
    }
    policy->runnable--;
}

/* --- who runs -------------------------------------------------------------------------------- */

static void release(struct policy *policy, uint64_t now_ns)
{
    for (struct heap_node *first; (first = heap_peek(&policy->throttled));) {
        struct policy_entity *entity = HEAP_ENTRY(first, struct policy_entity, release);
        if (entity->release_ns > now_ns)
            return;
        heap_remove(&policy->throttled, first);
        entity->throttled = false;
        ceiling_refill(policy, entity, now_ns);
        queue_up(policy, entity);
    }
}

struct policy_entity *policy_pick(struct policy *policy, uint64_t now_ns)
{
    release(policy, now_ns);
    if (policy->root.queued == 0)
        return NULL;
    for (struct policy_queue *queue = &policy->root;;) {
        struct policy_entity *entity = policy->discipline->pick(queue);
        if (entity->has_ceiling)
            ceiling_refill(policy, entity, now_ns);
        if (!entity->inside)
            return entity;
        queue = entity->inside;
    }
}

uint64_t policy_release_ns(const struct policy *policy)
{
    const struct heap_node *first = heap_peek(&policy->throttled);
    return first ? HEAP_ENTRY(first, const struct policy_entity, release)->release_ns : 0;
}

uint64_t policy_slice(const struct policy *policy, const struct policy_entity *entity)
{
    uint64_t slice = UINT64_MAX;
    for (; entity; entity = entity->queue->group) {
        const uint64_t left = policy->discipline->slice(entity->queue, entity);
        const uint64_t allowed = ceiling_left_ns(entity);
        slice = left < slice ? left : slice;
        slice = allowed < slice ? allowed : slice;
    }
    return slice;
}

bool policy_is_unlimited(const struct policy *policy, const struct policy_entity *entity)
{
    for (; entity; entity = entity->queue->group)
        if (entity->has_ceiling || entity->queue->queued > 1)
            return false;
    return true;
}

void policy_charge(struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns,
                   uint64_t now_ns)
{
    if (!entity->joined)
        return;
    share_charge(policy, entity, cpu_ns);
    for (struct policy_entity *one = entity; one; one = one->queue->group)
        policy->discipline->charge(one->queue, one, cpu_ns);
    if (policy->ceiling_count == 0)
        return;
    for (struct policy_entity *one = entity; one; one = one->queue->group) {
        if (!one->has_ceiling)
            continue;
        ceiling_charge(policy, one, cpu_ns, now_ns);
        if (one->place != POLICY_AWAY && ceiling_is_reached(policy, one)) {
            queue_off(policy, one);
            throttle(policy, one);
        }
    }
}

size_t policy_runnable(const struct policy *policy)
{
    return policy->runnable;
}
