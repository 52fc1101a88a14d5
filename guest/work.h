/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work of Neo and Morpheus: the same function from different seeds, so that their work
 * counters stand to each other as their shares of the core do. A chain of 64-bit hashes whose
 * every link needs the one before; after WORK_CHAIN units it must arrive at a known digest,
 * and starts anew.
 */
#ifndef GUEST_WORK_H
#define GUEST_WORK_H

#include <matrix/guest/sdk.h>

enum {
    WORK_ROUNDS = 4096,       /* rounds in a unit: about 10 microseconds */
    WORK_CHAIN = 1000,        /* units from a seed to its known digest */
    WORK_PRINT_EVERY = 10000, /* units from line to line, unless told otherwise */
};

/* One unit of work: rounds of xorshift64* (Vigna, "An experimental exploration..."). */
static inline uint64_t work_unit(uint64_t digest)
{
    for (int round = 0; round < WORK_ROUNDS; round++) {
        digest ^= digest >> 12;
        digest ^= digest << 25;
        digest ^= digest >> 27;
        digest *= 0x2545f4914f6cdd1d;
    }
    return digest;
}

struct work_options {
    uint64_t units; /* when to stop; 0: never */
    uint64_t every; /* units from line to line; 0: no lines */
};

/* Reads "[--units N] [--every N]". */
static inline bool work_parse_options(int argc, char **argv, struct work_options *options)
{
    for (int i = 1; i < argc; i += 2) {
        uint64_t *value = NULL;

        if (strcmp(argv[i], "--units") == 0)
            value = &options->units;
        else if (strcmp(argv[i], "--every") == 0)
            value = &options->every;
        if (!value || i + 1 == argc || !matrix_parse_u64(argv[i + 1], value))
            return false;
    }
    return true;
}

/* Works as the arguments say. Returns the guest's exit status. */
static inline int work_run(uint64_t seed, uint64_t known_digest, int argc, char **argv)
{
    struct work_options options = {.every = WORK_PRINT_EVERY};
    uint64_t digest = seed;

    if (!work_parse_options(argc, argv, &options)) {
        matrix_printf("usage: %s [--units N] [--every N]\n", argv[0]);
        return 2;
    }
    for (uint64_t done = 1;; done++) {
        digest = work_unit(digest);
        matrix_work_add(1);
        if (options.every && done % options.every == 0)
            matrix_printf("%lu units, digest %016lx\n", done, digest);
        if (done % WORK_CHAIN == 0 && digest != known_digest) {
            matrix_printf("wrong digest %016lx, expected %016lx\n", digest, known_digest);
            return 1;
        }
        if (done == options.units) {
            matrix_printf("done: %lu units, digest %016lx\n", done, digest);
            return 0;
        }
        if (done % WORK_CHAIN == 0)
            digest = seed;
    }
}

#endif
