/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the policy: one level of it, the queue in which members of a group, or of the core, compete;
 * and the interface of a discipline, which orders them. For cloud/policy*.c only.
 *
 * Three circles of entities, each within the one before: members (policy_add), those present (they
 * joined; what their shares are is up to policy_rates), those queued (not at their ceiling; the discipline
 * knows these alone). A group is present and queued while one of its members is.
 */
#ifndef CLOUD_POLICY_QUEUE_H
#define CLOUD_POLICY_QUEUE_H

#include "cloud/policy.h"

#define POLICY_SHIFT 32 /* virtual times count 2^-32 ns per unit of weight */

/*
 * The two axes on which virtual time advances. On the first, those whose weight decides: by what is left
 * to them, per unit of weight. On the second, those at a floor or ceiling: by the time of the whole queue,
 * per part of it.
 */
enum policy_axis { POLICY_BY_WEIGHT, POLICY_BY_LIMIT, POLICY_AXES };

struct policy_rates {
    uint64_t weight; /* of those that are free */
    uint64_t bound;  /* floors and ceilings of those that are not, in parts of whole */
    uint32_t whole;  /* what floors are parts of: POLICY_WHOLE, or a group's floor */
    bool has_ceilings;
    /* Who is the next to change sides when lambda falls or rises; only those with limits. */
    struct heap free_floor, free_ceiling, at_floor, at_ceiling;
};

/* A virtual time. What flowed and did not yet make a unit of it is carried, in parts of unit. */
struct policy_clock {
    policy_virtual_t now, carry;
    uint64_t unit;
};

static inline void policy_clock_advance(struct policy_clock *clock, policy_virtual_t flow,
                                        uint64_t unit, uint64_t weight)
{
    if (clock->unit != unit) {
        clock->carry = clock->unit ? clock->carry * unit / clock->unit : 0;
        clock->unit = unit;
    }
    /* Mostly there are no limits, and unit is 1: a division by a number of less than 64 bits. */
    const uint64_t divisor = unit * weight;
    clock->carry += flow;
    const policy_virtual_t advance = clock->carry / divisor;
    clock->carry -= advance * divisor;
    clock->now += advance;
}

/* What the members get while all of them can run: whoever asks for one mostly asks for all. */
struct policy_promises {
    uint64_t version; /* of the contracts that it is of */
    double of;        /* what they share */
    double lambda;    /* a member's part of it per unit of weight, between its floor and ceiling */
};

struct policy_queue {
    struct policy *policy;
    struct policy_entity *group;   /* whose inside this is; NULL: the core's own */
    struct policy_entity *members; /* the last one that was added */
    size_t member_count, present, queued;
    uint64_t floors; /* of all members, in parts per million */
    unsigned depth;
    struct policy_rates rates;
    /* Accounting: the fluid's virtual times, which advance while contended and never jump; and what the
     * group had been entitled to when they did. */
    struct policy_clock fluid[POLICY_AXES];
    policy_virtual_t driven;
    struct policy_promises promises;
    void *order; /* the discipline's */
};

/* Orders the queued members of one queue. */
struct policy_discipline {
    const char *name;
    struct matrix_error *(*create)(struct policy_queue *queue); /* makes queue->order */
    void (*destroy)(struct policy_queue *queue);

    /* Room for that many, so that insert and reweigh cannot fail. */
    struct matrix_error *(*reserve)(struct policy_queue *queue, size_t count);

    void (*insert)(struct policy_queue *queue, struct policy_entity *entity);
    void (*remove)(struct policy_queue *queue, struct policy_entity *entity);
    struct policy_entity *(*pick)(struct policy_queue *queue); /* at least one is queued */
    uint64_t (*slice)(const struct policy_queue *queue, const struct policy_entity *entity);
    void (*charge)(struct policy_queue *queue, struct policy_entity *entity, uint64_t cpu_ns);

    /* Its bound or rate_weight has changed; it may be queued or not. May be NULL. */
    void (*reweigh)(struct policy_queue *queue, struct policy_entity *entity,
                    enum policy_axis old_axis, uint32_t old_weight);
};

extern const struct policy_discipline policy_eevdf, policy_robin;

