/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the models of the policy share. For test_policy.c and test_policy_contract.c. */
#ifndef TESTS_UNIT_POLICY_RANDOM_H
#define TESTS_UNIT_POLICY_RANDOM_H

#define SLICE  UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

/* The model rounds at 2^-64 of at most hours; the policy at 2^-32 ns. */
#define ROUNDING 1.0L

static uint64_t random_next(uint64_t *state) /* SplitMix64 */
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t random_below(uint64_t *state, uint64_t limit)
{
    return random_next(state) % limit;
}

#endif
