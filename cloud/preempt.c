// SPDX-License-Identifier: GPL-2.0-or-later
/* The timer and the signals that take the core back from a guest. */
#include "cloud/preempt.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TIMER_SIGNAL SIGRTMIN

static const int stop_signals[] = {SIGINT, SIGTERM, SIGHUP};

/* What whoever started us chose to ignore (nohup: SIGHUP) must not end us; but a blocked signal is
 * queued even if it is ignored. */
static bool is_ignored(int signal)
{
    struct sigaction action;
    return sigaction(signal, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

struct matrix_error *preempt_begin(struct preempt *preempt, bool takes_stops)
{
    *preempt = (struct preempt){.signal_fd = -1};
    sigemptyset(&preempt->ours);
    sigaddset(&preempt->ours, TIMER_SIGNAL);
    sigaddset(&preempt->ours, PREEMPT_WATCH_SIGNAL);
    for (size_t i = 0; i < sizeof(stop_signals) / sizeof(stop_signals[0]); i++)
        if (takes_stops && !is_ignored(stop_signals[i]))
            sigaddset(&preempt->ours, stop_signals[i]);
    /* On Linux this is the mask of the calling thread alone. */
    if (sigprocmask(SIG_BLOCK, &preempt->ours, &preempt->before) < 0)
        return error_host(errno, "block the timer's signal");
    preempt->inside_run = preempt->before;
    for (int signal = 1; signal < NSIG; signal++)
        if (sigismember(&preempt->ours, signal) == 1)
            sigdelset(&preempt->inside_run, signal);

    /* To this thread alone: in a process with several cores each has its own timer. */
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = TIMER_SIGNAL};
    event._sigev_un._tid = gettid();
    if (timer_create(CLOCK_MONOTONIC, &event, &preempt->timer) < 0) {
        const int number = errno;
        sigprocmask(SIG_SETMASK, &preempt->before, NULL);
        return error_new(MATRIX_ERROR_HOST, number,
                         "raise the limit of pending signals (ulimit -i)",
                         "make the timer that ends slices");
    }
    preempt->has_timer = true;
    return NULL;
}

void preempt_end(struct preempt *preempt)
{
    if (!preempt->has_timer)
        return;
    timer_delete(preempt->timer);
    preempt->has_timer = false;
    preempt_drain(preempt);
    if (preempt->signal_fd >= 0)
        close(preempt->signal_fd);
    sigprocmask(SIG_SETMASK, &preempt->before, NULL);
}

void preempt_arm(struct preempt *preempt, uint64_t deadline_ns, uint64_t now_ns)
{
    if (deadline_ns == preempt->armed_ns)
        return;
    /* The timer went off unnoticed, while the loop was at work: its signal is not for what runs
     * next. */
    if (preempt->armed_ns && now_ns >= preempt->armed_ns)
        preempt_drain(preempt);

    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                     .tv_nsec = (long)(deadline_ns % 1000000000)},
    };
    timer_settime(preempt->timer, TIMER_ABSTIME, &when, NULL);
    preempt->armed_ns = deadline_ns;
}

/* Consumes one signal and notes what it says; 0 if none is pending. */
static int take_one(struct preempt *preempt)
{
    const struct timespec at_once = {0};
    siginfo_t info;
    int signal;
    while ((signal = sigtimedwait(&preempt->ours, &info, &at_once)) < 0)
        if (errno != EINTR)
            return 0;
    if (signal == PREEMPT_WATCH_SIGNAL) {
        preempt->watch_signal = true;
        return signal;
    }
    if (signal != TIMER_SIGNAL) {
        preempt->stop_signal = signal;
        return signal;
    }
    preempt->timer_signals++;
    /* The time is asked for now: the timer may have gone off since the caller last looked, and
     * taken for an old one its signal would be lost. */
    if (preempt->armed_ns == 0 || clock_now_ns(CLOCK_MONOTONIC) < preempt->armed_ns)
        preempt->stale_signals++;
    else
        preempt->armed_ns = 0; /* one-shot: it has to be set again */
    return signal;
}

void preempt_take(struct preempt *preempt)
{
    int signal;
    do
        signal = take_one(preempt);
    while (signal && signal != TIMER_SIGNAL);
}

void preempt_drain(struct preempt *preempt)
{
    while (take_one(preempt))
        ;
}

int preempt_fd(struct preempt *preempt)
{
    if (preempt->signal_fd < 0)
        preempt->signal_fd = signalfd(-1, &preempt->ours, SFD_CLOEXEC | SFD_NONBLOCK);
    return preempt->signal_fd;
}
