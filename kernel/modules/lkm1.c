// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists every thread that runs or could run, when it is loaded, in the kernel's log.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "shared/process.h"
#include <linux/mm.h>
#include <linux/module.h>

/* More are counted, and not listed. */
#define LISTED_MAX 4096

static void print_task(const struct matrix_lens_task *task)
{
	char thread[32] = "";

	if (task->tid != task->pid)
		snprintf(thread, sizeof(thread), " thread %d", task->tid);
	/* Names are the processes' own choice: what is not printable is escaped. */
	pr_info("pid %d%s, name %*pE, state %c (%s), cpu %u\n", task->pid, thread,
		(int)strnlen(task->name, sizeof(task->name)), task->name, task->state,
		task->on_cpu ? "running" : "runnable", task->cpu);
}

static int __init lkm1_init(void)
{
	struct process_list list = { .capacity = LISTED_MAX };
	u32 i;

	list.tasks = kvcalloc(list.capacity, sizeof(*list.tasks), GFP_KERNEL);
	if (!list.tasks)
		return -ENOMEM;
	process_list_running(&list);
	for (i = 0; i < process_list_filled(&list); i++)
		print_task(&list.tasks[i]);
	pr_info("%u running or runnable\n", list.count);
	kvfree(list.tasks);
	return 0;
}

/* What was to do is done; this lets the module be unloaded. */
static void __exit lkm1_exit(void)
{
}

module_init(lkm1_init);
module_exit(lkm1_exit);

MODULE_DESCRIPTION("Lists the running and runnable processes");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
