// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs an experiment: one thread, which waits for time, children and signals at one place
 * (experiment_tick), so that samples are taken whatever a step waits for. See experiment.h.
 */
#include "ksm/experiment.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "ksm/experiment_internal.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what it tells --------------------------------------------------------------------------- */

void experiment_say(const struct experiment *x, bool passing, const char *format, ...)
{
    char text[512], line[600];
    va_list arguments;
    if (!x->options->say)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (x->step < x->file->step_count)
        snprintf(line, sizeof(line), "step %zu of %zu: %s", x->step + 1, x->file->step_count, text);
    else
        snprintf(line, sizeof(line), "%s", text);
    x->options->say(x->options->context, passing, line);
}

struct matrix_error *experiment_note(struct experiment *x, bool marked, const char *format, ...)
{
    struct experiment_results *results = x->results;
    struct experiment_event *events =
        reallocarray(results->events, results->event_count + 1, sizeof(*events));
    va_list arguments;
    if (!events)
        return error_host(ENOMEM, "note what happens");
    results->events = events;
    struct experiment_event *event = &events[results->event_count++];
    event->time_ns = clock_now_ns(CLOCK_MONOTONIC) - x->started_ns;
    va_start(arguments, format);
    vsnprintf(event->text, sizeof(event->text), format, arguments);
    va_end(arguments);
    /* A phase that the file names itself needs no other words in the plots. */
    return marked || !(x->in_phase && x->phase_is_named) ? experiment_record_mark(x, event->text)
                                                         : NULL;
}

struct matrix_error *experiment_find_vm(struct experiment *x, const char *name,
                                        struct experiment_vm **vm)
{
    for (size_t i = x->vm_count; i-- > 0;)
        if (strcmp(x->vms[i].name, name) == 0) {
            *vm = &x->vms[i];
            return NULL;
        }
    return error_host(0, "%s does not run", name);
}

/* --- waiting --------------------------------------------------------------------------------- */

