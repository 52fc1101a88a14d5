// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * switch_cost_ns: what the loop costs per switch from one guest to the other, beyond KVM_RUN, by
 * its own account; over the system calls that a switch by timer cannot do without.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <signal.h>

#define ROUNDS   15
#define SLICE_NS 100000
#define CALLS    5000

/* Sets a timer, reads the CPU clock before and after the guest, consumes the timer's signal. */
static struct matrix_error *measure_calls(timer_t timer, const sigset_t *signals, double *ns)
{
    const struct itimerspec never = {.it_value = {.tv_sec = 1000000}};
    const struct timespec at_once = {0};
    siginfo_t info;
    const uint64_t begin = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < CALLS; i++) {
        struct timespec now;
        timer_settime(timer, 0, &never, NULL);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
        sigtimedwait(signals, &info, &at_once);
    }
    *ns = (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / CALLS;
    return NULL;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct bench_values switches, calls;
    const unsigned rounds = bench->quick ? 2 : ROUNDS;
    struct bench_pair pair = {
        .weights = {1, 1}, .slice_ns = SLICE_NS, .duration_ns = 300000000, .cpu = bench_cpu()};
    timer_t timer;
    sigset_t signals;
    RETURN_IF_ERROR(bench_pin(pair.cpu));
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMAX);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return error_host(errno, "make a timer");

    for (unsigned i = 0; i < rounds; i++) {
        double ns;
        RETURN_IF_ERROR(bench_run_pair(bench, &pair));
        bench_add(&switches,
                  (double)pair.statistics.overhead_ns / (double)pair.statistics.switches);
        RETURN_IF_ERROR(measure_calls(timer, &signals, &ns));
        bench_add(&calls, ns);
    }
    timer_delete(timer);
    bench_print(&(struct bench_result){
        .name = "switch_cost_ns",
        .unit = "ns",
        .value = bench_median(&switches),
        .baseline = "timer_settime, 2 x clock_gettime of CPU time, sigtimedwait",
        .baseline_value = bench_median(&calls),
        .runs = rounds,
    });
    return NULL;
}
