// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * trace_cost: CPU time per unit of work of two guests that compute, in slices of 1 ms, with a board over
 * without one. trace_cost_chatter: the same of two guests that print, and so leave at each line; in the
 * lab each stay makes the emulator find the board's pages anew. trace_stay_ns: what one record takes,
 * over a read of the clock. board_cost_1000_guests: the part of a core that it takes to publish so many.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "cloud/board_memory.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>

#define ROUNDS       25
#define ROUND_NS     300000000ULL
#define GUESTS       1000
#define GUESTS_QUICK 50
#define CROWD_NS     5000000000ULL
#define RECORDS      1000000

/* Some guests on a core of their own. */
struct crowd {
    const char *image;
    size_t count;
    uint64_t duration_ns;
    bool has_board;
    struct matrix_core_statistics statistics; /* the result, and below */
    struct matrix_board_core shown;
    uint64_t work;
};

static struct matrix_error *look_at_board(struct matrix_core *core, struct crowd *crowd)
{
    struct matrix_board *board;
    int fd;
    RETURN_IF_ERROR(matrix_core_board(core, &fd));
    RETURN_IF_ERROR(matrix_board_open(fd, &board));
    struct matrix_error *error = matrix_board_core(board, &crowd->shown);
    matrix_board_close(board);
    return error;
}

static struct matrix_error *run_core(struct matrix_core *core, struct matrix_vm *const *vms,
                                     struct crowd *crowd)
{
    struct matrix_core_result end;
    int fd;
    for (size_t i = 0; i < crowd->count; i++)
        RETURN_IF_ERROR(matrix_core_add(core, vms[i], 100));
    if (crowd->has_board)
        RETURN_IF_ERROR(matrix_core_board(core, &fd));
    RETURN_IF_ERROR(matrix_core_run(core, &end));
    if (end.end != MATRIX_CORE_DURATION)
        return error_host(end.end == MATRIX_CORE_SIGNAL ? EINTR : 0, "run guests to the end");
    matrix_core_statistics(core, &crowd->statistics);
    crowd->work = 0;
    for (size_t i = 0; i < crowd->count; i++) {
        struct matrix_vm_info info;
        matrix_vm_info(vms[i], &info);
        crowd->work += info.work;
    }
    return crowd->has_board ? look_at_board(core, crowd) : NULL;
}

static struct matrix_error *create_guest(const struct bench *bench, struct matrix_kvm *kvm,
                                         const char *image, struct matrix_vm **vm)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/guest/%s.elf", bench->build, image);
    const struct matrix_vm_options options = {
        .name = image, .input_fd = -1, .memory_bytes = MATRIX_MEMORY_MINIMUM};
    return matrix_vm_create(kvm, path, &options, vm);
}

static struct matrix_error *run_crowd(const struct bench *bench, struct crowd *crowd)
{
    const struct matrix_core_options options = {.cpu = bench_cpu(),
                                                .duration_ns = crowd->duration_ns};
    struct matrix_kvm *kvm = NULL;
    struct matrix_core *core = NULL;
    struct matrix_vm **vms = calloc(crowd->count, sizeof(struct matrix_vm *));
    struct matrix_error *error = vms ? matrix_kvm_open(NULL, &kvm) : error_host(ENOMEM, "run");
    for (size_t i = 0; !error && i < crowd->count; i++)
        error = create_guest(bench, kvm, crowd->image, &vms[i]);
    if (!error)
        error = matrix_core_create(&options, &core);
    if (!error)
        error = run_core(core, vms, crowd);
    matrix_core_destroy(core);
    for (size_t i = 0; vms && i < crowd->count; i++)
        matrix_vm_destroy(vms[i]);
    matrix_kvm_close(kvm);
    free(vms);
    return error;
}

/* --- figures --------------------------------------------------------------------------------- */

