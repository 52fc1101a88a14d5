/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The least that a program can do to run ring-3 code under KVM: the same ioctls as Matrix,
 * nothing checked but their success. It is what Matrix is compared with.
 */
#ifndef BENCH_RAW_H
#define BENCH_RAW_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RAW_RAM_BYTES (16UL << 20) /* as much as Matrix gives a guest unless told otherwise */

struct raw_vm {
    int vm, vcpu;
    struct kvm_run *run;
    uint8_t *ram;
};

/* Opens KVM, asks what Matrix asks, and reads what the processor can do; negative: failed. */
int raw_open(struct kvm_cpuid2 **cpuid);

/* A guest of RAW_RAM_BYTES with code at address 0, about to run it at CPL 3. */
bool raw_create(int kvm, struct kvm_cpuid2 *cpuid, const void *code, size_t bytes,
                struct raw_vm *vm);

/* Enters it once: true if it left by port output. */
bool raw_run(const struct raw_vm *vm);

#endif
