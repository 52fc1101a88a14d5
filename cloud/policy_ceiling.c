// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ceilings by wall time: a bucket of tokens, which fills by the ceiling's part of the time that passes and
 * is emptied by what is charged. Who has no tokens left waits until there are enough for a request.
 *
 * In any window of wall time an entity gets at most
 *     ceiling * window + slice * (1 + floor / ceiling) + overrun
 * as the bucket holds no more than that. One slice, that is, unless it has a floor near its ceiling: to be
 * served at exactly that rate, neither more nor less, it needs room for coming on early once, and late
 * the next time.
 */
#include "cloud/policy_queue.h"

static struct policy_entity *released(const struct heap_node *node)
{
    return HEAP_ENTRY(node, struct policy_entity, release);
}

bool ceiling_release_before(const struct heap_node *first, const struct heap_node *second)
{
    return released(first)->release_ns < released(second)->release_ns;
}

/* Slices have at most 10 s, so that all this fits. */
static int64_t capacity(const struct policy *policy, const struct policy_entity *entity)
{
    const struct policy_contract *contract = &entity->contract;
    const __int128 slice = (__int128)policy->slice_ns * POLICY_WHOLE;
    return (int64_t)(slice + slice * contract->floor_ppm / contract->ceiling_ppm);
}

void ceiling_init(const struct policy *policy, struct policy_entity *entity)
{
    entity->tokens = capacity(policy, entity);
}

/* While it runs the bucket is filled and emptied at once: it cannot run over in between. */
void ceiling_charge(const struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns,
                    uint64_t now_ns)
{
    const uint64_t passed = now_ns > entity->refilled_ns ? now_ns - entity->refilled_ns : 0;
    const __int128 tokens = entity->tokens + (__int128)passed * entity->contract.ceiling_ppm -
                            (__int128)cpu_ns * POLICY_WHOLE;
    const int64_t most = capacity(policy, entity);
    entity->tokens = tokens > most ? most : tokens > -INT64_MAX ? (int64_t)tokens : -INT64_MAX;
    entity->refilled_ns += passed;
}

void ceiling_refill(const struct policy *policy, struct policy_entity *entity, uint64_t now_ns)
{
    ceiling_charge(policy, entity, 0, now_ns);
}

uint64_t ceiling_left_ns(const struct policy_entity *entity)
{
    /* While it runs, the bucket fills. */
    if (!entity->has_ceiling)
        return UINT64_MAX;
    return entity->tokens > 0
               ? (uint64_t)entity->tokens / (POLICY_WHOLE - entity->contract.ceiling_ppm)
               : 0;
}

bool ceiling_is_reached(const struct policy *policy, struct policy_entity *entity)
{
    const uint64_t request = policy_request_ns(policy, entity);
    const uint64_t left = ceiling_left_ns(entity);
    if (left > request / 8)
        return false;
    const uint32_t ceiling = entity->contract.ceiling_ppm;
    const __int128 wanted = (__int128)request * (POLICY_WHOLE - ceiling);
    entity->release_ns =
        entity->refilled_ns + (uint64_t)((wanted - entity->tokens + ceiling - 1) / ceiling);
    return true;
}