static struct matrix_error *measure_unit(const struct bench *bench, const char *image,
                                         bool has_board, double *ns)
{
    struct crowd crowd = {
        .image = image, .count = 2, .duration_ns = ROUND_NS, .has_board = has_board};
    RETURN_IF_ERROR(run_crowd(bench, &crowd));
    if (!crowd.work)
        return error_host(0, "do a unit of work in %llu ns", ROUND_NS);
    *ns = (double)(crowd.statistics.guests_cpu_ns + crowd.statistics.overhead_ns) /
          (double)crowd.work;
    return NULL;
}

/* goal: 0 for none. */
static struct matrix_error *measure_trace(const struct bench *bench, const char *name,
                                          const char *image, double goal)
{
    struct bench_values with = {0}, without = {0};
    const unsigned rounds = bench->quick ? 2 : ROUNDS;
    for (unsigned i = 0; i < rounds; i++) {
        double first, second;
        /* In turn, and each first in half of the rounds. */
        RETURN_IF_ERROR(measure_unit(bench, image, i % 2, &first));
        RETURN_IF_ERROR(measure_unit(bench, image, !(i % 2), &second));
        bench_add(&with, i % 2 ? first : second);
        bench_add(&without, i % 2 ? second : first);
    }
    bench_print(&(struct bench_result){
        .name = name,
        .unit = "ns",
        .value = bench_median(&with),
        .baseline = "the same without a board",
        .baseline_value = bench_median(&without),
        .runs = rounds,
        .goal_is = goal ? BENCH_GOAL_RATIO : BENCH_NO_GOAL,
        .goal = goal,
    });
    return NULL;
}

static struct matrix_error *measure_stay(const struct bench *bench)
{
    static struct bench_values stays, clocks;
    const unsigned rounds = bench->quick ? 2 : ROUNDS;
    struct board_memory memory;
    struct matrix_board_stay stay = {.guest = 1};
    RETURN_IF_ERROR(board_memory_make(64, 1, 65536, &memory));
    for (unsigned i = 0; i < rounds; i++) {
        const uint64_t start = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned j = 0; j < RECORDS; j++)
            board_memory_write_stay(&memory, &stay);
        const uint64_t middle = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
        for (unsigned j = 0; j < RECORDS; j++)
            stay.start_ns = clock_now_ns(CLOCK_MONOTONIC);
        bench_add(&stays, (double)(middle - start) / RECORDS);
        bench_add(&clocks, (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - middle) / RECORDS);
    }
    board_memory_release(&memory);
    bench_print(&(struct bench_result){
        .name = "trace_stay_ns",
        .unit = "ns",
        .value = bench_median(&stays),
        .baseline = "a read of CLOCK_MONOTONIC",
        .baseline_value = bench_median(&clocks),
        .runs = rounds,
    });
    return NULL;
}

static struct matrix_error *measure_crowd(const struct bench *bench)
{
    struct crowd crowd = {.image = "spin",
                          .count = bench->quick ? GUESTS_QUICK : GUESTS,
                          .duration_ns = bench->quick ? ROUND_NS : CROWD_NS,
                          .has_board = true};
    RETURN_IF_ERROR(run_crowd(bench, &crowd));
    const double all_ns = (double)(crowd.statistics.guests_cpu_ns + crowd.statistics.overhead_ns);
    bench_print(&(struct bench_result){
        .name = "board_cost_1000_guests",
        .unit = "of 1",
        .value = (double)crowd.shown.publish_cpu_ns / all_ns,
        .baseline = "all of the core's CPU time",
        .baseline_value = 1,
        .runs = 1,
        .goal_is = BENCH_GOAL_VALUE,
        .goal = 0.005,
    });
    return NULL;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    RETURN_IF_ERROR(bench_pin(bench_cpu()));
    RETURN_IF_ERROR(measure_stay(bench));
    RETURN_IF_ERROR(measure_trace(bench, "trace_cost", "spin", 1.01));
    RETURN_IF_ERROR(measure_trace(bench, "trace_cost_chatter", "chatter", 0));
    return measure_crowd(bench);
}
