// SPDX-License-Identifier: GPL-2.0-or-later
/* Builds and walks a guest's 4-level page tables. Called by vm, hypercall and translate. */
#include "vmm/x86_64/paging.h"

#include "base/error.h"
#include <errno.h>
#include <string.h>

/* Bits of an entry (SDM vol. 3, table 4-14 and following). */
#define ENTRY_PRESENT    (1ULL << 0)
#define ENTRY_WRITE      (1ULL << 1)
#define ENTRY_USER       (1ULL << 2)
#define ENTRY_LARGE      (1ULL << 7)
#define ENTRY_NO_EXECUTE (1ULL << 63)
#define ENTRY_ADDRESS    0x000ffffffffff000ULL

#define LARGE_PAGE_BYTES (2ULL << 20)
#define TABLE_ENTRIES    512
#define LEVELS           4

static unsigned table_index(uint64_t gva, int level)
{
    return (gva >> (12 + 9 * level)) % TABLE_ENTRIES;
}

bool paging_is_canonical(uint64_t gva)
{
    return (uint64_t)((int64_t)(gva << 16) >> 16) == gva;
}

uint64_t paging_tables_bytes(uint64_t ram_bytes)
{
    /*
     * One table of the lowest level per 2 MiB, one of the next per GiB, and some for the ends of
     * what is mapped apart. With large pages most are never touched, and cost nothing.
     */
    uint64_t lowest = ram_bytes / LARGE_PAGE_BYTES;
    return (lowest + lowest / TABLE_ENTRIES + 256) * PAGE_BYTES;
}

static struct matrix_error *take_table(struct paging *paging, uint64_t *gpa)
{
    if (paging->next_gpa >= paging->end_gpa)
        return error_usage("lay the image out in fewer, denser segments",
                           "the guest's page tables are full");
    *gpa = paging->next_gpa;
    paging->next_gpa += PAGE_BYTES;
    return NULL;
}

struct matrix_error *paging_init(struct paging *paging, struct memory *memory, uint64_t gpa,
                                 uint64_t bytes)
{
    *paging = (struct paging){.memory = memory, .next_gpa = gpa, .end_gpa = gpa + bytes};
    return take_table(paging, &paging->root_gpa);
}

/* The entry for gva at the given level, with the tables above it made where missing. */
static struct matrix_error *make_entry(struct paging *paging, uint64_t gva, int level,
                                       uint64_t **entry)
{
    uint64_t table_gpa = paging->root_gpa;
    for (int current = LEVELS - 1;; current--) {
        uint64_t *table = memory_at(paging->memory, table_gpa, PAGE_BYTES);
        if (!table)
            return error_host(EFAULT, "page table at %#llx", (unsigned long long)table_gpa);
        *entry = &table[table_index(gva, current)];
        if (current == level)
            return NULL;
        if (!(**entry & ENTRY_PRESENT)) {
            RETURN_IF_ERROR(take_table(paging, &table_gpa));
            /* Rights are narrowed only at the last level. */
            **entry = table_gpa | ENTRY_PRESENT | ENTRY_WRITE | ENTRY_USER;
        } else if (**entry & ENTRY_LARGE) {
            return error_usage(NULL, "address %#llx is mapped twice", (unsigned long long)gva);
        }
        table_gpa = **entry & ENTRY_ADDRESS;
    }
}

struct matrix_error *paging_map(struct paging *paging, uint64_t gva, uint64_t gpa, uint64_t bytes,
                                unsigned flags)
{
    uint64_t rights = ENTRY_PRESENT | (flags & PAGING_WRITE ? ENTRY_WRITE : 0) |
                      (flags & PAGING_USER ? ENTRY_USER : 0) |
                      (flags & PAGING_EXECUTE ? 0 : ENTRY_NO_EXECUTE);

    while (bytes) {
        bool large = !(flags & PAGING_SMALL) && bytes >= LARGE_PAGE_BYTES &&
                     gva % LARGE_PAGE_BYTES == 0 && gpa % LARGE_PAGE_BYTES == 0;
        uint64_t page = large ? LARGE_PAGE_BYTES : PAGE_BYTES;
        uint64_t *entry;
        RETURN_IF_ERROR(make_entry(paging, gva, large ? 1 : 0, &entry));
        if (*entry & ENTRY_PRESENT)
            return error_usage(NULL, "address %#llx is mapped twice", (unsigned long long)gva);
        *entry = gpa | rights | (large ? ENTRY_LARGE : 0);
        gva += page;
        gpa += page;
        bytes -= page;
    }
    return NULL;
}

bool paging_walk(const struct paging *paging, uint64_t gva, struct paging_walk *walk)
{
    if (!paging_is_canonical(gva))
        return false;

    uint64_t table_gpa = paging->root_gpa;
    *walk = (struct paging_walk){.writable = true, .executable = true, .user = true};
    for (int level = LEVELS - 1; level >= 0; level--) {
        const uint64_t *table = memory_at(paging->memory, table_gpa, PAGE_BYTES);
        if (!table)
            return false;
        uint64_t entry = table[table_index(gva, level)];
        if (!(entry & ENTRY_PRESENT))
            return false;
        walk->writable &= (entry & ENTRY_WRITE) != 0;
        walk->user &= (entry & ENTRY_USER) != 0;
        walk->executable &= (entry & ENTRY_NO_EXECUTE) == 0;
        if (level == 0 || entry & ENTRY_LARGE) {
            walk->page_bytes = 1ULL << (12 + 9 * level);
            uint64_t offset = gva & (walk->page_bytes - 1);
            walk->gpa = (entry & ENTRY_ADDRESS & ~(walk->page_bytes - 1)) | offset;
            return true;
        }
        table_gpa = entry & ENTRY_ADDRESS;
    }
    return false;
}

/* The monitor's address of what the program has at gva, and how far it goes on in that page. */
static void *user_page(const struct paging *paging, uint64_t gva, bool write, uint64_t *bytes)
{
    struct paging_walk walk;
    if (!paging_walk(paging, gva, &walk) || !walk.user || (write && !walk.writable))
        return NULL;
    *bytes = walk.page_bytes - (gva & (walk.page_bytes - 1));
    return memory_at(paging->memory, walk.gpa, *bytes);
}

uint64_t paging_read(const struct paging *paging, uint64_t gva, void *buffer, uint64_t bytes)
{
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t part;
        const void *from = user_page(paging, gva + done, false, &part);
        if (!from)
            break;
        part = part < bytes - done ? part : bytes - done;
        memcpy((uint8_t *)buffer + done, from, part);
        done += part;
    }
    return done;
}

uint64_t paging_write(const struct paging *paging, uint64_t gva, const void *buffer, uint64_t bytes)
{
    uint64_t done = 0;
    while (done < bytes) {
        uint64_t part;
        void *to = user_page(paging, gva + done, true, &part);
        if (!to)
            break;
        part = part < bytes - done ? part : bytes - done;
        memcpy(to, (const uint8_t *)buffer + done, part);
        done += part;
    }
    return done;
}
