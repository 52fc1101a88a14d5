// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * --metrics: `matrix metrics` as a child, for this cloud alone, as long as it runs. Who asks over HTTP is answered
 * by that process, which only reads our boards: nothing that a client does is done by the one that runs guests,
 * and what is wrong with HTTP is not in the process that holds their memory. By cloud.c.
 */
#include "base/child.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/installed.h"
#include "cli/cloud.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define URL_BYTES    128
#define STOP_WAIT_MS 2000

/* In the child. The terminal's signals are for us; when it is to end is ours to say. */
static int prepare(const void *output_fd)
{
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    return dup2(*(const int *)output_fd, STDOUT_FILENO) < 0 ? errno : 0;
}

/* By what it finds us: a path has a slash, all else is a pid. */
static void name_target(const char *control, char target[PATH_MAX])
{
    if (!control || strcmp(control, "auto") == 0)
        snprintf(target, PATH_MAX, "%d", getpid());
    else
        snprintf(target, PATH_MAX, "%s%s", strchr(control, '/') ? "" : "./", control);
}

/* The line that says where it is; false: it has ended without. */
static bool read_url(int fd, char url[URL_BYTES])
{
    size_t bytes = 0;
    while (bytes < URL_BYTES - 1) {
        const ssize_t got = TEMP_FAILURE_RETRY(read(fd, url + bytes, URL_BYTES - 1 - bytes));
        if (got <= 0)
            return false;
        bytes += (size_t)got;
        url[bytes] = '\0';
        char *end = strchr(url, '\n');
        if (end)
            *end = '\0';
        if (end)
            return true;
    }
    return false;
}

static struct matrix_error *spawn(struct cloud *cloud, const struct cloud_options *options,
                                  int *url_fd)
{
    char program[PATH_MAX], target[PATH_MAX];
    int ends[2];
    if (!installed_find(INSTALLED_PROGRAM, "matrix-metrics", program))
        return error_new(MATRIX_ERROR_HOST, ENOENT, "build it with `make`, or install Matrix again",
                         "start the program matrix-metrics");
    name_target(options->control, target);
    const char *const argv[] = {program, "--listen", options->metrics, "--wait", "--",
                                target,  NULL};
    if (pipe2(ends, O_CLOEXEC))
        return error_host(errno, "make a pipe for matrix-metrics");
    const struct child child = {.argv = argv,
                                .input_fd = -1,
                                .output_fd = -1,
                                .dies_with_us = true,
                                .prepare = prepare,
                                .context = &ends[1]};
    const int number = child_start(&child, &cloud->metrics);
    close(ends[1]);
    *url_fd = ends[0];
    return number ? error_host(number, "start %s", program) : NULL;
}

struct matrix_error *cloud_metrics_start(struct cloud *cloud, const struct cloud_options *options)
{
    CLEANUP_CLOSE int url_fd = -1;
    char url[URL_BYTES];
    int status = 0;
    if (!options->metrics)
        return NULL;
    if (!cloud->control || (options->control && strcmp(options->control, "none") == 0))
        return error_usage(
            "use --control auto or --control PATH, which say so where they cannot be had",
            "--metrics: they are read by way of the control socket, and there is none");
    RETURN_IF_ERROR(error_prefix(spawn(cloud, options, &url_fd), "--metrics"));
    if (read_url(url_fd, url)) {
        fprintf(stderr, PROGRAM ": metrics at %s\n", url);
        return NULL;
    }
    /* It has ended, or is about to; what was wrong it has said itself. */
    TEMP_FAILURE_RETRY(waitpid(cloud->metrics, &status, 0));
    cloud->metrics = 0;
    return error_new(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_BAD_USAGE ? MATRIX_ERROR_USAGE
                                                                                : MATRIX_ERROR_HOST,
                     0, "the lines of `matrix metrics` above say why",
                     "--metrics %s: they cannot be served", options->metrics);
}

static void tell_end(int status)
{
    cli_fail(PROGRAM, error_new(MATRIX_ERROR_HOST, 0, "`matrix metrics PID` serves them again",
                                "--metrics: `matrix metrics` has ended by %s %d; guests go on",
                                WIFSIGNALED(status) ? "signal" : "status",
                                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status)));
}

void cloud_metrics_look(struct cloud *cloud)
{
    int status;
    if (!cloud->metrics || cloud->has_screen || waitpid(cloud->metrics, &status, WNOHANG) <= 0)
        return;
    cloud->metrics = 0;
    tell_end(status);
}

void cloud_metrics_stop(struct cloud *cloud)
{
    int status;
    const pid_t pid = cloud->metrics;
    if (!pid)
        return;
    cloud->metrics = 0;
    if (waitpid(pid, &status, WNOHANG) > 0) { /* behind a screen this was not said */
        tell_end(status);
        return;
    }
    kill(pid, SIGTERM);
    for (unsigned i = 0; i < STOP_WAIT_MS; i++) {
        if (waitpid(pid, NULL, WNOHANG) != 0)
            return;
        usleep(1000);
    }
    kill(pid, SIGKILL);
    TEMP_FAILURE_RETRY(waitpid(pid, NULL, 0));
}
