// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix cloud`: the guests of a file, by contract, until they end, the time is up or a signal
 * comes. */
#include "cli/cloud.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/find_image.h"
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROGRAM "matrix cloud"

/* What a guest may print per second: enough for any log, too little to drown its neighbours. */
#define OUTPUT_RATE (256 << 10)

#define SCREEN_TICK_NS    250000000ULL
#define PROGRESS_TICK_NS  1000000000ULL
#define EXIT_GUEST_STATUS 1 /* a guest ended with a status other than 0 */

struct options {
    const char *file, *report_path, *kvm_path;
    uint64_t duration_ns, slice_ns;
    int core;
    bool json, plain, quiet;
};

enum { OPTION_REPORT = 256, OPTION_JSON, OPTION_PLAIN, OPTION_KVM };

static const struct argp_option option_table[] = {
    {"report", OPTION_REPORT, "FILE.json", 0, "write the contract report to this file", 0},
    {"json", OPTION_JSON, NULL, 0,
     "print the report as JSON on standard output; what guests print goes to standard error", 0},
    {"duration", 'd', "DURATION", 0, "how long to run, in place of the file's", 0},
    {"slice", 's', "DURATION", 0, "how long a guest runs before another may", 0},
    {"core", 'c', "N|any", 0, "the host CPU to run on (default: the last one allowed)", 0},
    {"plain", OPTION_PLAIN, NULL, 0, "no live table, even on a terminal", 0},
    {"quiet", 'q', NULL, 0, "no table, no progress, no report for people", 0},
    {"kvm", OPTION_KVM, "PATH", 0, "the KVM device (default " MATRIX_KVM_PATH ")", 0},
    {0},
};

static struct matrix_error *set_core(struct options *options, const char *argument)
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
    struct options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case OPTION_REPORT:
        options->report_path = argument;
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
    case 'q':
        options->quiet = true;
        break;
    case 'd':
        error = error_prefix(parse_duration(argument, &options->duration_ns), "--duration");
        break;
    case 's':
        error = error_prefix(parse_duration(argument, &options->slice_ns), "--slice");
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

/* --- before ------------------------------------------------------------------------------ */

/* The last CPU that this process may use: interrupts mostly go to the first. */
static int default_cpu(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) < 0)
        return -1;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--)
        if (CPU_ISSET(cpu, &allowed))
            return cpu;
    return -1;
}

static struct matrix_error *open_output(struct cloud_guest *guest, const char *given,
                                        const char *directory)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof(path), "%s%s%s", given[0] == '/' ? "" : directory,
                 given[0] == '/' ? "" : "/", given) >= PATH_MAX)
        return error_host(ENAMETOOLONG, "open the output file %s", given);
    guest->output_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);
    if (guest->output_fd < 0)
        return error_host(errno, "open the output file %s", path);
    return matrix_output_create(guest->output_fd, &guest->output);
}

static struct matrix_error *create_guest(struct cloud *cloud, unsigned index, const char *directory)
{
    const struct config_guest *config = &cloud->config.guests[index];
    struct cloud_guest *guest = &cloud->guests[index];
    char path[PATH_MAX];
    if (config->output)
        RETURN_IF_ERROR(open_output(guest, config->output, directory));
    find_image(config->image, directory, path);
    struct matrix_vm_options options = {
        .name = config->name,
        .memory_bytes = config->memory_bytes,
        .argv = config->argv,
        .input_fd = -1,
        .output = guest->output ? guest->output : cloud->output,
        .tag = guest->output ? NULL : config->name,
        .output_rate = OUTPUT_RATE,
        .output_lossy = true,
        .output_escape = !guest->output,
    };
    RETURN_IF_ERROR(matrix_vm_create(cloud->kvm, path, &options, &guest->vm));
    return matrix_core_add(cloud->core, guest->vm, config->weight);
}

static struct matrix_error *create_guests(struct cloud *cloud, const char *file)
{
    CLEANUP_FREE char *copy = strdup(file);
    cloud->guests = calloc(cloud->config.guest_count, sizeof(*cloud->guests));
    if (!cloud->guests || !copy)
        return error_host(ENOMEM, "make the guests");
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        cloud->guests[i].output_fd = -1;
    const char *directory = dirname(copy);
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        RETURN_IF_ERROR(error_prefix(create_guest(cloud, i, directory), "guest %s",
                                     cloud->config.guests[i].name));
    return NULL;
}

/* --- meanwhile --------------------------------------------------------------------------- */

/* Starts to print the reports of guests that have faulted since the last time. Nobody waits for it
 * here: the other guests are running. */
static void show_faults(struct cloud *cloud)
{
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct cloud_guest *guest = &cloud->guests[i];
        const struct matrix_report *report = matrix_vm_report(guest->vm);
        if (!report || guest->fault_shown)
            continue;
        guest->fault_shown = true;
        struct matrix_error *error =
            matrix_report_print(report, STDERR_FILENO, false, &guest->renderer);
        if (error)
            cli_fail(PROGRAM, error);
    }
}

static void wait_for_reports(struct cloud *cloud)
{
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        if (cloud->guests[i].renderer)
            waitpid(cloud->guests[i].renderer, NULL, 0);
}

static void tick(struct matrix_core *core, void *context)
{
    struct cloud *cloud = context;
    if (cloud->has_screen)
        cloud_screen_draw(cloud);
    else if (cloud->shows_progress)
        cloud_progress_print(cloud);
    if (!cloud->has_screen)
        show_faults(cloud);
}

