// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix cloud`: the guests of a file, by contract, until they end, the time is up or a signal
 * comes. */
#include "cli/cloud.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/control.h"
#include "cli/exit_status.h"
#include "cli/find_image.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* What a guest may print per second: enough for any log, too little to drown its neighbours. */
#define OUTPUT_RATE (256 << 10)

#define SCREEN_TICK_NS    250000000ULL
#define PROGRESS_TICK_NS  1000000000ULL
#define RENDER_WAIT_MS    2000 /* for all of them together */
#define REPORT_PART       (16 << 10)
#define EXIT_GUEST_STATUS 1 /* a guest ended with a status other than 0 */

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
    guest->output_fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644);
    if (guest->output_fd < 0)
        return error_host(errno, "open the output file %s", path);
    return matrix_output_create(guest->output_fd, &guest->output);
}

static struct matrix_contract contract_of(const struct cloud *cloud,
                                          const struct config_contract *config)
{
    return (struct matrix_contract){
        .weight = config->weight,
        .floor_ppm = config->floor_ppm,
        .ceiling_ppm = config->ceiling_ppm,
        .latency_ns = config->latency_ns,
        .group = config->group == CONFIG_NO_GROUP ? NULL : cloud->groups[config->group],
    };
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
        .memory_flags = config->mergeable ? MATRIX_MEMORY_MERGEABLE : 0,
        .argv = config->argv,
        .input_fd = -1,
        .output = guest->output ? guest->output : cloud->output,
        .tag = guest->output ? NULL : config->name,
        .output_rate = OUTPUT_RATE,
        .output_lossy = true,
        .output_escape = !guest->output,
    };
    RETURN_IF_ERROR(matrix_vm_create(cloud->kvm, path, &options, &guest->vm));
    const struct matrix_contract contract = contract_of(cloud, &config->contract);
    return matrix_core_add_contract(cloud->core, guest->vm, &contract);
}

static struct matrix_error *create_groups(struct cloud *cloud)
{
    const struct cloud_config *config = &cloud->config;
    cloud->groups = calloc(config->group_count + 1, sizeof(struct matrix_core_group *));
    if (!cloud->groups)
        return error_host(ENOMEM, "make the groups");
    for (unsigned i = 0; i < config->group_count; i++) {
        const struct matrix_contract contract = contract_of(cloud, &config->groups[i].contract);
        RETURN_IF_ERROR(error_prefix(matrix_core_add_group(cloud->core, config->groups[i].name,
                                                           &contract, &cloud->groups[i]),
                                     "group %s", config->groups[i].name));
    }
    return NULL;
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
        RETURN_IF_ERROR(error_prefix(create_guest(cloud, i, directory), "%s: guest %s", file,
                                     cloud->config.guests[i].name));
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        double least;
        matrix_core_promise(cloud->core, i, &least, &cloud->guests[i].promised);
    }
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

/* A report that nobody reads (standard error is stopped) is given up after a while. */
static void wait_for_reports(struct cloud *cloud)
{
    unsigned tries = 0;
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        const pid_t pid = cloud->guests[i].renderer;
        if (!pid)
            continue;
        while (waitpid(pid, NULL, WNOHANG) == 0 && tries++ < RENDER_WAIT_MS)
            usleep(1000);
        if (tries >= RENDER_WAIT_MS && kill(pid, SIGKILL) == 0)
            waitpid(pid, NULL, 0);
    }
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
    /* Nobody hears the guests any more, not even those that have nothing to say. */
    if (matrix_output_failed(cloud->output))
        matrix_core_stop(core);
}

/* With a screen, what guests print takes its way through a pipe, to be shown above the table. */
static struct matrix_error *open_outputs(struct cloud *cloud, const struct cloud_options *options)
{
    RETURN_IF_ERROR(
        matrix_output_create(cloud->has_screen ? STDOUT_FILENO : STDERR_FILENO, &cloud->terminal));
    if (!cloud->has_screen)
        return matrix_output_create(options->json ? STDERR_FILENO : STDOUT_FILENO, &cloud->output);
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

/* The report for people, behind what the guests have printed. A reader who takes nothing for a
 * second does not get the rest. */
static struct matrix_error *print_report(struct cloud *cloud)
{
    struct matrix_output *output = cloud->has_screen ? cloud->terminal : cloud->output;
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return error_host(errno, "make the report");
    struct matrix_error *error = cloud_report_print(cloud, file);
    fclose(file);
    for (size_t done = 0, tries = 0; !error && done < bytes && tries < 1000;) {
        const size_t part = bytes - done < REPORT_PART ? bytes - done : REPORT_PART;
        const bool taken = matrix_output_write(output, text + done, part);
        done += taken ? part : 0;
        tries = taken ? 0 : tries + 1;
        if (!taken)
            usleep(1000);
    }
    return error;
}

static struct matrix_error *report(struct cloud *cloud, const struct cloud_options *options)
{
    cloud_screen_end(cloud);
    show_faults(cloud);
    wait_for_reports(cloud);
    if (!options->quiet)
        RETURN_IF_ERROR(print_report(cloud));
    if (options->json)
        RETURN_IF_ERROR(cloud_report_write_json(cloud, stdout));
    return NULL;
}

/* What guests printed must have arrived, or somebody must be told. */
static struct matrix_error *check_outputs(const struct cloud *cloud)
{
    const int lost = matrix_output_failed(cloud->output);
    if (lost)
        return error_host(lost, "write what the guests print");
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        const struct matrix_output *output = cloud->guests[i].output;
        if (output && matrix_output_failed(output))
            return error_host(matrix_output_failed(output), "guest %s: write its output to %s",
                              cloud->config.guests[i].name, cloud->config.guests[i].output);
    }
    return NULL;
}

