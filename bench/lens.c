// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel module matrix_lens, which must be loaded: bench/run does that in the lab.
 *
 * bulk_walk_4k, bulk_walk_thp: pages per second of a translation of 1 GiB, over those of reading
 * the same entries of /proc/self/pagemap in large chunks; translate_one_ns: one page of
 * a process, over a pread of its entry; reparent_ns: a child moved, over a fork and wait of one.
 */
#include "bench/bench.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <matrix/lens.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 9
#define BYTES  ((size_t)1 << 30)
#define PAGES  (BYTES / MATRIX_PAGE_BYTES)
/* A read of pagemap; larger ones are no faster: the kernel itself works in pieces of 64 KiB. */
#define CHUNK ((size_t)1 << 20)
#define ONES  10000
#define MOVES 100

/* What both translate: 1 GiB, touched, and room for as many entries, touched as well. */
struct subject {
    char *memory;
    uint64_t *entries;
    int pagemap;
};

static struct matrix_error *subject_make(int advice, struct subject *subject)
{
    *subject = (struct subject){.pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)};
    if (subject->pagemap < 0)
        return error_host(errno, "open /proc/self/pagemap");
    subject->memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (subject->memory == MAP_FAILED || madvise(subject->memory, BYTES, advice))
        return error_host(errno, "map 1 GiB");
    for (size_t i = 0; i < BYTES; i += MATRIX_PAGE_BYTES)
        subject->memory[i] = 1;
    subject->entries = calloc(PAGES, sizeof(uint64_t));
    if (!subject->entries)
        return error_host(ENOMEM, "keep the entries of 1 GiB");
    memset(subject->entries, 1, PAGES * sizeof(uint64_t));
    return NULL;
}

static void subject_free(struct subject *subject)
{
    if (subject->memory && subject->memory != MAP_FAILED)
        munmap(subject->memory, BYTES);
    free(subject->entries);
    if (subject->pagemap >= 0)
        close(subject->pagemap);
}

static struct matrix_error *read_pagemap(const struct subject *subject, size_t bytes)
{
    const off_t start = (off_t)((uintptr_t)subject->memory / MATRIX_PAGE_BYTES * sizeof(uint64_t));
    for (size_t done = 0; done < bytes;) {
        const size_t wanted = bytes - done < CHUNK ? bytes - done : CHUNK;
        ssize_t got =
            pread(subject->pagemap, (char *)subject->entries + done, wanted, start + (off_t)done);
        if (got <= 0)
            return error_host(got < 0 ? errno : 0, "read /proc/self/pagemap");
        done += (size_t)got;
    }
    return NULL;
}

static struct matrix_error *translate(const struct matrix_lens *lens, const struct subject *subject,
                                      size_t pages)
{
    return matrix_lens_translate(lens, getpid(), (uintptr_t)subject->memory, pages, 0,
                                 subject->entries);
}

static struct matrix_error *bench_bulk(const struct matrix_lens *lens, const char *name,
                                       const struct subject *subject, unsigned rounds)
{
    struct bench_values *values = calloc(2, sizeof(*values));
    if (!values)
        return error_host(ENOMEM, "keep the figures");
    const size_t pages = PAGES;
    struct matrix_error *error = NULL;
    for (unsigned i = 0; i < 2 * rounds && !error; i++) {
        const bool baseline = (i + i / 2) % 2; /* A B B A: neither is always the second */
        const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
        error = baseline ? read_pagemap(subject, PAGES * sizeof(uint64_t))
                         : translate(lens, subject, PAGES);
        bench_add(&values[baseline],
                  1e9 * (double)pages / (double)(clock_now_ns(CLOCK_MONOTONIC) - start));
    }
    if (!error)
        bench_print(&(struct bench_result){
            .name = name,
            .unit = "pages/s",
            .value = bench_median(&values[0]),
            .baseline = "/proc/self/pagemap, read in chunks of 1 MiB",
            .baseline_value = bench_median(&values[1]),
            .runs = rounds,
            .goal_is = BENCH_GOAL_RATIO_AT_LEAST,
            .goal = 2.5,
        });
    free(values);
    return error;
}

