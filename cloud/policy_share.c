// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Accounting: what each was entitled to, and what it got. A fluid flows from the core through the groups to
 * those present, in the shares that policy_rates.c says, while two guests or more can run. The core's own
 * queue follows each charge. A group's is only looked at when somebody asks, or before its rates change:
 * until then they were constant, and what flowed in is what the group was entitled to meanwhile.
 */
#include "cloud/policy_queue.h"

static void flow(struct policy_queue *queue, policy_virtual_t time)
{
    const struct policy_rates *rates = &queue->rates;
    if (rates->weight)
        policy_clock_advance(&queue->fluid[POLICY_BY_WEIGHT], time * rates_part(rates),
                             rates_unit(rates), rates->weight);
    if (rates->bound)
        policy_clock_advance(&queue->fluid[POLICY_BY_LIMIT], time, 1, rates_divisor(rates));
}

/* What it has been entitled to, in 2^-32 ns, as far as its queue is up to date. */
static policy_virtual_t entitled(const struct policy_entity *entity)
{
    if (!entity->joined || !entity->queue)
        return entity->entitled;
    const policy_virtual_t fluid = entity->queue->fluid[policy_axis_of(entity)].now;
    return entity->entitled + (fluid - entity->fluid_mark) * entity->rate_weight;
}

void share_sync(struct policy_queue *queue)
{
    if (!queue->group)
        return;
    share_sync(queue->group->queue);
    const policy_virtual_t total = entitled(queue->group);
    const policy_virtual_t time = total - queue->driven;
    queue->driven = total;
    if (time)
        flow(queue, time);
}

void share_begin(struct policy_entity *entity)
{
    entity->fluid_mark = entity->queue->fluid[policy_axis_of(entity)].now;
}

void share_end(struct policy_entity *entity)
{
    const policy_virtual_t fluid = entity->queue->fluid[policy_axis_of(entity)].now;
    entity->entitled += (fluid - entity->fluid_mark) * entity->rate_weight;
    entity->fluid_mark = fluid;
}

void share_charge(struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns)
{
    const bool contended = policy->runnable > 1;
    for (; entity; entity = entity->queue->group) {
        entity->cpu_ns += cpu_ns;
        entity->contended_cpu_ns += contended ? cpu_ns : 0;
        entity->alone_ns += contended ? 0 : cpu_ns;
    }
    if (!contended)
        return;
    policy->contended_ns += cpu_ns;
    flow(&policy->root, (policy_virtual_t)cpu_ns << POLICY_SHIFT);
}

void policy_share(const struct policy *policy, const struct policy_entity *entity,
                  struct policy_share *share)
{
    uint64_t total_ns = entity->contended_total_ns;
    if (entity->queue)
        share_sync(entity->queue);
    if (entity->joined)
        total_ns += policy->contended_ns - entity->joined_total_ns;
    *share = (struct policy_share){
        .cpu_ns = entity->cpu_ns,
        .entitled_ns = (uint64_t)(entitled(entity) >> POLICY_SHIFT),
        .contended_cpu_ns = entity->contended_cpu_ns,
        .contended_total_ns = total_ns,
        .alone_ns = entity->alone_ns,
    };
}
