// SPDX-License-Identifier: GPL-2.0-or-later
/* What each kind of step of an experiment does; see experiment_internal.h. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "ksm/experiment_internal.h"
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* How long a VM may take to end when it is asked to, before it is killed. */
#define END_NS (5 * NS_PER_S)
/* How often a log is looked through. */
#define LISTEN_NS (NS_PER_S / 10)

static bool goes_on(const struct experiment *x, uint64_t until_ns)
{
    return !x->results->signal && clock_now_ns(CLOCK_MONOTONIC) < until_ns;
}

static struct matrix_error *do_start(struct experiment *x, const struct experiment_step *step)
{
    const struct experiment_start *start = &step->start;
    char label[EXPERIMENT_LABEL_MAX];
    snprintf(label, sizeof(label), "%s starts", start->name);
    experiment_say(x, false, "starting %s", start->name);
    RETURN_IF_ERROR(experiment_phase_begin(x, false, label));
    RETURN_IF_ERROR(experiment_vm_start(start, x->options->directory, &x->vms[x->vm_count]));
    x->vm_count++;
    x->next_scan_ns = 0;
    return experiment_note(x, false, "%s", label);
}

/* --- waiting --------------------------------------------------------------------------------- */

static struct matrix_error *wait_for(struct experiment *x, const struct experiment_wait *wait)
{
    char time[FORMAT_BYTES], label[EXPERIMENT_LABEL_MAX];
    snprintf(label, sizeof(label), "wait for %s", format_duration(time, wait->for_ns));
    RETURN_IF_ERROR(experiment_phase_wait(x, label));
    const uint64_t until = clock_now_ns(CLOCK_MONOTONIC) + wait->for_ns;
    experiment_say(x, false, "waiting for %s", time);
    while (goes_on(x, until)) {
        const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
        experiment_say(x, true, "waiting, %s to go",
                       format_duration(time, until > now ? until - now : 0));
        RETURN_IF_ERROR(experiment_tick(x, until));
    }
    RETURN_IF_ERROR(experiment_sample(x));
    return experiment_phase_end(x, NULL, false);
}

static void say_flatness(const struct experiment *x, const struct ksm_flat *flat)
{
    const struct measure_point *last = &x->results->points[x->results->point_count - 1];
    char pages[FORMAT_BYTES], time[FORMAT_BYTES], goal[FORMAT_BYTES];
    const uint64_t still = flat->since_ns ? last->time_ns - flat->since_ns : 0;
    format_count(pages, last->pages > 0 ? (uint64_t)last->pages : 0);
    if (flat->scans_done < flat->rule.scans)
        experiment_say(x, true, "waiting until flat: %s pages; scan %" PRIu64 " of %" PRIu64, pages,
                       flat->scans_done + 1, flat->rule.scans);
    else if (!flat->has_slope)
        experiment_say(x, true, "waiting until flat: %s pages", pages);
    else
        experiment_say(x, true,
                       "waiting until flat: %s pages, %+.0f/s (limit %.0f/s), for %s of %s", pages,
                       flat->slope_per_second, flat->rule.slope_per_second,
                       format_duration(time, still), format_duration(goal, flat->rule.time_ns));
}

static struct matrix_error *watch_flatness(struct experiment *x, const struct experiment_wait *wait,
                                           struct ksm_flat *flat, bool *reached)
{
    const uint64_t until = clock_now_ns(CLOCK_MONOTONIC) + wait->ceiling_ns;
    size_t seen = x->results->point_count;
    *reached = false;
    while (!*reached && goes_on(x, until)) {
        RETURN_IF_ERROR(experiment_tick(x, until));
        for (; seen < x->results->point_count && !*reached; seen++) {
            const struct measure_point *point = &x->results->points[seen];
            RETURN_IF_ERROR(ksm_flat_add(flat, point->time_ns, (double)point->pages,
                                         point->full_scans > 0 ? (uint64_t)point->full_scans : 0,
                                         reached));
            say_flatness(x, flat);
        }
    }
    return NULL;
}

