// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/hello_procfs, which reads "Hello World!".
 *
 * struct proc_ops has no owner, and needs none: procfs counts who is inside one of its functions,
 * and remove_proc_entry() waits until they are out. A file that is still open then gives EIO.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#define ENTRY_NAME "hello_procfs"

static int hello_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "%s\n", "Hello World!");
	return 0;
}

static int hello_open(struct inode *inode, struct file *file)
{
	return single_open(file, hello_show, NULL);
}

static const struct proc_ops hello_operations = {
	.proc_open = hello_open,
	.proc_read = seq_read,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static int __init hello_procfs_init(void)
{
	if (!proc_create(ENTRY_NAME, 0444, NULL, &hello_operations)) {
		pr_err("cannot make /proc/" ENTRY_NAME "\n");
		return -ENOMEM;
	}
	return 0;
}

static void __exit hello_procfs_exit(void)
{
	remove_proc_entry(ENTRY_NAME, NULL);
}

module_init(hello_procfs_init);
module_exit(hello_procfs_exit);

MODULE_DESCRIPTION("/proc/hello_procfs, a file without a file");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
