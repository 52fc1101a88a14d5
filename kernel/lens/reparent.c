// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_REPARENT: makes a process the child of another.
 *
 * Locking: who is whose child is guarded by tasklist_lock, which is not exported to modules. But
 * whoever holds it has preemption disabled (it is an rwlock, which spins), and stop_machine() runs
 * a function while every other processor is in a thread of its own, with interrupts off. So
 * while that function runs nobody holds tasklist_lock, nor any other spinning lock. Not so on
 * PREEMPT_RT, where these locks sleep: there the request is refused.
 *
 * What must be true is therefore checked inside, and holds until the move is done: exit_notify()
 * and release_task(), which end a process and tell its parent, take tasklist_lock for writing.
 * A process that was moved before it ended tells the new parent.
 */
#include "lens.h"

#include "compat.h"
#include "shared/process.h"
#include <linux/pid_namespace.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/stop_machine.h>
#include <linux/wait.h>

/* Processes by their struct pid, which stays theirs also if a thread of theirs calls exec(). */
struct move {
	struct pid *child;
	struct pid *parent; /* the new one */
	struct pid_namespace *ns; /* the caller's */
	pid_t old_parent_pid; /* out */
};

/* The functions below run within stop_machine(). */

static struct task_struct *parent_of(struct task_struct *task)
{
	return rcu_dereference_protected(task->real_parent, true);
}

/* A zombie has told its parent; a first thread that has ended before the others has not. */
static bool has_ended(struct task_struct *leader)
{
	return leader->exit_state && thread_group_empty(leader);
}

static bool descends_from(struct task_struct *task, struct task_struct *ancestor)
{
	/* Everybody descends from the first task, which is its own parent. */
	while (!same_thread_group(task, ancestor) && task != parent_of(task))
		task = parent_of(task);
	return same_thread_group(task, ancestor);
}

static int check(struct task_struct *child, struct task_struct *parent)
{
	struct pid *pid = task_pid(child);

	if (child == parent)
		return -EINVAL;
	if ((child->flags | parent->flags) & PF_KTHREAD || pid->numbers[pid->level].nr == 1)
		return -EPERM;
	if (has_ended(child) || has_ended(parent))
		return -ESRCH;
	if (task_active_pid_ns(child) != task_active_pid_ns(parent))
		return -EXDEV;
	return descends_from(parent, child) ? -ELOOP : 0;
}

/*
 * The thread that gets the child: one that has not begun to exit, since that hands its children
 * on (exit_notify()) and may have done so already.
 */
static struct task_struct *find_adopter(struct task_struct *parent)
{
	struct task_struct *thread;

	for_each_thread(parent, thread)
		if (!(thread->flags & PF_EXITING))
			return thread;
	return NULL;
}

/*
 * prctl(PR_SET_CHILD_SUBREAPER): whoever has such an ancestor bears a mark, without which the
 * kernel does not look for it. fork() hands the mark on; so does the move, to all below.
 */
static void mark_below_subreaper(struct task_struct *child, struct task_struct *adopter)
{
	struct task_struct *process;

	if (!adopter->signal->is_child_subreaper && !adopter->signal->has_child_subreaper)
		return;
	for_each_process(process)
		if (descends_from(process, child))
			process->signal->has_child_subreaper = 1;
}

/*
 * The old parent may wait for this child, and must see that it is gone. It is woken before the
 * move and looks after: a thread that waits with __WNOTHREAD is woken only for a child whose
 * ->parent it is. Of a traced child that is the tracer; so for this moment it is not.
 */
static void wake_old_parent(struct task_struct *child)
{
	struct task_struct *parent = parent_of(child);
	struct task_struct *tracer = rcu_dereference_protected(child->parent, true);

	rcu_assign_pointer(child->parent, parent);
	__wake_up_sync_key(&parent->signal->wait_chldexit, TASK_INTERRUPTIBLE, child);
	rcu_assign_pointer(child->parent, tracer);
}

static void move_child(struct task_struct *child, struct task_struct *adopter)
{
	struct task_struct *thread;

	wake_old_parent(child);
	for_each_thread(child, thread) {
		rcu_assign_pointer(thread->real_parent, adopter);
		/* A tracer goes on tracing; the parent that a trace ends with is the real one. */
		if (!thread->ptrace)
			rcu_assign_pointer(thread->parent, adopter);
		/* As fork() does: else the exit signal is taken for one from before an exec(). */
		thread->parent_exec_id = adopter->self_exec_id;
	}
	/* clone(2) may have chosen another signal, for the parent that was. */
	child->exit_signal = SIGCHLD;
	list_move_tail(&child->sibling, &adopter->children);
	mark_below_subreaper(child, adopter);

	/* The new parent may wait with WUNTRACED, and this child may have stopped long ago. */
	__wake_up_sync_key(&adopter->signal->wait_chldexit, TASK_INTERRUPTIBLE, child);
}

static int move_between(struct move *move)
{
	struct task_struct *child = pid_task(move->child, PIDTYPE_TGID);
	struct task_struct *parent = pid_task(move->parent, PIDTYPE_PID);
	struct task_struct *adopter;
	int error;

	if (!child && pid_task(move->child, PIDTYPE_PID))
		return -EINVAL;
	if (!child || !parent)
		return -ESRCH;
	error = check(child, parent->group_leader);
	if (error)
		return error;
	adopter = find_adopter(parent);
	if (!adopter)
		return -ESRCH;
	move->old_parent_pid = task_tgid_nr_ns(parent_of(child), move->ns);
	move_child(child, adopter);
	return 0;
}

static int move_exclusively(void *context)
{
	int error;

	/* Nobody else runs; but pid_task() wants tasklist_lock or RCU, and lockdep looks. */
	rcu_read_lock();
	error = move_between(context);
	rcu_read_unlock();
	return error;
}

/* The functions above run within stop_machine(). */

/*
 * ERR_PTR, or a reference that put_pid() gives back. Not by way of the task, as process_get() is:
 * when a thread calls exec(), the task that had the number loses it.
 */
static struct pid *get_permitted(pid_t number)
{
	struct pid *pid = find_get_pid(number);
	struct task_struct *task = get_pid_task(pid, PIDTYPE_PID);
	int error = number > 0 ? -ESRCH : -EINVAL;

	if (task) {
		error = process_permit(task);
		put_task_struct(task);
	}
	if (!error)
		return pid;
	put_pid(pid);
	return ERR_PTR(error);
}

long lens_reparent(void *argument)
{
	struct matrix_lens_reparent *reparent = argument;
	struct move move = { .ns = task_active_pid_ns(current) };
	int error;

	if (reparent->flags || reparent->reserved)
		return -EINVAL;
	if (!LENS_CAN_REPARENT)
		return -EOPNOTSUPP;
	move.child = get_permitted(reparent->pid);
	if (IS_ERR(move.child))
		return PTR_ERR(move.child);
	move.parent = get_permitted(reparent->parent_pid);
	if (IS_ERR(move.parent)) {
		error = PTR_ERR(move.parent);
		goto put_child;
	}
	error = stop_machine(move_exclusively, &move, NULL);
	reparent->old_parent_pid = move.old_parent_pid;
	put_pid(move.parent);
put_child:
	put_pid(move.child);
	return error;
}
