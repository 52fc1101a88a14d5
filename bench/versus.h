/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What bench/versus is made of: the same guests, half of them entitled to 70 and half to 30, run by
 * a core and by the host's scheduler. versus_ours.c and versus_host.c measure one side each,
 * versus_error.c reckons how far the shares are off, versus_print.c says so.
 */
#ifndef BENCH_VERSUS_H
#define BENCH_VERSUS_H

#include "bench/bench.h"

#define VERSUS_SAMPLE_NS    100000000ULL
#define VERSUS_WINDOWS      3 /* 100 ms, 1 s and 5 s */
#define VERSUS_WEIGHT_HEAVY 70u
#define VERSUS_WEIGHT_LIGHT 30u

/* Every other guest is heavy. */
static inline bool versus_is_heavy(unsigned guest)
{
    return guest % 2 == 0;
}

/* The CPU time of each guest, every VERSUS_SAMPLE_NS. */
struct versus_samples {
    unsigned guests;    /* an even number */
    unsigned count;     /* of moments so far */
    unsigned wanted;    /* of moments */
    double heavy_share; /* what all heavy ones together were promised, 0 to 1 */
    uint64_t *cpu_ns;   /* guests in turn, for each moment; all of it is resident */
};

struct matrix_error *versus_samples_create(unsigned guests, unsigned wanted,
                                           struct versus_samples *samples) MATRIX_MUST_CHECK;
void versus_samples_free(struct versus_samples *samples);

/* Where the times of the next moment go; count is the caller's to raise. */
uint64_t *versus_samples_next(struct versus_samples *samples);

/* A value for each window, of all rounds. */
struct versus_errors {
    struct bench_values furthest;    /* |given - promised| of the guest that is furthest off, in
                                     percentage points of the core */
    struct bench_values relative[2]; /* |given - promised| / promised, in percent: the median of
                                        the heavy guests, and of the light ones */
};

/* A window is so many samples long; one begins at every sample. */
struct matrix_error *versus_errors_add(const struct versus_samples *samples, unsigned length,
                                       struct versus_errors *errors) MATRIX_MUST_CHECK;

/* How much memory is in use: by this process beyond its guests' RAM, and by the whole machine. */
struct versus_memory {
    double process_bytes, ram_bytes, machine_bytes;
};

/* vms may be NULL if there are none yet. */
struct matrix_error *versus_memory_read(struct matrix_vm *const *vms, unsigned count,
                                        struct versus_memory *memory) MATRIX_MUST_CHECK;

/* One side's figures, of all rounds with so many guests. */
struct versus_side {
    struct versus_errors errors[VERSUS_WINDOWS];
    struct bench_values delays;     /* from a timer's moment to having the core back, in ns */
    struct bench_values switches;   /* what a switch costs, in ns */
    struct bench_values work;       /* what guests counted per second of CPU time */
    struct bench_values memory;     /* bytes per guest: this process's, beyond the guests' RAM */
    struct bench_values machine;    /* bytes per guest: all that the machine has less */
    struct bench_values overhead;   /* ours: the part of CPU time that is not in KVM_RUN */
    struct bench_values by_account; /* ours: what the core itself says of that */
};

/* One round. */
struct versus_round {
    const struct bench *bench;
    struct matrix_vm **vms;
    unsigned count;
    int cpu;
    unsigned settle;             /* samples that are thrown away first */
    struct versus_memory before; /* before the guests were made */
    struct versus_samples samples;
    const char *host_weights; /* versus_run_host: how the host was told of the weights */
};

/* The total of what the guests have counted. */
double versus_work(const struct versus_round *round);

struct matrix_error *versus_memory_add(const struct versus_round *round,
                                       struct versus_side *side) MATRIX_MUST_CHECK;

/* Both fill the samples and add to side what else they measure. Ours comes first: a virtual CPU
 * that another thread has run before costs that other thread a wait. */
struct matrix_error *versus_run_ours(struct versus_round *round,
                                     struct versus_side *side) MATRIX_MUST_CHECK;
struct matrix_error *versus_run_host(struct versus_round *round,
                                     struct versus_side *side) MATRIX_MUST_CHECK;

/* versus_gap.c: how long the loop is outside of KVM_RUN from one call to the next, sampled. */
struct versus_gaps {
    uint64_t calls;     /* of vcpu_run, all of them */
    uint64_t gaps;      /* that were measured */
    double measured_ns; /* those */
};
struct versus_gaps versus_gaps_read(void);
double versus_clock_cost_ns(void);

/* versus_weights.c: how the host's scheduler is told of 70 and 30. */
struct versus_weights {
    const char *name;   /* for people */
    double heavy_share; /* what the heavy half is promised */
    char paths[2][64];  /* where a thread's number is written: heavy, light; empty: nice */
    char between[512];  /* and where that of a thread that is neither */
    char home[512];     /* cgroup v2: where this process was before */
    int nice;           /* what this process had before */
};
void versus_weights_begin(struct versus_weights *weights);
void versus_weights_end(const struct versus_weights *weights);

/* The calling thread, and threads that it starts from now on, are of those; or of neither. */
bool versus_weights_enter(const struct versus_weights *weights, bool heavy);
bool versus_weights_leave(const struct versus_weights *weights);

/* Prints all figures of so many guests. */
void versus_print(const struct versus_round *round, unsigned rounds, struct versus_side *ours,
                  struct versus_side *host);

#endif
