/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ends a guest with a report of why: what exits.c cannot handle comes here. */
#ifndef VMM_FAULT_H
#define VMM_FAULT_H

#include "vmm/vcpu.h"

/*
 * Ends vcpu's guest with a report: reason is the short name, explanation one line for a person.
 * Registers and memory are recorded as they are now.
 */
void fault_end(struct vcpu *vcpu, const char *reason, const char *explanation, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for a memory access at address that cannot be. */
void fault_end_access(struct vcpu *vcpu, const char *reason, enum matrix_report_access access,
                      uint64_t address, const char *explanation);

/* x86_64/exception.c: ends the guest because of the exception that the stub has reported. */
void fault_end_exception(struct vcpu *vcpu);

/* The parts that those three are made of. */
struct matrix_report *fault_report_begin(struct vcpu *vcpu, const char *reason);
void fault_report_registers(struct vcpu *vcpu, struct matrix_report *report);
void fault_report_place(struct matrix_vm *vm, uint64_t address, struct matrix_report_place *place);
void fault_report_finish(struct vcpu *vcpu, struct matrix_report *report);

#endif
