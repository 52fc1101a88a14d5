// SPDX-License-Identifier: GPL-2.0-or-later
/* The options of `matrix run`. */
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/control.h"
#include "cli/exit_status.h"
#include "cli/find_image.h"
#include "cli/run.h"
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    OPTION_STACK = 256,
    OPTION_MERGEABLE,
    OPTION_HUGE_PAGES,
    OPTION_LOCK,
    OPTION_PREFAULT,
    OPTION_SMALL_PAGES,
    OPTION_VCPUS_MAX,
    OPTION_CPU,
    OPTION_SLICE,
    OPTION_TRANSLATE,
    OPTION_JSON,
    OPTION_RAW,
    OPTION_HIDE,
    OPTION_KVM,
    OPTION_STATISTICS,
    OPTION_CONTROL,
};

static const struct argp_option options[] = {
    {"memory", 'm', "SIZE", 0, "guest memory, 2M or more (default 16M)", 1},
    {"stack", OPTION_STACK, "SIZE", 0, "the first virtual CPU's stack (default 256K)", 1},
    {"mergeable", OPTION_MERGEABLE, NULL, 0, "offer guest memory to KSM", 1},
    {"huge-pages", OPTION_HUGE_PAGES, NULL, 0, "back guest memory with huge pages", 1},
    {"lock", OPTION_LOCK, NULL, 0, "never swap guest memory", 1},
    {"prefault", OPTION_PREFAULT, NULL, 0, "make all guest memory present at the start", 1},
    {"small-pages", OPTION_SMALL_PAGES, NULL, 0, "use 4 KiB pages only in the guest's page tables",
     1},
    {"vcpus-max", OPTION_VCPUS_MAX, "N", 0, "how many virtual CPUs it may start (default 16)", 1},
    {"name", 'n', "NAME", 0, "the guest's name in reports (default: the image's)", 2},
    {"env", 'e', "NAME=VALUE", 0, "put this into the guest's environment; may be repeated", 2},
    {"timeout", 't', "DURATION", 0, "end the guest after this time, with status 124", 3},
    {"cpu", OPTION_CPU, "N", 0, "run on this host CPU only", 3},
    {"slice", OPTION_SLICE, "DURATION", 0,
     "how long a virtual CPU runs before the next (default 1ms)", 3},
    {"translate", OPTION_TRANSLATE, "ADDRESS", 0,
     "at the end, translate this guest-virtual address; may be repeated", 4},
    {"statistics", OPTION_STATISTICS, NULL, 0, "at the end, print exits and times", 4},
    {"json", OPTION_JSON, NULL, 0,
     "print the result as one JSON object on standard output; what the guest prints goes to "
     "standard error",
     4},
    {"raw", OPTION_RAW, NULL, 0,
     "do not escape control characters when standard output is a terminal", 4},
    {"hide-host-addresses", OPTION_HIDE, NULL, 0,
     "do not tell the guest where its memory is in the monitor", 5},
    {"control", OPTION_CONTROL, "PATH|auto|none", 0, CLI_CONTROL_HELP, 5},
    {"kvm", OPTION_KVM, "PATH", 0, "the KVM device (default " MATRIX_KVM_PATH ")", 5},
    {0},
};

/* Options that only set a flag of the guest's memory. */
static unsigned memory_flag(int key)
{
    switch (key) {
    case OPTION_MERGEABLE:
        return MATRIX_MEMORY_MERGEABLE;
    case OPTION_HUGE_PAGES:
        return MATRIX_MEMORY_HUGE;
    case OPTION_LOCK:
        return MATRIX_MEMORY_LOCKED;
    case OPTION_PREFAULT:
        return MATRIX_MEMORY_PREFAULT;
    case OPTION_SMALL_PAGES:
        return MATRIX_MEMORY_SMALL_PAGES;
    default:
        return 0;
    }
}

static struct matrix_error *add_translation(struct run_options *run, const char *argument)
{
    if (run->translate_count == RUN_LIST_MAX)
        return error_usage(NULL, "more than %d addresses to translate", RUN_LIST_MAX);
    return parse_u64(argument, 0, UINT64_MAX, &run->translate[run->translate_count++]);
}

