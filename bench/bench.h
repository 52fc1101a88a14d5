/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the benchmarks share. Each is a program that is called as `PROGRAM BUILD-DIRECTORY
 * [--quick]`, measures Matrix and a baseline in turn, and prints a JSON object per figure;
 * bench/run gathers them.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <matrix/matrix.h>
#include <stdio.h>

#define BENCH_RUNS_MAX 4096

/* Every benchmark's program has one; its error is printed by the common main(). */
struct bench {
    const char *build; /* the build directory: build/matrix, build/guest/NAME.elf */
    bool quick;        /* a smoke test: fewer runs, no claim to precision */
};

struct matrix_error *bench_main(const struct bench *bench);

/* The values of one figure, run by run. */
struct bench_values {
    double items[BENCH_RUNS_MAX];
    unsigned count;
};

void bench_add(struct bench_values *values, double value);

/* The value that a share of them (0 to 1) does not exceed; sorts them. */
double bench_quantile(struct bench_values *values, double share);
double bench_median(struct bench_values *values);

enum bench_goal {
    BENCH_NO_GOAL,
    BENCH_GOAL_RATIO,          /* the ratio is at most that */
    BENCH_GOAL_RATIO_AT_LEAST, /* the ratio is at least that: more is better */
    BENCH_GOAL_VALUE,          /* the value is at most that */
};

struct bench_result {
    const char *name, *unit;
    double value;
    const char *baseline; /* what value is compared with */
    double baseline_value;
    unsigned runs; /* of each of the two */
    enum bench_goal goal_is;
    double goal;
};

void bench_print(const struct bench_result *result);

/* A guest from the build directory: "guest/spin", "bench/hypercall". argument may be NULL. */
struct matrix_error *bench_create_guest(const struct bench *bench, struct matrix_kvm *kvm,
                                        const char *image, const char *argument,
                                        struct matrix_vm **vm) MATRIX_MUST_CHECK;

/* Two guests that never exit, under contract on one core, for duration_ns. */
struct bench_pair {
    unsigned weights[2];
    uint64_t slice_ns, duration_ns;
    int cpu;
    struct matrix_core_statistics statistics; /* the result, and below */
    double promised[2], given[2];
};

struct matrix_error *bench_run_pair(const struct bench *bench,
                                    struct bench_pair *pair) MATRIX_MUST_CHECK;

/* The last of the host CPUs that this process may use: the first gets most interrupts. */
int bench_cpu(void);

/* Binds the calling thread to that CPU. */
struct matrix_error *bench_pin(int cpu) MATRIX_MUST_CHECK;

#endif
