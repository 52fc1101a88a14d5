// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-lab, which `matrix lab` starts: run a command in a throwaway machine, open a shell
 * there, or test that the lab itself can be trusted. docs/lab.md is its manual.
 */
#include "lab/lab.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/lab_test.h"
#include <argp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define PROGRAM "matrix lab"

/* What is shown of the log when the machine hung or died. */
#define LOG_END_LINES 40

/* Bits of the taint mask that mean that something broke: machine check, bad page, oops,
 * warning, soft lockup (Documentation/admin-guide/tainted-kernels.rst). */
#define TAINT_BROKEN (1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14)

#define LIST_MAX 32

struct arguments {
    struct lab_options options;
    const char *shares[LIST_MAX];
    const char *environment[LIST_MAX];
    bool json;
    struct matrix_error *error;
};

enum { KEY_KERNEL_LOG = 256, KEY_JSON };

static const struct argp_option run_options[] = {
    {"memory", 'm', "SIZE", 0, "Memory of the machine; what is written there counts (2G)", 0},
    {"cpus", 'c', "N", 0, "Virtual CPUs (1)", 0},
    {"timeout", 't', "DURATION", 0,
     "End the command after this time, 0s: never (run: 10min, shell: 0s)", 0},
    {"share", 's', "DIRECTORY", 0, "Let the command write to this directory; may be repeated", 0},
    {"env", 'e', "NAME=VALUE", 0, "Set a variable for the command; may be repeated", 0},
    {"kernel", 'k', "KERNEL", 0,
     "6.1, 5.10, 6.12, 7.3, debug, or a Debian package of the kernel (linux-image-amd64)", 0},
    {"kernel-log", KEY_KERNEL_LOG, "FILE", 0, "Keep the kernel's log", 0},
    {"verbose", 'v', NULL, 0, "Show the kernel's log while it is written, and the boot time", 0},
    {0},
};

static const struct argp_option test_options[] = {
    {"json", KEY_JSON, NULL, 0, "Report as JSON", 0},
    {0},
};

static struct matrix_error *append(const char **list, size_t *count, const char *item)
{
    if (*count == LIST_MAX)
        return error_usage(NULL, "more than %d options of a kind", LIST_MAX);
    list[(*count)++] = item;
    return NULL;
}

static struct matrix_error *set_memory(struct lab_options *options, const char *text)
{
    RETURN_IF_ERROR(parse_size(text, &options->memory_bytes));
    if (options->memory_bytes < (uint64_t)256 << 20)
        return error_usage(NULL, "%s of memory: the machine needs 256M at least", text);
    return NULL;
}

static struct matrix_error *set_cpus(struct lab_options *options, const char *text)
{
    uint64_t cpus;
    RETURN_IF_ERROR(parse_u64(text, 1, 255, &cpus));
    options->cpus = (unsigned)cpus;
    return NULL;
}

static struct matrix_error *set_option(struct arguments *arguments, int key, const char *value)
{
    struct lab_options *options = &arguments->options;
    switch (key) {
    case 'm':
        return error_prefix(set_memory(options, value), "--memory");
    case 'c':
        return error_prefix(set_cpus(options, value), "--cpus");
    case 't':
        return error_prefix(parse_duration(value, &options->timeout_ns), "--timeout");
    case 's':
        return append(arguments->shares, &options->share_count, value);
    case 'e':
        return append(arguments->environment, &options->environment_count, value);
    case 'k':
        options->kernel = value;
        return NULL;
    case KEY_KERNEL_LOG:
        options->log_path = value;
        return NULL;
    case 'v':
        options->verbose = true;
        return NULL;
    default: /* KEY_JSON */
        arguments->json = true;
        return NULL;
    }
}

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    if (key == ARGP_KEY_INIT || key == ARGP_KEY_FINI || key == ARGP_KEY_SUCCESS ||
        key == ARGP_KEY_ERROR || key == ARGP_KEY_END || key == ARGP_KEY_NO_ARGS)
        return 0;
    if (key == ARGP_KEY_ARG) /* the command begins; its own options are not ours */
        return ARGP_ERR_UNKNOWN;
    if (key == ARGP_KEY_ARGS) {
        arguments->options.command = state->argv + state->next;
        return 0;
    }
    if (!arguments->error)
        arguments->error = set_option(arguments, key, value);
    return 0;
}

static const char *explain_death(const struct lab_result *result)
{
    return result->boot_ns ? "the machine ended before the command did"
                           : "the machine did not come up";
}

static void show_log_end(const struct lab_result *result)
{
    fputs(PROGRAM ": the end of the kernel's log:\n", stderr);
    kernel_log_write_end(result->log, LOG_END_LINES, stderr);
}

/* The status if the kernel complained, else 0. What it says outweighs how the command ended. */
static int report_complaints(const struct lab_result *result)
{
    size_t complaints = kernel_log_count_complaints(result->log);
    bool tainted = result->taint & TAINT_BROKEN;
    if (complaints == 0 && !tainted)
        return 0;
    if (complaints == 0) {
        fprintf(stderr, PROGRAM ": the kernel is tainted (%llu), though its log shows no cause\n",
                (unsigned long long)result->taint);
        show_log_end(result);
    } else {
        fprintf(stderr, PROGRAM ": the kernel complained, see the lines with '>':\n");
        kernel_log_write_complaints(result->log, stderr);
    }
    if (result->end == LAB_COMMAND_ENDED)
        fprintf(stderr, PROGRAM ": the command itself ended with status %d\n", result->number);
    return EXIT_LAB_KERNEL;
}

