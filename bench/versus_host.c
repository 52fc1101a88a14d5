// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guests under the host's scheduler: a thread for each, all on one CPU. A real-time thread on the
 * same CPU samples them: it comes between them as a core's tick does, and nobody runs while it reads.
 * For bench/versus.
 */
#include "bench/versus.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "vmm/vcpu.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define STOP_SIGNAL SIGUSR1
#define STACK_BYTES (64UL << 10)
#define SWITCH_NS   300000000ULL

/* What the threads share. */
struct host {
    struct versus_weights weights;
    sem_t gate; /* until all threads are there, so that nobody has to be started among the busy */
    uint8_t *stacks; /* libc would keep them, and the next round would not count them */
    atomic_uint failed;
    atomic_bool stop;
};

struct runner {
    struct host *host;
    struct vcpu *vcpu;
    unsigned guest;
    pthread_t thread;
    clockid_t clock;
};

static void nothing(int signal)
{
    (void)signal;
}

static void *run_guest(void *argument)
{
    struct runner *runner = argument;
    struct host *host = runner->host;
    while (sem_wait(&host->gate) < 0)
        ;
    while (!atomic_load(&host->stop))
        if (ioctl(runner->vcpu->fd, KVM_RUN, 0) == 0 || errno != EINTR) {
            /* spin never exits */
            atomic_fetch_add(&host->failed, 1);
            return NULL;
        }
    return NULL;
}

static void sleep_until(uint64_t when_ns)
{
    const struct timespec when = {.tv_sec = (time_t)(when_ns / 1000000000),
                                  .tv_nsec = (long)(when_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
        ;
}

/* A thread for each guest of one half. */
static int start_half(struct host *host, const struct versus_round *round, bool heavy,
                      struct runner *runners, unsigned *running)
{
    pthread_attr_t attributes;
    int number = 0;
    pthread_attr_init(&attributes);
    for (unsigned i = heavy ? 0 : 1; i < round->count; i += 2) {
        struct runner *runner = &runners[*running];
        *runner = (struct runner){.host = host, .vcpu = round->vms[i]->vcpus[0], .guest = i};
        pthread_attr_setstack(&attributes, host->stacks + *running * STACK_BYTES, STACK_BYTES);
        number = pthread_create(&runner->thread, &attributes, run_guest, runner);
        if (number)
            break;
        pthread_getcpuclockid(runner->thread, &runner->clock);
        ++*running;
    }
    pthread_attr_destroy(&attributes);
    return number;
}

static struct matrix_error *start(struct host *host, struct versus_round *round,
                                  struct runner *runners, unsigned *running)
{
    for (unsigned half = 0; half < 2; half++) {
        if (!versus_weights_enter(&host->weights, half == 0))
            return error_host(errno, "set weights (%s)", host->weights.name);
        const int number = start_half(host, round, half == 0, runners, running);
        if (number)
            return error_host(number, "start thread %u of %u", *running, round->count);
    }
    if (!versus_weights_leave(&host->weights))
        return error_host(errno, "reset weights (%s)", host->weights.name);
    return NULL;
}

/* From here on this thread comes before all that run guests, and they begin. */
static struct matrix_error *open_gate(struct host *host, unsigned count)
{
    const struct sched_param highest = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &highest) < 0)
        return error_new(MATRIX_ERROR_HOST, errno, "run it as root, or with CAP_SYS_NICE",
                         "have a real-time thread look at the guests' threads");
    for (unsigned i = 0; i < count; i++)
        sem_post(&host->gate);
    return NULL;
}

/* The guests' work over the CPU time that their threads had, switches included. */
static double cpu_seconds(const struct versus_samples *samples)
{
    const uint64_t *last = samples->cpu_ns + (size_t)(samples->count - 1) * samples->guests;
    double sum = 0;
    for (unsigned i = 0; i < samples->guests; i++)
        sum += (double)(last[i] - samples->cpu_ns[i]);
    return sum / 1e9;
}

