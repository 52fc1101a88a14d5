// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix logs` and `matrix attach`: the command line. */
#include "cli/console.h"

#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ATTACH_LINES 10
#define DETACH_KEY   0x1d /* Ctrl-], as telnet has it */

static char program[32];

const char *console_program(void)
{
    return program;
}

enum { KEY_RAW = 256, KEY_DETACH, KEY_ECHO, KEY_EOF };

#define OPTION_LINES(help)              \
    {                                   \
        "lines", 'n', "N", 0, (help), 0 \
    }
#define OPTION_RAW                                                                   \
    {                                                                                \
        "raw", KEY_RAW, NULL, 0, "do not escape control characters on a terminal", 0 \
    }

static const struct argp_option logs_options[] = {
    {"follow", 'f', NULL, 0, "go on with what it prints, until it is gone", 0},
    OPTION_LINES("the last N lines (default: all that is remembered)"),
    {"json", 'j', NULL, 0, "an object on a line for each piece", 0},
    OPTION_RAW,
    {0},
};

static const struct argp_option attach_options[] = {
    {"detach-key", KEY_DETACH, "KEY", 0, "^A to ^Z, ^] and the like, or none (default ^])", 0},
    {"echo", KEY_ECHO, NULL, 0, "show what is typed: for guests that do not", 0},
    {"eof", KEY_EOF, NULL, 0,
     "pass the end of standard input on, and stay until the guest is gone (default: leave)", 0},
    OPTION_LINES("first the last N lines that it printed (default 10)"),
    OPTION_RAW,
    {0},
};

/* "^]", "ctrl-]", "none". */
static struct matrix_error *parse_key(const char *text, int *key)
{
    const char *letter = text[0] == '^'                       ? text + 1
                         : strncasecmp(text, "ctrl-", 5) == 0 ? text + 5
                                                              : "";
    const int upper = toupper((unsigned char)letter[0]);
    *key = -1;
    if (strcmp(text, "none") == 0)
        return NULL;
    if (!letter[0] || letter[1] || upper < '@' || upper > '_')
        return error_usage("write ^A to ^Z, ^[, ^\\, ^], ^^, ^_ or ^@; or none",
                           "--detach-key %s: no such key", text);
    *key = upper - '@';
    return NULL;
}

static struct matrix_error *set_value(struct console_options *options, int key, const char *text)
{
    if (key == KEY_DETACH)
        return parse_key(text, &options->detach_key);
    return error_prefix(parse_u64(text, 0, INT32_MAX, &options->lines), "--lines");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct console_options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'f':
        options->follow = true;
        break;
    case 'j':
        options->json = true;
        break;
    case KEY_RAW:
        options->raw = true;
        break;
    case KEY_ECHO:
        options->echo = true;
        break;
    case KEY_EOF:
        options->passes_eof = true;
        break;
    case 'n':
    case KEY_DETACH:
        error = set_value(options, key, argument);
        break;
    case ARGP_KEY_ARG:
        if (options->guest)
            argp_error(state, "one guest at a time");
        options->guest = argument;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name a guest");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error)
        exit(cli_fail(program, error));
    return 0;
}

#define GUEST_IS "GUEST is a name, PID:NAME, or the path of a control socket. "

static const struct argp logs_argp = {logs_options, parse_option, "GUEST",
                                      "Shows what a guest printed lately: the last 64 KiB, whether "
                                      "or not they went to a file.\v" GUEST_IS
                                      "What was printed and is not remembered any more is counted "
                                      "on standard error. Exit status: 0; 122 bad "
                                      "usage, or no such guest; 125 the host refused."};
static const struct argp attach_argp = {
    attach_options, parse_option, "GUEST",
    "A guest's console: shows what it prints, and gives it what is typed, byte by byte. Ctrl-] "
    "leaves; the guest "
    "goes on. Without a terminal standard input is passed on until its end.\v" GUEST_IS
    "The guest must have a console: `console: yes` in the file, or matrix add --console. Exit "
    "status: 0 left, or "
    "the guest is gone; 122 bad usage, no such guest, or one without a console; 125 the host "
    "refused; 128 + n "
    "ended by signal n."};

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct console_options options = {.verb = argc ? argv[0] : "", .detach_key = DETACH_KEY};
    const bool attaches = strcmp(options.verb, "attach") == 0;
    int status = EXIT_SUCCESS;
    if (!attaches && strcmp(options.verb, "logs") != 0)
        return cli_fail("matrix-console",
                        error_usage("see matrix --help", "this program is started by `matrix logs` "
                                                         "and `matrix attach`"));
    snprintf(program, sizeof(program), "matrix %s", options.verb);
    options.lines = attaches ? ATTACH_LINES : CONSOLE_ALL_LINES;
    cli_parse(program, attaches ? &attach_argp : &logs_argp, argc, argv, 0, &options);
    options.escapes = !options.raw && isatty(STDOUT_FILENO);
    struct matrix_error *error =
        attaches ? console_attach(&options, &status) : console_logs(&options, &status);
    return error ? cli_fail(program, error) : status;
}
