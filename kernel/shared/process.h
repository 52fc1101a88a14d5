/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Finding processes, and telling what they are. Linked into lkm1 to lkm4 and matrix_lens.
 */
#ifndef MATRIX_PROCESS_H
#define MATRIX_PROCESS_H

#include <linux/sched.h>
#include <matrix/uapi/matrix_lens.h>

/**
 * struct process_list - room for tasks that are found
 * @tasks: the room; the caller's, who has cleared it
 * @capacity: how many fit
 * @count: how many were found, which may be more than fit
 */
struct process_list {
	struct matrix_lens_task *tasks;
	u32 capacity;
	u32 count;
};

/* The room's first tasks are valid. */
static inline u32 process_list_filled(const struct process_list *list)
{
	return min(list->count, list->capacity);
}

struct task_struct *process_get(pid_t pid);
int process_permit(struct task_struct *task);
struct task_struct *process_get_permitted(pid_t pid);
void process_list_running(struct process_list *list);
void process_list_children(struct task_struct *parent, struct process_list *list);

#endif
