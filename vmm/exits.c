// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The table of exit reasons (Documentation/virt/kvm/api.rst, 5). Each is handled here, or ends
 * that guest, and only it, with a report. Called by vcpu_run.
 */
#include "vmm/fault.h"
#include "vmm/x86_64/stub.h"
#include <errno.h>
#include <string.h>

static enum vcpu_outcome end(struct vcpu *vcpu, enum matrix_exit_kind kind)
{
    vcpu->vm->exits[kind]++;
    return VCPU_VM_ENDED;
}

/* The only port I/O that can happen: the I/O bitmap permits one port to the program, and ring 0
 * is the stub. Anything else on these ports is the program's mistake. */
static enum vcpu_outcome exit_io(struct vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    if (run->io.port == STUB_EXCEPTION_PORT) {
        fault_end_exception(vcpu);
        return end(vcpu, MATRIX_EXIT_KIND_FAULT);
    }
    if (run->io.port == MATRIX_HYPERCALL_PORT && run->io.direction == KVM_EXIT_IO_OUT &&
        run->io.size == 1 && run->io.count == 1) {
        vcpu->vm->exits[MATRIX_EXIT_KIND_HYPERCALL]++;
        vcpu->progress = 0;
        return hypercall_handle(vcpu);
    }
    fault_end(vcpu, "port I/O", "%s of %u x %u bytes at port %#x; a hypercall is outb %%al, $%#x",
              run->io.direction == KVM_EXIT_IO_OUT ? "output" : "input", run->io.count,
              run->io.size, run->io.port, MATRIX_HYPERCALL_PORT);
    return end(vcpu, MATRIX_EXIT_KIND_OTHER);
}

static enum vcpu_outcome exit_mmio(struct vcpu *vcpu)
{
    const struct kvm_run *run = vcpu->run;
    fault_end_access(vcpu, "KVM_EXIT_MMIO",
                     run->mmio.is_write ? MATRIX_ACCESS_WRITE : MATRIX_ACCESS_READ,
                     run->mmio.phys_addr, "access to guest-physical memory that is not there");
    return end(vcpu, MATRIX_EXIT_KIND_MMIO);
}

static enum vcpu_outcome exit_shutdown(struct vcpu *vcpu)
{
    fault_end(vcpu, "KVM_EXIT_SHUTDOWN", "triple fault: an exception could not be delivered");
    return end(vcpu, MATRIX_EXIT_KIND_SHUTDOWN);
}

