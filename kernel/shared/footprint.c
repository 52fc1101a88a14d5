// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How much memory a process has, by a walk over all of it.
 *
 * The kernel's own counters (VmRSS) are cached for each task or processor, and lag; a walk is
 * exact for each table at the moment when it is read.
 */
#include "footprint.h"

#include "memory.h"
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

/* Steps with mmap_lock held; each is 2 MiB of small pages at the most. Then others have a turn. */
#define STEPS_AT_ONCE 256

static void count_resident(struct matrix_lens_footprint *footprint, u64 entry, u64 bytes)
{
	footprint->resident_bytes += bytes;
	if (entry & MATRIX_PAGE_NO_ACCESS)
		footprint->no_access_bytes += bytes;
	if ((entry & MATRIX_PAGE_SIZE_MASK) == MATRIX_PAGE_SIZE_4K)
		footprint->resident_4k_bytes += bytes;
	else if ((entry & MATRIX_PAGE_SIZE_MASK) == MATRIX_PAGE_SIZE_2M)
		footprint->resident_2m_bytes += bytes;

	if (entry & MATRIX_PAGE_ANONYMOUS)
		footprint->anonymous_bytes += bytes;
	else if (entry & MATRIX_PAGE_SHMEM)
		footprint->shmem_bytes += bytes;
	else
		footprint->file_bytes += bytes;
	if (entry & MATRIX_PAGE_KSM)
		footprint->ksm_bytes += bytes;
}

static void count(struct matrix_lens_footprint *footprint, u64 entry, u64 bytes)
{
	if (entry & MATRIX_PAGE_MAPPED)
		footprint->virtual_bytes += bytes;
	if (entry & MATRIX_PAGE_SWAPPED)
		footprint->swapped_bytes += bytes;
	if (entry & MATRIX_PAGE_DEVICE)
		footprint->device_bytes += bytes;
	else if (entry & MATRIX_PAGE_ZERO)
		footprint->zero_bytes += bytes;
	else if (!(entry & MATRIX_PAGE_PRESENT))
		return;
	else if (!(entry & MATRIX_PAGE_HUGETLB))
		count_resident(footprint, entry, bytes);
	else if ((entry & MATRIX_PAGE_SIZE_MASK) == MATRIX_PAGE_SIZE_1G)
		footprint->hugetlb_1g_bytes += bytes;
	else
		footprint->hugetlb_2m_bytes += bytes;
}

static void take_step(struct memory_walk *walk, u64 *room, struct matrix_lens_footprint *footprint)
{
	struct memory_run run;
	unsigned long i;

	memory_walk_step(walk, room, MEMORY_ROOM, &run);
	if (!run.entries)
		count(footprint, run.first, (u64)run.pages << PAGE_SHIFT);
	else
		for (i = 0; i < run.pages; i++)
			count(footprint, run.entries[i], PAGE_SIZE);
}

/**
 * footprint_take - measure the memory of a process
 * @mm: whose
 * @footprint: out: all fields that say "out"
 *
 * Return: 0, -ENOMEM, or -EINTR where a signal came
 */
int footprint_take(struct mm_struct *mm, struct matrix_lens_footprint *footprint)
{
	struct memory_walk walk = { .mm = mm, .end = TASK_SIZE_MAX };
	u64 *room = kmalloc_array(MEMORY_ROOM, sizeof(*room), GFP_KERNEL);
	int error = 0, steps;

	if (!room)
		return -ENOMEM;
	while (!error && walk.address < walk.end) {
		if (mmap_read_lock_killable(mm)) {
			error = -EINTR;
			break;
		}
		footprint->mappings = mm->map_count;
		walk.vma = NULL;
		for (steps = 0; steps < STEPS_AT_ONCE && walk.address < walk.end; steps++)
			take_step(&walk, room, footprint);
		mmap_read_unlock(mm);
		cond_resched();
		if (signal_pending(current))
			error = -EINTR;
	}
	kfree(room);
	return error;
}
