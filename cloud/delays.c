// SPDX-License-Identifier: GPL-2.0-or-later
/* A log-linear histogram of delays. Called by core and contract. */
#include "cloud/delays.h"

/* Values below DELAYS_STEPS have a bucket each; above, each power of two has DELAYS_STEPS. */
static unsigned bucket_of(uint64_t value)
{
    if (value < DELAYS_STEPS)
        return (unsigned)value;
    unsigned exponent = 63 - (unsigned)__builtin_clzll(value); /* 4 or more */
    return (exponent - 3) * DELAYS_STEPS + (unsigned)(value >> (exponent - 4)) % DELAYS_STEPS;
}

uint64_t delays_bucket_end(unsigned bucket)
{
    if (bucket < DELAYS_STEPS)
        return bucket;
    unsigned exponent = bucket / DELAYS_STEPS + 3;
    uint64_t step = 1ULL << (exponent - 4);
    return (DELAYS_STEPS + bucket % DELAYS_STEPS) * step + step - 1;
}

void delays_add(struct delays *delays, uint64_t delay_ns)
{
    delays->count++;
    delays->buckets[bucket_of(delay_ns)]++;
    if (delay_ns > delays->worst_ns)
        delays->worst_ns = delay_ns;
}

uint64_t delays_quantile(const struct delays *delays, double share)
{
    const uint64_t wanted = (uint64_t)((double)delays->count * share);
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < DELAYS_BUCKETS; bucket++) {
        seen += delays->buckets[bucket];
        if (seen > wanted) {
            uint64_t end = delays_bucket_end(bucket);
            return end < delays->worst_ns ? end : delays->worst_ns;
        }
    }
    return delays->worst_ns;
}