static enum vcpu_outcome exit_internal_error(struct vcpu *vcpu)
{
    static const char *const errors[] = {
        [KVM_INTERNAL_ERROR_EMULATION] = "an instruction that KVM cannot emulate",
        [KVM_INTERNAL_ERROR_SIMUL_EX] = "an exception while another was being delivered",
        [KVM_INTERNAL_ERROR_DELIVERY_EV] = "an exit while an event was being delivered",
        [KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an exit that KVM does not know",
    };
    unsigned error = vcpu->run->internal.suberror;
    const char *name = error < sizeof(errors) / sizeof(errors[0]) ? errors[error] : NULL;
    fault_end(vcpu, "KVM_EXIT_INTERNAL_ERROR", "%s (suberror %u)", name ? name : "unknown", error);
    return end(vcpu, MATRIX_EXIT_KIND_OTHER);
}

static enum vcpu_outcome exit_fail_entry(struct vcpu *vcpu)
{
    fault_end(vcpu, "KVM_EXIT_FAIL_ENTRY", "the processor refused the guest's state (reason %#llx)",
              (unsigned long long)vcpu->run->fail_entry.hardware_entry_failure_reason);
    return end(vcpu, MATRIX_EXIT_KIND_OTHER);
}

static enum vcpu_outcome exit_interrupted(struct vcpu *vcpu)
{
    vcpu->vm->exits[MATRIX_EXIT_KIND_INTERRUPTED]++;
    return VCPU_INTERRUPTED;
}

/* Reasons without a handler end the guest under their own name. */
static const struct {
    const char *name;
    enum vcpu_outcome (*handle)(struct vcpu *vcpu);
} reasons[] = {
    [KVM_EXIT_UNKNOWN] = {"KVM_EXIT_UNKNOWN", NULL},
    [KVM_EXIT_EXCEPTION] = {"KVM_EXIT_EXCEPTION", NULL},
    [KVM_EXIT_IO] = {"KVM_EXIT_IO", exit_io},
    [KVM_EXIT_HYPERCALL] = {"KVM_EXIT_HYPERCALL", NULL},
    [KVM_EXIT_DEBUG] = {"KVM_EXIT_DEBUG", NULL},
    [KVM_EXIT_HLT] = {"KVM_EXIT_HLT", NULL},
    [KVM_EXIT_MMIO] = {"KVM_EXIT_MMIO", exit_mmio},
    [KVM_EXIT_IRQ_WINDOW_OPEN] = {"KVM_EXIT_IRQ_WINDOW_OPEN", NULL},
    [KVM_EXIT_SHUTDOWN] = {"KVM_EXIT_SHUTDOWN", exit_shutdown},
    [KVM_EXIT_FAIL_ENTRY] = {"KVM_EXIT_FAIL_ENTRY", exit_fail_entry},
    [KVM_EXIT_INTR] = {"KVM_EXIT_INTR", exit_interrupted},
    [KVM_EXIT_SET_TPR] = {"KVM_EXIT_SET_TPR", NULL},
    [KVM_EXIT_TPR_ACCESS] = {"KVM_EXIT_TPR_ACCESS", NULL},
    [KVM_EXIT_NMI] = {"KVM_EXIT_NMI", NULL},
    [KVM_EXIT_INTERNAL_ERROR] = {"KVM_EXIT_INTERNAL_ERROR", exit_internal_error},
    [KVM_EXIT_WATCHDOG] = {"KVM_EXIT_WATCHDOG", NULL},
    [KVM_EXIT_SYSTEM_EVENT] = {"KVM_EXIT_SYSTEM_EVENT", NULL},
    [KVM_EXIT_IOAPIC_EOI] = {"KVM_EXIT_IOAPIC_EOI", NULL},
    [KVM_EXIT_HYPERV] = {"KVM_EXIT_HYPERV", NULL},
    [KVM_EXIT_X86_RDMSR] = {"KVM_EXIT_X86_RDMSR", NULL},
    [KVM_EXIT_X86_WRMSR] = {"KVM_EXIT_X86_WRMSR", NULL},
    [KVM_EXIT_DIRTY_RING_FULL] = {"KVM_EXIT_DIRTY_RING_FULL", NULL},
    [KVM_EXIT_AP_RESET_HOLD] = {"KVM_EXIT_AP_RESET_HOLD", NULL},
    [KVM_EXIT_X86_BUS_LOCK] = {"KVM_EXIT_X86_BUS_LOCK", NULL},
    [KVM_EXIT_XEN] = {"KVM_EXIT_XEN", NULL},
};

enum vcpu_outcome exit_handle(struct vcpu *vcpu)
{
    unsigned reason = vcpu->run->exit_reason;
    bool known = reason < sizeof(reasons) / sizeof(reasons[0]);
    if (known && reasons[reason].handle)
        return reasons[reason].handle(vcpu);

    const char *name = known && reasons[reason].name ? reasons[reason].name : "unknown exit";
    fault_end(vcpu, name, "exit reason %u, for which a guest program has no use", reason);
    return end(vcpu, MATRIX_EXIT_KIND_OTHER);
}

enum vcpu_outcome exit_kvm_failed(struct vcpu *vcpu, int number)
{
    fault_end(vcpu, "KVM_RUN failed", "%s%s", strerror(number),
              number == EFAULT || number == ENOMEM ? " (is the host out of memory?)" : "");
    return end(vcpu, MATRIX_EXIT_KIND_OTHER);
}

const char *matrix_exit_kind_name(enum matrix_exit_kind kind)
{
    static const char *const names[MATRIX_EXIT_KIND_COUNT] = {
        [MATRIX_EXIT_KIND_HYPERCALL] = "io",      [MATRIX_EXIT_KIND_INTERRUPTED] = "interrupted",
        [MATRIX_EXIT_KIND_FAULT] = "fault",       [MATRIX_EXIT_KIND_MMIO] = "mmio",
        [MATRIX_EXIT_KIND_SHUTDOWN] = "shutdown", [MATRIX_EXIT_KIND_OTHER] = "other",
    };
    return (unsigned)kind < MATRIX_EXIT_KIND_COUNT ? names[kind] : "unknown";
}
