/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual CPU. vcpu_run() enters the guest once and handles the exit; what is to happen
 * then is the caller's (cloud/core.c) to decide from the outcome.
 */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

#include "vmm/vm.h"
#include <linux/kvm.h>
#include <signal.h>

enum vcpu_outcome {
    VCPU_HANDLED,      /* an exit was handled; the vCPU can go on */
    VCPU_INTERRUPTED,  /* a signal is pending */
    VCPU_YIELDED,      /* it can go on, but lets others run first */
    VCPU_SLEEPING,     /* until wake_ns */
    VCPU_WAITS_INPUT,  /* until the guest's input has something */
    VCPU_WAITS_OUTPUT, /* until the guest's output takes something */
    VCPU_OUTPUT_LOST,  /* what it printed has nowhere to go any more */
    VCPU_STOPPED,      /* this vCPU is done */
    VCPU_VM_ENDED,     /* the guest is done: see its state */
};

struct vcpu {
    struct matrix_vm *vm;
    unsigned index;
    int fd;
    struct kvm_run *run;
    bool stopped;      /* it is done; the guest has others */
    bool waiting;      /* the hypercall in its registers is to be tried again */
    uint64_t progress; /* how much of that hypercall is done */
    uint64_t wake_ns;  /* CLOCK_MONOTONIC */
};

/* Makes vCPU index of vm, whose start registers are set with its first entry. */
struct matrix_error *vcpu_create(struct matrix_vm *vm, unsigned index, uint64_t entry,
                                 uint64_t stack, uint64_t argument, struct vcpu **result);

void vcpu_destroy(struct vcpu *vcpu);

/* The signals that stay blocked inside KVM_RUN (Documentation/virt/kvm/api.rst, 4.18). */
struct matrix_error *vcpu_set_signal_mask(struct vcpu *vcpu, const sigset_t *blocked);

/* Enters the guest once, and handles the exit. */
enum vcpu_outcome vcpu_run(struct vcpu *vcpu);

/* exits.c: handles the exit that KVM_RUN has just come back with. */
enum vcpu_outcome exit_handle(struct vcpu *vcpu);

/* exits.c: KVM_RUN itself failed with the given errno; that ends the guest. */
enum vcpu_outcome exit_kvm_failed(struct vcpu *vcpu, int number);

/* hypercall.c: carries out the hypercall in the vCPU's registers. */
enum vcpu_outcome hypercall_handle(struct vcpu *vcpu);

#endif
