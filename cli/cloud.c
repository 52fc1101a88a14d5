// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix cloud`: the guests of a file, by contract, until they end, the time is up or a signal
 * comes. */
#include "cli/cloud.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/control.h"
#include "cli/exit_status.h"
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_NS           100000000ULL
#define SCREEN_NS         250000000ULL
#define PROGRESS_NS       1000000000ULL
#define RENDER_WAIT_MS    2000 /* for all of them together */
#define REPORT_PART       (16 << 10)
#define EXIT_GUEST_STATUS 1 /* a guest ended with a status other than 0 */

/* --- meanwhile --------------------------------------------------------------------------- */

/* One that was kept, or of the guest itself once it has ended: until then it may run on another core. */
static const struct matrix_report *fault_of(const struct cloud *cloud, unsigned index)
{
    const struct cloud_guest *guest = &cloud->guests[index];
    struct matrix_machine_guest now;
    if (guest->fault)
        return guest->fault;
    const bool has_faulted = cloud_guest_on_machine(cloud, index, &now) &&
                             now.guest.vm == guest->vm && now.info.state == MATRIX_VM_FAULTED;
    return has_faulted ? matrix_vm_report(guest->vm) : NULL;
}

/* Starts to print the reports of guests that have faulted since the last time. Nobody waits for it
 * here: the other guests are running. */
static void show_faults(struct cloud *cloud)
{
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct cloud_guest *guest = &cloud->guests[i];
        const struct matrix_report *report = fault_of(cloud, i);
        if (!report || (guest->fault_shown && !guest->fault))
            continue;
        guest->fault_shown |= !guest->fault;
        struct matrix_error *error =
            matrix_report_print(report, STDERR_FILENO, false, &guest->renderer);
        if (error)
            cli_fail(PROGRAM, error);
        free(TAKE(guest->fault));
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

static void show(struct cloud *cloud)
{
    if (cloud->has_screen)
        cloud_screen_draw(cloud);
    else if (cloud->shows_progress)
        cloud_progress_print(cloud);
    if (!cloud->has_screen)
        show_faults(cloud);
}

static void tick(struct matrix_machine *machine, void *context)
{
    struct cloud *cloud = context;
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    cloud_live_look(cloud);
    cloud_reload_wake(cloud);
    cloud_tell_losses(cloud);
    cloud_service_tick(cloud, now);
    cloud_metrics_look(cloud);
    if (now >= cloud->next_show_ns) {
        show(cloud);
        cloud->next_show_ns = now + (cloud->has_screen ? SCREEN_NS : PROGRESS_NS);
    }
    /* Nobody hears the guests any more, not even those that have nothing to say. */
    if (matrix_output_failed(cloud->output))
        matrix_machine_stop(machine);
}

/* With a screen, what guests print takes its way through a pipe, to be shown above the table. */
static struct matrix_error *open_outputs(struct cloud *cloud, const struct cloud_options *options)
{
    RETURN_IF_ERROR(
        matrix_output_create(cloud->has_screen ? STDOUT_FILENO : STDERR_FILENO, &cloud->terminal));
    if (!cloud->has_screen)
        return cloud_output_create(options->json ? STDERR_FILENO : STDOUT_FILENO, &cloud->output);
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
        struct matrix_core_guest contract;
        struct matrix_vm_info info;
        cloud_guest_look(cloud, i, &contract, &info);
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
    const int lost = matrix_output_lost(cloud->output);
    if (lost)
        return error_host(lost, "write what the guests print");
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        const struct matrix_output *output = cloud->guests[i].output;
        if (output && matrix_output_lost(output))
            return error_host(matrix_output_lost(output), "guest %s: write its output to %s",
                              cloud->config.guests[i].name, cloud->config.guests[i].output);
    }
    return NULL;
}

