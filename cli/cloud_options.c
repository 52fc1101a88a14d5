// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of `matrix cloud`. */
#include "base/error.h"
#include "base/parse.h"
#include "cli/cloud.h"
#include "cli/common.h"
#include "cli/control.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_REPORT = 256,
    OPTION_CHECK,
    OPTION_KEEP,
    OPTION_JSON,
    OPTION_PLAIN,
    OPTION_KVM,
    OPTION_CONTROL
};

static const struct argp_option option_table[] = {
    {"report", OPTION_REPORT, "FILE.json", 0, "write the contract report to this file", 0},
    {"check", OPTION_CHECK, NULL, 0,
     "check the file, print the contract as it will be kept, and run nothing", 0},
    {"json", OPTION_JSON, NULL, 0,
     "print the report as JSON on standard output; what guests print goes to standard error", 0},
    {"keep", OPTION_KEEP, NULL, 0, "go on when all guests have ended: more may be started", 0},
    {"duration", 'd', "DURATION", 0, "how long to run, in place of the file's", 0},
    {"slice", 's', "DURATION", 0, "how long a guest runs before another may", 0},
    {"core", 'c', "N|any", 0, "the host CPU to run on (default: the last one allowed)", 0},
    {"plain", OPTION_PLAIN, NULL, 0, "no live table, even on a terminal", 0},
    {"quiet", 'q', NULL, 0, "no table, no progress, no report for people", 0},
    {"control", OPTION_CONTROL, "PATH|auto|none", 0, CLI_CONTROL_HELP, 0},
    {"kvm", OPTION_KVM, "PATH", 0, "the KVM device (default " MATRIX_KVM_PATH ")", 0},
    {0},
};

static struct matrix_error *set_core(struct cloud_options *options, const char *argument)
{
    uint64_t number = 0;
    options->core = CONFIG_CORE_ANY;
    if (strcmp(argument, "any") == 0)
        return NULL;
    struct matrix_error *error = parse_u64(argument, 0, 1023, &number);
    options->core = (int)number;
    return error_prefix(error, "--core");
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct cloud_options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case OPTION_REPORT:
        options->report_path = argument;
        break;
    case OPTION_CHECK:
        options->check = true;
        break;
    case OPTION_KEEP:
        options->keep = true;
        break;
    case OPTION_JSON:
        options->json = true;
        break;
    case OPTION_PLAIN:
        options->plain = true;
        break;
    case OPTION_KVM:
        options->kvm_path = argument;
        break;
    case OPTION_CONTROL:
        options->control = argument;
        break;
    case 'q':
        options->quiet = true;
        break;
    case 'd':
        error = parse_duration(argument, &options->duration_ns);
        if (!error && options->duration_ns == 0)
            error = error_usage("leave it out to run without end", "it is 0");
        error = error_prefix(error, "--duration");
        break;
    case 's':
        error = parse_duration(argument, &options->slice_ns);
        if (!error && options->slice_ns == 0)
            error = error_usage("use 50us or more; 1ms is the default", "it is 0");
        error = error_prefix(error, "--slice");
        break;
    case 'c':
        error = set_core(options, argument);
        break;
    case ARGP_KEY_ARG:
        if (options->file)
            argp_error(state, "one file, please");
        options->file = argument;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name a file; examples/matrix.yaml is one");
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
    .args_doc = "FILE",
    .doc = "Runs the guests of FILE on one core, each for its share of the time.\v"
           "Exit status: 0 the contract ran to its end, 1 a guest ended with a status other than "
           "0, 120 a guest was ended by a fault, 121 bad image, 122 bad usage or file, 123 no KVM, "
           "125 the host refused, 128+N signal N.",
};

void cloud_options_parse(int argc, char **argv, struct cloud_options *options)
{
    *options = (struct cloud_options){.core = CONFIG_CORE_UNSET};
    argv[0] = (char *)PROGRAM;
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, options);
}
