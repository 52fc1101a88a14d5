// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-proc, which `matrix proc` starts: looks into processes by the kernel module matrix_lens,
 * or by /proc where it is not loaded, and says which.
 */
#include "cli/proc.h"

#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "matrix proc"

#define INTERVAL_MINIMUM_NS 1000000ULL
#define INTERVAL_DEFAULT_NS 1000000000ULL

enum {
    KEY_ALL = 256,
    KEY_RUNNING,
    KEY_SOURCE,
    KEY_NO_ADDRESSES,
    KEY_CSV,
    KEY_PHYSICAL,
    KEY_FORCE,
    KEY_TO,
    KEY_OUT,
};

#define OPTION_JSON                                              \
    {                                                            \
        "json", 'j', NULL, 0, "JSON, with units in the names", 0 \
    }
#define OPTION_SOURCE                                                                             \
    {                                                                                             \
        "source", KEY_SOURCE, "module|proc", 0, "Ask this one (the module, if it can be used)", 0 \
    }

static const struct argp_option list_options[] = {
    {"running", KEY_RUNNING, NULL, 0, "Threads that run or could run (default)", 0},
    {"all", KEY_ALL, NULL, 0, "Every process", 0},
    OPTION_JSON,
    OPTION_SOURCE,
    {0},
};

static const struct argp_option common_options[] = {OPTION_JSON, OPTION_SOURCE, {0}};

static const struct argp_option translate_options[] = {
    {"no-addresses", KEY_NO_ADDRESSES, NULL, 0, "No physical addresses, which needs no root", 0},
    OPTION_JSON,
    OPTION_SOURCE,
    {0},
};

static const struct argp_option watch_options[] = {
    {"interval", 'i', "DURATION", 0, "Time between two looks, 1ms or more (1s)", 0},
    {"duration", 'd', "DURATION", 0, "End after this time (when the process does)", 0},
    {"csv", KEY_CSV, "FILE", 0, "Write what was seen there, for `plot`", 0},
    OPTION_JSON,
    OPTION_SOURCE,
    {0},
};

static const struct argp_option poke_options[] = {
    {"physical", KEY_PHYSICAL, "ADDRESS", 0,
     "The physical address: alone, or where the process's byte is believed to be", 0},
    {"force", KEY_FORCE, NULL, 0,
     "Also where others see it: merged by KSM, shared after fork, or no user's memory", 0},
    OPTION_JSON,
    {0},
};

static const struct argp_option reparent_options[] = {
    {"to", KEY_TO, "PID", 0, "The new parent", 0},
    OPTION_JSON,
    {0},
};

static const struct argp_option pgfaults_options[] = {
    {"interval", 'i', "DURATION", 0, "Again and again after this time, with the rate", 0},
    {"duration", 'd', "DURATION", 0, "End after this time (at Ctrl-C)", 0},
    OPTION_JSON,
    {0},
};

static const struct argp_option plot_options[] = {
    {"out", KEY_OUT, "FILE.svg|FILE.png", 0, "Where the picture goes", 0},
    {0},
};

