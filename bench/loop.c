// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop_overhead_1000_guests: what the loop of a core takes of the CPU time with 1,000 guests and slices of
 * 1 ms, without KVM. The loop, the policy, the timer and the signals are the real ones; in place of
 * a guest, the linker (--wrap) has vcpu_run spin here until a signal is pending. So it runs on any
 * processor, and says what of bench/versus's overhead_1000_guests is the loop's.
 * loop_board_1000_guests: how much more of the CPU time it is with a board, which records every stay and
 * publishes all guests.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "vmm/vcpu.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define GUESTS      1000
#define ROUNDS      5
#define ROUND_NS    3000000000ULL
#define INTERVAL_NS 5000 /* how often is looked for a signal */

static double inside_ns; /* CPU time in vcpu_run */
static uint64_t calls;

struct guest_in_name {
    struct matrix_vm vm;
    struct vcpu vcpu;
    uint64_t work;
};

enum vcpu_outcome __wrap_vcpu_run(struct vcpu *vcpu);
struct matrix_error *__wrap_vcpu_set_signal_mask(struct vcpu *vcpu, const sigset_t *blocked);

/* Not sigisemptyset: glibc 2.36's looks at the lower half only, where real-time signals are not. */
static bool is_any(const sigset_t *signals)
{
    uint64_t bits;
    memcpy(&bits, signals, sizeof(bits));
    return bits != 0;
}

enum vcpu_outcome __wrap_vcpu_run(struct vcpu *vcpu)
{
    const uint64_t start = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    sigset_t pending;
    vcpu->vm->exits[MATRIX_EXIT_KIND_INTERRUPTED]++;
    calls++;
    do {
        const uint64_t until = clock_now_ns(CLOCK_MONOTONIC) + INTERVAL_NS;
        while (clock_now_ns(CLOCK_MONOTONIC) < until)
            ;
        sigpending(&pending);
    } while (!is_any(&pending));
    inside_ns += (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - start);
    return VCPU_INTERRUPTED;
}

struct matrix_error *__wrap_vcpu_set_signal_mask(struct vcpu *vcpu, const sigset_t *blocked)
{
    (void)vcpu;
    (void)blocked;
    return NULL;
}

static struct matrix_error *run(struct matrix_core *core, struct guest_in_name *guests,
                                bool has_board)
{
    int board;
    for (unsigned i = 0; i < GUESTS; i++) {
        struct guest_in_name *guest = &guests[i];
        guest->vcpu = (struct vcpu){.vm = &guest->vm, .fd = -1};
        guest->vm = (struct matrix_vm){.name = "spin",
                                       .vcpus_max = 1,
                                       .vcpu_count = 1,
                                       .vcpus = {&guest->vcpu},
                                       .work = &guest->work};
        RETURN_IF_ERROR(matrix_core_add(core, &guest->vm, i % 2 ? 30 : 70));
    }
    struct matrix_core_result end;
    if (has_board)
        RETURN_IF_ERROR(matrix_core_board(core, &board));
    RETURN_IF_ERROR(matrix_core_run(core, &end));
    return end.end == MATRIX_CORE_DURATION ? NULL : error_host(0, "run %u guests", GUESTS);
}

/* What clock reads of vcpu_run's own stand outside of what they measure: one of two. */
static double clock_cost_ns(void)
{
    const uint64_t start = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < BENCH_RUNS_MAX; i++)
        clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    return (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - start) / BENCH_RUNS_MAX;
}

static struct matrix_error *measure(uint64_t duration_ns, bool has_board, double *overhead,
                                    double *per_call_ns)
{
    const struct matrix_core_options options = {.cpu = bench_cpu(), .duration_ns = duration_ns};
    struct matrix_core *core;
    struct guest_in_name *guests = calloc(GUESTS, sizeof(*guests));
    if (!guests)
        return error_host(ENOMEM, "note %u guests", GUESTS);
    struct matrix_error *error = matrix_core_create(&options, &core);
    inside_ns = 0;
    calls = 0;
    if (!error)
        error = run(core, guests, has_board);
    if (!error) {
        struct matrix_core_statistics statistics;
        matrix_core_statistics(core, &statistics);
        const double all = (double)(statistics.guests_cpu_ns + statistics.overhead_ns);
        const double clocks = (double)calls * clock_cost_ns();
        *overhead = (all - inside_ns - clocks) / (all - clocks);
        *per_call_ns = (all - inside_ns - clocks) / (double)calls;
    }
    matrix_core_destroy(core);
    free(guests);
    return error;
}

static void print(double overhead, double per_call_ns, double board, unsigned rounds)
{
    bench_print(&(struct bench_result){
        .name = "loop_overhead_1000_guests",
        .unit = "of CPU time",
        .value = overhead,
        .baseline = "the same in ns per slice",
        .baseline_value = per_call_ns,
        .runs = rounds,
        .goal_is = BENCH_GOAL_VALUE,
        .goal = 0.02,
    });
    bench_print(&(struct bench_result){
        .name = "loop_board_1000_guests",
        .unit = "of CPU time",
        .value = board,
        .baseline = "what the loop takes without a board",
        .baseline_value = overhead,
        .runs = rounds,
        .goal_is = BENCH_GOAL_VALUE,
        .goal = 0.01,
    });
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct bench_values overheads, costs, boards;
    const unsigned rounds = bench->quick ? 1 : ROUNDS;
    const uint64_t round_ns = bench->quick ? ROUND_NS / 10 : ROUND_NS;
    for (unsigned i = 0; i < rounds; i++) {
        double overhead, with_board, per_call_ns, ignored;
        RETURN_IF_ERROR(measure(round_ns, false, &overhead, &per_call_ns));
        RETURN_IF_ERROR(measure(round_ns, true, &with_board, &ignored));
        bench_add(&overheads, overhead);
        bench_add(&costs, per_call_ns);
        bench_add(&boards, with_board - overhead);
    }
    print(bench_median(&overheads), bench_median(&costs), bench_median(&boards), rounds);
    return NULL;
}
