/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The memory of a process, as its page tables say. Linked into lkm3, lkm4 and matrix_lens.
 */
#ifndef MATRIX_MEMORY_H
#define MATRIX_MEMORY_H

#include <linux/mm.h>
#include <matrix/uapi/matrix_lens.h>

/**
 * enum memory_level - which page table an address ends in
 * @MEMORY_HOLE: none: there is no entry
 * @MEMORY_PTE: the last one, of pages of 4 KiB
 * @MEMORY_PMD: a page of 2 MiB, or what stands for one
 * @MEMORY_PUD: a page of 1 GiB, or what stands for one
 */
enum memory_level {
	MEMORY_HOLE,
	MEMORY_PTE,
	MEMORY_PMD,
	MEMORY_PUD,
};

/**
 * struct memory_leaf - where an address ends in the page tables
 * @level: which table that is
 * @size: how many bytes, aligned to as many, are behind an entry there; of a hole, how large the
 *	smallest table entry is that has nothing behind it
 * @entry: the entry, one of a table of them; NULL for a hole
 * @lock: guards the entry, and the table's other entries
 * @guard: the entry of @lock's table that says that the table is (still) this one
 * @guard_value: what stood there when @lock was found
 */
struct memory_leaf {
	enum memory_level level;
	unsigned long size;
	const u64 *entry;
	spinlock_t *lock; /* the kernel's; guards entry */
	const u64 *guard;
	u64 guard_value;
};

/*
 * Called by memory_visit(), under leaf->lock and within an RCU read-side section: it must not
 * sleep, nor touch user memory.
 */
typedef void (*memory_visitor)(struct vm_area_struct *vma, unsigned long address,
			       const struct memory_leaf *leaf, void *context);

/**
 * struct memory_walk - a position in an address space
 * @mm: whose; mmap_lock is held for reading while the walk is in use
 * @vma: the first mapping that ends beyond @address; NULL: not looked for yet
 * @address: what comes next
 * @end: where to stop; both are multiples of the page size
 */
struct memory_walk {
	struct mm_struct *mm;
	struct vm_area_struct *vma;
	unsigned long address;
	unsigned long end;
};

/**
 * struct memory_run - some pages, one behind the other
 * @pages: how many; at least one
 * @entries: if not NULL the entry of each, in the room that memory_walk_step() was given
 * @first: else the entry of the first; if it is present, each other's address is a page more
 */
struct memory_run {
	unsigned long pages;
	const u64 *entries;
	u64 first;
};

/* A table of the lowest level has as many entries as that; so many fit into one step's room. */
#define MEMORY_ROOM PTRS_PER_PTE

struct mm_struct *memory_get(pid_t pid);
void memory_visit(struct vm_area_struct *vma, unsigned long address, memory_visitor visit,
		  void *context);
u64 memory_entry(struct vm_area_struct *vma, const struct memory_leaf *leaf);
void memory_walk_step(struct memory_walk *walk, u64 *room, unsigned long room_pages,
		      struct memory_run *run);

#endif
