/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who runs next, and for how long: the contract between guests on one core, as arithmetic. It
 * knows weights and charged nanoseconds, no clock and no KVM. Called by the core loop, and by
 * tests with a simulated clock.
 *
 * The rule is earliest eligible virtual deadline first (Stoica and Abdel-Wahab, "Earliest
 * Eligible Virtual Deadline First", 1995) with the virtual time of WF2Q+ (Bennett and Zhang,
 * 1997). Virtual time V advances by charged time / total weight. An entity's own virtual time
 * advances by its charged time / its weight; the difference, times the weight, is its lag: what
 * it is owed. It is eligible if it is not ahead (lag >= 0), and asks for one slice at a time, to
 * be served by a virtual deadline. Of those eligible the earliest deadline is picked.
 *
 * Who leaves with a credit forfeits it; who leaves with a debt finds it again on its return,
 * less what V has moved on meanwhile: sleeping wins nothing. EEVDF moves V back or forth on such
 * a leave so that the lags of the rest sum to zero. That lets the lag of a heavy entity jump by
 * half a slice for EACH light one that leaves, without limit. So here V never jumps on a leave:
 *  - a debt that leaves is made good to those who stay, by V standing still until they have
 *    received as much;
 *  - a credit that leaves is used up when all that stay are ahead: V then moves on to the first.
 *
 * The bound, at every instant, through any joins and leaves, for each runnable entity:
 *     -(slice + overrun) <= lag <= slice + overrun
 * where overrun is the most that a run exceeded policy_slice(), up to one slice; who is alone may
 * run for any time and comes out of it with no lag. The overrun is learned: requests made before
 * one of that size was first seen do not allow for it. Beyond one slice, and until learned, the
 * upper bound grows by weight / total weight times the sum of the excesses outstanding. While
 * nobody joins or leaves, lag is exactly an entity's share of the time charged, less its own.
 * tests/unit/test_policy.c checks this against an independent model.
 *
 * Charge a run before any join or leave that happened during it takes effect.
 * Costs: O(log n) amortised for everything, O(1) for accounting. Only policy_reserve() and
 * policy_join() allocate.
 */
#ifndef CLOUD_POLICY_H
#define CLOUD_POLICY_H

#include "base/heap.h"
#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_WEIGHT_MAX 10000

/*
 * Nanoseconds per unit of weight, in units of 2^-32 ns. 64 bits of nanoseconds fit at weight 1,
 * and one nanosecond is still visible at a total weight of 10^10 (remainders are carried).
 */
typedef unsigned __int128 policy_virtual_t;

enum policy_place { POLICY_AWAY, POLICY_WAITING, POLICY_ELIGIBLE };

/* Embedded in the caller's guest; written by the policy only. */
struct policy_entity {
    struct heap_node node;
    enum policy_place place;
    uint32_t weight;
    uint32_t remainder;        /* of the division by weight in vruntime; < weight */
    policy_virtual_t vruntime; /* its own virtual time; kept while away */
    policy_virtual_t deadline; /* of the current request */
    uint64_t left_ns;          /* of the current request */

    /* Accounting, see struct policy_share. What accrues with time is added up on leaving. */
    uint64_t cpu_ns, contended_cpu_ns, alone_ns, contended_total_ns;
    policy_virtual_t entitled; /* in 2^-32 ns */
    policy_virtual_t joined_fluid;
    uint64_t joined_total_ns;
};

/* What was promised and given; "contended" is the time when at least two were runnable. */
struct policy_share {
    uint64_t cpu_ns;             /* all its CPU time */
    uint64_t entitled_ns;        /* its share by weight while runnable and contended */
    uint64_t contended_cpu_ns;   /* its CPU time while contended */
    uint64_t contended_total_ns; /* everybody's CPU time while it was runnable and contended */
    uint64_t alone_ns;           /* its CPU time while nobody else was runnable */
};

struct policy;

/* Makes a policy without entities. Fails if slice_ns is 0, or without memory. */
struct matrix_error *policy_create(uint64_t slice_ns, struct policy **policy) MATRIX_MUST_CHECK;

/* Entities that are still joined must not be used with any policy function afterwards. */
void policy_destroy(struct policy *policy); /* NULL is allowed */

/* Prepares an entity, without debts. weight: 1 to POLICY_WEIGHT_MAX, else the nearest of them. */
void policy_entity_init(struct policy_entity *entity, uint32_t weight);

/* Makes room: with up to count entities runnable at once policy_join() cannot fail. ENOMEM. */
struct matrix_error *policy_reserve(struct policy *policy, size_t count) MATRIX_MUST_CHECK;

/* It becomes runnable. Nothing happens if it is already. Fails without memory, changing nothing. */
struct matrix_error *policy_join(struct policy *policy,
                                 struct policy_entity *entity) MATRIX_MUST_CHECK;

/*
 * It sleeps, waits or has ended; it may be the one that is running (charge its run first).
 * Afterwards the policy holds no pointer to it. Nothing happens if it is away already.
 */
void policy_leave(struct policy *policy, struct policy_entity *entity);

/* Who runs next; NULL if nobody is runnable. It stays joined. */
struct policy_entity *policy_pick(struct policy *policy);

/*
 * How long the picked entity may run before the next pick, in ns: what is left of its request,
 * which spans short runs that ended in an exit. More than slice / 8, so that slivers don't cost
 * more than they give (what is left is then dropped, and a new request made); at most a slice.
 */
uint64_t policy_slice(const struct policy *policy, const struct policy_entity *entity);

/* It ran for cpu_ns, which may be more or less than its slice. It must be joined. */
void policy_charge(struct policy *policy, struct policy_entity *entity, uint64_t cpu_ns);

size_t policy_runnable(const struct policy *policy);

/* Fills in *share as of now; entity may be joined or away. */
void policy_share(const struct policy *policy, const struct policy_entity *entity,
                  struct policy_share *share);

#endif
