// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * share_error_pp: how far the shares of two guests at 70/30 are from what was promised, over 5 s; and
 * the same of two processes under the host's scheduler. That has no 70/30 for plain
 * processes: nice 0 and 4 come nearest, and the processes are held to what those promise.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS      3
#define DURATION_NS 5000000000ULL

/* sched_prio_to_weight[] in the kernel's kernel/sched/core.c. */
#define WEIGHT_NICE_0 1024.0
#define WEIGHT_NICE_4 423.0

static pid_t start_process(int nice_value)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    setpriority(PRIO_PROCESS, 0, nice_value);
    for (;;)
        __asm__ volatile("");
}

static double cpu_ns(pid_t pid)
{
    clockid_t clock;
    return clock_getcpuclockid(pid, &clock) == 0 ? (double)clock_now_ns(clock) : 0;
}

static struct matrix_error *measure_host(int cpu, uint64_t duration_ns, double *error_pp)
{
    const struct timespec settle = {.tv_nsec = 100000000};
    const struct timespec wait = {.tv_sec = (time_t)(duration_ns / 1000000000),
                                  .tv_nsec = (long)(duration_ns % 1000000000)};
    RETURN_IF_ERROR(bench_pin(cpu)); /* the processes inherit it */
    pid_t pids[2] = {start_process(0), start_process(4)};
    double before[2], spent[2];
    nanosleep(&settle, NULL);
    for (unsigned i = 0; i < 2; i++)
        before[i] = cpu_ns(pids[i]);
    nanosleep(&wait, NULL);
    for (unsigned i = 0; i < 2; i++)
        spent[i] = cpu_ns(pids[i]) - before[i];
    for (unsigned i = 0; i < 2; i++)
        if (pids[i] > 0) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
    if (pids[0] < 0 || pids[1] < 0 || spent[0] + spent[1] <= 0)
        return error_host(EAGAIN, "start two processes and read their CPU time");
    *error_pp = 100 * fabs(spent[0] / (spent[0] + spent[1]) -
                           WEIGHT_NICE_0 / (WEIGHT_NICE_0 + WEIGHT_NICE_4));
    return NULL;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct bench_values matrix, host;
    const unsigned rounds = bench->quick ? 1 : ROUNDS;
    struct bench_pair pair = {.weights = {70, 30},
                              .duration_ns = bench->quick ? DURATION_NS / 10 : DURATION_NS,
                              .cpu = bench_cpu()};
    for (unsigned i = 0; i < rounds; i++) {
        double error_pp;
        RETURN_IF_ERROR(bench_run_pair(bench, &pair));
        bench_add(&matrix, 100 * fmax(fabs(pair.given[0] - pair.promised[0]),
                                      fabs(pair.given[1] - pair.promised[1])));
        RETURN_IF_ERROR(measure_host(pair.cpu, pair.duration_ns, &error_pp));
        bench_add(&host, error_pp);
    }
    bench_print(&(struct bench_result){
        .name = "share_error_pp",
        .unit = "percentage points",
        .value = bench_median(&matrix),
        .baseline = "the host's scheduler: two processes at nice 0 and 4 (70.8/29.2)",
        .baseline_value = bench_median(&host),
        .runs = rounds,
        .goal_is = BENCH_GOAL_VALUE,
        .goal = 0.05,
    });
    return NULL;
}