static struct matrix_error *wait_flat(struct experiment *x, const struct experiment_wait *wait)
{
    struct ksm_flat flat;
    bool reached = false;
    char time[FORMAT_BYTES];
    experiment_say(x, false, "waiting until flat, for %s at most",
                   format_duration(time, wait->ceiling_ns));
    RETURN_IF_ERROR(experiment_phase_wait(x, "wait until flat"));
    ksm_flat_begin(&flat, wait->flat);
    struct matrix_error *error = watch_flatness(x, wait, &flat, &reached);
    if (!error && !x->results->signal) {
        if (!reached)
            experiment_say(x, false, "not flat within %s", format_duration(time, wait->ceiling_ns));
        error = experiment_phase_end(x, &flat, reached);
    }
    ksm_flat_free(&flat);
    return error;
}

static struct matrix_error *wait_says(struct experiment *x, const struct experiment_wait *wait)
{
    struct experiment_vm *vm;
    bool found, more;
    const uint64_t until = clock_now_ns(CLOCK_MONOTONIC) + wait->ceiling_ns;
    RETURN_IF_ERROR(experiment_find_vm(x, wait->name, &vm));
    experiment_say(x, false, "waiting for %s to say: %s", wait->name, wait->says);
    for (;;) {
        RETURN_IF_ERROR(experiment_vm_says(vm, wait->says, &found, &more));
        if (found || x->results->signal)
            return NULL;
        if (!vm->running && !more)
            return error_host(0, "%s has ended, and has not said: %s", wait->name, wait->says);
        if (!goes_on(x, until))
            return error_new(MATRIX_ERROR_HOST, 0, "look into its log, or allow it more: ceiling",
                             "%s has not said in time: %s", wait->name, wait->says);
        /* Where more is there to be read, time and signals are looked at, and not waited for. */
        RETURN_IF_ERROR(experiment_tick(x, more ? 0 : clock_now_ns(CLOCK_MONOTONIC) + LISTEN_NS));
    }
}

static struct matrix_error *do_wait(struct experiment *x, const struct experiment_step *step)
{
    static struct matrix_error *(*const kinds[])(struct experiment *,
                                                 const struct experiment_wait *) = {
        [WAIT_FOR] = wait_for, [WAIT_FLAT] = wait_flat, [WAIT_SAYS] = wait_says};
    return kinds[step->wait.kind](x, &step->wait);
}

/* --- the rest -------------------------------------------------------------------------------- */

static struct matrix_error *do_mark(struct experiment *x, const struct experiment_step *step)
{
    /* A mark names the phase that it stands in. */
    RETURN_IF_ERROR(experiment_phase_begin(x, false, ""));
    snprintf(x->phase_label, sizeof(x->phase_label), "%s", step->text);
    x->phase_is_named = true;
    return experiment_note(x, true, "%s", step->text);
}

static struct matrix_error *do_tell(struct experiment *x, const struct experiment_step *step)
{
    struct experiment_vm *vm;
    char label[EXPERIMENT_LABEL_MAX];
    RETURN_IF_ERROR(experiment_find_vm(x, step->name, &vm));
    snprintf(label, sizeof(label), "%s is told: %s", step->name, step->text);
    RETURN_IF_ERROR(experiment_phase_begin(x, false, label));
    RETURN_IF_ERROR(experiment_vm_tell(vm, step->text));
    return experiment_note(x, false, "%s", label);
}

