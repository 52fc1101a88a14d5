// SPDX-License-Identifier: GPL-2.0-or-later
/* A virtual CPU: made, entered, destroyed. */
#include "vmm/vcpu.h"

#include "base/error.h"
#include "vmm/x86_64/system.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* The kernel's idea of a signal set is 8 bytes; libc's sigset_t is longer. */
#define KERNEL_SIGSET_BYTES 8

static struct matrix_error *vcpu_set_up(struct vcpu *vcpu, uint64_t entry, uint64_t stack,
                                        uint64_t argument)
{
    const struct matrix_vm *vm = vcpu->vm;
    vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, vcpu->index);
    if (vcpu->fd < 0)
        return error_host(errno, "KVM_CREATE_VCPU %u of guest %s", vcpu->index, vm->name);
    struct kvm_run *run =
        mmap(NULL, vm->kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
    if (run == MAP_FAILED)
        return error_host(errno, "map the state of vCPU %u of guest %s", vcpu->index, vm->name);
    vcpu->run = run;
    if (ioctl(vcpu->fd, KVM_SET_CPUID2, vm->kvm->cpuid) < 0)
        return error_host(errno, "KVM_SET_CPUID2");

    /* All registers go in with the first KVM_RUN: no ioctl is spent on them. */
    struct kvm_sync_regs *registers = &run->s.regs;
    system_start_registers(&vm->paging, vcpu->index, &registers->sregs, &registers->regs);
    registers->regs.rip = entry;
    registers->regs.rsp = stack;
    registers->regs.rdi = argument;
    run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
    run->kvm_valid_regs = KVM_SYNC_X86_REGS;
    return NULL;
}

struct matrix_error *vcpu_create(struct matrix_vm *vm, unsigned index, uint64_t entry,
                                 uint64_t stack, uint64_t argument, struct vcpu **result)
{
    struct vcpu *vcpu = calloc(1, sizeof(*vcpu));
    *result = NULL;
    if (!vcpu)
        return error_host(ENOMEM, "make vCPU %u of guest %s", index, vm->name);
    *vcpu = (struct vcpu){.vm = vm, .index = index, .fd = -1};
    struct matrix_error *error = vcpu_set_up(vcpu, entry, stack, argument);
    if (error) {
        vcpu_destroy(vcpu);
        return error;
    }
    *result = vcpu;
    return NULL;
}

void vcpu_destroy(struct vcpu *vcpu)
{
    if (!vcpu)
        return;
    if (vcpu->run)
        munmap(vcpu->run, vcpu->vm->kvm->run_bytes);
    if (vcpu->fd >= 0)
        close(vcpu->fd);
    free(vcpu);
}

struct matrix_error *vcpu_set_signal_mask(struct vcpu *vcpu, const sigset_t *blocked)
{
    /* A length, and behind it the set. */
    union {
        struct kvm_signal_mask header;
        uint8_t bytes[sizeof(struct kvm_signal_mask) + KERNEL_SIGSET_BYTES];
    } mask = {.header.len = KERNEL_SIGSET_BYTES};
    memcpy(mask.header.sigset, blocked, KERNEL_SIGSET_BYTES);
    if (ioctl(vcpu->fd, KVM_SET_SIGNAL_MASK, &mask) < 0)
        return error_host(errno, "KVM_SET_SIGNAL_MASK");
    return NULL;
}

enum vcpu_outcome vcpu_run(struct vcpu *vcpu)
{
    /* The guest asked for something that could not be done at once: it has not gone on since. And if only
     * some more of it is done now, it does not yet. */
    if (vcpu->waiting) {
        enum vcpu_outcome outcome = hypercall_handle(vcpu);
        if (outcome != VCPU_HANDLED || vcpu->waiting)
            return outcome;
    }
    if (ioctl(vcpu->fd, KVM_RUN, 0) == 0)
        return exit_handle(vcpu);

    if (errno == EINTR || errno == EAGAIN) {
        vcpu->vm->exits[MATRIX_EXIT_KIND_INTERRUPTED]++;
        return VCPU_INTERRUPTED;
    }
    return exit_kvm_failed(vcpu, errno);
}
