/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looking again and again until a signal comes or the time is up: watch, pgfaults, record, top. */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <stdint.h>

/* From now on SIGINT, SIGTERM and SIGHUP come only while look_wait_until waits. */
void look_block_ends(void);

/* One more that then ends the wait: SIGCHLD, say. After look_block_ends(). */
void look_block_also(int signal_number);

/* Sleeps until then on CLOCK_MONOTONIC; returns the signal that ended it, or 0. */
int look_wait_until(uint64_t when_ns);

/*
 * When to look again, on CLOCK_MONOTONIC; 0: the duration is over first. Looks that were missed are
 * left out. duration_ns 0: without end.
 */
uint64_t look_next(uint64_t started_ns, uint64_t interval_ns, uint64_t duration_ns);

#endif
