// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The smallest module: a line in the kernel's log when it is loaded, another when it is unloaded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>

static int __init helloworld_init(void)
{
	pr_info("Hello World\n");
	return 0;
}

static void __exit helloworld_exit(void)
{
	pr_info("Module Unloaded\n");
}

module_init(helloworld_init);
module_exit(helloworld_exit);

MODULE_DESCRIPTION("Says hello when loaded and tells when unloaded");
MODULE_AUTHOR("The Matrix authors");
MODULE_LICENSE("GPL");
