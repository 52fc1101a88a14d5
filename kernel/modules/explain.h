/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lkm2, lkm3 and lkm4 say when the process that they are given will not do. */
#ifndef MATRIX_EXPLAIN_H
#define MATRIX_EXPLAIN_H

#include <linux/errno.h>
#include <linux/printk.h>

static inline void explain_process_error(int pid, long error)
{
	switch (error) {
	case -EINVAL:
		pr_err("parameter pid=%d: give the number of a process, greater than 0\n", pid);
		break;
	case -ESRCH:
		pr_err("parameter pid=%d: there is no such process, or it has ended\n", pid);
		break;
	case -EPERM:
		pr_err("parameter pid=%d: not permitted, CAP_SYS_PTRACE over it is missing\n", pid);
		break;
	case -ENXIO:
		pr_err("parameter pid=%d: a kernel thread, which has no memory of its own\n", pid);
		break;
	default:
		pr_err("parameter pid=%d: error %ld\n", pid, error);
	}
}

#endif
