/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the monitor puts under a guest program on x86-64: a small ring-0 stub with its
 * descriptor tables, mapped for the supervisor only, so that an exception in the program (CPL 3)
 * ends in an exit that says which, and not in a triple fault. Called by vm and vcpu.
 *
 * The system area is a memory slot of its own in the hole below 4 GiB:
 *   page 0        stub code
 *   page 1        IDT (256 gates of 16 bytes)
 *   page 2        GDT
 *   page 3 + n    vCPU n: TSS with I/O bitmap at the start, ring-0 stack from the end down
 *   then          page tables, which are mapped nowhere
 */
#ifndef VMM_X86_64_SYSTEM_H
#define VMM_X86_64_SYSTEM_H

#include "vmm/x86_64/paging.h"
#include <linux/kvm.h>
#include <matrix/vm.h>

/* The stub reports an exception by output to STUB_EXCEPTION_PORT (stub.h), which only ring 0 may
 * use. */

#define SYSTEM_GPA       MEMORY_HOLE_GPA
#define SYSTEM_BASE      0xffff800000000000ULL /* where it is mapped: the supervisor's half */
#define SYSTEM_VCPU_PAGE 3
#define SYSTEM_PAGES     (SYSTEM_VCPU_PAGE + MATRIX_VCPUS_MAX)

/* What the stub leaves on the ring-0 stack, lowest address first (SDM vol. 3, 6.14.2). */
struct exception_frame {
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* Adds the system area to memory, builds its tables, and maps it through paging. */
struct matrix_error *system_build(struct memory *memory, struct paging *paging);

/* The registers of vCPU index as it enters the program at entry. */
void system_start_registers(const struct paging *paging, unsigned index, struct kvm_sregs *sregs,
                            struct kvm_regs *regs);

/* The frame of the exception that vCPU index reported with RSP at rsp; false if it makes no sense. */
bool system_exception_frame(const struct memory *memory, unsigned index, uint64_t rsp,
                            struct exception_frame *frame);

#endif
