// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * exit_overhead: a hypercall exit through the whole loop (vCPU, table of exits, hypercall, core),
 * over a bare loop of ioctl(KVM_RUN) on an equal guest that makes the same exits.
 */
#include "bench/bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "vmm/vcpu.h"
#include <errno.h>
#include <sys/ioctl.h>

#define EXITS  500
#define WARM   50 /* first touches of pages, and caches */
#define ROUNDS 150

/* The bare loop. MATRIX_ABI is hypercall 0, so the guest finds its RAX as the loop left it. */
static struct matrix_error *run_bare(const struct vcpu *vcpu, unsigned exits)
{
    for (unsigned i = 0; i < exits; i++)
        if (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
            return error_host(errno, "KVM_RUN");
    return NULL;
}

static struct matrix_error *run_loop(struct matrix_vm *vm)
{
    const struct matrix_core_options options = {.cpu = -1};
    struct matrix_core *core;
    struct matrix_core_result end;
    RETURN_IF_ERROR(matrix_core_create(&options, &core));
    struct matrix_error *error = matrix_core_add(core, vm, 1);
    if (!error)
        error = matrix_core_run(core, &end);
    matrix_core_destroy(core);
    if (!error && vm->state != MATRIX_VM_EXITED)
        error = error_host(0, "run the guest bench/hypercall to its end");
    return error;
}

/*
 * Nanoseconds of CPU time per exit; both ways start with a guest that has just made WARM exits.
 * Nothing in either sleeps, so on an idle machine wall time says the same; on a busy one it
 * would measure the other processes.
 */
static struct matrix_error *measure(struct matrix_vm *vm, bool bare, double *ns)
{
    struct vcpu *vcpu = vm->vcpus[0];
    RETURN_IF_ERROR(run_bare(vcpu, WARM));
    /* A bare loop has no need of registers. */
    if (bare)
        vcpu->run->kvm_valid_regs = 0;
    const uint64_t begin = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    RETURN_IF_ERROR(bare ? run_bare(vcpu, EXITS) : run_loop(vm));
    *ns = (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / EXITS;
    return NULL;
}

static struct matrix_error *measure_once(const struct bench *bench, struct matrix_kvm *kvm,
                                         bool bare, double *ns)
{
    char count[16];
    struct matrix_vm *vm;
    /* One less: the guest's exit is an exit, too. */
    snprintf(count, sizeof(count), "%d", WARM + EXITS - 1);
    RETURN_IF_ERROR(bench_create_guest(bench, kvm, "bench/hypercall", count, &vm));
    struct matrix_error *error = measure(vm, bare, ns);
    matrix_vm_destroy(vm);
    return error;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    static struct bench_values values[2]; /* the loop, bare */
    struct matrix_kvm *kvm;
    const unsigned rounds = bench->quick ? 3 : ROUNDS;
    RETURN_IF_ERROR(matrix_kvm_open(NULL, &kvm));
    struct matrix_error *error = NULL;
    for (unsigned i = 0; i < 2 * rounds && !error; i++) {
        const bool bare = (i + i / 2) % 2; /* A B B A: neither is always the second */
        double ns = 0;
        error = measure_once(bench, kvm, bare, &ns);
        bench_add(&values[bare], ns);
    }
    matrix_kvm_close(kvm);
    if (!error)
        bench_print(&(struct bench_result){
            .name = "exit_overhead",
            .unit = "ns",
            .value = bench_median(&values[0]),
            .baseline = "a bare ioctl(KVM_RUN) loop on an equal guest",
            .baseline_value = bench_median(&values[1]),
            .runs = rounds,
            .goal_is = BENCH_GOAL_RATIO,
            .goal = 1.05,
        });
    return error;
}
