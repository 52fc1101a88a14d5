// SPDX-License-Identifier: GPL-2.0-or-later
/* Builds the system area, and the registers with which a program starts above it. */
#include "vmm/x86_64/system.h"

#include "base/error.h"
#include "vmm/x86_64/stub.h"
#include <cpuid.h>
#include <errno.h>
#include <string.h>

extern const uint8_t stub_start[], stub_end[];

enum { GDT_NULL, GDT_KERNEL_CODE, GDT_KERNEL_DATA, GDT_USER_DATA, GDT_USER_CODE, GDT_ENTRIES };

#define SELECTOR(entry, rpl) ((uint16_t)((entry) << 3 | (rpl)))

/*
 * Flat 64-bit segments (SDM vol. 3, 3.4.5 and 5.8.1): for the GDT as descriptors, for the vCPU as
 * KVM wants them. type 11: code, execute/read, accessed; type 3: data, read/write, accessed.
 */
#define FLAT_CODE(selector_, dpl_)                                                         \
    {                                                                                      \
        .base = 0, .limit = 0xffffffff, .selector = (selector_), .type = 11, .present = 1, \
        .dpl = (dpl_), .s = 1, .l = 1, .g = 1                                              \
    }
#define FLAT_DATA(selector_, dpl_)                                                        \
    {                                                                                     \
        .base = 0, .limit = 0xffffffff, .selector = (selector_), .type = 3, .present = 1, \
        .dpl = (dpl_), .db = 1, .s = 1, .g = 1                                            \
    }

#define USER_DATA FLAT_DATA(SELECTOR(GDT_USER_DATA, 3), 3)

static const uint64_t gdt[GDT_ENTRIES] = {
    [GDT_KERNEL_CODE] = 0x00af9b000000ffff,
    [GDT_KERNEL_DATA] = 0x00cf93000000ffff,
    [GDT_USER_DATA] = 0x00cff3000000ffff,
    [GDT_USER_CODE] = 0x00affb000000ffff,
};

#define CR0_PE (1ULL << 0)
#define CR0_MP (1ULL << 1)
#define CR0_ET (1ULL << 4)
#define CR0_NE (1ULL << 5)
#define CR0_WP (1ULL << 16)
#define CR0_AM (1ULL << 18) /* so that a program can ask for alignment checks */
#define CR0_PG (1ULL << 31)

#define CR4_PAE        (1ULL << 5)
#define CR4_OSFXSR     (1ULL << 9) /* SSE */
#define CR4_OSXMMEXCPT (1ULL << 10)

#define EFER_LME (1ULL << 8)
#define EFER_LMA (1ULL << 10)
#define EFER_NXE (1ULL << 11) /* SCE stays 0: there is no kernel for SYSCALL to call */

/* Types of a 64-bit TSS (SDM vol. 3, table 3-2). */
#define TSS_AVAILABLE 9
#define TSS_BUSY      11

#define SIGNATURE_HYGON_EBX 0x6f677948 /* "Hygo", of "HygonGenuine": AMD's virtualisation, too */

#define RFLAGS_FIXED (1ULL << 1)

#define APIC_BASE_DEFAULT 0xfee00800ULL /* at its usual address, enabled */
#define APIC_BASE_BSP     (1ULL << 8)

/* The state of a program's vCPU in long mode at CPL 3; what differs by vCPU is added below. */
static const struct kvm_sregs long_mode_user = {
    .cs = FLAT_CODE(SELECTOR(GDT_USER_CODE, 3), 3),
    .ds = USER_DATA,
    .es = USER_DATA,
    .fs = USER_DATA,
    .gs = USER_DATA,
    .ss = USER_DATA,
    .ldt = {.unusable = 1, .type = 2, .present = 0},
    .gdt = {.base = SYSTEM_BASE + 2 * PAGE_BYTES, .limit = sizeof(gdt) - 1},
    .idt = {.base = SYSTEM_BASE + 1 * PAGE_BYTES, .limit = STUB_VECTORS * 16 - 1},
    .cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_PG,
    .cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT,
    .efer = EFER_LME | EFER_LMA | EFER_NXE,
    .apic_base = APIC_BASE_DEFAULT,
};

/* The 64-bit TSS (SDM vol. 3, 7.7), with an I/O bitmap just long enough for the hypercall port:
 * ports past its end are denied (SDM vol. 1, 19.5.2), and the last byte must be all ones. */
struct task_state {
    uint32_t reserved0;
    uint32_t rsp0[2], rsp1[2], rsp2[2];
    uint32_t reserved1[2];
    uint32_t ist[7][2];
    uint32_t reserved2[2];
    uint16_t reserved3;
    uint16_t io_bitmap_offset;
    uint8_t io_bitmap[MATRIX_HYPERCALL_PORT / 8 + 2];
} __attribute__((packed));

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

#define GATE_INTERRUPT    0x8e /* present, DPL 0 */
#define GATE_USER         0x60 /* DPL 3: the program may call it with INT n */
#define VECTOR_BREAKPOINT 3    /* INT3 */
#define VECTOR_OVERFLOW   4    /* INTO, INT 4 */

