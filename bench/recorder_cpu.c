// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a recorder costs that takes a sample a second of the host and 100 processes: the CPU time of the
 * whole process, SQLite and the kernel's part included, over the time that a second is. Two cases:
 * processes whose memory is left alone, and processes that touch pages before each sample, so that
 * what is stored changes, too.
 */
#include "base/clock.h"
#include "base/error.h"
#include "bench/bench.h"
#include "ksm/sampler.h"
#include "ksm/store.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES   100
#define SAMPLES     30
#define PAGES       4096
#define NS_PER_S    1000000000ULL
#define INTERVAL_NS NS_PER_S

struct crowd {
    pid_t pids[PROCESSES];
    int wake[2]; /* a byte for each process and round */
    int done[2];
};

/* Touches a page for each byte that it gets, until the pipe is closed. */
static void live(const struct crowd *crowd)
{
    const long page = sysconf(_SC_PAGESIZE);
    char byte, *memory = mmap(NULL, (size_t)PAGES * (size_t)page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(crowd->wake[1]);
    if (memory == MAP_FAILED)
        _exit(1);
    madvise(memory, (size_t)PAGES * (size_t)page, MADV_MERGEABLE);
    for (size_t i = 0; read(crowd->wake[0], &byte, 1) == 1; i++) {
        memset(memory + i % PAGES * (size_t)page, 1, (size_t)page);
        if (write(crowd->done[1], &byte, 1) != 1)
            break;
        usleep(1000); /* so that the others get theirs */
    }
    _exit(0);
}

static struct matrix_error *crowd_start(struct crowd *crowd)
{
    if (pipe(crowd->wake) || pipe(crowd->done))
        return error_host(errno, "make pipes");
    for (size_t i = 0; i < PROCESSES; i++) {
        crowd->pids[i] = fork();
        if (crowd->pids[i] == 0)
            live(crowd);
        if (crowd->pids[i] < 0)
            return error_host(errno, "start process %zu", i);
    }
    return NULL;
}

static void crowd_end(const struct crowd *crowd)
{
    for (size_t i = 0; i < PROCESSES; i++)
        if (crowd->pids[i] > 0) {
            kill(crowd->pids[i], SIGKILL);
            waitpid(crowd->pids[i], NULL, 0);
        }
}

/* Has the processes touch pages, and waits until they have. */
static struct matrix_error *crowd_work(const struct crowd *crowd)
{
    char bytes[PROCESSES] = {0};
    if (write(crowd->wake[1], bytes, sizeof(bytes)) != sizeof(bytes))
        return error_host(errno, "wake processes");
    for (size_t done = 0; done < sizeof(bytes);) {
        const ssize_t got = read(crowd->done[0], bytes, sizeof(bytes) - done);
        if (got <= 0)
            return error_host(errno, "wait for processes");
        done += (size_t)got;
    }
    return NULL;
}

struct recorder {
    struct ksm_sampler *sampler;
    struct ksm_store *store;
};

static struct matrix_error *recorder_open(struct recorder *recorder, const struct crowd *crowd,
                                          const char *path)
{
    const struct ksm_sampler_options sampling = {.follow = KSM_FOLLOW_GIVEN};
    const struct ksm_store_options storing = {.interval_ns = INTERVAL_NS};
    RETURN_IF_ERROR(ksm_sampler_open(&sampling, &recorder->sampler));
    for (size_t i = 0; i < PROCESSES; i++)
        RETURN_IF_ERROR(ksm_sampler_add(recorder->sampler, crowd->pids[i], NULL));
    return ksm_store_open(path, &storing, &recorder->store);
}

/* The CPU time of each sample, in shares of a core at one a second. */
static struct matrix_error *measure(struct recorder *recorder, const struct crowd *crowd, bool work,
                                    unsigned samples, double *share)
{
    struct bench_values *values = calloc(1, sizeof(*values));
    struct matrix_error *error = values ? NULL : error_host(ENOMEM, "keep the figures");
    for (unsigned i = 0; i < samples && !error; i++) {
        sleep(INTERVAL_NS / NS_PER_S); /* as a recorder does, whose caches are cold then */
        if (work)
            error = crowd_work(crowd);
        const uint64_t start = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);
        if (!error)
            error = ksm_store_add(recorder->store, ksm_sampler_take(recorder->sampler));
        const uint64_t spent = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) - start;
        bench_add(values, (double)spent / (double)INTERVAL_NS * 100);
    }
    if (!error)
        *share = bench_median(values);
    free(values);
    return error;
}

static struct matrix_error *bench_case(const struct bench *bench, const struct crowd *crowd,
                                       const char *name, const char *baseline, bool work)
{
    char path[] = "/tmp/matrix-bench-XXXXXX", file[64];
    struct recorder recorder = {0};
    double share = 0;
    const unsigned samples = bench->quick ? 3 : SAMPLES;
    if (!mkdtemp(path))
        return error_host(errno, "make a directory for the recording");
    snprintf(file, sizeof(file), "%s/r.sqlite", path);
    struct matrix_error *error = recorder_open(&recorder, crowd, file);
    if (!error)
        error = measure(&recorder, crowd, work, samples, &share);
    if (recorder.store) {
        struct matrix_error *end = ksm_store_close(recorder.store);
        if (error)
            matrix_error_free(end);
        else
            error = end;
    }
    ksm_sampler_close(recorder.sampler);
    unlink(file);
    rmdir(path);
    if (!error)
        bench_print(&(struct bench_result){
            .name = name,
            .unit = "% of a core",
            .value = share,
            .baseline = baseline,
            .runs = samples,
            .goal_is = BENCH_GOAL_VALUE,
            .goal = 0.1,
        });
    return error;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct crowd crowd;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    struct matrix_error *error = crowd_start(&crowd);
    if (!error)
        error =
            bench_case(bench, &crowd, "recorder_cpu", "none: 1 s, 100 processes at rest", false);
    if (!error)
        error = bench_case(bench, &crowd, "recorder_cpu_busy",
                           "none: 1 s, 100 processes, each with new pages in each sample", true);
    crowd_end(&crowd);
    return error;
}
