// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * soldier: a process that lives for a while and then ends, by a status or by a signal. The control
 * station (station.c) adopts such ones, and is told how each has ended.
 */
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <time.h>

#define PROGRAM "soldier"

#define NS_PER_S 1000000000ULL

struct soldier {
    uint64_t life_ns, status;
    int signal; /* 0: ends by its status */
};

/* Those that end no process by themselves: signal(7). */
static const int harmless[] = {SIGCHLD, SIGCONT, SIGURG,  SIGWINCH,
                               SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};

static struct matrix_error *find_signal(const char *text, int *signal)
{
    const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
    *signal = 0;
    for (int number = 1; number < SIGRTMIN; number++) {
        const char *known = sigabbrev_np(number);
        if (known && strcasecmp(known, name) == 0)
            *signal = number;
    }
    if (*signal == 0)
        return error_usage("`kill -l` lists them", "no such signal: %s", text);
    for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++)
        if (harmless[i] == *signal)
            return error_usage("take one that does, such as TERM", "%s ends no process", text);
    return NULL;
}

static const struct argp_option options[] = {
    {"life", 'l', "DURATION", 0, "how long it lives (default 1s)", 0},
    {"status", 's', "N", 0, "the status it ends with (default 0)", 0},
    {"signal", 'k', "NAME", 0, "end by this signal instead, such as TERM or SIGKILL", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct soldier *soldier = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'l':
        error = error_prefix(parse_duration(argument, &soldier->life_ns), "--life");
        break;
    case 's':
        error = error_prefix(parse_u64(argument, 0, 255, &soldier->status), "--status");
        break;
    case 'k':
        error = error_prefix(find_signal(argument, &soldier->signal), "--signal");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error)
        exit(cli_fail(PROGRAM, error));
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .doc = "Lives for a while, then ends with a status or by a signal.\v"
           "Exit status: what --status says, 122 bad usage.",
};

/* As if another had sent it: with its default action, and not blocked, whatever was inherited. */
static void fall(int number)
{
    sigset_t all;
    sigfillset(&all);
    signal(number, SIG_DFL);
    prctl(PR_SET_DUMPABLE, 0); /* no core file */
    sigprocmask(SIG_UNBLOCK, &all, NULL);
    raise(number);
}

int main(int argc, char **argv)
{
    struct soldier soldier = {.life_ns = NS_PER_S};
    cli_open_standard_files();
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &soldier);

    struct timespec left = {.tv_sec = (time_t)(soldier.life_ns / NS_PER_S),
                            .tv_nsec = (long)(soldier.life_ns % NS_PER_S)};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
    if (soldier.signal)
        fall(soldier.signal);
    return (int)soldier.status;
}
