// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /dev/matrix: the device and the table of its requests.
 *
 * Lifetimes: nothing outlives a request. An open file holds no state, only the module, by way of
 * .owner: without it the module could be unloaded under an open file, and closing that would
 * run code that is gone.
 *
 * Locking: none here. Each request says for itself what it locks.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "lens.h"

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/uaccess.h>

static long lens_info(void *argument)
{
	struct matrix_lens_info *info = argument;

	info->version = MATRIX_LENS_VERSION;
	info->features = 0;
	info->page_size = PAGE_SIZE;
	if (LENS_CAN_REPARENT)
		info->features |= MATRIX_LENS_CAN_REPARENT;
	if (!security_locked_down(LOCKDOWN_DEV_MEM))
		info->features |= MATRIX_LENS_CAN_WRITE;
	return 0;
}

/* The largest argument, on the stack: all are small. */
union argument {
	__u32 size;
	struct matrix_lens_info info;
	struct matrix_lens_translate translate;
	struct matrix_lens_footprint footprint;
	struct matrix_lens_byte byte;
	struct matrix_lens_tasks tasks;
	struct matrix_lens_reparent reparent;
};

/* The sizes of version 1: what every caller must at least know of an argument. */
static const struct request {
	size_t size, size_min;
	long (*handle)(void *argument);
} requests[] = {
	[_IOC_NR(MATRIX_LENS_INFO)] = { sizeof(struct matrix_lens_info), 16, lens_info },
	[_IOC_NR(MATRIX_LENS_TRANSLATE)] = { sizeof(struct matrix_lens_translate), 40,
					     lens_translate },
	[_IOC_NR(MATRIX_LENS_FOOTPRINT)] = { sizeof(struct matrix_lens_footprint), 128,
					     lens_footprint },
	[_IOC_NR(MATRIX_LENS_READ_BYTE)] = { sizeof(struct matrix_lens_byte), 32,
					     lens_read_byte },
	[_IOC_NR(MATRIX_LENS_WRITE_BYTE)] = { sizeof(struct matrix_lens_byte), 32,
					      lens_write_byte },
	[_IOC_NR(MATRIX_LENS_RUNNING)] = { sizeof(struct matrix_lens_tasks), 32, lens_running },
	[_IOC_NR(MATRIX_LENS_CHILDREN)] = { sizeof(struct matrix_lens_tasks), 32, lens_children },
	[_IOC_NR(MATRIX_LENS_REPARENT)] = { sizeof(struct matrix_lens_reparent), 24,
					    lens_reparent },
};

/* NULL for what is no request of ours. The size in the number is not looked at: it may grow. */
static const struct request *find_request(unsigned int command)
{
	unsigned int number = _IOC_NR(command);

	if (_IOC_TYPE(command) != MATRIX_LENS_IOCTL || number >= ARRAY_SIZE(requests) ||
	    _IOC_DIR(command) != (_IOC_READ | _IOC_WRITE))
		return NULL;
	return &requests[number];
}

static long lens_ioctl(struct file *file, unsigned int command, unsigned long address)
{
	const struct request *request = find_request(command);
	void __user *user = (void __user *)address;
	union argument argument = {};
	u32 size;
	long result;

	if (!request)
		return -ENOTTY;
	if (get_user(size, (u32 __user *)user))
		return -EFAULT;
	if (size < request->size_min)
		return -EINVAL;
	if (size > PAGE_SIZE)
		return -E2BIG;
	result = copy_struct_from_user(&argument, request->size, user, size);
	if (result)
		return result;
	/* It was read a second time: another thread of the caller may have changed it. */
	if (argument.size != size)
		return -EINVAL;
	result = request->handle(&argument);
	if (result)
		return result;
	return copy_to_user(user, &argument, min_t(size_t, size, request->size)) ? -EFAULT : 0;
}

static const struct file_operations lens_operations = {
	.owner = THIS_MODULE,
	.open = nonseekable_open,
	.unlocked_ioctl = lens_ioctl,
	.compat_ioctl = compat_ptr_ioctl, /* all arguments are the same for 32 bits */
	.llseek = noop_llseek,
};

static struct miscdevice lens_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "matrix",
	.fops = &lens_operations,
	.mode = 0600,
};

static int __init matrix_lens_init(void)
{
	int error = misc_register(&lens_device);

	if (error)
		pr_err("cannot make " MATRIX_LENS_DEVICE ": error %d\n", error);
	return error;
}

static void __exit matrix_lens_exit(void)
{
	misc_deregister(&lens_device);
}

module_init(matrix_lens_init);
module_exit(matrix_lens_exit);

MODULE_DESCRIPTION("Looks into processes: memory down to the physical page, and children");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
