// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells the physical address behind a virtual address of a process, when it is loaded, in the
 * kernel's log:
 *   insmod lkm3.ko pid=PID address=0xADDRESS
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "modules/explain.h"
#include "shared/memory.h"
#include <linux/module.h>
#include <linux/sched/mm.h>

static int pid;
module_param(pid, int, 0444);
MODULE_PARM_DESC(pid, "whose address");

/* No process has this one: it stands for none given. */
#define NO_ADDRESS ULONG_MAX

static unsigned long address = NO_ADDRESS;
module_param(address, ulong, 0444);
MODULE_PARM_DESC(address, "a virtual address of that process");

static const struct {
	u64 flag;
	const char *name;
} flags[] = {
	{ MATRIX_PAGE_NO_ACCESS, "no access (PROT_NONE)" },
	{ MATRIX_PAGE_WRITABLE, "writable" },
	{ MATRIX_PAGE_DIRTY, "dirty" },
	{ MATRIX_PAGE_ANONYMOUS, "anonymous" },
	{ MATRIX_PAGE_FILE, "file" },
	{ MATRIX_PAGE_SHMEM, "shared memory" },
	{ MATRIX_PAGE_ZERO, "the zero page" },
	{ MATRIX_PAGE_KSM, "merged by KSM" },
	{ MATRIX_PAGE_DEVICE, "device" },
	{ MATRIX_PAGE_COMPOUND, "part of a larger page" },
	{ MATRIX_PAGE_HUGETLB, "hugetlb" },
};

static const char *size_name(u64 entry)
{
	switch (entry & MATRIX_PAGE_SIZE_MASK) {
	case MATRIX_PAGE_SIZE_2M:
		return "2 MiB";
	case MATRIX_PAGE_SIZE_1G:
		return "1 GiB";
	default:
		return "4 KiB";
	}
}

static void print_present(u64 entry)
{
	char text[192];
	size_t length = 0, i;

	text[0] = '\0';
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (entry & flags[i].flag)
			length += scnprintf(text + length, sizeof(text) - length, ", %s",
					    flags[i].name);
	pr_info("pid %d, virtual address 0x%lx, physical address 0x%llx, page %s%s\n", pid,
		address, (entry & MATRIX_PAGE_ADDRESS) + offset_in_page(address), size_name(entry),
		text);
}

static void print_entry(u64 entry)
{
	if (entry & MATRIX_PAGE_PRESENT)
		print_present(entry);
	else if (!(entry & MATRIX_PAGE_MAPPED))
		pr_info("pid %d, virtual address 0x%lx: not mapped\n", pid, address);
	else if (entry & MATRIX_PAGE_SWAPPED)
		pr_info("pid %d, virtual address 0x%lx: swapped out\n", pid, address);
	else if (entry & MATRIX_PAGE_MOVING)
		pr_info("pid %d, virtual address 0x%lx: being moved, try again\n", pid, address);
	else
		pr_info("pid %d, virtual address 0x%lx: mapped, but never touched\n", pid,
			address);
}

static int translate(struct mm_struct *mm)
{
	struct memory_walk walk = { .mm = mm, .address = address & PAGE_MASK };
	struct memory_run run;
	u64 entry;

	walk.end = walk.address + PAGE_SIZE;
	if (mmap_read_lock_killable(mm))
		return -EINTR;
	memory_walk_step(&walk, &entry, 1, &run);
	mmap_read_unlock(mm);
	print_entry(run.entries ? run.entries[0] : run.first);
	return 0;
}

static int __init lkm3_init(void)
{
	struct mm_struct *mm = memory_get(pid);
	int error = -EINVAL;

	if (IS_ERR(mm)) {
		explain_process_error(pid, PTR_ERR(mm));
		return PTR_ERR(mm);
	}
	if (address == NO_ADDRESS)
		pr_err("parameter address is missing: give a virtual address of the process\n");
	else
		error = translate(mm);
	mmput(mm);
	return error;
}

/* What was to do is done; this lets the module be unloaded. */
static void __exit lkm3_exit(void)
{
}

module_init(lkm3_init);
module_exit(lkm3_exit);

MODULE_DESCRIPTION("Tells the physical address behind a virtual address of a process");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
