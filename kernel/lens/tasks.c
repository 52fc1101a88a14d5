// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_RUNNING and MATRIX_LENS_CHILDREN. The lists are gathered in a buffer of the kernel's,
 * since user memory must not be touched within an RCU read-side section.
 */
#include "lens.h"

#include "shared/process.h"
#include <linux/mm.h>
#include <linux/sched/task.h>
#include <linux/uaccess.h>

/* NULL: no parent is asked for, but who is running. */
static int list_tasks(struct task_struct *parent, struct matrix_lens_tasks *tasks)
{
	struct process_list list = { .capacity = min(tasks->capacity, MATRIX_LENS_TASKS_MAX) };
	int error = 0;

	list.tasks = kvcalloc(max(list.capacity, 1U), sizeof(*list.tasks), GFP_KERNEL);
	if (!list.tasks)
		return -ENOMEM;
	if (parent)
		process_list_children(parent, &list);
	else
		process_list_running(&list);
	tasks->count = list.count;
	if (copy_to_user(u64_to_user_ptr(tasks->tasks), list.tasks,
			 process_list_filled(&list) * sizeof(*list.tasks)))
		error = -EFAULT;
	kvfree(list.tasks);
	return error;
}

long lens_running(void *argument)
{
	struct matrix_lens_tasks *tasks = argument;

	if (tasks->flags || tasks->reserved || tasks->pid)
		return -EINVAL;
	return list_tasks(NULL, tasks);
}

long lens_children(void *argument)
{
	struct matrix_lens_tasks *tasks = argument;
	struct task_struct *parent;
	int error;

	if (tasks->flags || tasks->reserved)
		return -EINVAL;
	parent = process_get_permitted(tasks->pid);
	if (IS_ERR(parent))
		return PTR_ERR(parent);
	error = list_tasks(parent, tasks);
	put_task_struct(parent);
	return error;
}
