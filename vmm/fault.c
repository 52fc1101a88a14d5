// SPDX-License-Identifier: GPL-2.0-or-later
/* Records why a guest was ended. Called by exits.c and x86_64/exception.c. */
#include "vmm/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* The longest believable frame: a frame pointer that jumps further is not one. */
#define FRAME_BYTES_MAX (1ULL << 20)

void fault_report_place(struct matrix_vm *vm, uint64_t address, struct matrix_report_place *place)
{
    *place = (struct matrix_report_place){.address = address};
    const char *symbol = image_symbol(&vm->image, address, &place->offset);
    if (symbol)
        snprintf(place->symbol, sizeof(place->symbol), "%s", symbol);
}

struct matrix_report *fault_report_begin(struct vcpu *vcpu, const char *reason)
{
    struct matrix_report *report = calloc(1, sizeof(*report));
    if (!report)
        return NULL;
    report->magic = MATRIX_REPORT_MAGIC;
    report->version = MATRIX_REPORT_VERSION;
    report->size = sizeof(*report);
    report->vcpu = vcpu->index;
    report->vector = -1;
    report->exit_reason = vcpu->run->exit_reason;
    snprintf(report->guest, sizeof(report->guest), "%s", vcpu->vm->name);
    snprintf(report->reason, sizeof(report->reason), "%s", reason);
    fault_report_registers(vcpu, report);
    return report;
}

void fault_report_registers(struct vcpu *vcpu, struct matrix_report *report)
{
    const struct kvm_regs *regs = &vcpu->run->s.regs.regs;
    report->rax = regs->rax, report->rbx = regs->rbx, report->rcx = regs->rcx;
    report->rdx = regs->rdx, report->rsi = regs->rsi, report->rdi = regs->rdi;
    report->rsp = regs->rsp, report->rbp = regs->rbp, report->r8 = regs->r8;
    report->r9 = regs->r9, report->r10 = regs->r10, report->r11 = regs->r11;
    report->r12 = regs->r12, report->r13 = regs->r13, report->r14 = regs->r14;
    report->r15 = regs->r15, report->rip = regs->rip, report->rflags = regs->rflags;

    struct kvm_sregs sregs;
    if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
        return;
    report->cs = sregs.cs.selector, report->ss = sregs.ss.selector;
    report->cr0 = sregs.cr0, report->cr2 = sregs.cr2, report->cr3 = sregs.cr3;
    report->cr4 = sregs.cr4, report->efer = sregs.efer;
}

/* Adds the caller that returns to address; false if no code is there. */
static bool add_frame(struct matrix_vm *vm, struct matrix_report *report, uint64_t address)
{
    struct paging_walk walk;
    if (report->frame_count == MATRIX_REPORT_FRAMES || !paging_walk(&vm->paging, address, &walk) ||
        !walk.executable || !walk.user)
        return false;
    /* The call itself is before where it returns to, maybe at the end of another symbol. */
    struct matrix_report_place *place = &report->frames[report->frame_count++];
    fault_report_place(vm, address - 1, place);
    place->address++;
    place->offset++;
    return true;
}

/* Whether the function at rip has not made its frame yet: its caller's return address is still
 * at the top of the stack. So it is when the program jumped to where no code is. */
static bool is_before_frame(struct matrix_vm *vm, uint64_t rip)
{
    struct paging_walk walk;
    uint64_t offset;
    return !paging_walk(&vm->paging, rip, &walk) || !walk.executable ||
           (image_symbol(&vm->image, rip, &offset) && offset == 0);
}

/* Follows frame pointers (System V ABI for AMD64, 3.2.2). The stack is the guest's: only what
 * climbs, is mapped and returns into code is believed. */
static void trace_stack(struct matrix_vm *vm, struct matrix_report *report)
{
    uint64_t address;
    if (is_before_frame(vm, report->rip) &&
        paging_read(&vm->paging, report->rsp, &address, sizeof(address)) == sizeof(address))
        add_frame(vm, report, address);

    struct {
        uint64_t caller, return_address;
    } saved;
    for (uint64_t frame = report->rbp; frame % 8 == 0; frame = saved.caller) {
        if (paging_read(&vm->paging, frame, &saved, sizeof(saved)) != sizeof(saved) ||
            !add_frame(vm, report, saved.return_address) || saved.caller <= frame ||
            saved.caller - frame > FRAME_BYTES_MAX)
            break;
    }
}

void fault_report_finish(struct vcpu *vcpu, struct matrix_report *report)
{
    struct matrix_vm *vm = vcpu->vm;
    fault_report_place(vm, report->rip, &report->rip_place);
    report->code_bytes =
        (uint32_t)paging_read(&vm->paging, report->rip, report->code, sizeof(report->code));
    report->stack_bytes =
        (uint32_t)paging_read(&vm->paging, report->rsp, report->stack, sizeof(report->stack));
    trace_stack(vm, report);
    if (vm->report)
        free(report);
    else
        vm->report = report;
}

void fault_end(struct vcpu *vcpu, const char *reason, const char *explanation, ...)
{
    struct matrix_report *report = fault_report_begin(vcpu, reason);
    if (report) {
        va_list arguments;
        va_start(arguments, explanation);
        vsnprintf(report->explanation, sizeof(report->explanation), explanation, arguments);
        va_end(arguments);
        fault_report_finish(vcpu, report);
    }
    vm_end(vcpu->vm, MATRIX_VM_FAULTED, 0);
}

void fault_end_access(struct vcpu *vcpu, const char *reason, enum matrix_report_access access,
                      uint64_t address, const char *explanation)
{
    struct matrix_report *report = fault_report_begin(vcpu, reason);
    if (report) {
        report->access = access;
        report->access_place.address = address;
        snprintf(report->explanation, sizeof(report->explanation), "%s", explanation);
        fault_report_finish(vcpu, report);
    }
    vm_end(vcpu->vm, MATRIX_VM_FAULTED, 0);
}