/* With a screen, what guests print takes its way through a pipe, to be shown above the table. */
static struct matrix_error *open_shared_output(struct cloud *cloud, const struct options *options)
{
    if (!cloud->has_screen)
        return matrix_output_create(options->json ? STDERR_FILENO : STDOUT_FILENO, &cloud->output);
    /* A whole picture reaches the terminal in one write: it does not flicker. */
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    if (pipe2(cloud->screen_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_host(errno, "make a pipe for the screen");
    return matrix_output_create(cloud->screen_pipe[1], &cloud->output);
}

/* --- after ------------------------------------------------------------------------------- */

static int exit_status(const struct cloud *cloud, const struct matrix_core_result *result)
{
    int status = EXIT_SUCCESS;
    if (result->end == MATRIX_CORE_SIGNAL)
        return EXIT_SIGNAL + result->signal;
    if (matrix_output_failed(cloud->output) == EPIPE)
        return EXIT_SIGNAL + SIGPIPE;
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct matrix_vm_info info;
        matrix_vm_info(cloud->guests[i].vm, &info);
        if (info.state == MATRIX_VM_FAULTED)
            return EXIT_GUEST_FAULT;
        if (info.state == MATRIX_VM_EXITED && info.status != 0)
            status = EXIT_GUEST_STATUS;
    }
    return status;
}

static struct matrix_error *report(struct cloud *cloud, const struct options *options, FILE *file)
{
    if (cloud->has_screen)
        cloud_screen_end(cloud);
    show_faults(cloud);
    wait_for_reports(cloud);
    if (!options->quiet)
        RETURN_IF_ERROR(cloud_report_print(cloud, options->json ? stderr : stdout));
    if (options->json)
        RETURN_IF_ERROR(cloud_report_write_json(cloud, stdout));
    return file ? cloud_report_write_json(cloud, file) : NULL;
}

static void clean_up(struct cloud *cloud)
{
    matrix_core_destroy(cloud->core);
    for (unsigned i = 0; cloud->guests && i < cloud->config.guest_count; i++) {
        matrix_vm_destroy(cloud->guests[i].vm);
        matrix_output_destroy(cloud->guests[i].output);
        if (cloud->guests[i].output_fd >= 0)
            close(cloud->guests[i].output_fd);
    }
    free(cloud->guests);
    matrix_output_destroy(cloud->output);
    for (int end = 0; end < 2; end++)
        if (cloud->screen_pipe[end] >= 0)
            close(cloud->screen_pipe[end]);
    matrix_kvm_close(cloud->kvm);
    config_free(&cloud->config);
}

static struct matrix_error *run(struct cloud *cloud, const struct options *options, int *status)
{
    RETURN_IF_ERROR(config_read(options->file, &cloud->config));
    /* Opened now, so that a run of hours does not end with a report that cannot be written. */
    CLEANUP_FILE FILE *file = options->report_path ? fopen(options->report_path, "we") : NULL;
    if (options->report_path && !file)
        return error_new(MATRIX_ERROR_USAGE, errno, NULL, "write the report to %s",
                         options->report_path);

    const int core = options->core != CONFIG_CORE_UNSET ? options->core : cloud->config.core;
    cloud->host_cpu = core == CONFIG_CORE_UNSET ? default_cpu() : core;
    cloud->slice_ns = options->slice_ns        ? options->slice_ns
                      : cloud->config.slice_ns ? cloud->config.slice_ns
                                               : MATRIX_SLICE_DEFAULT_NS;
    cloud->has_screen =
        !options->plain && !options->quiet && !options->json && isatty(STDOUT_FILENO);
    cloud->shows_progress = !options->quiet && !cloud->has_screen;
    const struct matrix_core_options core_options = {
        .cpu = cloud->host_cpu,
        .slice_ns = cloud->slice_ns,
        .duration_ns = options->duration_ns ? options->duration_ns : cloud->config.duration_ns,
        .tick_ns = cloud->has_screen ? SCREEN_TICK_NS : PROGRESS_TICK_NS,
        .tick = tick,
        .context = cloud,
    };
    RETURN_IF_ERROR(matrix_kvm_open(options->kvm_path, &cloud->kvm));
    RETURN_IF_ERROR(open_shared_output(cloud, options));
    RETURN_IF_ERROR(matrix_core_create(&core_options, &cloud->core));
    RETURN_IF_ERROR(create_guests(cloud, options->file));

    struct matrix_core_result result;
    struct matrix_error *error = matrix_core_run(cloud->core, &result);
    const int lost = matrix_output_failed(cloud->output);
    if (!error && lost && lost != EPIPE)
        error = error_host(lost, "write what the guests print");
    if (!error)
        error = report(cloud, options, file);
    if (!error && file && fflush(file) == EOF)
        error = error_host(errno, "write the report to %s", options->report_path);
    *status = error ? EXIT_HOST : exit_status(cloud, &result);
    return error;
}

int main(int argc, char **argv)
{
    struct options options = {.core = CONFIG_CORE_UNSET};
    struct cloud cloud = {.screen_pipe = {-1, -1}};
    int status = EXIT_HOST;

    setlocale(LC_CTYPE, "");
    argv[0] = (char *)PROGRAM;
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    /* A reader that is gone is an errno (EPIPE), not the end of the monitor. */
    signal(SIGPIPE, SIG_IGN);
    struct matrix_error *error = run(&cloud, &options, &status);
    if (cloud.has_screen)
        cloud_screen_end(&cloud);
    clean_up(&cloud);
    return error ? cli_fail(PROGRAM, error) : status;
}
