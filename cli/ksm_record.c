// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix ksm record: what KSM does, into a file, until a signal, the duration or a command's end. */
#include "cli/ksm_record.h"

#include "base/child.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/look.h"
#include "ksm/schedule.h"
#include "ksm/store.h"
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define PROGRAM KSM_RECORD_PROGRAM

#define INTERVAL_MINIMUM_NS 10000000ULL
#define INTERVAL_DEFAULT_NS 5000000000ULL
#define SCAN_INTERVAL_NS    10000000000ULL

enum { KEY_OUT = 256, KEY_APPEND, KEY_PID, KEY_VM, KEY_TITLE, KEY_HOST_ONLY };

static const struct argp_option options[] = {
    {"interval", 'i', "DURATION", 0, "Between two samples, 10ms or more (5s)", 0},
    {"duration", 'd', "DURATION", 0, "End after this time, a command by SIGTERM (at Ctrl-C)", 0},
    {"out", KEY_OUT, "FILE", 0, "The recording (ksm-DATE-TIME.sqlite)", 0},
    {"append", KEY_APPEND, NULL, 0, "Add to FILE if it is there, as another session", 0},
    {"title", KEY_TITLE, "TEXT", 0, "What plots and reports call it", 0},
    {"pid", KEY_PID, "PID", 0, "Record this process, and end when it ends; repeatable", 0},
    {"vm", KEY_VM, "NAME", 0, "Record this guest's process; repeatable", 0},
    {"host-only", KEY_HOST_ONLY, NULL, 0, "No processes, the host's counters only", 0},
    {0},
};

struct recorder {
    uint64_t interval_ns, duration_ns;
    const char *out, *title;
    bool append, host_only;
    const char **targets; /* of --pid and --vm, as they were written */
    bool *is_vm;
    size_t target_count;
    char **command;
    pid_t child;
    int child_status;
    struct record_file file;
    struct ksm_sampler *sampler;
    struct ksm_store *store;
    struct ksm_schedule schedule;
    uint64_t samples;
    struct matrix_error *error;
};

void ksm_raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

struct matrix_error *ksm_parse_interval(const char *text, uint64_t *ns)
{
    RETURN_IF_ERROR(error_prefix(parse_duration(text, ns), "--interval"));
    if (*ns < INTERVAL_MINIMUM_NS)
        return error_usage("10ms or more", "--interval: %s is too short", text);
    return NULL;
}

struct matrix_error *ksm_parse_duration(const char *text, uint64_t *ns)
{
    RETURN_IF_ERROR(error_prefix(parse_duration(text, ns), "--duration"));
    if (*ns == 0)
        return error_usage("more than 0; without --duration it goes on until Ctrl-C",
                           "--duration: %s is too short", text);
    return NULL;
}

static struct matrix_error *add_target(struct recorder *recorder, const char *text, bool is_vm)
{
    const size_t count = recorder->target_count + 1;
    const char **targets = reallocarray(recorder->targets, count, sizeof(*targets));
    if (targets)
        recorder->targets = targets;
    bool *vms = targets ? reallocarray(recorder->is_vm, count, sizeof(*vms)) : NULL;
    if (!vms)
        return error_host(ENOMEM, "keep the name %s", text);
    recorder->is_vm = vms;
    targets[count - 1] = text;
    vms[count - 1] = is_vm;
    recorder->target_count = count;
    return NULL;
}

