// SPDX-License-Identifier: GPL-2.0-or-later
/* What the benchmarks share; see bench.h. */
#include "bench/bench.h"

#include "base/error.h"
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc < 2 || argc > 3 || (argc == 3 && strcmp(argv[2], "--quick") != 0)) {
        fprintf(stderr, "Usage: %s BUILD-DIRECTORY [--quick]\n", argv[0]);
        return 2;
    }
    const struct bench bench = {.build = argv[1], .quick = argc == 3};
    struct matrix_error *error = bench_main(&bench);
    if (!error)
        return 0;
    fprintf(stderr, "%s: %s\n", argv[0], error->message);
    if (error->remedy)
        fprintf(stderr, "  remedy: %s\n", error->remedy);
    matrix_error_free(error);
    return 1;
}

void bench_print(const struct bench_result *result)
{
    static const char *const goals[] = {
        [BENCH_GOAL_RATIO] = "ratio",
        [BENCH_GOAL_RATIO_AT_LEAST] = "ratio_at_least",
        [BENCH_GOAL_VALUE] = "value",
    };
    printf("{\"name\": \"%s\", \"unit\": \"%s\", \"value\": %.10g, \"baseline\": \"%s\", "
           "\"baseline_value\": %.10g, \"ratio\": ",
           result->name, result->unit, result->value, result->baseline, result->baseline_value);
    if (result->baseline_value != 0)
        printf("%.4f", result->value / result->baseline_value);
    else
        printf("null");
    printf(", \"runs\": %u", result->runs);
    if (result->goal_is != BENCH_NO_GOAL)
        printf(", \"goal\": %.10g, \"goal_is\": \"%s\"", result->goal, goals[result->goal_is]);
    puts("}");
    fflush(stdout);
}

struct matrix_error *bench_create_guest(const struct bench *bench, struct matrix_kvm *kvm,
                                        const char *image, const char *argument,
                                        struct matrix_vm **vm)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s.elf", bench->build, image);
    const char *const argv[] = {image, argument, NULL};
    const struct matrix_vm_options options = {.name = image, .argv = argv, .input_fd = -1};
    return matrix_vm_create(kvm, path, &options, vm);
}

static struct matrix_error *run_pair(struct matrix_core *core, struct matrix_vm *vms[2],
                                     struct bench_pair *pair)
{
    for (unsigned i = 0; i < 2; i++)
        RETURN_IF_ERROR(matrix_core_add(core, vms[i], pair->weights[i]));
    struct matrix_core_result end;
    RETURN_IF_ERROR(matrix_core_run(core, &end));
    matrix_core_statistics(core, &pair->statistics);
    for (unsigned i = 0; i < 2; i++) {
        struct matrix_core_guest guest;
        matrix_core_guest(core, i, &guest);
        pair->promised[i] = guest.promised;
        pair->given[i] = guest.given;
    }
    if (end.end == MATRIX_CORE_DURATION)
        return NULL;
    return error_host(end.end == MATRIX_CORE_SIGNAL ? EINTR : 0, "run two guests to the end");
}

struct matrix_error *bench_run_pair(const struct bench *bench, struct bench_pair *pair)
{
    const struct matrix_core_options options = {
        .cpu = pair->cpu, .slice_ns = pair->slice_ns, .duration_ns = pair->duration_ns};
    struct matrix_kvm *kvm = NULL;
    struct matrix_core *core = NULL;
    struct matrix_vm *vms[2] = {NULL, NULL};

    struct matrix_error *error = matrix_kvm_open(NULL, &kvm);
    for (unsigned i = 0; i < 2 && !error; i++)
        error = bench_create_guest(bench, kvm, "guest/spin", NULL, &vms[i]);
    if (!error)
        error = matrix_core_create(&options, &core);
    if (!error)
        error = run_pair(core, vms, pair);
    matrix_core_destroy(core);
    for (unsigned i = 0; i < 2; i++)
        matrix_vm_destroy(vms[i]);
    matrix_kvm_close(kvm);
    return error;
}

int bench_cpu(void)
{
    cpu_set_t allowed;
    int last = 0;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
        for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
            if (CPU_ISSET(cpu, &allowed))
                last = cpu;
    return last;
}

struct matrix_error *bench_pin(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return sched_setaffinity(0, sizeof(one), &one) < 0
               ? error_host(errno, "run on host CPU %d", cpu)
               : NULL;
}
