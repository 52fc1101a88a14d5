// SPDX-License-Identifier: GPL-2.0-or-later
/* The scheduling policy; what it promises, and by which rule, is said in policy.h. */
#include "cloud/policy.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

#define VIRTUAL_SHIFT 32 /* virtual times count 2^-32 ns per unit of weight */

struct policy {
    struct heap eligible; /* by deadline */
    struct heap waiting;  /* by vruntime: not eligible when last looked at */
    size_t runnable;
    uint64_t total_weight;
    uint64_t slice_ns;
    uint64_t overrun_ns; /* the longest seen, up to a slice; requests allow for it */

    policy_virtual_t now;   /* V; never goes back */
    policy_virtual_t carry; /* time charged that did not yet make a unit of V, times weight */
    policy_virtual_t owed;  /* debts that have left, not yet made good, times weight */

    policy_virtual_t fluid; /* accounting only: advances while contended, and never jumps */
    policy_virtual_t fluid_carry;
    uint64_t contended_ns;
};

static struct policy_entity *policy_entity_of(const struct heap_node *node)
{
    return HEAP_ENTRY(node, struct policy_entity, node);
}

static bool policy_deadline_before(const struct heap_node *first, const struct heap_node *second)
{
    return policy_entity_of(first)->deadline < policy_entity_of(second)->deadline;
}

static bool policy_vruntime_before(const struct heap_node *first, const struct heap_node *second)
{
    return policy_entity_of(first)->vruntime < policy_entity_of(second)->vruntime;
}

static policy_virtual_t policy_minimum(policy_virtual_t first, policy_virtual_t second)
{
    return first < second ? first : second;
}

struct matrix_error *policy_create(uint64_t slice_ns, struct policy **policy)
{
    if (slice_ns == 0)
        return error_usage("the default is 1ms", "a slice of 0 lets nobody run");
    *policy = calloc(1, sizeof(**policy));
    if (!*policy)
        return error_host(ENOMEM, "make a scheduling policy");
    (*policy)->slice_ns = slice_ns;
    heap_init(&(*policy)->eligible, policy_deadline_before);
    heap_init(&(*policy)->waiting, policy_vruntime_before);
    return NULL;
}

void policy_destroy(struct policy *policy)
{
    if (!policy)
        return;
    heap_release(&policy->eligible);
    heap_release(&policy->waiting);
    free(policy);
}

void policy_entity_init(struct policy_entity *entity, uint32_t weight)
{
    weight = weight < 1 ? 1 : weight;
    weight = weight > POLICY_WEIGHT_MAX ? POLICY_WEIGHT_MAX : weight;
    *entity = (struct policy_entity){.weight = weight, .place = POLICY_AWAY};
}

/*
 * A request covers the overruns to be expected: were deadlines set for the bare slice, many
 * light entities that each overrun it would together delay a heavy one by the sum.
 */
static void policy_request(const struct policy *policy, struct policy_entity *entity)
{
    policy_virtual_t request = (policy_virtual_t)policy->slice_ns + policy->overrun_ns;
    entity->left_ns = policy->slice_ns;
    entity->deadline = entity->vruntime + (request << VIRTUAL_SHIFT) / entity->weight;
}

static void policy_enqueue(struct policy *policy, struct policy_entity *entity)
{
    bool eligible = entity->vruntime <= policy->now;
    entity->place = eligible ? POLICY_ELIGIBLE : POLICY_WAITING;
    heap_insert_reserved(eligible ? &policy->eligible : &policy->waiting, &entity->node);
}

static void policy_dequeue(struct policy *policy, struct policy_entity *entity)
{
    bool eligible = entity->place == POLICY_ELIGIBLE;
    entity->place = POLICY_AWAY;
    heap_remove(eligible ? &policy->eligible : &policy->waiting, &entity->node);
}

/* How much more than its due the entity has had, times weight; 0 if it is not ahead. */
static policy_virtual_t policy_debt(const struct policy *policy, const struct policy_entity *entity)
{
    if (entity->vruntime <= policy->now)
        return 0;
    return (entity->vruntime - policy->now) * entity->weight;
}

/* Room for all in either heap, so that moving between them cannot fail. */
struct matrix_error *policy_reserve(struct policy *policy, size_t count)
{
    RETURN_IF_ERROR(heap_reserve(&policy->eligible, count));
    return heap_reserve(&policy->waiting, count);
}

struct matrix_error *policy_join(struct policy *policy, struct policy_entity *entity)
{
    if (entity->place != POLICY_AWAY)
        return NULL;
    RETURN_IF_ERROR(policy_reserve(policy, policy->runnable + 1));

    /* It pays what is left of its debt itself. */
    policy->owed -= policy_minimum(policy->owed, policy_debt(policy, entity));
    if (entity->vruntime < policy->now)
        entity->vruntime = policy->now;
    policy_request(policy, entity);
    policy_enqueue(policy, entity);
    policy->runnable++;
    policy->total_weight += entity->weight;
    entity->joined_fluid = policy->fluid;
    entity->joined_total_ns = policy->contended_ns;
    return NULL;
}

