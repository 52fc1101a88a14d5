// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix ksm experiment --lab`: the same command in the lab; its results reach the host. */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/ksm_experiment.h"
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The program `matrix` that belongs to this one. */
static struct matrix_error *find_matrix(char path[PATH_MAX])
{
    const ssize_t length = readlink("/proc/self/exe", path, PATH_MAX - sizeof("matrix"));
    path[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(path, '/');
    if (slash)
        memcpy(slash + 1, "matrix", sizeof("matrix"));
    if (!slash || access(path, X_OK))
        memcpy(path, "matrix", sizeof("matrix")); /* installed: in PATH */
    return NULL;
}

static struct matrix_error *start(char *const *argv, int *status)
{
    extern char **environ;
    pid_t pid;
    const int number = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
    if (number)
        return error_host(number, "start %s", argv[0]);
    while (waitpid(pid, status, 0) < 0)
        if (errno != EINTR)
            return error_host(errno, "wait for %s", argv[0]);
    return NULL;
}

static struct matrix_error *run_there(const struct experiment_arguments *arguments,
                                      const struct experiment_file *file, const char *directory,
                                      int *status)
{
    char matrix[PATH_MAX], path[PATH_MAX], out[PATH_MAX], memory[32], timeout[32];
    RETURN_IF_ERROR(find_matrix(matrix));
    if (!realpath(arguments->file, path))
        return error_host(errno, "find %s", arguments->file);
    if (!realpath(directory, out))
        return error_host(errno, "find %s", directory);
    snprintf(memory, sizeof(memory), "%" PRIu64, file->lab_memory_bytes);
    snprintf(timeout, sizeof(timeout), "%" PRIu64 "ns", file->lab_timeout_ns);
    const char *argv[32];
    size_t n = 0;
    argv[n++] = matrix;
    argv[n++] = "lab";
    argv[n++] = "run";
    argv[n++] = "--memory";
    argv[n++] = memory;
    argv[n++] = "--timeout";
    argv[n++] = timeout;
    argv[n++] = "--share";
    argv[n++] = out;
    if (arguments->kernel) {
        argv[n++] = "--kernel";
        argv[n++] = arguments->kernel;
    }
    argv[n++] = "--";
    argv[n++] = matrix;
    argv[n++] = "ksm";
    argv[n++] = "experiment";
    argv[n++] = "--out";
    argv[n++] = out;
    argv[n++] = "--no-report";
    if (arguments->quiet)
        argv[n++] = "--quiet";
    if (arguments->json)
        argv[n++] = "--json";
    argv[n++] = path;
    argv[n] = NULL;
    return start((char *const *)argv, status);
}

int experiment_in_lab(const struct experiment_arguments *arguments,
                      const struct experiment_file *file, const char *directory)
{
    int status = 0;
    struct matrix_error *error = run_there(arguments, file, directory, &status);
    /* 0: all well; 1: a number is not as expected. Drawing is quicker out here. */
    const int number = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SIGNAL + WTERMSIG(status);
    if (!error && number <= EXIT_FAILURE && !arguments->no_report) {
        error = experiment_report(directory);
        if (!error && !arguments->json)
            printf("%s is in %s\n", EXPERIMENT_REPORT, directory);
    }
    return error ? cli_fail(EXPERIMENT_PROGRAM, error) : number;
}
