// SPDX-License-Identifier: GPL-2.0-or-later
/* Words the exception that the ring-0 stub has reported. Called by exits.c. */
#include "vmm/fault.h"
#include "vmm/layout.h"
#include "vmm/x86_64/system.h"
#include <stdio.h>

/* SDM vol. 3, table 6-1. */
static const struct {
    const char *name, *explanation;
} exceptions[32] = {
    [0] = {"divide error", "division by zero, or a quotient that does not fit"},
    [1] = {"debug exception", "a single step (RFLAGS.TF) or a breakpoint register"},
    [2] = {"non-maskable interrupt", "nothing in a guest sends one"},
    [3] = {"breakpoint", "INT3, with no debugger to catch it"},
    [4] = {"overflow", "INTO"},
    [5] = {"bound range exceeded", "BOUND"},
    [6] = {"invalid opcode", "an instruction that this processor, or this mode, does not have"},
    [7] = {"device not available", "a floating-point or SIMD instruction without its unit"},
    [8] = {"double fault", "an exception while another was being delivered"},
    [10] = {"invalid TSS", "a task switch"},
    [11] = {"segment not present", "a segment register was loaded with a bad selector"},
    [12] = {"stack-segment fault", "a stack access through a non-canonical address"},
    [13] = {"general protection", "a privileged instruction, a port that is not permitted, a bad "
                                  "segment selector, or a non-canonical address"},
    [14] = {"page fault", ""},
    [16] = {"x87 floating-point error", "an unmasked exception in the x87 control word"},
    [17] = {"alignment check", "an unaligned access with RFLAGS.AC set"},
    [18] = {"machine check", "the host's processor reported a hardware error"},
    [19] = {"SIMD floating-point error", "an unmasked exception in MXCSR"},
    [20] = {"virtualization exception", ""},
    [21] = {"control protection", "a return or jump that shadow stacks or IBT forbid"},
};

#define VECTOR_BREAKPOINT 3
#define VECTOR_PAGE_FAULT 14

/* Page-fault error code (SDM vol. 3, 4.7). */
#define PAGE_FAULT_WRITE (1U << 1)
#define PAGE_FAULT_FETCH (1U << 4)

static void explain_page_fault(struct matrix_vm *vm, struct matrix_report *report)
{
    const uint64_t error = report->error_code, address = report->cr2;
    report->access = error & PAGE_FAULT_FETCH   ? MATRIX_ACCESS_EXECUTE
                     : error & PAGE_FAULT_WRITE ? MATRIX_ACCESS_WRITE
                                                : MATRIX_ACCESS_READ;
    /* Asked of the page tables: where they are shadowed, the error code tells of the shadow. */
    struct paging_walk walk;
    report->access_mapped = paging_walk(&vm->paging, address, &walk);
    fault_report_place(vm, address, &report->access_place);

    static const char *const verbs[] = {
        [MATRIX_ACCESS_READ] = "read from",
        [MATRIX_ACCESS_WRITE] = "write to",
        [MATRIX_ACCESS_EXECUTE] = "jump to",
    };
    const char *where = layout_describe(vm, address);
    snprintf(report->explanation, sizeof(report->explanation), "%s %#llx: %s",
             verbs[report->access], (unsigned long long)address, where);
}

void fault_end_exception(struct vcpu *vcpu)
{
    struct matrix_vm *vm = vcpu->vm;
    struct exception_frame frame;
    if (!system_exception_frame(&vm->memory, vcpu->index, vcpu->run->s.regs.regs.rsp, &frame) ||
        frame.vector >= 32) {
        fault_end(vcpu, "unreadable exception", "the stub's stack makes no sense");
        return;
    }
    const char *name = exceptions[frame.vector].name;
    struct matrix_report *report = fault_report_begin(vcpu, name ? name : "reserved exception");
    if (report) {
        /* What the program had when it happened, in place of what the stub has. */
        report->vector = (int32_t)frame.vector;
        report->error_code = frame.error_code;
        /* INT3 is a trap: RIP is behind its one byte, but people look for the byte. */
        report->rip = frame.rip - (frame.vector == VECTOR_BREAKPOINT ? 1 : 0);
        report->rsp = frame.rsp;
        report->rflags = frame.rflags;
        report->cs = (uint16_t)frame.cs;
        report->ss = (uint16_t)frame.ss;
        if (frame.vector == VECTOR_PAGE_FAULT)
            explain_page_fault(vm, report);
        else if (exceptions[frame.vector].explanation)
            snprintf(report->explanation, sizeof(report->explanation), "%s",
                     exceptions[frame.vector].explanation);
        fault_report_finish(vcpu, report);
    }
    vm_end(vm, MATRIX_VM_FAULTED, 0);
}