static struct matrix_error *add_environment(struct run_options *run, const char *argument)
{
    if (run->environment_count == RUN_LIST_MAX)
        return error_usage(NULL, "more than %d variables for the environment", RUN_LIST_MAX);
    if (!strchr(argument, '='))
        return error_usage("write NAME=VALUE", "environment variable %s", argument);
    run->environment[run->environment_count++] = argument;
    return NULL;
}

/* 0 stands for "not given" below, and is not what anybody means by these. */
static struct matrix_error *refuse_zero(struct matrix_error *error, const uint64_t *value)
{
    return error || *value ? error : error_usage("give it more, or leave it out", "it is 0");
}

/* Options with a value. */
static struct matrix_error *set_value(struct run_options *run, int key, const char *argument)
{
    uint64_t number = 0;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'm':
        return refuse_zero(parse_size(argument, &run->vm.memory_bytes), &run->vm.memory_bytes);
    case OPTION_STACK:
        return refuse_zero(parse_size(argument, &run->vm.stack_bytes), &run->vm.stack_bytes);
    case 't':
        return refuse_zero(parse_duration(argument, &run->core.duration_ns),
                           &run->core.duration_ns);
    case OPTION_SLICE:
        return refuse_zero(parse_duration(argument, &run->core.slice_ns), &run->core.slice_ns);
    case OPTION_TRANSLATE:
        return add_translation(run, argument);
    case 'e':
        return add_environment(run, argument);
    case OPTION_VCPUS_MAX:
        error = parse_u64(argument, 1, MATRIX_VCPUS_MAX, &number);
        run->vm.vcpus_max = (unsigned)number;
        return error;
    case OPTION_CPU:
        error = parse_u64(argument, 0, 1023, &number);
        run->core.cpu = (int)number;
        return error;
    case 'n':
        snprintf(run->name, sizeof(run->name), "%s", argument);
        return NULL;
    case OPTION_KVM:
        run->kvm_path = argument;
        return NULL;
    case OPTION_CONTROL:
        run->control = argument;
        return NULL;
    default:
        return NULL;
    }
}

static const char *option_name(int key)
{
    for (const struct argp_option *option = options; option->name; option++)
        if (option->key == key)
            return option->name;
    return "option";
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct run_options *run = state->input;
    if (memory_flag(key)) {
        run->vm.memory_flags |= memory_flag(key);
        return 0;
    }
    switch (key) {
    case OPTION_JSON:
        run->json = true;
        return 0;
    case OPTION_RAW:
        run->raw = true;
        return 0;
    case OPTION_STATISTICS:
        run->statistics = true;
        return 0;
    case OPTION_HIDE:
        run->vm.hide_host_addresses = true;
        return 0;
    case ARGP_KEY_ARG:
        /* What follows the guest belongs to it, dashes or not. */
        run->guest = argument;
        run->vm.argv = (const char *const *)state->argv + state->next - 1;
        state->next = state->argc;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name a guest: a path, or one of those that come with Matrix");
        return 0;
    default:
        break;
    }
    if (!argument)
        return ARGP_ERR_UNKNOWN;
    struct matrix_error *error = set_value(run, key, argument);
    if (error)
        exit(cli_fail("matrix run", error_prefix(error, "--%s", option_name(key))));
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .args_doc = "GUEST [ARGUMENT...]",
    .doc = "Runs one guest in the foreground and exits with its status.\v"
           "GUEST is the path of an ELF image, or the name of one that comes with Matrix, such as "
           "hello or primes.\n"
           "Exit status: the guest's own; 120 guest fault, 121 bad image, 122 bad usage, 123 no "
           "KVM, 124 timeout, 125 the host refused, 128+N signal N.",
};

/* "build/guest/hello.elf" is called hello. */
static void name_guest(struct run_options *run)
{
    const char *slash = strrchr(run->path, '/');
    snprintf(run->name, sizeof(run->name), "%.63s", slash ? slash + 1 : run->path);
    char *suffix = strstr(run->name, ".elf");
    if (suffix && suffix[4] == '\0')
        *suffix = '\0';
}

void run_options_parse(int argc, char **argv, struct run_options *run)
{
    *run = (struct run_options){
        .core.cpu = -1,
        .vm.input_fd = STDIN_FILENO,
    };
    cli_parse("matrix run", &argp, argc, argv, ARGP_IN_ORDER, run);
    find_image(run->guest, "", run->path);
    if (!run->name[0])
        name_guest(run);
    run->vm.name = run->name;
    run->vm.envp = run->environment;
}
