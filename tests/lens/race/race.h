/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The race: processes whose memory and children change all the time, others that ask the driver
 * about them, and modules that come and go. What each has done is counted, for a race that did
 * nothing proves nothing.
 */
#ifndef TESTS_LENS_RACE_H
#define TESTS_LENS_RACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Every worker's memory that changes is here, so that callers know where to look. */
#define WINDOW      ((char *)(1ULL << 40))
#define WINDOW_SIZE (64UL << 20)
#define PAGE        4096UL

#define WORKERS  4
#define CALLERS  3
#define REQUESTS 8
#define MODULES  8

/* Beyond the largest errno that a request can give. */
#define ERRNOS 134

/* Shared by all processes. */
struct tally {
    pid_t main;
    pid_t workers[WORKERS];
    atomic_bool wanted;                     /* callers are to close the driver */
    atomic_ulong answers[REQUESTS][ERRNOS]; /* 0: success */
    atomic_ulong others;                    /* requests that do not exist: ENOTTY */
    atomic_ulong wrong;                     /* an errno that the header does not name */
    atomic_ulong loads[MODULES], load_failures[MODULES], unloads[MODULES], busy[MODULES];
    atomic_ulong forks, maps, reads;
};
extern struct tally *tally;

/* One random sequence a process: pure in its seed, but the processes' order is the kernel's. */
uint64_t random_next(uint64_t *seed);
/* From 0 to below bound. */
uint64_t random_below(uint64_t *seed, uint64_t bound);

/* Reaps who has ended; also children of others, that have been moved here. */
void race_reap(void);

/* These never return. */
_Noreturn void work(uint64_t seed);
_Noreturn void call(uint64_t seed);
/* What a worker's child does after exec(). */
int live_after_exec(void);

#endif
