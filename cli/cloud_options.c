// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of `matrix cloud`. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/cloud.h"
#include "cli/common.h"
#include "cli/control.h"
#include "cli/exit_status.h"
#include "cloud/config_cores.h"
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
    OPTION_CONTROL,
    OPTION_METRICS,
    OPTION_CORES,
    OPTION_CPUS,
    OPTION_REBALANCE,
    OPTION_MOVES
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
    {"cores", OPTION_CORES, "N", 0, "how many cores, each a host CPU (default: 1)", 0},
    {"cpus", OPTION_CPUS, "N,N...", 0, "the host CPUs to run on, one for each core", 0},
    {"rebalance", OPTION_REBALANCE, "DURATION", 0,
     "move guests between cores that are out of balance, so often at most", 0},
    {"moves", OPTION_MOVES, "N", 0, "how many guests may be moved at a time (default: 1)", 0},
    {"plain", OPTION_PLAIN, NULL, 0, "no live table, even on a terminal", 0},
    {"quiet", 'q', NULL, 0, "no table, no progress, no report for people", 0},
    {"control", OPTION_CONTROL, "PATH|auto|none", 0, CLI_CONTROL_HELP, 0},
    {"metrics", OPTION_METRICS, "ADDRESS:PORT", 0,
     "serve metrics of this cloud there, by a process of its own (`matrix metrics`); PORT alone: "
     "on loopback",
     0},
    {"kvm", OPTION_KVM, "PATH", 0, "the KVM device (default " MATRIX_KVM_PATH ")", 0},
    {0},
};

/* "1,2", which it takes apart. */
static struct matrix_error *set_cpus(struct cloud_options *options, char *argument)
{
    char *texts[CONFIG_CORES_MAX];
    unsigned count = 0;
    for (char *rest = argument, *text; (text = strsep(&rest, ",")) && count < CONFIG_CORES_MAX;)
        texts[count++] = text;
    free(TAKE(options->cpus));
    RETURN_IF_ERROR(config_cpus_read(texts, count, &options->cpus));
    options->cores = count;
    return NULL;
}

static struct matrix_error *set_cores(struct cloud_options *options, int key, char *argument)
{
    uint64_t number = 0;
    struct matrix_error *error;
    switch (key) {
    case OPTION_CORES:
        error = parse_u64(argument, 1, CONFIG_CORES_MAX, &number);
        options->cores = (unsigned)number;
        free(TAKE(options->cpus));
        return error_prefix(error, "--cores");
    case OPTION_CPUS:
        return error_prefix(set_cpus(options, argument), "--cpus");
    case OPTION_REBALANCE:
        options->has_rebalance = true;
        return error_prefix(config_rebalance_read(argument, &options->rebalance_ns), "--rebalance");
    default:
        error = parse_u64(argument, 1, CONFIG_MOVES_MAX, &number);
        options->moves = (unsigned)number;
        return error_prefix(error, "--moves");
    }
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
    case OPTION_METRICS:
        options->metrics = argument;
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
        error = error_prefix(config_core_read(argument, &options->core), "--core");
        break;
    case OPTION_CORES:
    case OPTION_CPUS:
    case OPTION_REBALANCE:
    case OPTION_MOVES:
        error = set_cores(options, key, argument);
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
    .doc = "Runs the guests of FILE on one core or several, each for its share of the time.\v"
           "Exit status: 0 the contract ran to its end, 1 a guest ended with a status other than "
           "0, 120 a guest was ended by a fault, 121 bad image, 122 bad usage or file, 123 no KVM, "
           "125 the host refused, 128+N signal N.",
};

void cloud_options_parse(int argc, char **argv, struct cloud_options *options)
{
    *options = (struct cloud_options){.core = CONFIG_CORE_UNSET};
    cli_parse(PROGRAM, &argp, argc, argv, 0, options);
}
