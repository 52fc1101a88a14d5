// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * preemption_delay_ns: wall time from a slice's end to the loop's having the core back from a guest
 * that never exits; over how late a timer's signal reaches a native program that spins.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <signal.h>
#include <time.h>

#define ROUNDS   10
#define ROUND_NS 600000000ULL

static volatile uint64_t delivered_ns;

static void deliver(int signal)
{
    delivered_ns = clock_now_ns(CLOCK_MONOTONIC);
}

/* How late the signals of a one-shot timer are, slice after slice, for ROUND_NS. */
static void measure_native(timer_t timer, uint64_t duration_ns, struct bench_values *delays)
{
    const uint64_t end = clock_now_ns(CLOCK_MONOTONIC) + duration_ns;
    for (uint64_t now; (now = clock_now_ns(CLOCK_MONOTONIC)) < end;) {
        const uint64_t due = now + MATRIX_SLICE_DEFAULT_NS;
        const struct itimerspec when = {.it_value = {.tv_sec = (time_t)(due / 1000000000),
                                                     .tv_nsec = (long)(due % 1000000000)}};
        delivered_ns = 0;
        timer_settime(timer, TIMER_ABSTIME, &when, NULL);
        while (!delivered_ns)
            ;
        bench_add(delays, (double)(delivered_ns - due));
    }
}

static struct matrix_error *make_timer(timer_t *timer)
{
    struct sigaction action = {.sa_handler = deliver};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMAX};
    sigaction(SIGRTMAX, &action, NULL);
    return timer_create(CLOCK_MONOTONIC, &event, timer) < 0 ? error_host(errno, "make a timer")
                                                            : NULL;
}

static void print(const char *name, const char *baseline, struct bench_values *values,
                  struct bench_values *native)
{
    bench_print(&(struct bench_result){
        .name = name,
        .unit = "ns",
        .value = bench_median(values),
        .baseline = baseline,
        .baseline_value = bench_median(native),
        .runs = values->count,
    });
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct bench_values medians, p99s, native, native_medians, native_p99s;
    struct bench_pair pair = {.weights = {1, 1}, .duration_ns = ROUND_NS, .cpu = bench_cpu()};
    timer_t timer;
    RETURN_IF_ERROR(bench_pin(pair.cpu));
    RETURN_IF_ERROR(make_timer(&timer));
    for (unsigned i = 0; i < (bench->quick ? 1 : ROUNDS); i++) {
        RETURN_IF_ERROR(bench_run_pair(bench, &pair));
        bench_add(&medians, (double)pair.statistics.delay_median_ns);
        bench_add(&p99s, (double)pair.statistics.delay_p99_ns);
        native.count = 0;
        measure_native(timer, ROUND_NS, &native);
        bench_add(&native_medians, bench_median(&native));
        bench_add(&native_p99s, bench_quantile(&native, 0.99));
    }
    timer_delete(timer);
    print("preemption_delay_ns", "a timer's signal to a native program that spins, median",
          &medians, &native_medians);
    print("preemption_delay_p99_ns", "the same, 99th percentile", &p99s, &native_p99s);
    return NULL;
}