static struct matrix_error *set_option(struct recorder *recorder, int key, const char *value)
{
    switch (key) {
    case 'i':
        return ksm_parse_interval(value, &recorder->interval_ns);
    case 'd':
        return ksm_parse_duration(value, &recorder->duration_ns);
    case KEY_OUT:
        recorder->out = value;
        return NULL;
    case KEY_TITLE:
        recorder->title = value;
        return NULL;
    case KEY_APPEND:
        recorder->append = true;
        return NULL;
    case KEY_HOST_ONLY:
        recorder->host_only = true;
        return NULL;
    default: /* KEY_PID, KEY_VM */
        return add_target(recorder, value, key == KEY_VM);
    }
}

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct recorder *recorder = state->input;
    if (key == ARGP_KEY_ARG) {
        /* The first word that is no option: it and the rest are the command. */
        recorder->command = &state->argv[state->next - 1];
        state->next = state->argc;
        return 0;
    }
    if (key == 'i' || key == 'd' || (key >= KEY_OUT && key <= KEY_HOST_ONLY)) {
        if (!recorder->error)
            recorder->error = set_option(recorder, key, value);
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

/* --- what is recorded ---------------------------------------------------------------------- */

static struct matrix_error *open_sampler(struct recorder *recorder)
{
    const struct ksm_sampler_options sampling = {
        .follow = recorder->command                               ? KSM_FOLLOW_DESCENDANTS
                  : recorder->host_only || recorder->target_count ? KSM_FOLLOW_GIVEN
                                                                  : KSM_FOLLOW_MERGEABLE,
        .scan_interval_ns = recorder->command ? 0 : SCAN_INTERVAL_NS,
    };
    RETURN_IF_ERROR(ksm_sampler_open(&sampling, &recorder->sampler));
    for (size_t i = 0; i < recorder->target_count; i++) {
        pid_t pid;
        if (recorder->is_vm[i]) {
            RETURN_IF_ERROR(ksm_record_add_guest(recorder->sampler, recorder->targets[i]));
            continue;
        }
        RETURN_IF_ERROR(error_prefix(cli_parse_pid(recorder->targets[i], &pid), "--pid"));
        RETURN_IF_ERROR(ksm_sampler_add(recorder->sampler, pid, NULL));
    }
    return NULL;
}

static struct matrix_error *open_store(struct recorder *recorder)
{
    /* The file is there by now, and whether it was before is known. */
    const struct ksm_store_options storing = {
        .title = recorder->title, .interval_ns = recorder->interval_ns, .append = true};
    RETURN_IF_ERROR(ksm_record_file_make(&recorder->file, recorder->out, recorder->append));
    return ksm_store_open(recorder->file.path, &storing, &recorder->store);
}

/* With the signals that end us as it would have them, and none of our files. */
static struct matrix_error *start_command(struct recorder *recorder)
{
    const struct child child = {
        .argv = (const char *const *)recorder->command, .input_fd = -1, .output_fd = -1};
    const int number = child_start(&child, &recorder->child);
    if (number)
        return error_host(number, "start %s", recorder->command[0]);
    CLEANUP_ERROR struct matrix_error *error =
        ksm_sampler_add(recorder->sampler, recorder->child, NULL);
    if (error && error->number != ESRCH && error->number != ENXIO)
        return TAKE(error);
    return NULL;
}

/* --- until the end ------------------------------------------------------------------------- */

static bool command_has_ended(struct recorder *recorder)
{
    if (!recorder->child)
        return recorder->command;
    if (waitpid(recorder->child, &recorder->child_status, WNOHANG) <= 0)
        return false;
    recorder->child = 0;
    return true;
}

/* Notes who has ended; true if nobody is left of those that were named. */
static bool all_have_ended(const struct recorder *recorder, const struct ksm_sample *sample)
{
    size_t left = 0;
    for (size_t i = 0; i < sample->process_count; i++) {
        const struct ksm_source *process = &sample->processes[i];
        left += !process->ended;
        if (!process->ended || recorder->command)
            continue;
        fprintf(stderr, PROGRAM ": process %d (", process->pid);
        cli_print_escaped(stderr, process->name);
        fputs(") has ended\n", stderr);
    }
    return recorder->target_count && !left && !recorder->child;
}

static struct matrix_error *take_sample(struct recorder *recorder, bool *over)
{
    const uint64_t missed = ksm_schedule_take(&recorder->schedule, clock_now_ns(CLOCK_MONOTONIC));
    struct ksm_sample *sample = ksm_sampler_take(recorder->sampler);
    sample->missed = missed;
    RETURN_IF_ERROR(ksm_store_add(recorder->store, sample));
    recorder->samples++;
    *over = all_have_ended(recorder, sample);
    return NULL;
}

/*
 * A terminal's SIGINT and SIGQUIT are sent to the command as well, which does with them what it likes.
 * It is told what only we were. Its end is ours, so that all of it is recorded.
 */
static void hand_on(const struct recorder *recorder, int signal_number)
{
    if (signal_number == SIGTERM || signal_number == SIGHUP)
        kill(recorder->child, signal_number);
}

/* The signal that ended it; 0: the time, the processes or the command. */
static struct matrix_error *record(struct recorder *recorder, int *signal_number)
{
    bool over = false;
    recorder->schedule = ksm_schedule_start(clock_now_ns(CLOCK_MONOTONIC), recorder->interval_ns);
    uint64_t end =
        recorder->duration_ns ? recorder->schedule.start_ns + recorder->duration_ns : UINT64_MAX;
    while (!over) {
        const uint64_t due = ksm_schedule_due(&recorder->schedule);
        const int got = look_wait_until(due < end ? due : end);
        if (got == SIGCHLD && command_has_ended(recorder))
            return take_sample(recorder, &over); /* as it is at the end */
        if (got == 0 && due <= end) {
            RETURN_IF_ERROR(take_sample(recorder, &over));
        } else if (recorder->child) {
            hand_on(recorder, got ? got : SIGTERM);
            end = got ? end : UINT64_MAX; /* it is told once that the time is up */
        } else if (got != SIGCHLD) {
            *signal_number = got;
            return NULL;
        }
    }
    return NULL;
}

/* A sample could not be taken: the command is not left behind. */
static void end_command(struct recorder *recorder)
{
    if (!recorder->child)
        return;
    kill(recorder->child, SIGTERM);
    while (waitpid(recorder->child, &recorder->child_status, 0) < 0 && errno == EINTR)
        ;
    recorder->child = 0;
}

static void tell_start(const struct recorder *recorder)
{
    char time[FORMAT_BYTES];
    fputs(PROGRAM ": recording to ", stderr);
    cli_print_escaped(stderr, recorder->file.path);
    fprintf(stderr, " every %s; %s\n", format_duration(time, recorder->interval_ns),
            recorder->command ? "it ends with the command" : "Ctrl-C ends it");
}

static void tell_result(const struct recorder *recorder)
{
    fprintf(stderr, PROGRAM ": %llu sample%s in ", (unsigned long long)recorder->samples,
            recorder->samples == 1 ? "" : "s");
    cli_print_escaped(stderr, recorder->file.path);
    if (recorder->schedule.missed)
        fprintf(stderr, ", %llu missed", (unsigned long long)recorder->schedule.missed);
    if (ksm_sampler_skipped(recorder->sampler))
        fprintf(stderr, "; processes that could not be opened: %llu",
                (unsigned long long)ksm_sampler_skipped(recorder->sampler));
    fputc('\n', stderr);
}

static struct matrix_error *run(struct recorder *recorder, int *signal_number)
{
    if (recorder->error)
        return TAKE(recorder->error);
    if (recorder->host_only && (recorder->target_count || recorder->command))
        return error_usage(NULL, "--host-only and processes at once make no sense");
    ksm_raise_file_limit();
    RETURN_IF_ERROR(open_sampler(recorder));
    look_block_ends(); /* now, so that no file is left of which nothing was recorded */
    RETURN_IF_ERROR(open_store(recorder));
    look_block_also(SIGCHLD);
    if (recorder->command) {
        look_block_also(SIGQUIT);
        RETURN_IF_ERROR(start_command(recorder));
    }
    tell_start(recorder);
    struct matrix_error *error = record(recorder, signal_number);
    end_command(recorder);
    return error;
}

static int command_status(const struct recorder *recorder, int signal_number)
{
    const int status = recorder->child_status;
    if (signal_number)
        return EXIT_SIGNAL + signal_number;
    if (!recorder->command)
        return EXIT_SUCCESS;
    return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

int ksm_record_main(int argc, char **argv)
{
    static const struct argp parser = {
        options,
        parse_argument,
        "[COMMAND [ARGUMENT...]]",
        "Records what KSM does: the host's counters, ksmd's CPU time, free memory, and of "
        "processes "
        "what KSM does for them. Without any named: of all that have memory which KSM may merge. "
        "With COMMAND, which is started: of it and what it starts, until it ends; its status is "
        "ours.",
        NULL,
        NULL,
        NULL};
    struct recorder recorder = {.interval_ns = INTERVAL_DEFAULT_NS};
    int signal_number = 0;
    argp_parse(&parser, argc, argv, ARGP_IN_ORDER, NULL, &recorder);
    struct matrix_error *error = run(&recorder, &signal_number);
    if (!error && recorder.samples)
        tell_result(&recorder);
    if (recorder.store) {
        struct matrix_error *end = ksm_store_close(recorder.store);
        if (!error)
            error = end;
        else
            matrix_error_free(end);
    }
    if (!recorder.samples && ksm_record_file_discard(&recorder.file) && !error)
        fputs(PROGRAM ": it was ended before the first sample; there is no recording\n", stderr);
    ksm_sampler_close(recorder.sampler);
    free(recorder.targets);
    free(recorder.is_vm);
    return error ? cli_fail(PROGRAM, error) : command_status(&recorder, signal_number);
}
