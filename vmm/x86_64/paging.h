/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest's page tables: 4 levels, built and walked by the monitor (SDM vol. 3, 4.5). They lie
 * in the guest's system area, which the guest program cannot reach.
 */
#ifndef VMM_X86_64_PAGING_H
#define VMM_X86_64_PAGING_H

#include "vmm/memory.h"
#include <stdbool.h>

struct paging {
    struct memory *memory;
    uint64_t root_gpa; /* for CR3 */
    uint64_t next_gpa; /* the next table comes from here */
    uint64_t end_gpa;
};

enum paging_flags {
    PAGING_WRITE = 1 << 0,
    PAGING_EXECUTE = 1 << 1,
    PAGING_USER = 1 << 2,
    PAGING_SMALL = 1 << 3, /* 4 KiB pages only; else 2 MiB ones wherever they fit */
};

/* The program's half of the address space ends here; page 0 and the 15 after it stay unmapped. */
#define PAGING_USER_START 0x10000ULL
#define PAGING_USER_END   0x800000000000ULL

/* Bytes of page tables that are enough for any layout of a guest with that much memory. */
uint64_t paging_tables_bytes(uint64_t ram_bytes);

/* Takes tables from [gpa, gpa + bytes), which must be zero. */
struct matrix_error *paging_init(struct paging *paging, struct memory *memory, uint64_t gpa,
                                 uint64_t bytes);

/* Maps bytes bytes (whole pages) at gva to gpa. Nothing may be mapped there yet. */
struct matrix_error *paging_map(struct paging *paging, uint64_t gva, uint64_t gpa, uint64_t bytes,
                                unsigned flags);

/* Whether bits 48 to 63 repeat bit 47 (SDM vol. 1, 3.3.7.1). */
bool paging_is_canonical(uint64_t gva);

/* What the tables say about one address. */
struct paging_walk {
    uint64_t gpa;
    uint64_t page_bytes;
    bool writable, executable, user;
};

/* False if gva is not mapped (or not canonical). */
bool paging_walk(const struct paging *paging, uint64_t gva, struct paging_walk *walk);

/*
 * Copies between the monitor and the program's memory, which must be mapped for the program
 * (and writable, for paging_write) throughout. They return how many bytes were copied
 * before the first that was not.
 */
uint64_t paging_read(const struct paging *paging, uint64_t gva, void *buffer, uint64_t bytes);
uint64_t paging_write(const struct paging *paging, uint64_t gva, const void *buffer,
                      uint64_t bytes);

#endif