static struct matrix_error *end_command(struct experiment *x, const struct experiment_step *step)
{
    const int status = x->command_status;
    if (x->command) {
        kill(-x->command, SIGKILL);
        while (waitpid(x->command, NULL, 0) < 0 && errno == EINTR)
            ;
        x->command = 0;
        return x->results->signal ? NULL
                                  : error_new(MATRIX_ERROR_HOST, 0, "allow it more: timeout",
                                              "run %s: the time is up", step->command[0]);
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    return error_new(MATRIX_ERROR_HOST, 0, "what it said is in run.log", "run %s: it %s %d",
                     step->command[0],
                     WIFEXITED(status) ? "exited with status" : "was ended by signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

static struct matrix_error *do_run(struct experiment *x, const struct experiment_step *step)
{
    char label[EXPERIMENT_LABEL_MAX];
    const uint64_t until = clock_now_ns(CLOCK_MONOTONIC) + step->timeout_ns;
    snprintf(label, sizeof(label), "run %s", step->command[0]);
    RETURN_IF_ERROR(experiment_phase_begin(x, false, label));
    RETURN_IF_ERROR(experiment_note(x, false, "%s", label));
    experiment_say(x, false, "running %s", step->command[0]);
    RETURN_IF_ERROR(experiment_command_start(step->command, x->options->directory, &x->command));
    struct matrix_error *error = NULL;
    while (!error && x->command && goes_on(x, until))
        error = experiment_tick(x, until);
    struct matrix_error *second = end_command(x, step);
    if (!error)
        return second;
    matrix_error_free(second);
    return error;
}

static struct matrix_error *do_stop(struct experiment *x, const struct experiment_step *step)
{
    struct experiment_vm *vm;
    char label[EXPERIMENT_LABEL_MAX];
    snprintf(label, sizeof(label), "%s stops", step->name);
    RETURN_IF_ERROR(experiment_find_vm(x, step->name, &vm));
    RETURN_IF_ERROR(experiment_take_map(x));
    experiment_say(x, false, "stopping %s", step->name);
    RETURN_IF_ERROR(experiment_phase_begin(x, false, label));
    RETURN_IF_ERROR(experiment_note(x, false, "%s", label));
    vm->asked = true;
    experiment_vm_signal(vm, SIGTERM);
    const uint64_t until = clock_now_ns(CLOCK_MONOTONIC) + END_NS;
    while (vm->running && goes_on(x, until))
        RETURN_IF_ERROR(experiment_tick(x, until));
    experiment_vm_end(vm);
    return NULL;
}

void experiment_stop_all(struct experiment *x)
{
    const uint64_t until = clock_now_ns(CLOCK_MONOTONIC) + END_NS;
    for (size_t i = 0; i < x->vm_count; i++)
        experiment_vm_signal(&x->vms[i], SIGTERM);
    for (size_t i = 0; i < x->vm_count; i++) {
        struct experiment_vm *vm = &x->vms[i];
        const struct timespec pause = {.tv_nsec = NS_PER_S / 100};
        while (vm->running && clock_now_ns(CLOCK_MONOTONIC) < until) {
            vm->running = waitpid(vm->pid, &vm->status, WNOHANG) == 0;
            if (vm->running)
                nanosleep(&pause, NULL);
        }
        experiment_vm_end(vm);
    }
}

static struct matrix_error *do_set(struct experiment *x, const struct experiment_step *step)
{
    char text[EXPERIMENT_LABEL_MAX] = "";
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++) {
        const size_t used = strlen(text);
        if (step->knobs.text[knob][0])
            snprintf(text + used, sizeof(text) - used, "%s%s=%s", used ? ", " : "",
                     ksm_knob_name(knob), step->knobs.text[knob]);
    }
    experiment_say(x, false, "setting %s", text);
    RETURN_IF_ERROR(ksm_lease_set(&x->lease, &step->knobs));
    RETURN_IF_ERROR(experiment_phase_begin(x, true, text));
    return experiment_note(x, false, "%s", text);
}

static struct matrix_error *do_expect(struct experiment *x, const struct experiment_step *step)
{
    struct experiment_results *results = x->results;
    struct experiment_check *checks =
        reallocarray(results->checks, results->check_count + 1, sizeof(*checks));
    if (!checks)
        return error_host(ENOMEM, "keep what was checked");
    results->checks = checks;
    struct experiment_check *check = &checks[results->check_count];
    *check = (struct experiment_check){.step = x->step, .expectation = &step->expect};
    RETURN_IF_ERROR(experiment_find_value(x, &step->expect, &check->value));
    check->passed = check->value >= step->expect.minimum && check->value <= step->expect.maximum;
    results->check_count++;
    results->checks_failed += !check->passed;
    experiment_say(x, false, "%s: %s%s%s is %" PRId64,
                   check->passed ? "as expected" : "NOT EXPECTED", step->expect.what->name,
                   step->expect.of ? " of " : "", step->expect.of ? step->expect.of : "",
                   check->value);
    return NULL;
}

experiment_action_function *const experiment_actions[EXPERIMENT_ACTIONS] = {
    [EXPERIMENT_START] = do_start, [EXPERIMENT_WAIT] = do_wait,     [EXPERIMENT_MARK] = do_mark,
    [EXPERIMENT_TELL] = do_tell,   [EXPERIMENT_RUN] = do_run,       [EXPERIMENT_STOP] = do_stop,
    [EXPERIMENT_SET] = do_set,     [EXPERIMENT_EXPECT] = do_expect,
};
