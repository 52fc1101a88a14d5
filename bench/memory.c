// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memory_overhead_bytes: resident memory of `matrix run spin` beyond the guest's RAM, over the same
 * of a minimal C program; memory_per_guest_bytes: what each further guest in one process
 * adds to it. Page tables and stub of a guest count as overhead: they are no RAM of its.
 */
#include "bench/bench.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "bench/raw.h"
#include "bench/snapshot.h"
#include "vmm/vm.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 5
#define GUESTS 101

/* --- one guest in a process, seen from outside ---------------------------------------------- */

static struct matrix_error *start(const char *path, char **argv, pid_t *pid, int *messages)
{
    int pipe_fds[2];
    char *environment[] = {NULL};
    if (pipe2(pipe_fds, O_CLOEXEC) < 0)
        return error_host(errno, "make a pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDERR_FILENO);
    int number = posix_spawn(pid, path, &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(pipe_fds[1]);
    *messages = pipe_fds[0];
    return number ? error_host(number, "start %s", path) : NULL;
}

/* Lets the program run for a while, looks at its memory, and ends it. The program tells on
 * standard error where its guest's RAM is ("hva 0x…"), at the latest when it ends. */
static struct matrix_error *measure_process(const char *path, char **argv, double *bytes)
{
    static struct snapshot snapshot;
    const struct timespec wait = {.tv_sec = 2}; /* in the lab it takes its time to start */
    CLEANUP_CLOSE int messages = -1;
    char text[4096];
    uint64_t hva;
    pid_t pid;
    RETURN_IF_ERROR(start(path, argv, &pid, &messages));
    nanosleep(&wait, NULL);
    struct matrix_error *error = snapshot_take(pid, &snapshot);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    if (error)
        return error;

    size_t length = 0;
    for (ssize_t got; (got = read(messages, text + length, sizeof(text) - 1 - length)) > 0;)
        length += (size_t)got;
    text[length] = '\0';
    const char *found = strstr(text, "hva ");
    if (!found || sscanf(found, "hva %" SCNx64, &hva) != 1)
        return error_host(0, "learn where the guest's RAM is in %s: it said \"%s\"", path, text);
    *bytes = (double)(snapshot.resident_bytes -
                      snapshot_present_bytes(&snapshot, hva, MATRIX_MEMORY_DEFAULT));
    return NULL;
}

static struct matrix_error *bench_process(const struct bench *bench, unsigned rounds)
{
    static struct bench_values matrix, minimal;
    char matrix_path[PATH_MAX], minimal_path[PATH_MAX];
    /* The image's first page is the first of RAM. */
    char *matrix_argv[] = {(char *)"matrix",   (char *)"run",  (char *)"--translate",
                           (char *)"0x400000", (char *)"spin", NULL};
    char *minimal_argv[] = {(char *)"minimal", (char *)"spin", NULL};
    snprintf(matrix_path, sizeof(matrix_path), "%s/matrix", bench->build);
    snprintf(minimal_path, sizeof(minimal_path), "%s/bench/minimal", bench->build);

    for (unsigned i = 0; i < rounds; i++) {
        double bytes;
        RETURN_IF_ERROR(measure_process(matrix_path, matrix_argv, &bytes));
        bench_add(&matrix, bytes);
        RETURN_IF_ERROR(measure_process(minimal_path, minimal_argv, &bytes));
        bench_add(&minimal, bytes);
    }
    bench_print(&(struct bench_result){
        .name = "memory_overhead_bytes",
        .unit = "bytes",
        .value = bench_median(&matrix),
        .baseline = "a minimal C program that makes the same raw ioctls",
        .baseline_value = bench_median(&minimal),
        .runs = rounds,
        .goal_is = BENCH_GOAL_VALUE,
        .goal = 1.5e6,
    });
    return NULL;
}

/* --- many guests in this process ------------------------------------------------------------ */

/* What this process has resident beyond RAM of the given guests. */
static struct matrix_error *measure_here(uint8_t *const *rams, unsigned count, double *bytes)
{
    static struct snapshot snapshot;
    RETURN_IF_ERROR(snapshot_take(getpid(), &snapshot));
    *bytes = (double)snapshot.resident_bytes;
    for (unsigned i = 0; i < count; i++)
        *bytes -= (double)snapshot_present_bytes(&snapshot, (uintptr_t)rams[i], RAW_RAM_BYTES);
    return NULL;
}

/* Guests [first, end) on one core, each for some slices. They are stopped, not destroyed. */
static struct matrix_error *run_guests(struct matrix_vm **vms, unsigned first, unsigned end)
{
    const struct matrix_core_options options = {
        .cpu = -1, .slice_ns = 100000, .duration_ns = 100000000};
    struct matrix_core *core;
    struct matrix_core_result result;
    RETURN_IF_ERROR(matrix_core_create(&options, &core));
    struct matrix_error *error = NULL;
    for (unsigned i = first; i < end && !error; i++)
        error = matrix_core_add(core, vms[i], 1);
    if (!error)
        error = matrix_core_run(core, &result);
    matrix_core_destroy(core);
    return error;
}

static struct matrix_error *measure_guests(const struct bench *bench, struct matrix_kvm *kvm,
                                           struct matrix_vm **vms, double *per_guest)
{
    uint8_t *rams[GUESTS];
    double one = 0, all = 0;
    for (unsigned i = 0; i < GUESTS; i++) {
        RETURN_IF_ERROR(bench_create_guest(bench, kvm, "guest/spin", NULL, &vms[i]));
        rams[i] = vms[i]->memory.slots[0].hva;
        if (i == 0) {
            RETURN_IF_ERROR(run_guests(vms, 0, 1));
            RETURN_IF_ERROR(measure_here(rams, 1, &one));
        }
    }
    RETURN_IF_ERROR(run_guests(vms, 1, GUESTS));
    RETURN_IF_ERROR(measure_here(rams, GUESTS, &all));
    *per_guest = (all - one) / (GUESTS - 1);
    return NULL;
}

static struct matrix_error *measure_raw_guests(double *per_guest)
{
    static const uint8_t code[] = {0xe6, 0x4d}; /* outb %al, $0x4d */
    struct kvm_cpuid2 *cpuid;
    uint8_t *rams[GUESTS];
    double one = 0, all = 0;
    int kvm = raw_open(&cpuid);
    for (unsigned i = 0; i < GUESTS; i++) {
        struct raw_vm vm;
        if (kvm < 0 || !raw_create(kvm, cpuid, code, sizeof(code), &vm) || !raw_run(&vm))
            return error_host(errno, "make raw guest %u", i);
        rams[i] = vm.ram;
        if (i == 0)
            RETURN_IF_ERROR(measure_here(rams, 1, &one));
    }
    RETURN_IF_ERROR(measure_here(rams, GUESTS, &all));
    *per_guest = (all - one) / (GUESTS - 1);
    return NULL; /* the end of this process frees them */
}

static struct matrix_error *bench_guests(const struct bench *bench)
{
    struct matrix_vm *vms[GUESTS] = {NULL};
    struct matrix_kvm *kvm;
    double matrix = 0, raw = 0;
    RETURN_IF_ERROR(matrix_kvm_open(NULL, &kvm));
    struct matrix_error *error = measure_guests(bench, kvm, vms, &matrix);
    for (unsigned i = 0; i < GUESTS; i++)
        matrix_vm_destroy(vms[i]);
    matrix_kvm_close(kvm);
    RETURN_IF_ERROR(error);
    RETURN_IF_ERROR(measure_raw_guests(&raw));
    bench_print(&(struct bench_result){
        .name = "memory_per_guest_bytes",
        .unit = "bytes",
        .value = matrix,
        .baseline = "a further guest in a minimal C program",
        .baseline_value = raw,
        .runs = GUESTS - 1,
        .goal_is = BENCH_GOAL_VALUE,
        .goal = 300e3,
    });
    return NULL;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    RETURN_IF_ERROR(bench_process(bench, bench->quick ? 1 : ROUNDS));
    return bench_guests(bench);
}