static int report_result(const struct lab_options *options, const struct lab_result *result)
{
    if (result->messages[0])
        fprintf(stderr, PROGRAM ": QEMU says: %s", result->messages);
    if (result->end == LAB_INTERRUPTED)
        return EXIT_SIGNAL + result->number;

    int status = report_complaints(result);
    char text[FORMAT_BYTES];
    switch (result->end) {
    case LAB_TIMED_OUT:
        if (result->boot_ns)
            fprintf(stderr, PROGRAM ": the time limit of %s is up\n",
                    format_duration(text, options->timeout_ns));
        else
            fprintf(stderr, PROGRAM ": the machine did not come up in time\n");
        show_log_end(result);
        return status ? status : EXIT_TIMEOUT;
    case LAB_MACHINE_DIED:
        fprintf(stderr, PROGRAM ": %s\n", explain_death(result));
        if (!status)
            show_log_end(result);
        return status ? status : EXIT_HOST;
    default:
        return status ? status : result->number;
    }
}

static int run(const struct lab_options *options)
{
    struct lab_result result;
    struct matrix_error *error = lab_run(options, &result);
    if (error)
        return cli_fail(PROGRAM, error);
    int status = report_result(options, &result);
    char text[FORMAT_BYTES];
    if (options->verbose && result.boot_ns)
        fprintf(stderr, PROGRAM ": boot to command: %s\n", format_duration(text, result.boot_ns));
    lab_result_free(&result);
    return status;
}

static int command_run(struct arguments *arguments)
{
    if (!arguments->options.command)
        return cli_fail(
            PROGRAM, error_usage("matrix lab run -- COMMAND [ARGUMENT...]", "no command to run"));
    if (arguments->options.timeout_ns == UINT64_MAX)
        arguments->options.timeout_ns = 600 * UINT64_C(1000000000);
    return run(&arguments->options);
}

static int command_shell(struct arguments *arguments)
{
    static char *const shell[] = {"/bin/bash", "-l", NULL};
    if (arguments->options.command)
        return cli_fail(PROGRAM,
                        error_usage("matrix lab run -- COMMAND", "shell takes no command"));
    if (arguments->options.timeout_ns == UINT64_MAX)
        arguments->options.timeout_ns = 0;
    arguments->options.terminal = true;
    arguments->options.command = shell;
    fputs("A throwaway machine; 'exit' ends it, and so does Ctrl-] whatever happens.\n", stderr);
    return run(&arguments->options);
}

static int command_test(struct arguments *arguments)
{
    return lab_test(arguments->json);
}

static int command_check_kvm(struct arguments *arguments)
{
    return lab_test_check_kvm();
}

static const struct command {
    const char *name;
    const char *arguments, *purpose;
    const struct argp_option *options;
    int (*function)(struct arguments *arguments);
} commands[] = {
    {"run", "[--] COMMAND [ARGUMENT...]",
     "Runs COMMAND as root in a throwaway machine with a stock Debian kernel, on this "
     "host's files and in the current directory. What it writes stays there."
     "\vExits with the command's status; 119 if the kernel complained (panic, oops, warning, "
     "lock report, stall), 122 on bad usage, 124 at the time limit, 125 if the lab failed.",
     run_options, command_run},
    {"shell", "", "Opens a shell as root in a throwaway machine. Ctrl-] ends it.", run_options,
     command_shell},
    {"test", "", "Tests that the lab can be trusted.", test_options, command_test},
    {"check-kvm", NULL, "", NULL, command_check_kvm}, /* runs inside, for `test` */
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int show_help(FILE *to, int status)
{
    fputs("Usage: " PROGRAM " COMMAND [OPTION...]\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].arguments)
            fprintf(to, "  %-6s %s\n", commands[i].name, commands[i].arguments);
    fputs("\n'" PROGRAM " COMMAND --help' tells more.\n", to);
    return status;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    const struct command *command = argc > 1 ? find_command(argv[1]) : NULL;
    if (!command)
        return argc > 1 && strcmp(argv[1], "--help") == 0 ? show_help(stdout, 0)
                                                          : show_help(stderr, EXIT_BAD_USAGE);
    char name[64];
    snprintf(name, sizeof(name), PROGRAM " %s", command->name);
    argv[1] = name;
    argp_err_exit_status = EXIT_BAD_USAGE;

    struct arguments arguments = {
        .options = {.kernel = "linux-image-amd64",
                    .memory_bytes = (uint64_t)2 << 30,
                    .cpus = 1,
                    .timeout_ns = UINT64_MAX},
    };
    arguments.options.share = arguments.shares;
    arguments.options.environment = arguments.environment;
    const struct argp parser = {
        command->options, parse_argument, command->arguments, command->purpose, NULL, NULL, NULL};
    argp_parse(&parser, argc - 1, argv + 1, ARGP_IN_ORDER, NULL, &arguments);
    return arguments.error ? cli_fail(PROGRAM, arguments.error) : command->function(&arguments);
}
