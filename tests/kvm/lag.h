/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How far guests were from what their contract says, by every stay on the core (include/matrix/board.h): in CPU
 * time and not by a clock, so that other load on the machine does not matter. The bound is that of
 * cloud/policy_eevdf.c: a slice, another for what runs are expected to exceed theirs by, and what they exceeded
 * it by in fact and was not made good yet.
 */
#ifndef TESTS_KVM_LAG_H
#define TESTS_KVM_LAG_H

#include <matrix/board.h>

/* Once what runs have exceeded their slices by is taken off. */
#define LAG_BOUND_SLICES 2.0

struct lag {
    double slice_ns;
    double worst_ns;    /* as it was */
    double beyond_ns;   /* less excesses_ns, as it was then */
    double excesses_ns; /* what runs have exceeded their slices by, outstanding */
};

/* off_ns: how far it is after this stay. */
void lag_add(struct lag *lag, double off_ns, const struct matrix_board_stay *stay);

/* Of two guests that could run all the time: what the first has had beyond its part, or the second beyond its
 * own, of what both had. */
double lag_of_two(const unsigned weights[2], const uint64_t cpu_ns[2]);

#endif