/* Commands' rows; the text behind \v stands below the options. */
static const struct command {
    const char *name, *arguments, *purpose;
    const struct argp_option *options;
    size_t minimum, maximum; /* of arguments */
    proc_command *function;
} commands[] = {
    {"list", "", "Lists the threads that run or could run, or every process.", list_options, 0, 0,
     proc_list},
    {"children", "PID", "Lists the children of a process, with their states.", common_options, 1, 1,
     proc_children},
    {"translate", "PID ADDRESS[-END|+SIZE]...",
     "Says which physical address is behind a virtual one of a process, and what that page is. "
     "Pages that follow one another share a line.",
     translate_options, 2, SIZE_MAX, proc_translate},
    {"footprint", "PID", "Says how much memory a process has, by kind.", common_options, 1, 1,
     proc_footprint},
    {"watch", "PID",
     "Shows the virtual and resident memory of a process over time, until it ends or Ctrl-C.",
     watch_options, 1, 1, proc_watch},
    {"poke", "[PID ADDRESS] BYTE",
     "Writes a byte into the memory of a process at its physical address, and verifies it. Needs "
     "the kernel module.\vEnds with 1 if the byte was another's by the time it was read back.",
     poke_options, 1, 3, proc_poke},
    {"reparent", "PID --to=PID", "Makes a process the child of another. Needs the kernel module.",
     reparent_options, 1, 1, proc_reparent},
    {"pgfaults", "", "Counts the page faults of this machine since it booted.", pgfaults_options, 0,
     0, proc_pgfaults},
    {"plot", "FILE.csv --out=FILE", "Draws what `watch --csv` has recorded.", plot_options, 1, 1,
     proc_plot},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

struct parsing {
    const struct command *command;
    struct proc_options *options;
    struct matrix_error *error;
};

static struct matrix_error *set_source(struct proc_options *options, const char *value)
{
    if (strcmp(value, "module") == 0)
        options->source = MATRIX_LENS_MODULE;
    else if (strcmp(value, "proc") == 0)
        options->source = MATRIX_LENS_PROC;
    else
        return error_usage("module or proc", "--source: no such source: %s", value);
    return NULL;
}

static struct matrix_error *set_interval(struct proc_options *options, const char *value)
{
    options->has_interval = true;
    RETURN_IF_ERROR(error_prefix(parse_duration(value, &options->interval_ns), "--interval"));
    if (options->interval_ns < INTERVAL_MINIMUM_NS)
        return error_usage("1ms or more", "--interval: %s is too short", value);
    return NULL;
}

static struct matrix_error *set_option(struct proc_options *options, int key, const char *value)
{
    switch (key) {
    case 'j':
        options->json = true;
        return NULL;
    case 'i':
        return set_interval(options, value);
    case 'd':
        return error_prefix(parse_duration(value, &options->duration_ns), "--duration");
    case KEY_ALL:
    case KEY_RUNNING:
        options->all = key == KEY_ALL;
        return NULL;
    case KEY_SOURCE:
        return set_source(options, value);
    case KEY_NO_ADDRESSES:
        options->no_addresses = true;
        return NULL;
    case KEY_CSV:
        options->csv = value;
        return NULL;
    case KEY_PHYSICAL:
        options->has_physical = true;
        return error_prefix(parse_u64(value, 0, UINT64_MAX, &options->physical_address),
                            "--physical");
    case KEY_FORCE:
        options->force = true;
        return NULL;
    case KEY_TO:
        options->to = value;
        return NULL;
    default: /* KEY_OUT */
        options->out = value;
        return NULL;
    }
}

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct parsing *parsing = state->input;
    if (key == ARGP_KEY_INIT || key == ARGP_KEY_FINI || key == ARGP_KEY_SUCCESS ||
        key == ARGP_KEY_ERROR || key == ARGP_KEY_END || key == ARGP_KEY_NO_ARGS)
        return 0;
    if (key == ARGP_KEY_ARG)
        return ARGP_ERR_UNKNOWN; /* all of them at once, below */
    if (key == ARGP_KEY_ARGS) {
        parsing->options->arguments = state->argv + state->next;
        parsing->options->argument_count = (size_t)(state->argc - state->next);
        return 0;
    }
    if (!parsing->error)
        parsing->error = set_option(parsing->options, key, value);
    return 0;
}

static struct matrix_error *run(struct parsing *parsing)
{
    const struct command *command = parsing->command;
    struct proc_options *options = parsing->options;
    if (parsing->error)
        return parsing->error;
    if (options->argument_count < command->minimum || options->argument_count > command->maximum)
        return error_usage("see `" PROGRAM " COMMAND --help`", "%s takes: %s%s", command->name,
                           *command->arguments ? command->arguments : "no argument", "");
    RETURN_IF_ERROR(matrix_lens_open(options->source, &options->lens));
    struct matrix_error *error = command->function(options);
    matrix_lens_close(options->lens);
    if (!error && (fflush(stdout) || ferror(stdout)))
        return error_host(errno, "write to standard output");
    return error;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int show_help(FILE *to, int status)
{
    fputs("Usage: " PROGRAM " COMMAND [OPTION...] [ARGUMENT...]\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-9s %s\n", commands[i].name, commands[i].arguments);
    fputs("\n'" PROGRAM " COMMAND --help' tells more.\n", to);
    return status;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    setlocale(LC_CTYPE, ""); /* whether the terminal takes UTF-8; numbers stay in C */
    const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return show_help(stdout, EXIT_SUCCESS);
    if (argc > 1 && !command)
        return cli_fail(PROGRAM,
                        error_usage("see `" PROGRAM " --help`", "no such command: %s", argv[1]));
    if (!command)
        return show_help(stderr, EXIT_BAD_USAGE);
    char name[64];
    snprintf(name, sizeof(name), PROGRAM " %s", command->name);
    argv[1] = name;
    argp_err_exit_status = EXIT_BAD_USAGE;

    struct proc_options options = {.source = MATRIX_LENS_BEST, .interval_ns = INTERVAL_DEFAULT_NS};
    struct parsing parsing = {.command = command, .options = &options};
    const struct argp parser = {
        command->options, parse_argument, command->arguments, command->purpose, NULL, NULL, NULL};
    argp_parse(&parser, argc - 1, argv + 1, 0, NULL, &parsing);
    struct matrix_error *error = run(&parsing);
    return error ? cli_fail(name, error) : options.status;
}
