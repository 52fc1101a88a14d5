// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_TRANSLATE and MATRIX_LENS_FOOTPRINT.
 *
 * The entries go through a buffer of the kernel's, since user memory must not be touched under
 * mmap_lock or a page table's lock: it may be the very memory that is looked at, and a page fault
 * there would wait for us.
 */
#include "lens.h"

#include "shared/footprint.h"
#include "shared/memory.h"
#include <linux/capability.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

/* Pages between two looks at user memory and signals: 64 KiB of entries, which a cache holds. */
#define CHUNK_PAGES 8192UL

static void fill(u64 *entries, const struct memory_run *run)
{
	u64 entry = run->first;
	u64 step = entry & MATRIX_PAGE_PRESENT ? PAGE_SIZE : 0;
	unsigned long i;

	for (i = 0; i < run->pages; i++, entry += step)
		entries[i] = entry;
}

static int translate_chunk(struct mm_struct *mm, unsigned long address, u64 *entries,
			   unsigned long count)
{
	struct memory_walk walk = { .mm = mm, .address = address };
	struct memory_run run;
	unsigned long done = 0;

	walk.end = address + (count << PAGE_SHIFT);
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	while (done < count) {
		memory_walk_step(&walk, entries + done, count - done, &run);
		if (!run.entries)
			fill(entries + done, &run);
		done += run.pages;
	}
	mmap_read_unlock(mm);
	return 0;
}

/*
 * As copy_to_user(), a number at a time. The string instruction which that is made of costs a
 * translated or emulated processor as much as all the rest of a page does.
 */
static int copy_entries(u64 __user *to, const u64 *entries, unsigned long count)
{
	unsigned long i;

	if (!user_write_access_begin(to, count * sizeof(*entries)))
		return -EFAULT;
	for (i = 0; i < count; i++)
		unsafe_put_user(entries[i], to + i, fault);
	user_write_access_end();
	return 0;
fault:
	user_write_access_end();
	return -EFAULT;
}

static void hide_addresses(u64 *entries, unsigned long count)
{
	unsigned long i;

	for (i = 0; i < count; i++)
		entries[i] &= ~MATRIX_PAGE_ADDRESS;
}

/* Changes translate->count to what was done; an error after the first chunk only ends it. */
static int translate_range(struct mm_struct *mm, struct matrix_lens_translate *translate,
			   u64 *entries)
{
	u64 __user *to = u64_to_user_ptr(translate->entries);
	u64 done = 0, count;
	int error = 0;

	while (done < translate->count) {
		count = min_t(u64, translate->count - done, CHUNK_PAGES);
		error = translate_chunk(mm, translate->address + (done << PAGE_SHIFT), entries,
					count);
		if (error)
			break;
		if (translate->flags & MATRIX_LENS_NO_ADDRESSES)
			hide_addresses(entries, count);
		if (copy_entries(to + done, entries, count))
			return -EFAULT;
		done += count;
		cond_resched();
		if (signal_pending(current)) {
			error = done ? 0 : -EINTR;
			break;
		}
	}
	translate->count = done;
	return done ? 0 : error;
}

static int check(const struct matrix_lens_translate *translate)
{
	/* Up to the last page of all, whose end is 2^64. */
	const u64 after = (U64_MAX - translate->address) >> PAGE_SHIFT;

	if (translate->flags & ~MATRIX_LENS_NO_ADDRESSES || translate->reserved ||
	    !PAGE_ALIGNED(translate->address) ||
	    (translate->count > 0 && translate->count - 1 > after))
		return -EINVAL;
	if (!(translate->flags & MATRIX_LENS_NO_ADDRESSES) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

long lens_translate(void *argument)
{
	struct matrix_lens_translate *translate = argument;
	struct mm_struct *mm;
	u64 *entries;
	int error = check(translate);

	if (error)
		return error;
	mm = memory_get(translate->pid);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	entries = kvmalloc_array(min_t(u64, translate->count, CHUNK_PAGES), sizeof(*entries),
				 GFP_KERNEL);
	error = entries ? translate_range(mm, translate, entries) : -ENOMEM;
	kvfree(entries);
	mmput(mm);
	return error;
}

long lens_footprint(void *argument)
{
	struct matrix_lens_footprint *footprint = argument;
	struct matrix_lens_footprint taken = { .size = footprint->size, .pid = footprint->pid };
	struct mm_struct *mm;
	int error;

	if (footprint->flags)
		return -EINVAL;
	mm = memory_get(footprint->pid);
	if (IS_ERR(mm))
		return PTR_ERR(mm);
	error = footprint_take(mm, &taken);
	mmput(mm);
	if (!error)
		*footprint = taken;
	return error;
}
