// SPDX-License-Identifier: GPL-2.0-or-later
/* Translates guest-virtual addresses, twice: KVM_TRANSLATE (Documentation/virt/kvm/api.rst, 4.35)
 * and the software walk must agree. */
#include "vmm/translate.h"

#include "base/error.h"
#include <errno.h>
#include <sys/ioctl.h>

struct matrix_error *translate_on_vcpu(struct vcpu *vcpu, uint64_t gva,
                                       struct matrix_translation *translation)
{
    const struct matrix_vm *vm = vcpu->vm;
    /* The registers that hold CR3 wait in the shared page until the first KVM_RUN. */
    if (vcpu->run->kvm_dirty_regs & KVM_SYNC_X86_SREGS &&
        ioctl(vcpu->fd, KVM_SET_SREGS, &vcpu->run->s.regs.sregs) < 0)
        return error_host(errno, "KVM_SET_SREGS of guest %s", vm->name);
    struct kvm_translation kvm = {.linear_address = gva};
    if (ioctl(vcpu->fd, KVM_TRANSLATE, &kvm) < 0)
        return error_host(errno, "KVM_TRANSLATE %#llx in guest %s", (unsigned long long)gva,
                          vm->name);

    /* KVM looks at 48 bits only; the processor refuses an address that is not canonical. */
    const bool kvm_mapped = kvm.valid && paging_is_canonical(gva);
    struct paging_walk walk = {0};
    const bool mapped = paging_walk(&vm->paging, gva, &walk);
    *translation = (struct matrix_translation){
        .gva = gva,
        .mapped = mapped,
        .gpa = walk.gpa,
        .hva = mapped ? (uint64_t)(uintptr_t)memory_at(&vm->memory, walk.gpa, 1) : 0,
        .page_bytes = walk.page_bytes,
        .readable = mapped && walk.user,
        .writable = mapped && walk.user && walk.writable,
        .executable = mapped && walk.user && walk.executable,
        .kvm_mapped = kvm_mapped,
        .kvm_gpa = kvm_mapped ? kvm.physical_address : 0,
    };
    /* KVM's answer says whether and where, never with which rights. */
    translation->agree =
        translation->kvm_mapped == mapped && (!mapped || translation->kvm_gpa == walk.gpa);
    return NULL;
}

struct matrix_error *matrix_vm_translate(struct matrix_vm *vm, uint64_t gva,
                                         struct matrix_translation *translation)
{
    return translate_on_vcpu(vm->vcpus[0], gva, translation);
}

struct matrix_error *matrix_vm_translate_vcpu(struct matrix_vm *vm, unsigned index, uint64_t gva,
                                              struct matrix_translation *translation)
{
    if (index >= vm->vcpu_count)
        return error_usage("count from 0", "virtual CPU %u of guest %s, which has %u", index,
                           vm->name, vm->vcpu_count);
    return translate_on_vcpu(vm->vcpus[index], gva, translation);
}
