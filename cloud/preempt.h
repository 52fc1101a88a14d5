/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a slice ends: a one-shot timer whose signal is blocked everywhere but inside KVM_RUN
 * (KVM_SET_SIGNAL_MASK), so that it can neither be lost between two instructions of the loop
 * nor run a handler. Signals that ask for the end travel the same way. Called by core.
 */
#ifndef CLOUD_PREEMPT_H
#define CLOUD_PREEMPT_H

#include <matrix/error.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* What O_ASYNC sends. No real-time signal: however often it is sent, one at most is pending. */
#define PREEMPT_WATCH_SIGNAL SIGIO

struct preempt {
    timer_t timer;
    bool has_timer;
    uint64_t armed_ns;   /* CLOCK_MONOTONIC time that the timer is set to; 0: not set */
    sigset_t ours;       /* the signals that end KVM_RUN */
    sigset_t before;     /* the thread's mask, restored at the end */
    sigset_t inside_run; /* what stays blocked inside KVM_RUN */
    int signal_fd;       /* readable when one of ours is pending; -1 until it is needed */
    int stop_signal;     /* SIGINT, SIGTERM or SIGHUP, once one came */
    bool watch_signal;   /* SIGIO came: a watched descriptor is ready (watch.c clears it) */
    uint64_t timer_signals;
    uint64_t stale_signals; /* of those: came when what they were set for was over */
};

/* Blocks the signals and makes the timer, for the calling thread. takes_stops: SIGINT, SIGTERM and SIGHUP
 * are for it; else they stay as they are. */
struct matrix_error *preempt_begin(struct preempt *preempt, bool takes_stops);

/* Undoes that. Signals that are still pending are consumed. */
void preempt_end(struct preempt *preempt);

/* Sets the timer to deadline_ns of CLOCK_MONOTONIC; 0: off. */
void preempt_arm(struct preempt *preempt, uint64_t deadline_ns, uint64_t now_ns);

/*
 * Consumes what interrupted KVM_RUN: up to the timer's signal, which mostly is all there is, so that a
 * slice's end costs one system call and not two. What else is pending interrupts the next KVM_RUN.
 */
void preempt_take(struct preempt *preempt);

/* Consumes all that is pending. */
void preempt_drain(struct preempt *preempt);

/* A descriptor to poll while no guest can run; negative if there is none. */
int preempt_fd(struct preempt *preempt);

#endif
