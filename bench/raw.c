// SPDX-License-Identifier: GPL-2.0-or-later
/* The least that runs ring-3 code under KVM; see raw.h. */
#include "bench/raw.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#define PAGE          4096UL
#define TABLES_GPA    (3UL << 30)
#define TABLES_BYTES  (3 * PAGE)
#define CPUID_ENTRIES 256

/* Entries of page tables (SDM vol. 3, 5.5.4): present, writable, user; a page of 2 MiB. */
#define ENTRY_TABLE 0x07UL
#define ENTRY_LARGE 0x87UL

int raw_open(struct kvm_cpuid2 **cpuid)
{
    static const long needed[] = {KVM_CAP_USER_MEMORY, KVM_CAP_NR_MEMSLOTS, KVM_CAP_SYNC_MMU,
                                  KVM_CAP_EXT_CPUID, KVM_CAP_SYNC_REGS};
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0 || ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
        return -1;
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
        if (ioctl(kvm, KVM_CHECK_EXTENSION, needed[i]) <= 0)
            return -1;
    *cpuid = calloc(1, sizeof(**cpuid) + CPUID_ENTRIES * sizeof(struct kvm_cpuid_entry2));
    if (!*cpuid)
        return -1;
    (*cpuid)->nent = CPUID_ENTRIES;
    return ioctl(kvm, KVM_GET_SUPPORTED_CPUID, *cpuid) < 0 ? -1 : kvm;
}

static uint8_t *add_memory(int vm, uint32_t slot, uint64_t gpa, size_t bytes)
{
    uint8_t *hva = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .guest_phys_addr = gpa,
        .memory_size = bytes,
        .userspace_addr = (uintptr_t)hva,
    };
    if (hva == MAP_FAILED || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return NULL;
    return hva;
}

/* Long mode, paging, flat segments, CPL 3; IOPL 3 in place of an I/O bitmap. */
static void set_registers(struct kvm_run *run)
{
    const struct kvm_segment code = {
        .limit = ~0u, .selector = 0x23, .type = 11, .present = 1, .dpl = 3, .s = 1, .l = 1, .g = 1};
    const struct kvm_segment data = {
        .limit = ~0u, .selector = 0x1b, .type = 3, .present = 1, .dpl = 3, .s = 1, .db = 1, .g = 1};
    run->s.regs.sregs = (struct kvm_sregs){
        .cs = code,
        .ds = data,
        .es = data,
        .fs = data,
        .gs = data,
        .ss = data,
        .tr = {.limit = 103, .selector = 0x28, .type = 11, .present = 1},
        .ldt = {.unusable = 1, .type = 2},
        .cr0 = 0x80000033,
        .cr3 = TABLES_GPA,
        .cr4 = 0x20,
        .efer = 0x500,
        .apic_base = 0xfee00900,
    };
    run->s.regs.regs = (struct kvm_regs){.rflags = 0x3002};
    run->kvm_dirty_regs = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS;
}

bool raw_create(int kvm, struct kvm_cpuid2 *cpuid, const void *code, size_t bytes,
                struct raw_vm *vm)
{
    vm->vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm->vm < 0)
        return false;
    vm->ram = add_memory(vm->vm, 0, 0, RAW_RAM_BYTES);
    uint64_t *tables = (uint64_t *)(void *)add_memory(vm->vm, 1, TABLES_GPA, TABLES_BYTES);
    if (!vm->ram || !tables)
        return false;
    tables[0] = (TABLES_GPA + PAGE) | ENTRY_TABLE;
    tables[512] = (TABLES_GPA + 2 * PAGE) | ENTRY_TABLE;
    for (uint64_t i = 0; i < RAW_RAM_BYTES >> 21; i++)
        tables[1024 + i] = i << 21 | ENTRY_LARGE;
    memcpy(vm->ram, code, bytes);

    vm->vcpu = ioctl(vm->vm, KVM_CREATE_VCPU, 0);
    if (vm->vcpu < 0 || ioctl(vm->vcpu, KVM_SET_CPUID2, cpuid) < 0)
        return false;
    int run_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    vm->run = mmap(NULL, (size_t)run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
    if (vm->run == MAP_FAILED)
        return false;
    set_registers(vm->run);
    return true;
}

bool raw_run(const struct raw_vm *vm)
{
    return ioctl(vm->vcpu, KVM_RUN, 0) == 0 && vm->run->exit_reason == KVM_EXIT_IO;
}