static struct matrix_error *bench_one(const struct matrix_lens *lens, const struct subject *subject)
{
    const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < ONES; i++)
        RETURN_IF_ERROR(translate(lens, subject, 1));
    const uint64_t middle = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < ONES; i++)
        RETURN_IF_ERROR(read_pagemap(subject, sizeof(uint64_t)));
    const uint64_t end = clock_now_ns(CLOCK_MONOTONIC);
    bench_print(&(struct bench_result){
        .name = "translate_one_ns",
        .unit = "ns",
        .value = (double)(middle - start) / ONES,
        .baseline = "a pread of the page's entry in /proc/self/pagemap, held open",
        .baseline_value = (double)(end - middle) / ONES,
        .runs = ONES,
    });
    return NULL;
}

/* Forks a process that forks a child, which waits until it is killed; tells the child's pid. */
static struct matrix_error *start_family(pid_t *middle, pid_t *child)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC))
        return error_host(errno, "make a pipe");
    *middle = fork();
    if (*middle == 0) {
        pid_t pid = fork();
        if (pid == 0)
            for (;;)
                pause();
        if (write(pipe_fds[1], &pid, sizeof(pid)) != sizeof(pid))
            _exit(1);
        for (;;)
            pause();
    }
    close(pipe_fds[1]);
    const bool told = *middle > 0 && read(pipe_fds[0], child, sizeof(*child)) == sizeof(*child);
    close(pipe_fds[0]);
    return told && *child > 0 ? NULL : error_host(errno, "start a child of a child");
}

/* To and fro between its parent and us: each is a move of the same child. */
static struct matrix_error *move_child(const struct matrix_lens *lens, pid_t middle, pid_t child,
                                       double *ns)
{
    const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < MOVES; i++)
        RETURN_IF_ERROR(matrix_lens_reparent(lens, child, i % 2 ? middle : getpid(), NULL));
    *ns = (double)(clock_now_ns(CLOCK_MONOTONIC) - start) / MOVES;
    return NULL;
}

static double fork_and_wait_ns(void)
{
    const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
    for (unsigned i = 0; i < MOVES; i++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
    return (double)(clock_now_ns(CLOCK_MONOTONIC) - start) / MOVES;
}

static struct matrix_error *bench_reparent(const struct matrix_lens *lens)
{
    pid_t middle = 0, child = 0;
    double ns = 0;
    struct matrix_error *error = start_family(&middle, &child);
    if (!error)
        error = move_child(lens, middle, child, &ns);
    if (child > 0)
        kill(child, SIGKILL);
    if (middle > 0) {
        kill(middle, SIGKILL);
        waitpid(middle, NULL, 0);
    }
    RETURN_IF_ERROR(error);
    bench_print(&(struct bench_result){
        .name = "reparent_ns",
        .unit = "ns",
        .value = ns,
        .baseline = "fork, exit and wait of a process like this one",
        .baseline_value = fork_and_wait_ns(),
        .runs = MOVES,
    });
    return NULL;
}

static struct matrix_error *bench_memory(const struct matrix_lens *lens, const char *name,
                                         int advice, unsigned rounds, bool one)
{
    struct subject subject;
    struct matrix_error *error = subject_make(advice, &subject);
    if (!error)
        error = bench_bulk(lens, name, &subject, rounds);
    if (!error && one)
        error = bench_one(lens, &subject);
    subject_free(&subject);
    return error;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    const unsigned rounds = bench->quick ? 2 : ROUNDS;
    struct matrix_lens *lens;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_MODULE, &lens));
    struct matrix_error *error = bench_memory(lens, "bulk_walk_4k", MADV_NOHUGEPAGE, rounds, true);
    if (!error)
        error = bench_memory(lens, "bulk_walk_thp", MADV_HUGEPAGE, rounds, false);
    if (!error)
        error = bench_reparent(lens);
    matrix_lens_close(lens);
    return error;
}