static void clean_up(struct cloud *cloud)
{
    control_server_stop(cloud->control);
    matrix_core_destroy(cloud->core);
    for (unsigned i = 0; cloud->guests && i < cloud->config.guest_count; i++) {
        matrix_vm_destroy(cloud->guests[i].vm);
        matrix_output_destroy(cloud->guests[i].output);
        if (cloud->guests[i].output_fd >= 0)
            close(cloud->guests[i].output_fd);
    }
    free(cloud->guests);
    free(cloud->groups);
    matrix_output_destroy(cloud->output);
    matrix_output_destroy(cloud->terminal);
    for (int end = 0; end < 2; end++)
        if (cloud->screen_pipe[end] >= 0)
            close(cloud->screen_pipe[end]);
    matrix_kvm_close(cloud->kvm);
    config_free(&cloud->config);
}

/* Opened at the start, so that a run of hours does not end with a report that cannot be written; but
 * the last good one is not touched until there is a new one. */
static struct matrix_error *open_report(const char *path, FILE **file)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 || !(*file = fdopen(fd, "w")))
        return error_new(MATRIX_ERROR_USAGE, errno, NULL, "write the report to %s", path);
    return NULL;
}

static struct matrix_error *write_report(const struct cloud *cloud, const char *path, FILE *file)
{
    /* Devices and pipes have no length. */
    if (ftruncate(fileno(file), 0) < 0 && errno != EINVAL)
        return error_host(errno, "write the report to %s", path);
    return error_prefix(cloud_report_write_json(cloud, file), "report %s", path);
}

static struct matrix_error *run(struct cloud *cloud, const struct cloud_options *options,
                                int *status)
{
    RETURN_IF_ERROR(config_read(options->file, &cloud->config));
    cloud->slice_ns = options->slice_ns        ? options->slice_ns
                      : cloud->config.slice_ns ? cloud->config.slice_ns
                                               : MATRIX_SLICE_DEFAULT_NS;
    if (options->check) {
        *status = EXIT_SUCCESS;
        return error_prefix(cloud_check(&cloud->config, cloud->slice_ns, stdout), "%s",
                            options->file);
    }
    CLEANUP_FILE FILE *file = NULL;
    if (options->report_path)
        RETURN_IF_ERROR(open_report(options->report_path, &file));

    const int core = options->core != CONFIG_CORE_UNSET ? options->core : cloud->config.core;
    cloud->host_cpu = core == CONFIG_CORE_UNSET ? default_cpu() : core;
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
        .policy = cloud->config.policy,
    };
    RETURN_IF_ERROR(matrix_kvm_open(options->kvm_path, &cloud->kvm));
    RETURN_IF_ERROR(open_outputs(cloud, options));
    RETURN_IF_ERROR(matrix_core_create(&core_options, &cloud->core));
    RETURN_IF_ERROR(error_prefix(create_groups(cloud), "%s", options->file));
    RETURN_IF_ERROR(create_guests(cloud, options->file));

    struct matrix_core_result result;
    RETURN_IF_ERROR(cli_control_start(cloud->core, options->control, &cloud->control));
    RETURN_IF_ERROR(matrix_core_run(cloud->core, &result));
    control_server_stop(TAKE(cloud->control));
    RETURN_IF_ERROR(report(cloud, options));
    if (file)
        RETURN_IF_ERROR(write_report(cloud, options->report_path, file));
    RETURN_IF_ERROR(check_outputs(cloud));
    *status = exit_status(cloud, &result);
    return NULL;
}

/* A guest needs three descriptors, and the usual limit is for programs that need few. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct cloud_options options;
    struct cloud cloud = {.screen_pipe = {-1, -1}};
    int status = EXIT_HOST;

    setlocale(LC_CTYPE, "");
    cloud_options_parse(argc, argv, &options);
    raise_file_limit();
    /* A reader that is gone is an errno (EPIPE), not the end of the monitor. */
    signal(SIGPIPE, SIG_IGN);
    struct matrix_error *error = run(&cloud, &options, &status);
    cloud_screen_end(&cloud);
    clean_up(&cloud);
    return error ? cli_fail(PROGRAM, error) : status;
}
