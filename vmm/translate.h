/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guest-virtual to host-virtual, by KVM and by our own walk. Called by hypercall and by strangers
 * through matrix_vm_translate. */
#ifndef VMM_TRANSLATE_H
#define VMM_TRANSLATE_H

#include "vmm/vcpu.h"

struct matrix_error *translate_on_vcpu(struct vcpu *vcpu, uint64_t gva,
                                       struct matrix_translation *translation);

#endif
