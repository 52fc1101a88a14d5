/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who runs next, and for how long: the contract between guests on one core, as arithmetic. It
 * knows contracts, charged nanoseconds and the wall time that it is told; no clock and no KVM.
 * Called by the core loop, and by tests with a simulated clock.
 *
 * What is promised. Of those that can run, each gets a share of the time that is charged:
 *     share = weight * lambda, but not less than its floor and not more than its ceiling,
 * with the one lambda for which the shares add up to the whole (policy_rates.c). A group has a
 * contract like a guest's; its members divide its time among themselves in the same way. A ceiling is
 * also kept by wall time, whoever else runs or does not (policy_ceiling.c). A latency target bounds the
 * wait from ready to run; it is a promise where there are floors all the way up (policy_contract.c).
 *
 * How it is kept: by a discipline, which orders the members of one group, or of the core. "contract"
 * (policy_eevdf.c) is the one that keeps it, and states its bounds; "round-robin" (policy_robin.c)
 * is there to compare. docs/write-a-policy.md says how to write another.
 *
 * Charge a run before any join, leave or change that happened during it takes effect.
 * Costs: O(log n) amortised for everything, times the depth of groups, and O(log n) for each floor or
 * ceiling that begins or ceases to bind; O(depth) for accounting. Only the functions that return an
 * error allocate.
 */
#ifndef CLOUD_POLICY_H
#define CLOUD_POLICY_H

#include "base/heap.h"
#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_WEIGHT_MAX 10000
#define POLICY_WHOLE      1000000 /* the whole core: floors and ceilings are parts per million of it */
#define POLICY_DEPTH_MAX  8       /* of groups within groups */

/*
 * Nanoseconds per unit of weight, in units of 2^-32 ns. 64 bits of nanoseconds fit at weight 1,
 * and one nanosecond is still visible at a total weight of 10^10 (remainders are carried).
 */
typedef unsigned __int128 policy_virtual_t;

struct policy_contract {
    uint32_t weight;      /* 1 to POLICY_WEIGHT_MAX */
    uint32_t floor_ppm;   /* never less, while it can run; 0: none */
    uint32_t ceiling_ppm; /* never more; 0: none */
    uint64_t latency_ns;  /* the longest wait from ready to run; 0: no target */
};

/* Whether a floor or ceiling decides its share, or its weight. */
enum policy_bound { POLICY_FREE, POLICY_AT_FLOOR, POLICY_AT_CEILING };

enum policy_place { POLICY_AWAY, POLICY_WAITING, POLICY_ELIGIBLE };

struct policy_queue;

/* Embedded in the caller's guest; written by the policy only. */
struct policy_entity {
    /* Its place in the order of its queue: the discipline's. With a million of them, what is looked at
     * together stands together. */
    struct heap_node node;
    uint64_t left_ns;          /* of the current request */
    policy_virtual_t vruntime; /* its own virtual time; kept while away */
    policy_virtual_t deadline; /* of the current request */
    uint32_t remainder;        /* of the division by rate_weight in vruntime; < rate_weight */
    uint32_t rate_weight;      /* its weight, or the floor or ceiling that binds it */
    enum policy_place place;
    enum policy_bound bound;

    struct policy_queue *queue;  /* where it competes; NULL: at the core's own, when it joins */
    struct policy_queue *inside; /* a group's: where its members compete */
    uint64_t request_ns;         /* what it asks for at a time; 0: a slice */
    uint64_t label;              /* the caller's own; 0 when it is added */
    uint32_t weight;
    bool joined;      /* a guest: it can run; a group: some of its members can */
    bool has_ceiling; /* less than a core */
    bool throttled;   /* it is at its ceiling */
    bool added;       /* it is a member of its queue, whether it can run or not */

    /* Accounting, see struct policy_share. What accrues with time is added up on leaving. */
    uint64_t cpu_ns, contended_cpu_ns, alone_ns, contended_total_ns, joined_total_ns;
    policy_virtual_t entitled; /* in 2^-32 ns */
    policy_virtual_t fluid_mark;

    /* Limits. */
    struct policy_contract contract;
    struct heap_node low, high;        /* by floor and by ceiling, see policy_rates.c */
    struct heap_node release;          /* among the throttled */
    uint64_t release_ns, refilled_ns;  /* wall time: when it may run again; of the tokens */
    int64_t tokens;                    /* ns times POLICY_WHOLE that it may still run */
    const char *name;                  /* for messages */
    struct policy_entity *next, *prev; /* among the members of its queue */
};

/* What was promised and given; "contended" is the time when at least two guests could run. */
struct policy_share {
    uint64_t cpu_ns;             /* all its CPU time */
    uint64_t entitled_ns;        /* its share by contract while runnable and contended */
    uint64_t contended_cpu_ns;   /* its CPU time while contended */
    uint64_t contended_total_ns; /* everybody's CPU time while it was runnable and contended */
    uint64_t alone_ns;           /* its CPU time while nobody else was runnable */
};

struct policy;
struct policy_discipline;

