// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-status, which `matrix status` starts: what guests get, read from the boards of those who run
 * them. They are asked once, for their boards; from then on they notice nothing.
 */
#include "cli/status.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/look.h"
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define INTERVAL_DEFAULT_NS 1000000000ULL
#define INTERVAL_MINIMUM_NS 100000000ULL

/* From the top left corner, over what stood there; lines that are too long are cut. */
#define SCREEN_BEGIN "\033[?25l\033[?7l\033[2J"
#define SCREEN_FRAME "\033[H"
#define SCREEN_REST  "\033[J"
#define SCREEN_END   "\033[?7h\033[?25h"

struct options {
    const char *target;
    bool json, watch;
    uint64_t interval_ns;
};

static const struct argp_option option_table[] = {
    {"json", 'j', NULL, 0, "JSON, with units in the names; with --watch a line for each look", 0},
    {"watch", 'w', NULL, 0, "Look again and again, until all have ended or Ctrl-C", 0},
    {"interval", 'i', "DURATION", 0, "How often; 100ms or more (1s)", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'j':
        options->json = true;
        break;
    case 'w':
        options->watch = true;
        break;
    case 'i':
        error = error_prefix(parse_duration(argument, &options->interval_ns), "--interval");
        if (!error && options->interval_ns < INTERVAL_MINIMUM_NS)
            error = error_usage("use 100ms or more: so often is there something new",
                                "--interval %s", argument);
        break;
    case ARGP_KEY_ARG:
        if (options->target)
            argp_usage(state);
        options->target = argument;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error)
        exit(cli_fail(PROGRAM, error));
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "[PID|SOCKET]",
    .doc = "Shows the guests that run here, or those of one process: their contracts, and what "
           "became of them. SOCKET is the path of a control socket.\v"
           "Exit status: 0; 122 bad usage, or a process that runs no guests; 125 nobody runs any, "
           "or the host refused.",
};

/* --- figures --------------------------------------------------------------------------------- */

static uint64_t exits_of(const struct matrix_board_guest *guest)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < MATRIX_BOARD_EXIT_KINDS; i++)
        sum += guest->exits[i];
    return sum;
}

static const struct matrix_board_guest *before(const struct status_core *core, uint64_t id)
{
    for (size_t i = 0; i < core->before_count; i++)
        if (core->before[i].id == id)
            return &core->before[i];
    return NULL;
}

double status_exits_per_s(const struct status_core *core, const struct matrix_board_guest *guest)
{
    const struct matrix_board_guest *last = before(core, guest->id);
    const uint64_t since_ns = last ? last->published_ns : core->core.begun_ns;
    if (!since_ns || guest->published_ns <= since_ns)
        return 0;
    /* One that was started again counts anew. */
    const uint64_t all = exits_of(guest), before = last ? exits_of(last) : 0;
    const uint64_t exits = all >= before ? all - before : all;
    return (double)exits * 1e9 / (double)(guest->published_ns - since_ns);
}

double status_share(const struct status_core *core, const struct matrix_board_guest *guest)
{
    const struct matrix_board_guest *last = before(core, guest->id);
    const uint64_t all_ns = core->core.guests_cpu_ns - core->before_cpu_ns;
    if (!core->before || !all_ns)
        return NAN;
    return (double)(guest->cpu_ns - (last ? last->cpu_ns : 0)) / (double)all_ns;
}

static double part(uint64_t some, uint64_t all)
{
    return all ? (double)some / (double)all : NAN;
}

double status_promised(const struct matrix_board_guest *guest)
{
    return part(guest->entitled_ns, guest->contended_total_ns);
}

double status_given(const struct matrix_board_guest *guest)
{
    return part(guest->contended_cpu_ns, guest->contended_total_ns);
}

