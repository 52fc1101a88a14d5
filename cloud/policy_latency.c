// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A latency target is kept by asking for little at a time: a request of r is due r / share later, and in a
 * debt of r at most the entity waits as long again until it may ask. In between one request of somebody
 * else, which has begun, may be in the way: a slice, and inside a group a slice of the time that the group
 * gets. With a floor of f on each level, from the entity up to the core, it waits at most
 *     sum of 2 * r / f + slice / (floor of the group, or 1)
 * from ready to run, and what others exceed their slices. So r is chosen by the target, and what cannot be
 * kept even with the smallest r is refused. Where a floor is missing nothing is promised, and r is the smallest.
 */
#include "cloud/policy_queue.h"

#include "base/error.h"

/* Smaller requests cost more switching than they are worth. */
#define REQUEST_PART_MIN 16
#define REQUEST_MIN_NS   50000

static uint64_t smallest_request(const struct policy *policy)
{
    const uint64_t part = policy->slice_ns / REQUEST_PART_MIN;
    const uint64_t least = part > REQUEST_MIN_NS ? part : REQUEST_MIN_NS;
    return least < policy->slice_ns ? least : policy->slice_ns;
}

/* The longest that another's request can be in the way, on all levels; infinite without a floor. */
static double blocked_ns(const struct policy *policy, const struct policy_entity *entity)
{
    double sum = 0;
    for (; entity; entity = entity->queue->group)
        sum += (double)policy->slice_ns /
               (entity->queue->group ? policy_floor_share(entity->queue->group) : 1);
    return sum;
}

bool latency_has_floors(const struct policy_entity *entity)
{
    for (; entity; entity = entity->queue->group)
        if (entity->contract.floor_ppm == 0)
            return false;
    return true;
}

uint64_t policy_latency(const struct policy *policy, const struct policy_entity *entity)
{
    if (!latency_has_floors(entity))
        return UINT64_MAX;
    double wait = blocked_ns(policy, entity);
    for (; entity; entity = entity->queue->group)
        wait += 2 * (double)policy_request_ns(policy, entity) / policy_floor_share(entity);
    return (uint64_t)wait;
}

/* Chooses requests for one target, all the way up. Those of a group serve the most urgent member. */
static void choose_requests(const struct policy *policy, struct policy_entity *entity)
{
    const double rest = (double)entity->contract.latency_ns - blocked_ns(policy, entity);
    const double levels = entity->queue->depth + 1;
    const double least = (double)smallest_request(policy);
    for (; entity; entity = entity->queue->group) {
        double request =
            latency_has_floors(entity) ? policy_floor_share(entity) * rest / levels / 2 : least;
        request = request < least ? least : request;
        if (request < (double)policy_request_ns(policy, entity))
            entity->request_ns = (uint64_t)request;
    }
}

static void for_targets(struct policy *policy, struct policy_queue *queue,
                        void (*function)(const struct policy *policy, struct policy_entity *entity))
{
    for (struct policy_entity *one = queue->members; one; one = one->next) {
        if (one->inside)
            for_targets(policy, one->inside, function);
        function(policy, one);
    }
}

static void forget_request(const struct policy *policy, struct policy_entity *entity)
{
    entity->request_ns = 0;
}

static void choose_if_target(const struct policy *policy, struct policy_entity *entity)
{
    if (entity->contract.latency_ns)
        choose_requests(policy, entity);
}

/* The first whose target is promised, by its floors, and cannot be kept. */
static const struct policy_entity *find_broken(const struct policy *policy,
                                               const struct policy_queue *queue)
{
    for (const struct policy_entity *one = queue->members; one; one = one->next) {
        const struct policy_entity *inside = one->inside ? find_broken(policy, one->inside) : NULL;
        if (inside)
            return inside;
        if (one->contract.latency_ns && latency_has_floors(one) &&
            policy_latency(policy, one) > one->contract.latency_ns)
            return one;
    }
    return NULL;
}

/* Chooses all requests anew, after a change. Costs nothing while nobody has a target. */
struct matrix_error *latency_choose_all(struct policy *policy)
{
    if (policy->target_count == 0 && !policy->requests_chosen)
        return NULL;
    policy->requests_chosen = policy->target_count != 0;
    for_targets(policy, &policy->root, forget_request);
    for_targets(policy, &policy->root, choose_if_target);
    const struct policy_entity *broken = find_broken(policy, &policy->root);
    if (!broken)
        return NULL;
    return error_usage(
        "raise its floor, or that of its group, or shorten the slice",
        "latency: %.3g ms for %s cannot be kept: with a floor of %g %% and slices of "
        "%.3g ms it can take %.3g ms",
        (double)broken->contract.latency_ns / 1e6, broken->name,
        POLICY_PERCENT(broken->contract.floor_ppm), (double)policy->slice_ns / 1e6,
        (double)policy_latency(policy, broken) / 1e6);
}
