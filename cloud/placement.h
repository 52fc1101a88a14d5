/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which guest is on which core, as arithmetic: no clock, no threads, no KVM. Called by the machine
 * (machine.h), and by tests with a simulated clock. cloud/policy divides each core; this divides the
 * machine.
 *
 * What is placed is an item: a guest, or a group with all its members. A group lives on one core, as a
 * unit: its floor and ceiling are parts of one core, and its members divide what it gets there, by their
 * weights. Spread over cores each member would get what happens to be left where it is, and the
 * tenant's contract would be none. Nor can a guest be in two places; so the most of each is one core.
 *
 * The ideal is one fluid for the whole machine of M cores:
 *     share = weight * lambda, but not less than its floor and not more than its ceiling or one core,
 * with the one lambda for which the shares add up to M; or all are at their most. Who can run for a part of
 * the time only counts for that part of it ("activity": measured, and smoothed). The load of a core is
 * the sum of the ideal shares of those that are on it: 1 is right, more is too much.
 *
 * The bound. Of a core with load L, which divides itself by contract (policy.h),
 *   - a guest is short of its ideal share by no more than L - 1 of a core if L > 1, and never gets less
 *     than its floor; without floors on that core it gets 1 / L of its ideal. If L <= 1 nobody is short;
 *   - it is above its ideal share by no more than 1 - L of a core if L < 1; if L >= 1 nobody is.
 * (The core's lambda is less than the ideal one if and only if L > 1, so that all of a core err in the same
 * direction, and their errors add up to L - 1.) And when placement_balance() has nothing more to move,
 * for all cores a and b
 *     load of a <= load of b + s + HYSTERESIS
 * where s is the smallest ideal share of those on a that may be moved to b: that are not pinned, and
 * whose floors find room there. (Less than PLACEMENT_LEAST of a core is left where it is.) The least loaded
 * core has 1 at most, so that no guest is short of its ideal by more than s + HYSTERESIS, s being
 * the smallest share of its neighbours: with n equal guests on a core, 1 / n of their share. Where all
 * are pinned, or kept by their floors, only the first part holds: pins may put any load on a core.
 *
 * Floors hold on each core in any case, as an item is admitted only where the floors add up to one core
 * at most. A guest without a floor may lose as much as the bound says even if that is all of its
 * share, as it may on a single core: who must not has a floor.
 *
 * No ping-pong: an item is moved from a to b if load of a - load of b > its share + HYSTERESIS.
 * So the greater of the two falls, no maximum of the machine rises, and the sum of the squares of
 * the loads falls by 2 * share * HYSTERESIS at least: with the same activities there is an end to it.
 *
 * Costs: O(cores) to place, O(log items) for each that reaches or leaves its floor or ceiling by it;
 * O(cores + items) to find a move, times the cores that floors rule out.
 */
#ifndef CLOUD_PLACEMENT_H
#define CLOUD_PLACEMENT_H

#include "base/heap.h"
#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLACEMENT_CORES_MAX  1024
#define PLACEMENT_HYSTERESIS 0.02   /* of a core */
#define PLACEMENT_LEAST      0.0001 /* of a core */

struct placement_contract {
    uint32_t weight;      /* 1 to POLICY_WEIGHT_MAX */
    uint32_t floor_ppm;   /* of one core */
    uint32_t ceiling_ppm; /* 0: one core */
    bool pinned;          /* to this core: */
    unsigned core;
};

enum placement_bound { PLACEMENT_FREE, PLACEMENT_AT_FLOOR, PLACEMENT_AT_CEILING };

/* Embedded in the caller's guest; written by the functions below only. */
struct placement_item {
    struct placement_contract contract;
    unsigned core;     /* where it is */
    uint32_t activity; /* of the time, the part when it could run, in parts per million; not 0 */
    bool held;         /* it is not to be moved */
    enum placement_bound bound;
    struct heap_node low, high;         /* by floor and by ceiling */
    struct placement_item *next, *prev; /* on its core */
    const char *name;                   /* for messages */
};

struct placement_move {
    struct placement_item *item;
    unsigned from, to;
};

struct placement;

/* cores: 1 to PLACEMENT_CORES_MAX. */
struct matrix_error *placement_create(unsigned cores, struct placement **result) MATRIX_MUST_CHECK;

/* Items that are still placed must not be used afterwards. NULL is allowed. */
void placement_destroy(struct placement *placement);

/*
 * Chooses a core and puts the item there. Of the cores that have room for its floor: if there are some where
 * with it everybody still gets the ideal, the one where the floors leave the least room (best fit: large
 * ones find room elsewhere), or, for an item without a floor, the one with the least load; else the
 * one with the least load. MATRIX_ERROR_USAGE: no core has room for its floor, and the message shows the sums;
 * or the contract contradicts itself. name must stay.
 */
struct matrix_error *placement_add(struct placement *placement, struct placement_item *item,
                                   const char *name,
                                   const struct placement_contract *contract) MATRIX_MUST_CHECK;

void placement_remove(struct placement *placement, struct placement_item *item);

/* Changes its contract. It stays where it is if that is possible, else item->core is another afterwards.
 * Fails as placement_add() does, changing nothing. */
struct matrix_error *placement_set(struct placement *placement, struct placement_item *item,
                                   const struct placement_contract *contract) MATRIX_MUST_CHECK;

/*
 * Moves others, at most max of them, so that placement_add() finds room for the floor; *count of them, or
 * none: there was room. Fails as placement_add() does if that cannot be, or not by so few moves; then
 * nothing has changed. The books say at once that they were moved.
 */
struct matrix_error *placement_make_room(struct placement *placement, const char *name,
                                         const struct placement_contract *contract,
                                         struct placement_move *moves, size_t max,
                                         size_t *count) MATRIX_MUST_CHECK;

/* It could run for that part of the last interval, in parts per million. */
void placement_observe(struct placement *placement, struct placement_item *item,
                       uint32_t activity_ppm);

/* Moves at most max items towards balance, none twice; returns how many. 0: all is as balanced as it will be. To be
 * called at intervals; the books say at once that they were moved. If they are moved in this order, each finds
 * room for its floor. */
size_t placement_balance(struct placement *placement, struct placement_move *moves, size_t max);

/* It is on that core, whatever the reason: a move could not be carried out. */
void placement_put(struct placement *placement, struct placement_item *item, unsigned core);

/* --- what is to be expected ---------------------------------------------------------------------- */

/* In cores: the item's ideal share, activity included; the sum of them on a core; and of a core's floors. */
double placement_share(const struct placement *placement, const struct placement_item *item);
double placement_load(const struct placement *placement, unsigned core);
double placement_floors(const struct placement *placement, unsigned core);

/* By how much of a core a guest may be short of its ideal share now: the greatest load, less 1. */
double placement_shortfall(const struct placement *placement);

#endif
