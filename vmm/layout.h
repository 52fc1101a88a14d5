/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest program's address space: where image, heap, stack and start page are, and which frames
 * they get. Documented for guests in docs/guest-abi.md. Called by vm; by exception for words.
 */
#ifndef VMM_LAYOUT_H
#define VMM_LAYOUT_H

#include "vmm/vm.h"

/* Where things are in every guest; addresses of an image are its own, below. */
#define LAYOUT_HEAP      IMAGE_END
#define LAYOUT_STACK_TOP 0x700000000000ULL
#define LAYOUT_START     0x710000000000ULL

/* Loads the image and everything that a program finds at its start. */
struct matrix_error *layout_build(struct matrix_vm *vm, const struct matrix_vm_options *options);

/* The first vCPU's stack pointer at the entry point. */
uint64_t layout_start_stack(void);

/* What lies at an address that faulted: "the guard page under the stack". A constant string. */
const char *layout_describe(const struct matrix_vm *vm, uint64_t gva);

#endif