/* --- a look ---------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct matrix_board_guest *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

static struct matrix_error *look_at(struct status_core *core)
{
    free(core->before);
    core->before = TAKE(core->guests);
    core->before_count = core->guest_count;
    core->before_cpu_ns = core->core.guests_cpu_ns;
    core->guest_count = 0;
    const size_t slots = matrix_board_slots(core->from.board);
    core->guests = calloc(slots + 1, sizeof(*core->guests));
    if (!core->guests)
        return error_host(ENOMEM, "look at the guests");
    for (size_t slot = 0; slot < slots; slot++) {
        struct matrix_board_guest *guest = &core->guests[core->guest_count];
        RETURN_IF_ERROR(matrix_board_guest(core->from.board, slot, guest));
        core->guest_count += guest->id != 0 && strcmp(guest->state, "gone") != 0;
    }
    qsort(core->guests, core->guest_count, sizeof(*core->guests), by_id);
    RETURN_IF_ERROR(matrix_board_core(core->from.board, &core->core));
    core->seen_ns = clock_now_ns(CLOCK_MONOTONIC);
    core->has_ended = cli_board_has_ended(&core->from, &core->core);
    return NULL;
}

static struct matrix_error *look(struct status *status, bool *goes_on)
{
    *goes_on = false;
    for (size_t i = 0; i < status->count; i++) {
        struct status_core *core = &status->cores[i];
        RETURN_IF_ERROR(error_prefix(look_at(core), "process %d", core->from.pid));
        *goes_on |= !core->has_ended;
    }
    return NULL;
}

static struct matrix_error *show(const struct status *status, const struct options *options,
                                 bool has_screen)
{
    if (options->json)
        return cli_json_print(status_json(status), options->watch);
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "print the status");
    struct matrix_error *error = status_print(status, file);
    if (fclose(file) == 0 && !error) {
        /* In one piece, so that it does not flicker; each line clears what stood behind it. */
        fputs(has_screen ? SCREEN_FRAME : "", stdout);
        for (const char *byte = text; *byte; byte++)
            has_screen &&*byte == '\n' ? fputs("\033[K\n", stdout) : putchar(*byte);
        fputs(has_screen ? SCREEN_REST : options->watch ? "\n" : "", stdout);
    }
    if (!error && (fflush(stdout) || ferror(stdout)))
        error = error_host(errno, "write to standard output");
    return error;
}

static struct matrix_error *watch(struct status *status, const struct options *options, int *number)
{
    const bool has_screen = options->watch && !options->json && isatty(STDOUT_FILENO);
    const uint64_t started_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct matrix_error *error = NULL;
    bool goes_on = true;
    if (options->watch)
        look_block_ends();
    if (has_screen)
        fputs(SCREEN_BEGIN, stdout);
    while (!error) {
        error = look(status, &goes_on);
        if (!error)
            error = show(status, options, has_screen);
        if (error || !goes_on || !options->watch)
            break;
        *number = look_wait_until(look_next(started_ns, options->interval_ns, 0));
        if (*number)
            break;
    }
    if (has_screen) {
        fputs(SCREEN_END, stdout);
        fflush(stdout);
    }
    return error;
}

static struct matrix_error *run(const struct options *options, int *number)
{
    struct status status = {0};
    struct cli_board *boards = NULL;
    size_t count = 0;
    struct matrix_error *error = cli_boards_open(options->target, &boards, &count);
    if (!error && !(status.cores = calloc(count, sizeof(*status.cores))))
        error = error_host(ENOMEM, "look at the cores");
    for (size_t i = 0; !error && i < count; i++)
        status.cores[status.count++].from = boards[i];
    if (!error)
        error = watch(&status, options, number);
    for (size_t i = 0; i < status.count; i++) {
        free(status.cores[i].guests);
        free(status.cores[i].before);
    }
    free(status.cores);
    cli_boards_close(boards, count);
    return error;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct options options = {.interval_ns = INTERVAL_DEFAULT_NS};
    int number = 0;
    argv[0] = (char *)PROGRAM;
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    struct matrix_error *error = run(&options, &number);
    if (error)
        return cli_fail(PROGRAM, error);
    return number ? EXIT_SIGNAL + number : EXIT_SUCCESS;
}
