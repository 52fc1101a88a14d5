// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lists the children of a process with their states, when it is loaded, in the kernel's log:
 *   insmod lkm2.ko pid=PID
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "modules/explain.h"
#include "shared/process.h"
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/task.h>

static int pid;
module_param(pid, int, 0444);
MODULE_PARM_DESC(pid, "whose children");

/* More are counted, and not listed. */
#define LISTED_MAX 4096

static const char *state_name(char state)
{
	switch (state) {
	case 'R':
		return "running or runnable";
	case 'S':
		return "sleeping";
	case 'D':
		return "in uninterruptible sleep";
	case 'T':
		return "stopped";
	case 't':
		return "stopped by its tracer";
	case 'Z':
		return "zombie: ended, not waited for";
	case 'X':
		return "dead";
	case 'P':
		return "parked";
	case 'I':
		return "idle";
	default:
		return "unknown";
	}
}

static int list_children(struct task_struct *parent)
{
	struct process_list list = { .capacity = LISTED_MAX };
	u32 i;

	list.tasks = kvcalloc(list.capacity, sizeof(*list.tasks), GFP_KERNEL);
	if (!list.tasks)
		return -ENOMEM;
	process_list_children(parent, &list);
	for (i = 0; i < process_list_filled(&list); i++)
		pr_info("child pid %d, name %*pE, state %c (%s)\n", list.tasks[i].pid,
			(int)strnlen(list.tasks[i].name, sizeof(list.tasks[i].name)),
			list.tasks[i].name, list.tasks[i].state, state_name(list.tasks[i].state));
	pr_info("pid %d has %u %s\n", pid, list.count, list.count == 1 ? "child" : "children");
	kvfree(list.tasks);
	return 0;
}

static int __init lkm2_init(void)
{
	struct task_struct *parent = process_get(pid);
	int error;

	if (IS_ERR(parent)) {
		explain_process_error(pid, PTR_ERR(parent));
		return PTR_ERR(parent);
	}
	error = list_children(parent);
	put_task_struct(parent);
	return error;
}

/* What was to do is done; this lets the module be unloaded. */
static void __exit lkm2_exit(void)
{
}

module_init(lkm2_init);
module_exit(lkm2_exit);

MODULE_DESCRIPTION("Lists the children of a process and their states");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