static uint64_t vcpu_page(unsigned index)
{
    return (SYSTEM_VCPU_PAGE + index) * PAGE_BYTES;
}

static void build_idt(struct gate *idt)
{
    for (unsigned vector = 0; vector < STUB_VECTORS; vector++) {
        const uint64_t handler = SYSTEM_BASE + (uint64_t)vector * STUB_ENTRY_BYTES;
        const bool is_user = vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW;
        idt[vector] = (struct gate){
            .offset_low = (uint16_t)handler,
            .selector = SELECTOR(GDT_KERNEL_CODE, 0),
            .type = GATE_INTERRUPT | (is_user ? GATE_USER : 0),
            .offset_middle = (uint16_t)(handler >> 16),
            .offset_high = (uint32_t)(handler >> 32),
        };
    }
}

static void build_task_state(struct task_state *tss, unsigned index)
{
    uint64_t stack_top = SYSTEM_BASE + vcpu_page(index) + PAGE_BYTES;
    *tss = (struct task_state){
        .rsp0 = {(uint32_t)stack_top, (uint32_t)(stack_top >> 32)},
        .io_bitmap_offset = offsetof(struct task_state, io_bitmap),
    };
    memset(tss->io_bitmap, 0xff, sizeof(tss->io_bitmap));
    tss->io_bitmap[MATRIX_HYPERCALL_PORT / 8] &= ~(1 << MATRIX_HYPERCALL_PORT % 8);
}

struct matrix_error *system_build(struct memory *memory, struct paging *paging)
{
    const uint64_t area = SYSTEM_PAGES * PAGE_BYTES;
    const uint64_t tables = paging_tables_bytes(memory->ram_bytes);
    RETURN_IF_ERROR(memory_add_system(memory, SYSTEM_GPA, area + tables));
    RETURN_IF_ERROR(paging_init(paging, memory, SYSTEM_GPA + area, tables));
    RETURN_IF_ERROR(paging_map(paging, SYSTEM_BASE, SYSTEM_GPA, PAGE_BYTES, PAGING_EXECUTE));
    RETURN_IF_ERROR(paging_map(paging, SYSTEM_BASE + PAGE_BYTES, SYSTEM_GPA + PAGE_BYTES,
                               area - PAGE_BYTES, PAGING_WRITE | PAGING_SMALL));

    uint8_t *base = memory_at(memory, SYSTEM_GPA, area);
    if (!base)
        return error_host(EFAULT, "reach the guest's system area");
    /* cppcheck-suppress comparePointers ; both are labels of one section in stub.S */
    memcpy(base, stub_start, (size_t)(stub_end - stub_start));
    build_idt((struct gate *)(base + 1 * PAGE_BYTES));
    memcpy(base + 2 * PAGE_BYTES, gdt, sizeof(gdt));
    return NULL;
}

/*
 * The type of the TSS that TR holds. Intel's VM entry wants a busy one (SDM vol. 3, 26.3.1.2). AMD's
 * VMRUN takes either; QEMU's emulation of it consults the I/O bitmap of an available one only.
 */
static uint8_t task_state_type(void)
{
    uint32_t highest, ebx = 0, ecx, edx;
    __cpuid(0, highest, ebx, ecx, edx);
    const bool is_amd = ebx == signature_AMD_ebx || ebx == SIGNATURE_HYGON_EBX;
    return is_amd ? TSS_AVAILABLE : TSS_BUSY;
}

void system_start_registers(const struct paging *paging, unsigned index, struct kvm_sregs *sregs,
                            struct kvm_regs *regs)
{
    /* Each vCPU's page is touched only when there is such a vCPU. */
    build_task_state(memory_at(paging->memory, SYSTEM_GPA + vcpu_page(index), PAGE_BYTES), index);

    *sregs = long_mode_user;
    sregs->cr3 = paging->root_gpa;
    sregs->apic_base |= index == 0 ? APIC_BASE_BSP : 0;
    /* Loaded directly, so the GDT needs no descriptor for it. */
    sregs->tr = (struct kvm_segment){
        .base = SYSTEM_BASE + vcpu_page(index),
        .limit = sizeof(struct task_state) - 1,
        .selector = SELECTOR(GDT_ENTRIES, 0),
        .type = task_state_type(),
        .present = 1,
    };
    *regs = (struct kvm_regs){.rflags = RFLAGS_FIXED};
}

bool system_exception_frame(const struct memory *memory, unsigned index, uint64_t rsp,
                            struct exception_frame *frame)
{
    uint64_t start = SYSTEM_BASE + vcpu_page(index);
    if (rsp < start || rsp > start + PAGE_BYTES - sizeof(*frame) || rsp % 8)
        return false;
    const void *source = memory_at(memory, SYSTEM_GPA + (rsp - SYSTEM_BASE), sizeof(*frame));
    if (!source)
        return false;
    memcpy(frame, source, sizeof(*frame));
    return true;
}
