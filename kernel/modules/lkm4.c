// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells how much virtual and physical memory a process has, when it is loaded, in the kernel's
 * log:
 *   insmod lkm4.ko pid=PID
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "modules/explain.h"
#include "shared/footprint.h"
#include "shared/memory.h"
#include <linux/module.h>
#include <linux/sched/mm.h>

static int pid;
module_param(pid, int, 0444);
MODULE_PARM_DESC(pid, "whose memory");

static void print_footprint(const struct matrix_lens_footprint *footprint)
{
	pr_info("pid %d: virtual %llu kB in %u mappings, physical %llu kB\n", pid,
		footprint->virtual_bytes >> 10, footprint->mappings,
		footprint->resident_bytes >> 10);
	pr_info("pid %d: of that anonymous %llu kB, file %llu kB, shared memory %llu kB; in pages of 2 MiB %llu kB\n",
		pid, footprint->anonymous_bytes >> 10, footprint->file_bytes >> 10,
		footprint->shmem_bytes >> 10, footprint->resident_2m_bytes >> 10);
	pr_info("pid %d: beside that hugetlb %llu kB, swapped %llu kB\n", pid,
		(footprint->hugetlb_2m_bytes + footprint->hugetlb_1g_bytes) >> 10,
		footprint->swapped_bytes >> 10);
}

static int __init lkm4_init(void)
{
	struct matrix_lens_footprint footprint = {};
	struct mm_struct *mm = memory_get(pid);
	int error;

	if (IS_ERR(mm)) {
		explain_process_error(pid, PTR_ERR(mm));
		return PTR_ERR(mm);
	}
	error = footprint_take(mm, &footprint);
	mmput(mm);
	if (error)
		explain_process_error(pid, error);
	else
		print_footprint(&footprint);
	return error;
}

/* What was to do is done; this lets the module be unloaded. */
static void __exit lkm4_exit(void)
{
}

module_init(lkm4_init);
module_exit(lkm4_exit);

MODULE_DESCRIPTION("Tells how much virtual and physical memory a process has");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
