/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The opened /dev/kvm as the rest of vmm/ uses it. */
#ifndef VMM_KVM_H
#define VMM_KVM_H

#include <linux/kvm.h>
#include <matrix/kvm.h>
#include <stddef.h>

struct matrix_kvm {
    int fd;
    size_t run_bytes;         /* size of a vCPU's shared struct kvm_run */
    struct kvm_cpuid2 *cpuid; /* what guests are told about the processor */
};

#endif