/* A VM has ended. That it ended well without being asked is its business. */
static struct matrix_error *note_end(struct experiment *x, struct experiment_vm *vm)
{
    const int status = vm->status;
    vm->running = false;
    if (vm->asked)
        return NULL;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return experiment_note(x, false, "%s has ended", vm->name);
    return error_new(MATRIX_ERROR_HOST, 0, "look into its log", "VM %s: it %s %d; its log is %s",
                     vm->name, WIFEXITED(status) ? "exited with status" : "was ended by signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status), vm->log_path);
}

static struct matrix_error *reap(struct experiment *x)
{
    if (x->command && waitpid(x->command, &x->command_status, WNOHANG) == x->command)
        x->command = 0;
    struct matrix_error *error = NULL;
    for (size_t i = 0; i < x->vm_count && !error; i++)
        if (x->vms[i].running &&
            waitpid(x->vms[i].pid, &x->vms[i].status, WNOHANG) == x->vms[i].pid)
            error = note_end(x, &x->vms[i]);
    return error;
}

static struct matrix_error *take_signal(struct experiment *x)
{
    struct signalfd_siginfo info;
    if (read(x->signal_fd, &info, sizeof(info)) != sizeof(info))
        return NULL;
    if (info.ssi_signo == SIGCHLD)
        return reap(x);
    x->results->signal = (int)info.ssi_signo;
    return NULL;
}

struct matrix_error *experiment_tick(struct experiment *x, uint64_t until_ns)
{
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    const uint64_t due = ksm_schedule_due(&x->schedule);
    const uint64_t when = until_ns < due ? until_ns : due;
    const uint64_t left = when > now ? when - now : 0;
    const struct timespec time = {.tv_sec = (time_t)(left / NS_PER_S),
                                  .tv_nsec = (long)(left % NS_PER_S)};
    struct pollfd signals = {.fd = x->signal_fd, .events = POLLIN};
    const int ready = ppoll(&signals, 1, &time, NULL);
    if (ready < 0 && errno != EINTR)
        return error_host(errno, "wait");
    if (ready > 0)
        RETURN_IF_ERROR(take_signal(x));
    const uint64_t then = clock_now_ns(CLOCK_MONOTONIC);
    return then < due ? NULL : experiment_record_sample(x, ksm_schedule_take(&x->schedule, then));
}

/* --- the whole ------------------------------------------------------------------------------- */

/* Signals come only where experiment_tick waits. */
static struct matrix_error *block_signals(struct experiment *x, sigset_t *before)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct sigaction action;
        /* nohup(1) means it. Shells ignore SIGINT for what runs in the background: not so we. */
        if (ends[i] != SIGHUP || sigaction(SIGHUP, NULL, &action) || action.sa_handler != SIG_IGN)
            sigaddset(&set, ends[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, before);
    x->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return x->signal_fd < 0 ? error_host(errno, "make a signalfd") : NULL;
}

static struct matrix_error *do_steps(struct experiment *x)
{
    x->started_ns = clock_now_ns(CLOCK_MONOTONIC);
    x->schedule = ksm_schedule_start(x->started_ns, x->file->interval_ns);
    x->results->started_realtime_ns = clock_now_ns(CLOCK_REALTIME);
    RETURN_IF_ERROR(experiment_record_begin(x));
    RETURN_IF_ERROR(ksm_lease_set(&x->lease, &x->file->knobs));
    RETURN_IF_ERROR(ksm_knobs_read(x->lease.places.directory, &x->results->during));
    /* Named by what comes first, or by experiment_phase_wait. */
    RETURN_IF_ERROR(experiment_phase_begin(x, false, ""));
    for (x->step = 0; x->step < x->file->step_count && !x->results->signal; x->step++) {
        const struct experiment_step *step = &x->file->steps[x->step];
        RETURN_IF_ERROR(error_prefix(experiment_actions[step->action](x, step), "step %zu: %s",
                                     x->step + 1, experiment_action_names[step->action]));
        /* Signals and ends of VMs are seen also where no step waits. */
        RETURN_IF_ERROR(experiment_tick(x, 0));
        x->results->steps_done = x->step + 1;
    }
    return x->results->signal ? NULL : experiment_take_map(x);
}

/* Whatever has happened: no VM is left, the recording is whole, the knobs are as they were. */
static struct matrix_error *clean_up(struct experiment *x, struct matrix_error *error)
{
    struct experiment_results *results = x->results;
    x->step = results->steps_done ? results->steps_done - 1 : 0;
    results->duration_ns = x->started_ns ? clock_now_ns(CLOCK_MONOTONIC) - x->started_ns : 0;
    experiment_stop_all(x);
    struct matrix_error *second = experiment_record_end(x);
    struct matrix_error *third = ksm_lease_end(&x->lease);
    results->knobs_restored = !third;
    if (third) { /* which matters most */
        matrix_error_free(error);
        matrix_error_free(second);
        return third;
    }
    if (!error)
        error = second;
    else
        matrix_error_free(second);
    struct matrix_error *fourth = ksm_knobs_read(x->lease.places.directory, &results->after);
    if (!error)
        return fourth;
    matrix_error_free(fourth);
    return error;
}

/* One that has come while VMs were stopped, where nothing waits for it. */
static void take_late_signal(struct experiment *x)
{
    struct signalfd_siginfo info;
    while (!x->results->signal && read(x->signal_fd, &info, sizeof(info)) == sizeof(info))
        if (info.ssi_signo != SIGCHLD)
            x->results->signal = (int)info.ssi_signo;
}

static struct matrix_error *begin(struct experiment *x, sigset_t *before)
{
    x->vms = calloc(x->file->step_count, sizeof(*x->vms));
    if (!x->vms)
        return error_host(ENOMEM, "run the experiment");
    /* What a VM's process leaves behind is ours to be waited for, so that none is left at the end. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    RETURN_IF_ERROR(block_signals(x, before));
    RETURN_IF_ERROR(ksm_lease_begin(x->options->places, &x->lease));
    x->results->before = x->lease.before.knobs;
    return NULL;
}

struct matrix_error *experiment_run(const struct experiment_file *file,
                                    const struct experiment_options *options,
                                    struct experiment_results *results)
{
    sigset_t before;
    struct experiment x = {.file = file, .options = options, .results = results, .signal_fd = -1};
    *results = (struct experiment_results){0};
    x.lease.lock_fd = -1;
    sigprocmask(SIG_SETMASK, NULL, &before);
    struct matrix_error *error = begin(&x, &before);
    if (!error)
        error = clean_up(&x, do_steps(&x));
    if (x.signal_fd >= 0) {
        take_late_signal(&x);
        close(x.signal_fd);
    }
    free(x.vms);
    /* Pending ones would end us now, with all done that was to be done: the caller knows. */
    if (!results->signal)
        sigprocmask(SIG_SETMASK, &before, NULL);
    return error;
}

void experiment_results_free(struct experiment_results *results)
{
    free(results->phases);
    free(results->checks);
    free(results->events);
    free(results->points);
    free(results->map.vms);
    free(results->map.shared_pages);
    *results = (struct experiment_results){0};
}
