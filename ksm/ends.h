/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tells which of many processes have ended, by one system call for all of them (pidfds in an epoll
 * instance, of which only those come up that have something to say). By the sampler.
 */
#ifndef KSM_ENDS_H
#define KSM_ENDS_H

#include <sys/types.h>

/* The descriptor of the whole; -1: there is none, and none of the below does anything then. */
int ksm_ends_open(void);

/* Returns the process's descriptor, or -1: it cannot be watched (before Linux 5.3, say). */
int ksm_ends_watch(int ends, pid_t pid);
void ksm_ends_forget(int ends, int process); /* closes it */

/* The descriptor of a process that has ended, each once; -1: no more has. */
int ksm_ends_next(int ends);

#endif
