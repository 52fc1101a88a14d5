// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding processes, and telling what they are.
 *
 * Locking: the lists are walked under rcu_read_lock() only. tasklist_lock, which would make them
 * one instant's picture, is not exported to modules. A task that comes or goes meanwhile may be
 * missed or seen; one that is seen is seen whole, since its task_struct outlives the walk.
 */
#include "process.h"

#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

/**
 * process_get - find a process or thread by its number
 * @pid: in the caller's pid namespace
 *
 * Return: the task, with a reference that put_task_struct() gives back; ERR_PTR(-EINVAL) where
 * @pid is not positive, ERR_PTR(-ESRCH) where there is none
 */
struct task_struct *process_get(pid_t pid)
{
	struct task_struct *task;
	struct pid *number;

	if (pid <= 0)
		return ERR_PTR(-EINVAL);
	number = find_get_pid(pid);
	task = get_pid_task(number, PIDTYPE_PID);
	put_pid(number);
	return task ?: ERR_PTR(-ESRCH);
}

/**
 * process_permit - may the caller look into a process?
 * @task: the process
 *
 * Return: 0 with CAP_SYS_PTRACE in the user namespace of the process, else -EPERM
 */
int process_permit(struct task_struct *task)
{
	bool capable;

	rcu_read_lock();
	capable = ns_capable(__task_cred(task)->user_ns, CAP_SYS_PTRACE);
	rcu_read_unlock();
	return capable ? 0 : -EPERM;
}

/**
 * process_get_permitted - process_get() and process_permit() in one
 * @pid: in the caller's pid namespace
 *
 * Return: as process_get(), and ERR_PTR(-EPERM)
 */
struct task_struct *process_get_permitted(pid_t pid)
{
	struct task_struct *task = process_get(pid);
	int error;

	if (IS_ERR(task))
		return task;
	error = process_permit(task);
	if (error) {
		put_task_struct(task);
		return ERR_PTR(error);
	}
	return task;
}

/* Under rcu_read_lock(). @state is passed in, so that what was looked for is what is told. */
static void add_task(struct task_struct *task, char state, struct process_list *list)
{
	struct pid_namespace *ns = task_active_pid_ns(current);
	struct matrix_lens_task *entry;
	pid_t tid = task_pid_nr_ns(task, ns);
	pid_t pid = task_tgid_nr_ns(task, ns);

	/* Not in a namespace that the caller sees, or just released: the thread, or all of it. */
	if (tid == 0 || pid == 0)
		return;
	if (list->count++ >= list->capacity)
		return;
	entry = &list->tasks[list->count - 1];
	entry->pid = pid;
	entry->tid = tid;
	entry->parent_pid = task_tgid_nr_ns(rcu_dereference(task->real_parent), ns);
	entry->cpu = task_cpu(task);
	entry->start_time_ns = task->start_boottime;
	entry->state = state;
#ifdef CONFIG_SMP
	entry->on_cpu = READ_ONCE(task->on_cpu) != 0;
#endif
	entry->kernel_thread = (task->flags & PF_KTHREAD) != 0;
	get_task_comm(entry->name, task);
}

/**
 * process_list_running - every thread that runs or could run
 * @list: what was found
 */
void process_list_running(struct process_list *list)
{
	struct task_struct *process, *thread;

	rcu_read_lock();
	for_each_process_thread(process, thread) {
		char state = task_state_to_char(thread);

		if (state == 'R')
			add_task(thread, state, list);
	}
	rcu_read_unlock();
}

/**
 * process_list_children - every child of a process
 * @parent: any thread of the process
 * @list: what was found
 *
 * A child hangs on the list of the thread that forked it, and that list is not safe without
 * tasklist_lock. So everybody is asked for its parent.
 */
void process_list_children(struct task_struct *parent, struct process_list *list)
{
	struct task_struct *process;

	rcu_read_lock();
	for_each_process(process)
		if (same_thread_group(rcu_dereference(process->real_parent), parent))
			add_task(process, task_state_to_char(process), list);
	rcu_read_unlock();
}
