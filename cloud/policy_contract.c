// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Contracts: whether one can be kept beside the others, and what it promises.
 *
 * The floors of a queue's members must not pass what the queue has: the core, or its group's floor.
 */
#include "cloud/policy_queue.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- floors --------------------------------------------------------------------------------------- */

static uint64_t sum_of_floors(const struct policy_queue *queue, const struct policy_entity *without)
{
    return queue->floors - (without ? without->contract.floor_ppm : 0);
}

#define NAMED_MAX 8 /* so many contributors are named */

/* "neo 70 % + morpheus 50 %" */
static void print_floors(FILE *file, const struct policy_queue *queue,
                         const struct policy_entity *without)
{
    unsigned named = 0, others = 0;
    double rest = 0;
    for (const struct policy_entity *one = queue->members; one; one = one->next) {
        if (one == without || one->contract.floor_ppm == 0)
            continue;
        if (named < NAMED_MAX) {
            fprintf(file, "%s %g %% + ", one->name, POLICY_PERCENT(one->contract.floor_ppm));
            named++;
        } else {
            rest += POLICY_PERCENT(one->contract.floor_ppm);
            others++;
        }
    }
    if (others)
        fprintf(file, "%u others %g %% + ", others, rest);
}

static struct matrix_error *refuse_floors(const struct policy_queue *queue,
                                          const struct policy_entity *without, const char *name,
                                          uint32_t floor)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "add up floors");
    print_floors(file, queue, without);
    fprintf(file, "%s %g %% = %g %%", name, POLICY_PERCENT(floor),
            POLICY_PERCENT(sum_of_floors(queue, without) + floor));
    if (fclose(file))
        return error_host(ENOMEM, "add up floors");
    if (!queue->group)
        return error_usage("lower some floors, or move guests to another core",
                           "the floors pass 100 %% of the core: %s", text);
    return error_usage("raise the group's floor, or lower its members'",
                       "the floors in group %s pass its own of %g %%: %s", queue->group->name,
                       POLICY_PERCENT(queue->group->contract.floor_ppm), text);
}

static struct matrix_error *check(const struct policy_queue *queue,
                                  const struct policy_entity *without, const char *name,
                                  const struct policy_contract *contract)
{
    const uint32_t ceiling = contract->ceiling_ppm ? contract->ceiling_ppm : POLICY_WHOLE;
    if (contract->weight < 1 || contract->weight > POLICY_WEIGHT_MAX)
        return error_usage("use 1 to 10000", "weight %u of %s", contract->weight, name);
    if (ceiling > POLICY_WHOLE)
        return error_usage("use 100% or less", "the ceiling of %s, %g %%, is more than a core",
                           name, POLICY_PERCENT(ceiling));
    if (contract->floor_ppm > ceiling)
        return error_usage("a floor is at most the ceiling",
                           "the floor of %s, %g %%, is above its ceiling of %g %%", name,
                           POLICY_PERCENT(contract->floor_ppm), POLICY_PERCENT(ceiling));
    const uint32_t whole = queue->group ? queue->group->contract.floor_ppm : POLICY_WHOLE;
    if (contract->floor_ppm && sum_of_floors(queue, without) + contract->floor_ppm > whole)
        return refuse_floors(queue, without, name, contract->floor_ppm);
    return NULL;
}

/* --- members --------------------------------------------------------------------------------------- */

static struct matrix_error *reserve(struct policy *policy, struct policy_queue *queue,
                                    const struct policy_contract *contract)
{
    const bool limited = contract->floor_ppm || contract->ceiling_ppm;
    if (limited) {
        RETURN_IF_ERROR(rates_reserve(&queue->rates, queue->member_count + 1));
        RETURN_IF_ERROR(heap_reserve(&policy->throttled, policy->ceiling_count + 1));
    }
    const size_t present =
        queue->present > queue->member_count ? queue->present : queue->member_count;
    return policy->discipline->reserve(queue, present + 1);
}

static void link_member(struct policy_queue *queue, struct policy_entity *entity)
{
    entity->next = queue->members;
    if (entity->next)
        entity->next->prev = entity;
    queue->members = entity;
    queue->member_count++;
    queue->floors += entity->contract.floor_ppm;
    queue->policy->version++;
    entity->added = true;
}

