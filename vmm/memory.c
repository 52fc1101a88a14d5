// SPDX-License-Identifier: GPL-2.0-or-later
/* Guest-physical memory: mapped, told to KVM, and reached through one checked function. */
#include "vmm/memory.h"

#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <linux/kvm.h>
#include <matrix/vm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

/* Transparent huge pages want the mapping aligned to their size, or the ends stay small. */
#define HUGE_PAGE_BYTES (2ULL << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; Debian 12's libc headers may lack it */
#endif

void memory_init(struct memory *memory, int vm_fd)
{
    *memory = (struct memory){.vm_fd = vm_fd};
}

/* Maps private anonymous memory: the only kind that KSM merges. */
static struct matrix_error *map(struct memory *memory, uint64_t bytes, uint8_t **hva)
{
    size_t length = bytes + HUGE_PAGE_BYTES;
    uint8_t *start = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        char size[FORMAT_BYTES];
        return error_new(MATRIX_ERROR_HOST, errno, "ask for less memory", "map %s of guest memory",
                         format_size(size, bytes));
    }
    memory->mappings[memory->mapping_count] = start;
    memory->mapping_bytes[memory->mapping_count++] = length;
    *hva = (uint8_t *)(((uintptr_t)start + HUGE_PAGE_BYTES - 1) & ~(HUGE_PAGE_BYTES - 1));
    return NULL;
}

static struct matrix_error *add_slot(struct memory *memory, uint64_t gpa, uint64_t bytes,
                                     uint8_t *hva)
{
    struct kvm_userspace_memory_region region = {
        .slot = memory->slot_count,
        .guest_phys_addr = gpa,
        .memory_size = bytes,
        .userspace_addr = (uintptr_t)hva,
    };
    if (ioctl(memory->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return error_host(errno, "KVM_SET_USER_MEMORY_REGION: %#llx bytes at %#llx",
                          (unsigned long long)bytes, (unsigned long long)gpa);
    memory->slots[memory->slot_count++] = (struct memory_slot){gpa, bytes, hva};
    return NULL;
}

static struct matrix_error *check_size(uint64_t bytes)
{
    char size[FORMAT_BYTES], limit[FORMAT_BYTES];
    if (bytes < MATRIX_MEMORY_MINIMUM)
        return error_usage("give it 2M or more", "guest memory of %s is too small: %s is the least",
                           format_size(size, bytes), format_size(limit, MATRIX_MEMORY_MINIMUM));
    if (bytes % PAGE_BYTES)
        return error_usage("use a multiple of 4K", "guest memory of %llu bytes is not whole pages",
                           (unsigned long long)bytes);
    /* Overcommit settings may let such a mapping pass; the guest would die half-way. */
    struct sysinfo host;
    if (sysinfo(&host) == 0) {
        uint64_t have = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
        if (bytes > have)
            return error_usage("ask for less memory",
                               "guest memory of %s is more than this host has (%s)",
                               format_size(size, bytes), format_size(limit, have));
    }
    return NULL;
}

static struct matrix_error *advise(uint8_t *hva, uint64_t bytes, unsigned flags)
{
    static const struct {
        unsigned flag;
        int advice;
        const char *name, *remedy;
    } advices[] = {
        {MATRIX_MEMORY_MERGEABLE, MADV_MERGEABLE, "MADV_MERGEABLE",
         "this kernel has no KSM (CONFIG_KSM): run without --mergeable"},
        {MATRIX_MEMORY_HUGE, MADV_HUGEPAGE, "MADV_HUGEPAGE",
         "this kernel has no transparent huge pages: run without --huge-pages"},
        {MATRIX_MEMORY_PREFAULT, MADV_POPULATE_WRITE, "MADV_POPULATE_WRITE",
         "this needs Linux 5.14 and enough free memory: run without --prefault"},
    };
    for (size_t i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
        if (flags & advices[i].flag && madvise(hva, bytes, advices[i].advice) < 0)
            return error_new(MATRIX_ERROR_HOST, errno, advices[i].remedy, "%s on guest memory",
                             advices[i].name);
    if (flags & MATRIX_MEMORY_LOCKED && mlock(hva, bytes) < 0)
        return error_new(MATRIX_ERROR_HOST, errno,
                         "raise the limit (ulimit -l) or run without --lock", "lock guest memory");
    return NULL;
}

struct matrix_error *memory_add_ram(struct memory *memory, uint64_t bytes, unsigned flags)
{
    uint8_t *hva;
    RETURN_IF_ERROR(check_size(bytes));
    RETURN_IF_ERROR(map(memory, bytes, &hva));
    RETURN_IF_ERROR(advise(hva, bytes, flags));

    uint64_t low = bytes < MEMORY_HOLE_GPA ? bytes : MEMORY_HOLE_GPA;
    RETURN_IF_ERROR(add_slot(memory, 0, low, hva));
    if (bytes > low)
        RETURN_IF_ERROR(add_slot(memory, MEMORY_HOLE_END, bytes - low, hva + low));
    memory->ram_bytes = bytes;
    return NULL;
}

struct matrix_error *memory_add_system(struct memory *memory, uint64_t gpa, uint64_t bytes)
{
    if (gpa < MEMORY_HOLE_GPA || bytes > MEMORY_HOLE_END - gpa)
        return error_usage("give the guest less memory, or larger pages",
                           "the page tables need %llu bytes, more than the hole for them has",
                           (unsigned long long)bytes);
    uint8_t *hva;
    RETURN_IF_ERROR(map(memory, bytes, &hva));
    /* Few pages of it are ever written; where huge pages are the rule, the first of them would cost
     * each guest 2 MiB. A kernel without huge pages refuses, and that is as good. */
    (void)madvise(hva, bytes, MADV_NOHUGEPAGE);
    return add_slot(memory, gpa, bytes, hva);
}

void memory_destroy(struct memory *memory)
{
    for (unsigned i = 0; i < memory->mapping_count; i++)
        munmap(memory->mappings[i], memory->mapping_bytes[i]);
    *memory = (struct memory){.vm_fd = -1};
}

void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t bytes)
{
    for (unsigned i = 0; i < memory->slot_count; i++) {
        const struct memory_slot *slot = &memory->slots[i];
        /* Neither comparison can wrap: the difference is taken only where it is positive. */
        if (gpa >= slot->gpa && gpa - slot->gpa <= slot->bytes &&
            bytes <= slot->bytes - (gpa - slot->gpa))
            return slot->hva + (gpa - slot->gpa);
    }
    return NULL;
}

uint64_t memory_ram_gpa(uint64_t offset)
{
    return offset < MEMORY_HOLE_GPA ? offset : offset - MEMORY_HOLE_GPA + MEMORY_HOLE_END;
}
