/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A histogram of delays in nanoseconds, exact to 1/16: fixed memory, no cost but an increment. */
#ifndef CLOUD_DELAYS_H
#define CLOUD_DELAYS_H

#include <stdint.h>

#define DELAYS_STEPS   16 /* within each power of two */
#define DELAYS_BUCKETS (61 * DELAYS_STEPS)

struct delays {
    uint64_t count, worst_ns;
    uint32_t buckets[DELAYS_BUCKETS];
};

void delays_add(struct delays *delays, uint64_t delay_ns);

/* The delay that a share of them (0 to 1) did not exceed, rounded up; 0 if there are none. */
uint64_t delays_quantile(const struct delays *delays, double share);

/* The greatest delay that counts in a bucket. */
uint64_t delays_bucket_end(unsigned bucket);

#endif
