// SPDX-License-Identifier: GPL-2.0-or-later
/* How far guests were from their contract; see lag.h. */
#include "tests/kvm/lag.h"

#include <math.h>

void lag_add(struct lag *lag, double off_ns, const struct matrix_board_stay *stay)
{
    const double excess_ns = (double)stay->cpu_ns - lag->slice_ns;
    if (excess_ns > 0)
        lag->excesses_ns += excess_ns;
    lag->worst_ns = fmax(lag->worst_ns, off_ns);
    lag->beyond_ns = fmax(lag->beyond_ns, off_ns - lag->excesses_ns);
    /* What is within a slice again owes nothing any more. */
    if (off_ns <= lag->slice_ns)
        lag->excesses_ns = 0;
}

double lag_of_two(const unsigned weights[2], const uint64_t cpu_ns[2])
{
    const double both = weights[0] + weights[1];
    return fabs(weights[1] / both * (double)cpu_ns[0] - weights[0] / both * (double)cpu_ns[1]);
}