struct policy {
    const struct policy_discipline *discipline;
    uint64_t slice_ns;
    struct policy_queue root;
    struct policy_entity **groups;
    size_t group_count, ceiling_count;
    size_t target_count;  /* latency targets */
    bool requests_chosen; /* some entity's request may be another than a slice, because of one */
    size_t runnable;
    uint64_t contended_ns;
    uint64_t version;      /* of the contracts: counts their changes; not 0 */
    struct heap throttled; /* by release_ns */
};

static inline enum policy_axis policy_axis_of(const struct policy_entity *entity)
{
    return entity->bound == POLICY_FREE ? POLICY_BY_WEIGHT : POLICY_BY_LIMIT;
}

static inline uint64_t policy_request_ns(const struct policy *policy,
                                         const struct policy_entity *entity)
{
    return entity->request_ns ? entity->request_ns : policy->slice_ns;
}

static inline void policy_set_contract(struct policy_entity *entity,
                                       const struct policy_contract *contract)
{
    entity->contract = *contract;
    entity->weight = contract->weight;
    entity->has_ceiling = contract->ceiling_ppm && contract->ceiling_ppm < POLICY_WHOLE;
}

static inline double policy_floor_share(const struct policy_entity *entity)
{
    return (double)entity->contract.floor_ppm / POLICY_WHOLE;
}

#define POLICY_PERCENT(ppm) ((double)(ppm)*100 / POLICY_WHOLE)

/* --- policy_rates.c: who is bound by a floor or ceiling, who shares the rest ------------------- */

void rates_init(struct policy_rates *rates, uint32_t whole, bool has_ceilings);
void rates_release(struct policy_rates *rates);
struct matrix_error *rates_reserve(struct policy_rates *rates, size_t count);
void rates_enter(struct policy_queue *queue, struct policy_entity *entity);
void rates_leave(struct policy_queue *queue, struct policy_entity *entity);
/* The same for one that is present, whose contract becomes another. */
void rates_change(struct policy_queue *queue, struct policy_entity *entity,
                  const struct policy_contract *contract);
void rates_set_whole(struct policy_queue *queue, uint32_t whole);

/* What parts of whole flow to the free, and to those bound. part / unit goes by weight. */
static inline uint64_t rates_unit(const struct policy_rates *rates)
{
    return rates->bound ? rates->whole : 1;
}

static inline uint64_t rates_part(const struct policy_rates *rates)
{
    return !rates->bound ? 1 : rates->bound < rates->whole ? rates->whole - rates->bound : 0;
}

/* By what time on the second axis is divided: if nobody is free, the bound have all of it. */
static inline uint64_t rates_divisor(const struct policy_rates *rates)
{
    return rates->weight || !rates->bound ? rates->whole : rates->bound;
}

/* --- policy_ceiling.c: tokens --------------------------------------------------------------------- */

bool ceiling_release_before(const struct heap_node *first, const struct heap_node *second);
void ceiling_init(const struct policy *policy, struct policy_entity *entity);
void ceiling_refill(const struct policy *policy, struct policy_entity *entity, uint64_t now_ns);
void ceiling_charge(const struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns,
                    uint64_t now_ns);
/* Whether it has to wait, and until when: sets release_ns. */
bool ceiling_is_reached(const struct policy *policy, struct policy_entity *entity);
/* How long it may run before it has to wait. */
uint64_t ceiling_left_ns(const struct policy_entity *entity);

/* --- policy_latency.c: what is asked for at a time ------------------------------------------------- */

/* Chooses all requests anew, after a change. Fails if a target cannot be kept. */
struct matrix_error *latency_choose_all(struct policy *policy);
/* Whether it and all groups around it have a floor. */
bool latency_has_floors(const struct policy_entity *entity);

/* --- policy_share.c: accounting ---------------------------------------------------------------------- */

void share_sync(struct policy_queue *queue); /* before its rates change */
void share_begin(struct policy_entity *entity);
void share_end(struct policy_entity *entity);
void share_charge(struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns);

/* --- policy.c ---------------------------------------------------------------------------------------- */

struct matrix_error *queue_create(struct policy *policy, struct policy_queue *queue,
                                  struct policy_entity *group);
void queue_destroy(struct policy_queue *queue);

/* Its ceiling has changed. */
void policy_look_again(struct policy *policy, struct policy_entity *entity);

#endif
