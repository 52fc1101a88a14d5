/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guest-physical memory: what the monitor's own memory looks like from inside a guest.
 * Everything in the monitor that follows a guest-physical address goes through
 * memory_at(), the one place where such an address is checked.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <matrix/error.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096ULL

/*
 * A guest's memory lies below 3 GiB and, what does not fit, above 4 GiB, as on a PC. The
 * hole between is for what is not the guest's: the system area (vmm/x86_64/system.h).
 */
#define MEMORY_HOLE_GPA  (3ULL << 30)
#define MEMORY_HOLE_END  (4ULL << 30)
#define MEMORY_SLOTS_MAX 3

struct memory_slot {
    uint64_t gpa;
    uint64_t bytes;
    uint8_t *hva;
};

struct memory {
    int vm_fd;
    uint64_t ram_bytes;
    struct memory_slot slots[MEMORY_SLOTS_MAX];
    unsigned slot_count;
    void *mappings[2]; /* RAM, system area */
    size_t mapping_bytes[2];
    unsigned mapping_count;
};

void memory_init(struct memory *memory, int vm_fd);

/* Gives the guest RAM: bytes is checked, flags are enum matrix_memory_flags. */
struct matrix_error *memory_add_ram(struct memory *memory, uint64_t bytes, unsigned flags);

/* Adds a slot of the monitor's own inside the hole. */
struct matrix_error *memory_add_system(struct memory *memory, uint64_t gpa, uint64_t bytes);

/* Unmaps everything; the VM must be gone or never run again. */
void memory_destroy(struct memory *memory);

/*
 * The monitor's address of bytes bytes at gpa, or NULL unless all of them lie in one slot. bytes
 * may be 0. Any value of gpa and bytes is allowed.
 */
void *memory_at(const struct memory *memory, uint64_t gpa, uint64_t bytes);

/* Where RAM's n-th byte is in the guest-physical address space; n below ram_bytes. */
uint64_t memory_ram_gpa(uint64_t offset);

#endif
