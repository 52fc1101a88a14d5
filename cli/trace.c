// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-trace, which `matrix trace` starts: who was on the core, from when to when and why, read from
 * its board; for a viewer of traces, or as a picture.
 */
#include "cli/trace.h"

#include "base/cleanup.h"
#include "base/drawing.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <errno.h>
#include <inttypes.h>

#define DURATION_DEFAULT_NS 1000000000ULL

struct options {
    const char *target, *out, *picture;
    uint64_t duration_ns;
};

static const struct argp_option option_table[] = {
    {"duration", 'd', "DURATION", 0, "Watch for so long (1s)", 0},
    {"out", 'o', "FILE.json", 0, "Where the trace goes (standard output, unless --picture)", 0},
    {"picture", 'p', "FILE.svg|FILE.png", 0, "Draw who was on the core", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'd':
        error = error_prefix(parse_duration(argument, &options->duration_ns), "--duration");
        if (!error && options->duration_ns == 0)
            error = error_usage(NULL, "--duration %s: nothing to be seen", argument);
        break;
    case 'o':
        options->out = argument;
        break;
    case 'p':
        options->picture = argument;
        error = drawing_check_name(argument);
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
    .doc = "Records who is on the core of a process that runs guests, from now on, in the Trace "
           "Event Format that Perfetto (ui.perfetto.dev) and chrome://tracing show. Needed only "
           "where several processes run guests: PID, or the path of a control SOCKET.\v"
           "Exit status: 0; 122 bad usage, or a process that runs no guests; 125 nobody runs any, "
           "or the host refused.",
};

/* Opened before it is watched: to find out later that it cannot be written would be a pity. */
static struct matrix_error *open_out(const struct options *options, FILE **file)
{
    *file = NULL;
    if (options->out && !(*file = fopen(options->out, "we")))
        return error_new(MATRIX_ERROR_USAGE, errno, NULL, "write the trace to %s", options->out);
    return NULL;
}

static void say(const struct traces *traces)
{
    char text[FORMAT_BYTES];
    const struct trace *first = &traces->cores[0];
    uint64_t stays = 0, lost = 0;
    bool is_full = false;
    for (size_t k = 0; k < traces->count; k++) {
        stays += traces->cores[k].stay_count;
        lost += traces->cores[k].lost;
        is_full |= traces->cores[k].is_full;
    }
    fprintf(stderr, PROGRAM ": %" PRIu64 " stays of %zu guest%s in %s", stays, traces->guest_count,
            traces->guest_count == 1 ? "" : "s",
            format_duration(text, first->end_ns - first->begin_ns));
    if (lost)
        fprintf(stderr, "; %" PRIu64 " were written over before they could be read", lost);
    if (is_full)
        fputs("; no more are kept", stderr);
    fputc('\n', stderr);
}

static struct matrix_error *write_out(const struct options *options, const struct traces *traces,
                                      FILE *file)
{
    if (file)
        RETURN_IF_ERROR(error_prefix(trace_write_json(traces, file), "%s", options->out));
    else if (!options->picture)
        RETURN_IF_ERROR(trace_write_json(traces, stdout));
    if (options->picture)
        RETURN_IF_ERROR(trace_draw(traces, options->picture));
    say(traces);
    return NULL;
}

static struct matrix_error *run(const struct options *options)
{
    struct cli_board *boards = NULL;
    size_t count = 0;
    int number = 0;
    struct traces traces = {0};
    CLEANUP_FILE FILE *file = NULL;
    struct matrix_error *error = cli_boards_open(options->target, &boards, &count);
    size_t processes = 0;
    for (size_t i = 0; i < count; i++)
        processes += boards[i].core == 0;
    if (!error && processes > 1)
        error = error_usage("give the pid of one: see `matrix status`",
                            "%zu processes run guests, among them %d and %d", processes,
                            boards[0].pid, boards[count - 1].pid);
    if (!error)
        error = open_out(options, &file);
    if (!error)
        error = trace_read(boards, count, options->duration_ns, &traces, &number);
    if (!error)
        error = write_out(options, &traces, file);
    trace_free(&traces);
    cli_boards_close(boards, count);
    return error;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct options options = {.duration_ns = DURATION_DEFAULT_NS};
    cli_parse(PROGRAM, &argp, argc, argv, 0, &options);
    struct matrix_error *error = run(&options);
    return error ? cli_fail(PROGRAM, error) : EXIT_SUCCESS;
}