/* The name of a discipline; NULL past the last. The first one is the default. */
const char *policy_name(size_t index);

/* Makes a policy without entities. name: of a discipline; NULL: the default. Fails if slice_ns is 0, if
 * there is no such discipline, or without memory. */
struct matrix_error *policy_create(uint64_t slice_ns, const char *name,
                                   struct policy **result) MATRIX_MUST_CHECK;

/* Entities that are still joined must not be used with any policy function afterwards. Groups are
 * gone. */
void policy_destroy(struct policy *policy); /* NULL is allowed */

/* --- who there is ---------------------------------------------------------------------------- */

/* Prepares an entity, without debts. weight: 1 to POLICY_WEIGHT_MAX, else the nearest of them. Where
 * there are neither limits nor groups, that is enough to join. */
void policy_entity_init(struct policy_entity *entity, uint32_t weight);

/*
 * Prepares an entity and makes it a member of group (NULL: of the core), with a contract; name is used
 * in messages, and must stay. Fails, changing nothing, if the contract contradicts itself or others:
 * if floors add up to more than there is, or a latency target cannot be kept.
 */
struct matrix_error *policy_add(struct policy *policy, struct policy_entity *group,
                                struct policy_entity *entity, const char *name,
                                const struct policy_contract *contract) MATRIX_MUST_CHECK;

/* Makes a group, likewise, with its own copy of the name. It is the policy's, and gone with it. */
struct matrix_error *policy_add_group(struct policy *policy, struct policy_entity *parent,
                                      const char *name, const struct policy_contract *contract,
                                      struct policy_entity **result) MATRIX_MUST_CHECK;

/* Changes a contract; from the next slice on it holds. Fails as policy_add() does. */
struct matrix_error *policy_set(struct policy *policy, struct policy_entity *entity,
                                const struct policy_contract *contract) MATRIX_MUST_CHECK;

/* The entity leaves, and its floor is free for others. Afterwards the policy holds no pointer to it. */
void policy_remove(struct policy *policy, struct policy_entity *entity);

/* Frees a group. Fails if it has members. */
struct matrix_error *policy_remove_group(struct policy *policy,
                                         struct policy_entity *group) MATRIX_MUST_CHECK;

/* The longest wait from ready to run that is promised to the entity, beyond what others exceed their
 * slices; UINT64_MAX: none is. */
uint64_t policy_latency(const struct policy *policy, const struct policy_entity *entity);

/* The share of the core, 0 to 1, that an entity which was added gets at least while it can run; and while
 * all others can, too. */
void policy_promise(const struct policy_entity *entity, double *least, double *when_all_run);

/* The group that it is in, and its name; NULL if it is in none. */
struct policy_entity *policy_group(const struct policy_entity *entity);
const char *policy_group_name(const struct policy_entity *entity);

/* --- who can run ------------------------------------------------------------------------------ */

/* Makes room: with up to count entities runnable at once policy_join() cannot fail. ENOMEM. Not needed
 * for those that were added. */
struct matrix_error *policy_reserve(struct policy *policy, size_t count) MATRIX_MUST_CHECK;

/* It becomes runnable. Nothing happens if it is already. Fails without memory, changing nothing. */
struct matrix_error *policy_join(struct policy *policy,
                                 struct policy_entity *entity) MATRIX_MUST_CHECK;

/*
 * It sleeps, waits or has ended; it may be the one that is running (charge its run first).
 * Afterwards the policy holds no pointer to it, unless it was added. Nothing happens if it is away.
 */
void policy_leave(struct policy *policy, struct policy_entity *entity);

/* --- who runs --------------------------------------------------------------------------------- */

/*
 * Who runs next, at that wall time (any clock that never goes back; it matters to ceilings only). NULL
 * if nobody may: nobody is runnable, or see policy_release_ns(). It stays joined. After a charge and a
 * join this is also the answer to whether the one that joined comes on at once.
 */
struct policy_entity *policy_pick(struct policy *policy, uint64_t now_ns);

/* The wall time when the next one that is at its ceiling may run again; 0: there is none. */
uint64_t policy_release_ns(const struct policy *policy);

/*
 * How long the picked entity may run before the next pick, in ns: what is left of its request,
 * which spans short runs that ended in an exit. More than an eighth of a request, so that slivers don't
 * cost more than they give (what is left is then dropped, and a new request made); at most a slice.
 */
uint64_t policy_slice(const struct policy *policy, const struct policy_entity *entity);

/* Whether it may run for as long as it likes: nobody else can run, and no ceiling is above it. */
bool policy_is_unlimited(const struct policy *policy, const struct policy_entity *entity);

/* It ran for cpu_ns, which may be more or less than its slice, up to wall time now_ns. It must be
 * joined. */
void policy_charge(struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns,
                   uint64_t now_ns);

size_t policy_runnable(const struct policy *policy);

/* Fills in *share as of now; entity may be joined or away. */
void policy_share(const struct policy *policy, const struct policy_entity *entity,
                  struct policy_share *share);

#endif
