// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/get_pgfaults: the number of page faults since boot, as a number on a line. It is the sum
 * over all processors that /proc/vmstat calls pgfault.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#define ENTRY_NAME "get_pgfaults"

static int pgfaults_show(struct seq_file *file, void *unused)
{
	/* Some hundred counters: too much for the kernel's stack. */
	unsigned long *events = kcalloc(NR_VM_EVENT_ITEMS, sizeof(*events), GFP_KERNEL);

	if (!events)
		return -ENOMEM;
	all_vm_events(events);
	seq_printf(file, "%lu\n", events[PGFAULT]);
	kfree(events);
	return 0;
}

static int pgfaults_open(struct inode *inode, struct file *file)
{
	return single_open(file, pgfaults_show, NULL);
}

static const struct proc_ops pgfaults_operations = {
	.proc_open = pgfaults_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static int __init get_pgfaults_init(void)
{
	if (!proc_create(ENTRY_NAME, 0444, NULL, &pgfaults_operations)) {
		pr_err("cannot make /proc/" ENTRY_NAME "\n");
		return -ENOMEM;
	}
	return 0;
}

static void __exit get_pgfaults_exit(void)
{
	remove_proc_entry(ENTRY_NAME, NULL);
}

module_init(get_pgfaults_init);
module_exit(get_pgfaults_exit);

MODULE_DESCRIPTION("/proc/get_pgfaults, the page faults since boot");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
