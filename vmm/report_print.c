// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix_report_print: hands a fault report to the program matrix-report. Called by whoever
 * runs guests, possibly from the thread of a core: it waits for nothing.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/installed.h"
#include "vmm/report_short.h"
#include <errno.h>
#include <fcntl.h>
#include <matrix/report.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <unistd.h>

#define RENDERER "matrix-report"

/* A file without a name that holds the report: unlike a pipe it takes all of it at once. */
static struct matrix_error *report_file_create(const struct matrix_report *report, int *result)
{
    CLEANUP_CLOSE int file = memfd_create(RENDERER, MFD_CLOEXEC);
    if (file < 0 || pwrite(file, report, sizeof(*report), 0) != (ssize_t)sizeof(*report))
        return error_host(errno, "keep a fault report for %s", RENDERER);

    /* Not among the standard files, which the renderer's own are put upon. */
    *result = fcntl(file, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return *result < 0 ? error_host(errno, "keep a fault report for %s", RENDERER) : NULL;
}

/*
 * The renderer gets the report, the place to write to and standard error, but none of the
 * caller's other files: what it decodes was made by a guest. The caller may block signals, and a
 * core does.
 */
static bool spawn(const char *path, bool json, const posix_spawn_file_actions_t *files, pid_t *pid)
{
    char *const arguments[] = {(char *)RENDERER, json ? (char *)"--json" : NULL, NULL};
    posix_spawnattr_t attributes;
    sigset_t none, all;

    if (posix_spawnattr_init(&attributes) != 0)
        return false;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    bool spawned = posix_spawn(pid, path, files, &attributes, arguments, environ) == 0;
    posix_spawnattr_destroy(&attributes);
    return spawned;
}

/* False if the renderer could not be started. */
static bool start(const char *path, int report_file, int fd, bool json, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    if (posix_spawn_file_actions_init(&files) != 0)
        return false;
    /* In this order, for fd may be 0. */
    bool started = posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO) == 0 &&
                   posix_spawn_file_actions_adddup2(&files, report_file, STDIN_FILENO) == 0 &&
                   posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1) == 0 &&
                   spawn(path, json, &files, pid);
    posix_spawn_file_actions_destroy(&files);
    return started;
}

struct matrix_error *matrix_report_print(const struct matrix_report *report, int fd, bool json,
                                         pid_t *pid)
{
    char path[PATH_MAX];
    CLEANUP_CLOSE int report_file = -1;
    CLEANUP_ERROR struct matrix_error *error = report_file_create(report, &report_file);

    if (!error && installed_find(INSTALLED_PROGRAM, RENDERER, path) &&
        start(path, report_file, fd, json, pid))
        return NULL;
    *pid = 0;
    return report_short_write(report, fd, json);
}
