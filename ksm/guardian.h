/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process that is in a process group only to watch over it. It kills the group when who started it is
 * gone, SIGKILL included. And while it is not waited for, dead or alive, the group's number is
 * nobody else's, though all others of the group have ended. Used by ksm/experiment_vm.
 */
#ifndef KSM_GUARDIAN_H
#define KSM_GUARDIAN_H

#include <sys/types.h>

struct guardian {
    pid_t pid;    /* 0: there is none */
    int alive_fd; /* a pipe's end, which nobody else has: when it is closed it acts; -1: closed */
};

/* Starts one, in no group but ours so far. Returns 0 or an errno. */
int guardian_start(struct guardian *guardian) __attribute__((warn_unused_result));

/* Puts it into the group of a child, which has not been waited for. Returns 0 or an errno. */
int guardian_join(const struct guardian *guardian, pid_t group) __attribute__((warn_unused_result));

/* Ends it, and all of the group that it has joined, and waits for it. */
void guardian_end(struct guardian *guardian);

#endif
