// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * station: the control station. It adopts soldiers that another process has forked (by
 * matrix_lens_reparent()), and is from then on what only a parent can be: told by SIGCHLD when one
 * ends, and by wait(2) how. It ends when all have.
 *
 *   station PID...      those that are there
 *   station --squad N   starts a barracks with N soldiers, and adopts them in random order
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "examples/barracks.h"
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <matrix/lens.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define PROGRAM "station"

#define SOLDIERS_MAX 10000
#define NS_PER_MS    UINT64_C(1000000)

struct station {
    uint64_t squad, life_ns, seed; /* options */
    struct order *orders;          /* of each soldier; by PID only its pid is known */
    bool *adopted;                 /* which of them are ours, and have not fallen */
    size_t count, adopted_count, fallen, otherwise;
    struct barracks barracks;
    bool barracks_failed;
    struct matrix_lens *lens;
    uint64_t start_ns;
    unsigned signals;
};

/* --- arguments ------------------------------------------------------------------------------- */

enum { OPTION_SEED = 256 };

static const struct argp_option options[] = {
    {"squad", 'n', "N", 0, "start a barracks with this many soldiers, and adopt them", 0},
    {"life", 'l', "DURATION", 0, "the longest life of a soldier of the squad (default 2s)", 0},
    {"seed", OPTION_SEED, "N", 0, "repeat a squad: lives, ends and order (default: a new one)", 0},
    {0},
};

static struct matrix_error *add_soldier(struct station *station, const char *argument)
{
    uint64_t pid;
    RETURN_IF_ERROR(error_prefix(parse_u64(argument, 1, INT_MAX, &pid), "PID"));
    for (size_t i = 0; i < station->count; i++)
        if (station->orders[i].pid == (pid_t)pid)
            return error_usage(NULL, "PID: %s stands there twice", argument);
    station->orders[station->count++].pid = (pid_t)pid;
    return NULL;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct station *station = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'n':
        error = error_prefix(parse_u64(argument, 1, SOLDIERS_MAX, &station->squad), "--squad");
        break;
    case 'l':
        error = error_prefix(parse_duration(argument, &station->life_ns), "--life");
        break;
    case OPTION_SEED:
        error = error_prefix(parse_u64(argument, 0, UINT_MAX, &station->seed), "--seed");
        break;
    case ARGP_KEY_ARG:
        if (station->count == SOLDIERS_MAX)
            argp_error(state, "more than %d soldiers", SOLDIERS_MAX);
        error = add_soldier(station, argument);
        break;
    case ARGP_KEY_END:
        if (!station->squad == !station->count)
            argp_error(state, "name the soldiers by their pids, or give --squad");
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
    .args_doc = "PID...\n--squad N",
    .doc = "Adopts soldiers, and tells how each falls.\v"
           "Needs the kernel module matrix_lens, and root. `soldier` is the program to try it "
           "with; any process does.\n"
           "Exit status: 0 all have fallen, each of a squad as it was ordered to; 1 not so, or "
           "one was lost; 122 bad usage; 125 the host refused.",
};

/* --- before ---------------------------------------------------------------------------------- */

static uint64_t draw(uint64_t below)
{
    return (((uint64_t)random() << 31) | (uint64_t)random()) % below;
}

/* One of four falls by a signal. */
static void draw_orders(struct station *station)
{
    static const int signals[] = {SIGTERM, SIGKILL, SIGSEGV, SIGABRT, SIGUSR1};
    srandom((unsigned)station->seed);
    station->count = station->squad;
    for (size_t i = 0; i < station->count; i++) {
        struct order *order = &station->orders[i];
        order->life_ns = draw(station->life_ns + 1);
        order->status = (int)draw(256);
        if (draw(4) == 0)
            order->signal = signals[draw(sizeof(signals) / sizeof(signals[0]))];
    }
}

static void shuffle(struct order *orders, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        const size_t other = draw(i);
        const struct order last = orders[i - 1];
        orders[i - 1] = orders[other];
        orders[other] = last;
    }
}

/*
 * Blocked, a SIGCHLD waits until it is asked for, and none is missed. Ignored, as whoever started
 * us may have left it, the kernel would reap our children itself, and their statuses were lost.
 */
static void hold_signal(sigset_t *set)
{
    signal(SIGCHLD, SIG_DFL);
    sigemptyset(set);
    sigaddset(set, SIGCHLD);
    sigprocmask(SIG_BLOCK, set, NULL);
}

/* --- adopting -------------------------------------------------------------------------------- */

static struct matrix_error *adopt(struct station *station, size_t i)
{
    pid_t old_parent;
    RETURN_IF_ERROR(
        matrix_lens_reparent(station->lens, station->orders[i].pid, getpid(), &old_parent));
    station->adopted[i] = true;
    station->adopted_count++;
    if (!station->squad)
        printf(PROGRAM ": adopted pid %d, a child of %d\n", station->orders[i].pid, old_parent);
    return NULL;
}