static void sample(struct versus_round *round, const struct runner *runners,
                   struct versus_side *side)
{
    struct versus_samples *samples = &round->samples;
    uint64_t due = clock_now_ns(CLOCK_MONOTONIC) + round->settle * VERSUS_SAMPLE_NS;
    double work = 0;
    for (samples->count = 0; samples->count < samples->wanted; samples->count++) {
        sleep_until(due);
        bench_add(&side->delays, (double)(clock_now_ns(CLOCK_MONOTONIC) - due));
        uint64_t *times = versus_samples_next(samples);
        for (unsigned i = 0; i < samples->guests; i++)
            times[runners[i].guest] = clock_now_ns(runners[i].clock);
        if (samples->count == 0)
            work = versus_work(round);
        due += VERSUS_SAMPLE_NS;
    }
    bench_add(&side->work, (versus_work(round) - work) / cpu_seconds(samples));
}

static void stop(struct host *host, struct runner *runners, unsigned running)
{
    atomic_store(&host->stop, true);
    for (unsigned i = 0; i < running; i++) {
        /* Also if the signal comes just before KVM_RUN. */
        runners[i].vcpu->run->immediate_exit = 1;
        pthread_kill(runners[i].thread, STOP_SIGNAL);
        sem_post(&host->gate);
    }
    for (unsigned i = 0; i < running; i++)
        pthread_join(runners[i].thread, NULL);
}

static void *yield(void *argument)
{
    atomic_bool *end = argument;
    while (!atomic_load(end))
        sched_yield();
    return NULL;
}

/* What the host takes to switch between two threads that do nothing else, the system call included. */
static struct matrix_error *measure_switch(struct versus_side *side)
{
    struct rusage before, after;
    struct timespec cpu_before, cpu_after;
    pthread_t threads[2];
    atomic_bool end = false;
    unsigned running = 0;
    getrusage(RUSAGE_SELF, &before);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_before);
    while (running < 2 && pthread_create(&threads[running], NULL, yield, &end) == 0)
        running++;
    sleep_until(clock_now_ns(CLOCK_MONOTONIC) + SWITCH_NS);
    atomic_store(&end, true);
    for (unsigned i = 0; i < running; i++)
        pthread_join(threads[i], NULL);
    getrusage(RUSAGE_SELF, &after);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu_after);
    const double switches =
        (double)(after.ru_nvcsw - before.ru_nvcsw + after.ru_nivcsw - before.ru_nivcsw);
    if (running < 2 || switches <= 0)
        return error_host(EAGAIN, "have two threads take turns");
    bench_add(&side->switches, (1e9 * (double)(cpu_after.tv_sec - cpu_before.tv_sec) +
                                (double)(cpu_after.tv_nsec - cpu_before.tv_nsec)) /
                                   switches);
    return NULL;
}

static struct matrix_error *run_threads(struct host *host, struct versus_round *round,
                                        struct versus_side *side)
{
    unsigned running = 0;
    const size_t stack_bytes = round->count * STACK_BYTES;
    CLEANUP_FREE struct runner *runners = calloc(round->count, sizeof(*runners));
    if (!runners)
        return error_host(ENOMEM, "note %u threads", round->count);
    host->stacks =
        mmap(NULL, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (host->stacks == MAP_FAILED)
        return error_host(errno, "make the stacks of %u threads", round->count);
    (void)madvise(host->stacks, stack_bytes, MADV_NOHUGEPAGE);
    struct matrix_error *error = start(host, round, runners, &running);
    if (!error)
        error = open_gate(host, running);
    if (!error) {
        sample(round, runners, side);
        error = versus_memory_add(round, side);
    }
    stop(host, runners, running);
    munmap(host->stacks, stack_bytes);
    if (!error && atomic_load(&host->failed))
        error = error_host(0, "run a thread for each guest (%s): %u of %u failed",
                           host->weights.name, atomic_load(&host->failed), round->count);
    return error;
}

struct matrix_error *versus_run_host(struct versus_round *round, struct versus_side *side)
{
    const struct sched_param none = {.sched_priority = 0};
    const struct sigaction interrupt = {.sa_handler = nothing};
    struct host host = {.stop = false};
    sigaction(STOP_SIGNAL, &interrupt, NULL);
    sem_init(&host.gate, 0, 0);
    RETURN_IF_ERROR(bench_pin(round->cpu));
    versus_weights_begin(&host.weights);
    round->samples.heavy_share = host.weights.heavy_share;
    round->host_weights = host.weights.name;
    struct matrix_error *error = run_threads(&host, round, side);
    sched_setscheduler(0, SCHED_OTHER, &none);
    versus_weights_end(&host.weights);
    sem_destroy(&host.gate);
    if (!error)
        error = measure_switch(side);
    return error;
}
