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
#define ROUND_NS 300000000
#define SLICE_NS 100000
#define LATE_NS  100000 /* by then the timer has gone off */

/*
 * The same slices without guest, policy and KVM: the timer is set, the CPU clock read, the slice
 * spent, the clock read again, the timer's signal consumed. The slice must be real: setting a timer
 * that is due soon reprograms the hardware, which costs more than all the rest on a virtual host.
 */
static double measure_calls(timer_t timer, const sigset_t *signals, unsigned slices)
{
    const struct timespec at_once = {0};
    uint64_t overhead = 0, mark = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (unsigned i = 0; i < slices; i++) {
        const uint64_t due = clock_now_ns(CLOCK_MONOTONIC) + SLICE_NS;
        const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due / 1000000000),
                                                     .tv_nsec = (long)(due % 1000000000)}};
        siginfo_t info;
        timer_settime(timer, TIMER_ABSTIME, &when, NULL);
        overhead += clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - mark;
        while (clock_now_ns(CLOCK_MONOTONIC) < due + LATE_NS)
            ;
        mark = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
        while (sigtimedwait(signals, &info, &at_once) < 0)
            ;
    }
    return (double)overhead / slices;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct bench_values switches, calls;
    const unsigned rounds = bench->quick ? 2 : ROUNDS;
    struct bench_pair pair = {
        .weights = {1, 1}, .slice_ns = SLICE_NS, .duration_ns = ROUND_NS, .cpu = bench_cpu()};
    timer_t timer;
    sigset_t signals;
    RETURN_IF_ERROR(bench_pin(pair.cpu));
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMAX);
    /* A signal that is waited for must not be delivered otherwise. */
    sigprocmask(SIG_BLOCK, &signals, NULL);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
        return error_host(errno, "make a timer");

    for (unsigned i = 0; i < rounds; i++) {
        RETURN_IF_ERROR(bench_run_pair(bench, &pair));
        bench_add(&switches,
                  (double)pair.statistics.overhead_ns / (double)pair.statistics.switches);
        bench_add(&calls, measure_calls(timer, &signals, ROUND_NS / 2 / SLICE_NS));
    }
    timer_delete(timer);
    bench_print(&(struct bench_result){
        .name = "switch_cost_ns",
        .unit = "ns",
        .value = bench_median(&switches),
        .baseline = "the same slices natively: timer, CPU clock, signal",
        .baseline_value = bench_median(&calls),
        .runs = rounds,
    });
    return NULL;
}