static void unlink_member(struct policy_queue *queue, struct policy_entity *entity)
{
    if (entity->prev)
        entity->prev->next = entity->next;
    else
        queue->members = entity->next;
    if (entity->next)
        entity->next->prev = entity->prev;
    queue->member_count--;
    queue->floors -= entity->contract.floor_ppm;
    queue->policy->version++;
    entity->added = false;
    entity->next = entity->prev = NULL;
}

static void count_limits(struct policy *policy, const struct policy_contract *contract, size_t by)
{
    policy->ceiling_count += contract->ceiling_ppm ? by : 0;
    policy->target_count += contract->latency_ns ? by : 0;
}

void policy_remove(struct policy *policy, struct policy_entity *entity)
{
    policy_leave(policy, entity);
    if (!entity->added)
        return;
    unlink_member(entity->queue, entity);
    count_limits(policy, &entity->contract, (size_t)-1);
    matrix_error_free(latency_choose_all(policy)); /* with one less, all targets are kept */
}

struct matrix_error *policy_add(struct policy *policy, struct policy_entity *group,
                                struct policy_entity *entity, const char *name,
                                const struct policy_contract *contract)
{
    struct policy_queue *queue = group ? group->inside : &policy->root;
    RETURN_IF_ERROR(check(queue, NULL, name, contract));
    RETURN_IF_ERROR(reserve(policy, queue, contract));
    policy_entity_init(entity, contract->weight);
    policy_set_contract(entity, contract);
    entity->queue = queue;
    entity->name = name;
    link_member(queue, entity);
    count_limits(policy, contract, 1);
    if (entity->has_ceiling)
        ceiling_init(policy, entity);
    struct matrix_error *error = latency_choose_all(policy);
    if (error)
        policy_remove(policy, entity);
    return error;
}

struct group {
    struct policy_entity entity;
    struct policy_queue inside;
    char name[];
};

struct matrix_error *policy_add_group(struct policy *policy, struct policy_entity *parent,
                                      const char *name, const struct policy_contract *contract,
                                      struct policy_entity **result)
{
    if (parent && parent->inside->depth + 1 > POLICY_DEPTH_MAX)
        return error_usage(NULL, "group %s: groups are nested more than %d deep", name,
                           POLICY_DEPTH_MAX);
    struct policy_entity **groups =
        reallocarray(policy->groups, policy->group_count + 1, sizeof(struct policy_entity *));
    if (!groups)
        return error_host(ENOMEM, "make group %s", name);
    policy->groups = groups;
    const size_t name_bytes = strlen(name) + 1;
    struct group *group = calloc(1, sizeof(*group) + name_bytes);
    if (!group)
        return error_host(ENOMEM, "make group %s", name);
    memcpy(group->name, name, name_bytes);
    struct matrix_error *error = policy_add(policy, parent, &group->entity, group->name, contract);
    if (!error) {
        error = queue_create(policy, &group->inside, &group->entity);
        if (error)
            policy_remove(policy, &group->entity);
    }
    if (error) {
        free(group);
        return error;
    }
    group->entity.inside = &group->inside;
    policy->groups[policy->group_count++] = &group->entity;
    *result = &group->entity;
    return NULL;
}

struct matrix_error *policy_remove_group(struct policy *policy, struct policy_entity *group)
{
    if (group->inside->member_count)
        return error_usage("remove its members first", "group %s has %zu members", group->name,
                           group->inside->member_count);
    policy_remove(policy, group);
    size_t i = 0;
    while (policy->groups[i] != group)
        i++;
    policy->groups[i] = policy->groups[--policy->group_count];
    queue_destroy(group->inside);
    free(group);
    return NULL;
}

/* Chooses requests as with that contract; if a target cannot be kept then, as before. Nothing else is touched: what a
 * ceiling has left, and who is before whom, must not depend on what is refused. */
static struct matrix_error *choose_requests(struct policy *policy, struct policy_entity *entity,
                                            const struct policy_contract *contract)
{
    const struct policy_contract before = entity->contract;
    count_limits(policy, &before, (size_t)-1);
    count_limits(policy, contract, 1);
    entity->contract = *contract;
    struct matrix_error *error = latency_choose_all(policy);
    count_limits(policy, contract, (size_t)-1);
    count_limits(policy, &before, 1);
    entity->contract = before;
    if (error)
        matrix_error_free(latency_choose_all(policy));
    return error;
}