static struct matrix_error *adopt_squad(struct station *station)
{
    draw_orders(station);
    RETURN_IF_ERROR(barracks_start(station->orders, station->count, &station->barracks));
    printf(PROGRAM ": pid %d; barracks: pid %d, with %zu soldiers (--seed %" PRIu64 ")\n", getpid(),
           station->barracks.pid, station->count, station->seed);
    shuffle(station->orders, station->count);
    for (size_t i = 0; i < station->count; i++)
        RETURN_IF_ERROR(adopt(station, i));
    printf(PROGRAM ": adopted %zu soldiers of %d\n", station->adopted_count, station->barracks.pid);
    return barracks_open_gate(&station->barracks, station->count);
}

/* Those that can be adopted are, and of the others the last one's error remains. */
static struct matrix_error *adopt_named(struct station *station)
{
    CLEANUP_ERROR struct matrix_error *failure = NULL;
    for (size_t i = 0; i < station->count; i++) {
        struct matrix_error *error = adopt(station, i);
        if (!error)
            continue;
        if (failure)
            cli_fail(PROGRAM, TAKE(failure));
        failure = error;
    }
    return TAKE(failure);
}

/* --- watching -------------------------------------------------------------------------------- */

static void describe_end(char *text, size_t size, int status, int signal)
{
    if (signal)
        snprintf(text, size, "signal SIG%s", sigabbrev_np(signal));
    else
        snprintf(text, size, "status %d", status);
}

static void tell_fall(struct station *station, size_t i, int wait_status)
{
    const struct order *order = &station->orders[i];
    const int signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    const int status = signal ? 0 : WEXITSTATUS(wait_status);
    const uint64_t after = clock_now_ns(CLOCK_MONOTONIC) - station->start_ns;
    char end[32], wanted[32];
    describe_end(end, sizeof(end), status, signal);
    printf("%5zu  pid %-7d  after %6" PRIu64 " ms  %s", ++station->fallen, order->pid,
           after / NS_PER_MS, end);
    if (station->squad && (order->signal != signal || (!signal && order->status != status))) {
        describe_end(wanted, sizeof(wanted), order->status, order->signal);
        printf("  NOT AS ORDERED: %s", wanted);
        station->otherwise++;
    }
    putchar('\n');
}

static void note_end(struct station *station, pid_t pid, int wait_status)
{
    if (pid == station->barracks.pid) {
        station->barracks.pid = 0;
        station->barracks_failed = wait_status != 0;
        return;
    }
    for (size_t i = 0; i < station->count; i++)
        if (station->adopted[i] && station->orders[i].pid == pid) {
            station->adopted[i] = false;
            tell_fall(station, i, wait_status);
        }
}

/*
 * Reaps whoever has ended. In a loop, since one SIGCHLD may stand for many: a signal that is pending
 * already is not sent again (signal(7)). False when there is nobody left.
 */
static bool reap(struct station *station)
{
    int wait_status;
    pid_t pid;
    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
        note_end(station, pid, wait_status);
    return pid == 0;
}

static void watch(struct station *station, const sigset_t *set)
{
    /* Nobody tells us if another station adopts our soldiers: so we look ourselves, too. */
    const struct timespec second = {.tv_sec = 1};
    station->start_ns = clock_now_ns(CLOCK_MONOTONIC);
    while (reap(station))
        if (sigtimedwait(set, NULL, &second) == SIGCHLD)
            station->signals++;
}

static int print_end(const struct station *station)
{
    const size_t lost = station->adopted_count - station->fallen;
    printf("%zu of %zu adopted soldiers have fallen, %zu lost", station->fallen,
           station->adopted_count, lost);
    if (station->squad)
        printf(", %zu otherwise than ordered", station->otherwise);
    printf("; %u SIGCHLD told of them.\n", station->signals);
    if (station->barracks_failed)
        puts("The barracks had a soldier of its own to wait for.");
    return lost || station->otherwise || station->barracks_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

static struct matrix_error *run(struct station *station, int *status)
{
    CLEANUP_ERROR struct matrix_error *failure = NULL;
    sigset_t set;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_MODULE, &station->lens));
    hold_signal(&set);
    failure = station->squad ? adopt_squad(station) : adopt_named(station);
    if (failure && (station->squad || station->adopted_count == 0))
        return TAKE(failure);
    watch(station, &set);
    *status = print_end(station);
    return TAKE(failure);
}

int main(int argc, char **argv)
{
    static struct order orders[SOLDIERS_MAX];
    static bool adopted[SOLDIERS_MAX];
    static char line[BUFSIZ];
    struct station station = {
        .life_ns = 2000 * NS_PER_MS,
        .seed = (uint32_t)clock_now_ns(CLOCK_REALTIME),
        .orders = orders,
        .adopted = adopted,
    };
    int status = EXIT_FAILURE;
    cli_open_standard_files();
    setvbuf(stdout, line, _IOLBF, sizeof(line)); /* each fall is told when it happens */
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &station);
    struct matrix_error *error = run(&station, &status);
    matrix_lens_close(station.lens);
    return error ? cli_fail(PROGRAM, error) : status;
}
