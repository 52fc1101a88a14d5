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
#include <string.h>

#define PROGRAM "matrix status"

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

/* --- again and again -------------------------------------------------------------------------- */

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
        error = status_look(status, &goes_on);
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
    if (!error)
        error = status_take(&status, boards, count);
    else
        cli_boards_close(boards, count);
    if (!error)
        error = watch(&status, options, number);
    status_free(&status);
    return error;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct options options = {.interval_ns = INTERVAL_DEFAULT_NS};
    int number = 0;
    cli_parse(PROGRAM, &argp, argc, argv, 0, &options);
    struct matrix_error *error = run(&options, &number);
    if (error)
        return cli_fail(PROGRAM, error);
    return number ? EXIT_SIGNAL + number : EXIT_SUCCESS;
}