static void clean_up(struct cloud *cloud)
{
    cloud_metrics_stop(cloud);
    control_server_stop(cloud->control);
    cloud->has_ended = true;
    builder_stop(cloud->builder);
    cloud_reload_free(cloud);
    matrix_machine_destroy(cloud->machine);
    cloud_destroy_guests(cloud);
    cloud_periods_free(cloud);
    lives_release(&cloud->lives);
    matrix_output_destroy(cloud->output);
    matrix_output_destroy(cloud->terminal);
    for (int end = 0; end < 2; end++)
        if (cloud->screen_pipe[end] >= 0)
            close(cloud->screen_pipe[end]);
    matrix_kvm_close(cloud->kvm);
    config_free(&cloud->config);
    free(cloud->cpus);
    free(cloud->seen_cpu_ns);
    free(cloud->policy);
    service_stop(&cloud->service);
    json_decref(cloud->added);
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

/* The manager may listen for us, at a place that stays the same; beside our own, by which we are found. */
static struct matrix_error *take_over_socket(struct cloud *cloud,
                                             const struct control_guests *guests)
{
    int fd;
    RETURN_IF_ERROR(service_socket(&fd));
    return fd < 0 ? NULL : control_server_adopt(guests, fd, &cloud->control);
}

static struct matrix_error *run(struct cloud *cloud, const struct cloud_options *options,
                                int *status)
{
    RETURN_IF_ERROR(config_read(options->file, &cloud->config));
    cloud->slice_ns = options->slice_ns        ? options->slice_ns
                      : cloud->config.slice_ns ? cloud->config.slice_ns
                                               : MATRIX_SLICE_DEFAULT_NS;
    RETURN_IF_ERROR(cloud_cores_choose(cloud, options));
    if (!options->quiet)
        cloud_guests_warn(cloud);
    if (options->check) {
        *status = EXIT_SUCCESS;
        RETURN_IF_ERROR(
            error_prefix(cloud_check(cloud, options->json, stdout), "%s", options->file));
        return error_prefix(cloud_check_guests(cloud, options->file), "%s", options->file);
    }
    if (!options->quiet)
        cloud_cores_warn(cloud);
    RETURN_IF_ERROR(service_start(&cloud->service));
    CLEANUP_FILE FILE *file = NULL;
    if (options->report_path)
        RETURN_IF_ERROR(open_report(options->report_path, &file));

    cloud->has_screen =
        !options->plain && !options->quiet && !options->json && isatty(STDOUT_FILENO);
    cloud->shows_progress = !options->quiet && !cloud->has_screen;
    const struct matrix_machine_options machine_options = {
        .cores = cloud->cores,
        .cpus = cloud->cpus,
        .rebalance_ns = cloud->rebalance_ns,
        .moves = cloud->moves,
        .slice_ns = cloud->slice_ns,
        .duration_ns = options->duration_ns ? options->duration_ns : cloud->config.duration_ns,
        .tick_ns = TICK_NS,
        .tick = tick,
        .ended = cloud_live_ended,
        .removed = cloud_live_removed,
        .refused = cloud_live_refused,
        .keeps_ended = true, /* they may be started again */
        .persistent = true,  /* it is stopped when the lifecycle of its guests is over */
        .context = cloud,
        .policy = cloud->config.policy,
    };
    RETURN_IF_ERROR(matrix_kvm_open(options->kvm_path, &cloud->kvm));
    RETURN_IF_ERROR(open_outputs(cloud, options));
    RETURN_IF_ERROR(matrix_machine_create(&machine_options, &cloud->machine));
    RETURN_IF_ERROR(error_prefix(cloud_create_groups(cloud), "%s", options->file));
    RETURN_IF_ERROR(cloud_create_guests(cloud, options->file));
    cloud->file = options->file;
    cloud->keep_option = options->keep;
    cloud->keeps = options->keep || cloud->config.keep;
    cloud->added = json_array();
    RETURN_IF_ERROR(cloud_live_begin(cloud));
    cloud_periods_split(cloud, "start");

    struct matrix_core_result result;
    const struct control_guests guests = control_guests_of_machine(cloud->machine, cloud->cores);
    RETURN_IF_ERROR(cli_control_start(&guests, options->control, &cloud->control));
    RETURN_IF_ERROR(take_over_socket(cloud, &guests));
    cloud->commands = cloud_commands(cloud);
    if (cloud->control)
        control_server_extend(cloud->control, &cloud->commands);
    RETURN_IF_ERROR(cloud_metrics_start(cloud, options));
    RETURN_IF_ERROR(matrix_machine_run(cloud->machine, &result));
    cloud->has_ended = true;
    service_tell(&cloud->service, "STOPPING=1");
    control_server_stop(TAKE(cloud->control));
    builder_stop(TAKE(cloud->builder));
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
    struct cloud cloud = {.screen_pipe = {-1, -1}, .service = {.fd = -1}};
    int status = EXIT_HOST;

    setlocale(LC_CTYPE, "");
    cloud_options_parse(argc, argv, &options);
    raise_file_limit();
    /* A reader that is gone is an errno (EPIPE), not the end of the monitor. */
    signal(SIGPIPE, SIG_IGN);
    struct matrix_error *error = run(&cloud, &options, &status);
    cloud_screen_end(&cloud);
    clean_up(&cloud);
    free(options.cpus);
    return error ? cli_fail(PROGRAM, error) : status;
}