void policy_leave(struct policy *policy, struct policy_entity *entity)
{
    if (entity->place == POLICY_AWAY)
        return;
    entity->entitled += (policy->fluid - entity->joined_fluid) * entity->weight;
    entity->contended_total_ns += policy->contended_ns - entity->joined_total_ns;
    policy_dequeue(policy, entity);
    policy->runnable--;
    policy->total_weight -= entity->weight;
    policy->owed += policy_debt(policy, entity);
    if (policy->runnable == 0)
        policy->owed = 0; /* nobody is left to make it good to */
}

/* Makes those eligible whom virtual time has caught up with. */
static void policy_promote(struct policy *policy)
{
    for (;;) {
        struct heap_node *first = heap_peek(&policy->waiting);
        if (!first || policy_entity_of(first)->vruntime > policy->now)
            return;
        policy_dequeue(policy, policy_entity_of(first));
        policy_enqueue(policy, policy_entity_of(first));
    }
}

struct policy_entity *policy_pick(struct policy *policy)
{
    if (policy->runnable == 0)
        return NULL;
    policy_promote(policy);
    if (!heap_peek(&policy->eligible)) {
        /* All are ahead, by credits that have left: the core does not wait for V. */
        policy->now = policy_entity_of(heap_peek(&policy->waiting))->vruntime;
        policy_promote(policy);
    }
    return policy_entity_of(heap_peek(&policy->eligible));
}

uint64_t policy_slice(const struct policy *policy, const struct policy_entity *entity)
{
    return entity->left_ns;
}

static void policy_account(struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns)
{
    entity->cpu_ns += cpu_ns;
    if (policy->runnable < 2) {
        entity->alone_ns += cpu_ns;
        return;
    }
    entity->contended_cpu_ns += cpu_ns;
    policy->contended_ns += cpu_ns;
    policy->fluid_carry += (policy_virtual_t)cpu_ns << VIRTUAL_SHIFT;
    policy->fluid += policy->fluid_carry / policy->total_weight;
    policy->fluid_carry %= policy->total_weight;
}

/* The entity's own virtual time. Returns by how much it advanced, times weight. */
static policy_virtual_t policy_advance_entity(struct policy_entity *entity, uint64_t cpu_ns)
{
    policy_virtual_t time = ((policy_virtual_t)cpu_ns << VIRTUAL_SHIFT) + entity->remainder;
    policy_virtual_t advance = time / entity->weight;
    entity->remainder = (uint32_t)(time % entity->weight);
    entity->vruntime += advance;
    return advance * entity->weight;
}

/* Everybody's virtual time; it stands still while debts that left are made good. */
static void policy_advance(struct policy *policy, policy_virtual_t time)
{
    policy_virtual_t made_good = policy_minimum(policy->owed, time);
    policy->owed -= made_good;
    policy->carry += time - made_good;
    policy->now += policy->carry / policy->total_weight;
    policy->carry %= policy->total_weight;
}

/* Alone, nobody waits for the end of its slice, and no timer needs to be set to it. */
static void policy_learn_overrun(struct policy *policy, const struct policy_entity *entity,
                                 uint64_t cpu_ns)
{
    if (policy->runnable < 2 || cpu_ns <= entity->left_ns)
        return;
    uint64_t overrun = cpu_ns - entity->left_ns;
    if (overrun > policy->slice_ns)
        overrun = policy->slice_ns;
    if (overrun > policy->overrun_ns)
        policy->overrun_ns = overrun;
}

void policy_charge(struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns)
{
    if (entity->place == POLICY_AWAY)
        return;
    policy_account(policy, entity, cpu_ns);

    policy_learn_overrun(policy, entity, cpu_ns);

    policy_dequeue(policy, entity);
    policy_advance(policy, policy_advance_entity(entity, cpu_ns));
    if (policy->runnable == 1 && entity->vruntime > policy->now) {
        /* Alone, however long: it has all that it was owed, and cannot be ahead of anybody. */
        policy->now = entity->vruntime;
        policy->owed = 0;
    }
    entity->left_ns -= cpu_ns < entity->left_ns ? cpu_ns : entity->left_ns;
    if (entity->left_ns <= policy->slice_ns / 8)
        policy_request(policy, entity);
    policy_enqueue(policy, entity);
}

size_t policy_runnable(const struct policy *policy)
{
    return policy->runnable;
}

void policy_share(const struct policy *policy, const struct policy_entity *entity,
                  struct policy_share *share)
{
    policy_virtual_t entitled = entity->entitled;
    uint64_t total_ns = entity->contended_total_ns;
    if (entity->place != POLICY_AWAY) {
        entitled += (policy->fluid - entity->joined_fluid) * entity->weight;
        total_ns += policy->contended_ns - entity->joined_total_ns;
    }
    *share = (struct policy_share){
        .cpu_ns = entity->cpu_ns,
        .entitled_ns = (uint64_t)(entitled >> VIRTUAL_SHIFT),
        .contended_cpu_ns = entity->contended_cpu_ns,
        .contended_total_ns = total_ns,
        .alone_ns = entity->alone_ns,
    };
}