/* Puts a contract in place that can be kept. */
static void apply(struct policy *policy, struct policy_entity *entity,
                  const struct policy_contract *contract)
{
    const bool had_ceiling = entity->has_ceiling;
    policy->version++;
    count_limits(policy, &entity->contract, (size_t)-1);
    count_limits(policy, contract, 1);
    entity->queue->floors += contract->floor_ppm;
    entity->queue->floors -= entity->contract.floor_ppm;
    if (entity->joined) {
        rates_change(entity->queue, entity, contract);
    } else {
        policy_set_contract(entity, contract);
    }
    if (entity->inside)
        rates_set_whole(entity->inside, contract->floor_ppm ? contract->floor_ppm : POLICY_WHOLE);
    if (entity->has_ceiling && !had_ceiling)
        ceiling_init(policy, entity);
}

struct matrix_error *policy_set(struct policy *policy, struct policy_entity *entity,
                                const struct policy_contract *contract)
{
    RETURN_IF_ERROR(check(entity->queue, entity, entity->name, contract));
    if (entity->inside && sum_of_floors(entity->inside, NULL) > contract->floor_ppm)
        return error_usage("lower its members' first",
                           "the floor of group %s, %g %%, is less than those of its members, %g %%",
                           entity->name, POLICY_PERCENT(contract->floor_ppm),
                           POLICY_PERCENT(sum_of_floors(entity->inside, NULL)));
    RETURN_IF_ERROR(reserve(policy, entity->queue, contract));
    RETURN_IF_ERROR(choose_requests(policy, entity, contract));
    apply(policy, entity, contract);
    policy_look_again(policy, entity);
    return NULL;
}

struct policy_entity *policy_group(const struct policy_entity *entity)
{
    return entity->queue ? entity->queue->group : NULL;
}

const char *policy_group_name(const struct policy_entity *entity)
{
    const struct policy_entity *group = policy_group(entity);
    return group ? group->name : NULL;
}

/* --- what is promised -------------------------------------------------------------------------- */

/* The share of the core that a member gets at that lambda, of which its group gets so much. */
static double share_at(const struct policy_entity *entity, double of, double lambda)
{
    const struct policy_entity *group = entity->queue->group;
    const double floor = group && group->contract.floor_ppm
                             ? of * entity->contract.floor_ppm / group->contract.floor_ppm
                             : policy_floor_share(entity);
    const double ceiling =
        entity->has_ceiling ? (double)entity->contract.ceiling_ppm / POLICY_WHOLE : 1;
    const double share = lambda * entity->weight;
    if (share <= floor)
        return floor;
    return share < ceiling ? share : ceiling;
}

static double share_if_all_run(const struct policy_entity *entity);

/* The lambda at which the shares of a queue's members add up to what they have. */
static double find_lambda(const struct policy_queue *queue, double of)
{
    double low = 0, high = 1; /* a weight is 1 at least */
    uint64_t weight = 0;
    bool limited = false;
    for (const struct policy_entity *one = queue->members; one; one = one->next) {
        weight += one->weight;
        limited |= one->contract.floor_ppm || one->has_ceiling;
    }
    if (!limited)
        return of / (double)weight;
    for (int i = 0; i < 60; i++) {
        const double lambda = (low + high) / 2;
        double sum = 0;
        for (const struct policy_entity *one = queue->members; one; one = one->next)
            sum += share_at(one, of, lambda);
        if (sum > of)
            high = lambda;
        else
            low = lambda;
    }
    return high;
}

static double share_if_all_run(const struct policy_entity *entity)
{
    struct policy_queue *queue = entity->queue;
    struct policy_promises *promises = &queue->promises;
    if (promises->version != queue->policy->version) {
        promises->of = queue->group ? share_if_all_run(queue->group) : 1;
        promises->lambda = find_lambda(queue, promises->of);
        promises->version = queue->policy->version;
    }
    return share_at(entity, promises->of, promises->lambda);
}

void policy_promise(const struct policy_entity *entity, double *least, double *when_all_run)
{
    *least = latency_has_floors(entity) ? policy_floor_share(entity) : 0;
    *when_all_run = share_if_all_run(entity);
}
