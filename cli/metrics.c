// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-metrics, which `matrix metrics` starts: what guests get, for Prometheus and whatever else reads
 * OpenMetrics. A program of its own, so that who runs guests carries no HTTP; it reads their boards.
 */
#include "cli/metrics.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/look.h"
#include <argp.h>
#include <errno.h>
#include <string.h>

#define LISTEN_DEFAULT "127.0.0.1:9464"

struct options {
    const char *listen, *target;
};

static const struct argp_option option_table[] = {
    {"listen", 'l', "ADDRESS:PORT", 0, "Where (" LISTEN_DEFAULT "); port 0: any that is free", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    switch (key) {
    case 'l':
        options->listen = argument;
        break;
    case ARGP_KEY_ARG:
        if (options->target)
            argp_usage(state);
        options->target = argument;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "[PID|SOCKET]",
    .doc =
        "Serves what the guests get that run here, or those of one process, over HTTP at /metrics, "
        "as OpenMetrics. SOCKET is the path of a control socket. Goes on until SIGINT, SIGTERM or "
        "SIGHUP.\v"
        "Exit status: 128 + the signal that ended it; 122 bad usage, or a process that runs no "
        "guests; "
        "125 the host refused.",
};

/* Whoever names a process wants to hear at once that it runs no guests. */
static struct matrix_error *check_target(struct metrics *metrics, const char *target)
{
    if (!target)
        return NULL;
    struct cli_board *boards = NULL;
    size_t count = 0;
    struct matrix_error *error = cli_boards_open(target, &boards, &count);
    cli_boards_close(boards, count);
    if (!error && strchr(target, '/'))
        metrics->socket_path = target;
    else if (!error)
        error = cli_parse_pid(target, &metrics->pid);
    return error;
}

static struct matrix_error *tell(const struct sockaddr_storage *address, const char *url)
{
    if (!metrics_is_loopback(address))
        fputs(PROGRAM ": whoever reaches that address can read this: there is no password\n",
              stderr);
    printf("%s\n", url);
    return fflush(stdout) ? error_host(errno, "write to standard output") : NULL;
}

static struct matrix_error *run(const struct options *options, int *number)
{
    struct metrics metrics = {0};
    struct metrics_server *server = NULL;
    struct sockaddr_storage address;
    CLEANUP_FREE char *url = NULL;
    RETURN_IF_ERROR(error_prefix(metrics_parse_address(options->listen, &address), "--listen"));
    RETURN_IF_ERROR(check_target(&metrics, options->target));
    look_block_ends(); /* the server's thread inherits it */
    struct matrix_error *error = metrics_serve(&address, &metrics, &server, &url);
    if (!error)
        error = tell(&address, url);
    while (!error && *number == 0)
        *number = look_wait_until(UINT64_MAX);
    metrics_stop(server);
    metrics_free(&metrics);
    return error;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct options options = {.listen = LISTEN_DEFAULT};
    int number = 0;
    cli_parse(PROGRAM, &argp, argc, argv, 0, &options);
    struct matrix_error *error = run(&options, &number);
    return error ? cli_fail(PROGRAM, error) : EXIT_SIGNAL + number;
}
