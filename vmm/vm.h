/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A guest as the rest of vmm/ and the core see it; strangers see include/matrix/vm.h. */
#ifndef VMM_VM_H
#define VMM_VM_H

#include "vmm/console.h"
#include "vmm/image.h"
#include "vmm/kvm.h"
#include "vmm/memory.h"
#include "vmm/x86_64/paging.h"
#include <matrix/report.h>
#include <matrix/vm.h>

struct vcpu;

struct matrix_vm {
    char *name;
    struct matrix_kvm *kvm;
    int fd;
    struct memory memory;
    struct paging paging;
    struct image image;
    struct console console;
    int input_fd;
    bool hide_host_addresses;

    unsigned vcpus_max, vcpu_count, vcpus_stopped;
    struct vcpu *vcpus[MATRIX_VCPUS_MAX];

    uint64_t features;
    uint64_t stack_bytes;
    const uint64_t *work;    /* the guest's own counter, in its memory */
    uint64_t created_ns;     /* CLOCK_MONOTONIC */
    uint64_t cpu_ns;         /* charged so far; the core keeps it */
    uint64_t came_on_cpu_ns; /* the thread's CPU clock up to which that is; the core keeps it */

    uint64_t exits[MATRIX_EXIT_KIND_COUNT];

    enum matrix_vm_state state;
    int status;
    struct matrix_report *report;
};

/* Makes the next vCPU, which starts at entry with the given stack pointer and RDI. */
struct matrix_error *vm_add_vcpu(struct matrix_vm *vm, uint64_t entry, uint64_t stack,
                                 uint64_t argument, unsigned *index);

/* Ends a guest in the given way; the first end counts. */
void vm_end(struct matrix_vm *vm, enum matrix_vm_state state, int status);

uint64_t vm_exits_total(const struct matrix_vm *vm);

#endif
