// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * start_latency: `matrix run hello` from exec to exit, over a minimal C program that makes the same
 * raw ioctls and nothing else; and start_plain: over a process that only prints a line.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 400

enum { MATRIX, MINIMAL, PLAIN, PROGRAMS };

struct program {
    char path[PATH_MAX];
    char *argv[4];
    struct bench_values values;
};

static struct matrix_error *measure(struct program *program, posix_spawn_file_actions_t *actions)
{
    char *environment[] = {NULL};
    pid_t pid;
    int status;
    const uint64_t begin = clock_now_ns(CLOCK_MONOTONIC);
    int number = posix_spawn(&pid, program->path, actions, NULL, program->argv, environment);
    if (number)
        return error_host(number, "start %s", program->path);
    waitpid(pid, &status, 0);
    bench_add(&program->values, (double)(clock_now_ns(CLOCK_MONOTONIC) - begin));
    return status ? error_host(0, "%s ended with status %#x", program->path, status) : NULL;
}

static void print(const char *name, const char *baseline, struct program *against,
                  struct program *matrix, enum bench_goal goal_is)
{
    bench_print(&(struct bench_result){
        .name = name,
        .unit = "ns",
        .value = bench_median(&matrix->values),
        .baseline = baseline,
        .baseline_value = bench_median(&against->values),
        .runs = matrix->values.count,
        .goal_is = goal_is,
        .goal = 1.5,
    });
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct program programs[PROGRAMS] = {
        [MATRIX] = {.argv = {(char *)"matrix", (char *)"run", (char *)"hello"}},
        [MINIMAL] = {.argv = {(char *)"minimal"}},
        [PLAIN] = {.argv = {(char *)"plain"}},
    };
    static const char *const paths[PROGRAMS] = {"matrix", "bench/minimal", "bench/plain"};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (unsigned i = 0; i < PROGRAMS; i++)
        snprintf(programs[i].path, PATH_MAX, "%s/%s", bench->build, paths[i]);

    const unsigned rounds = bench->quick ? 20 : ROUNDS;
    for (unsigned i = 0; i < rounds * PROGRAMS; i++)
        RETURN_IF_ERROR(measure(&programs[(i + i / PROGRAMS) % PROGRAMS], &actions));
    posix_spawn_file_actions_destroy(&actions);

    print("start_latency", "a minimal C program that makes the same raw ioctls", &programs[MINIMAL],
          &programs[MATRIX], BENCH_GOAL_RATIO);
    print("start_latency_over_process", "a static process that prints a line", &programs[PLAIN],
          &programs[MATRIX], BENCH_NO_GOAL);
    return NULL;
}
