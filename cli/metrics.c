// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-metrics, which `matrix metrics` starts: what guests get, for Prometheus and whatever else reads
 * OpenMetrics. A program of its own, so that who runs guests carries no HTTP; it reads their boards.
 */
#include "cli/metrics.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/look.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LISTEN_DEFAULT "127.0.0.1:9464"

#define MAP_INTERVAL_DEFAULT_NS 60000000000ULL
#define MAP_INTERVAL_MINIMUM_NS 1000000000ULL

struct options {
    const char *listen, *target;
    bool waits;
    uint64_t map_interval_ns; /* 0: no maps */
};

static const struct argp_option option_table[] = {
    {"listen", 'l', "ADDRESS:PORT", 0, "Where (" LISTEN_DEFAULT "); port 0: any that is free", 0},
    {"ksm", 'k', "INTERVAL", OPTION_ARG_OPTIONAL,
     "Also what KSM merged of each guest, by a map of their memory, taken anew after so long (60s; "
     "1s or more). "
     "For root",
     0},
    {"wait", 'w', NULL, 0,
     "Whoever is named need not run guests yet: who starts to is there at the next scrape", 0},
    {0},
};

static struct matrix_error *set_map_interval(struct options *options, const char *text)
{
    options->map_interval_ns = MAP_INTERVAL_DEFAULT_NS;
    if (text)
        RETURN_IF_ERROR(error_prefix(parse_duration(text, &options->map_interval_ns), "--ksm"));
    if (options->map_interval_ns < MAP_INTERVAL_MINIMUM_NS)
        return error_usage("use 1s or more: each map walks through all memory of the guests",
                           "--ksm=%s", text);
    return NULL;
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'k':
        error = set_map_interval(options, argument);
        break;
    case 'l':
        options->listen = argument;
        break;
    case 'w':
        options->waits = true;
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
    .doc =
        "Serves what the guests get that run here, or those of one process, over HTTP at /metrics, "
        "as OpenMetrics. SOCKET is the path of a control socket. Goes on until SIGINT, SIGTERM or "
        "SIGHUP.\v"
        "Exit status: 128 + the signal that ended it; 122 bad usage, or a process that runs no "
        "guests; "
        "125 the host refused.",
};

/* Whoever names a process wants to hear at once that it runs no guests, unless it is about to. */
static struct matrix_error *check_target(struct metrics *metrics, const struct options *options)
{
    const char *target = options->target;
    if (!target)
        return NULL;
    struct cli_board *boards = NULL;
    size_t count = 0;
    struct matrix_error *error = options->waits ? NULL : cli_boards_open(target, &boards, &count);
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
    struct metrics_map map = {.interval_ns = options->map_interval_ns};
    struct metrics metrics = {.map = map.interval_ns ? &map : NULL};
    struct metrics_server *server = NULL;
    struct sockaddr_storage address;
    CLEANUP_FREE char *url = NULL;
    RETURN_IF_ERROR(error_prefix(metrics_parse_address(options->listen, &address), "--listen"));
    RETURN_IF_ERROR(check_target(&metrics, options));
    if (metrics.map)
        RETURN_IF_ERROR(metrics_map_check());
    look_block_ends(); /* the server's thread inherits it */
    struct matrix_error *error = metrics_serve(&address, &metrics, &server, &url);
    if (!error)
        error = tell(&address, url);
    while (!error && *number == 0)
        *number = look_wait_until(UINT64_MAX);
    metrics_stop(server);
    metrics_free(&metrics);
    free(map.guests);
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
