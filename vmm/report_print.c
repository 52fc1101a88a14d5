// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix_report_print: hands a fault report to the program matrix-report. Called by whoever
 * runs guests, possibly from the thread of a core: it waits for nothing.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "vmm/report_short.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <matrix/report.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RENDERER "matrix-report"
#ifndef MATRIX_LIBEXECDIR
#define MATRIX_LIBEXECDIR "/usr/local/libexec/matrix"
#endif

/* Where the renderer may stand, in order; %s is the directory of the running program. */
static const char *const places[] = {
    "%s/" RENDERER,
    "%s/../libexec/matrix/" RENDERER,
    MATRIX_LIBEXECDIR "/" RENDERER,
};

/* The directory of the running program; "." where /proc does not tell. */
static void own_directory(char directory[PATH_MAX])
{
    ssize_t length = readlink("/proc/self/exe", directory, PATH_MAX - 1);
    directory[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    else
        strcpy(directory, ".");
}

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
static int spawn(const char *path, bool json, const posix_spawn_file_actions_t *files, pid_t *pid)
{
    char *const arguments[] = {(char *)RENDERER, json ? (char *)"--json" : NULL, NULL};
    posix_spawnattr_t attributes;
    sigset_t none, all;

    int number = posix_spawnattr_init(&attributes);
    if (number)
        return number;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    number = posix_spawn(pid, path, files, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    return number;
}

/* The last errno; 0 if the renderer was started. */
static int spawn_from_places(int report_file, int fd, bool json, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    int number = posix_spawn_file_actions_init(&files);
    if (number)
        return number;
    /* In this order, for fd may be 0. */
    number = posix_spawn_file_actions_adddup2(&files, fd, STDOUT_FILENO);
    if (!number)
        number = posix_spawn_file_actions_adddup2(&files, report_file, STDIN_FILENO);
    if (!number)
        number = posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);

    char directory[PATH_MAX];
    own_directory(directory);
    bool started = false;
    for (size_t i = 0; !number && !started && i < sizeof(places) / sizeof(places[0]); i++) {
        char path[PATH_MAX + sizeof("/../libexec/matrix/" RENDERER)];
        snprintf(path, sizeof(path), places[i], directory);
        started = spawn(path, json, &files, pid) == 0;
    }
    posix_spawn_file_actions_destroy(&files);
    return started ? 0 : number ? number : ENOENT;
}

struct matrix_error *matrix_report_print(const struct matrix_report *report, int fd, bool json,
                                         pid_t *pid)
{
    CLEANUP_CLOSE int report_file = -1;
    CLEANUP_ERROR struct matrix_error *error = report_file_create(report, &report_file);

    *pid = 0;
    if (!error && spawn_from_places(report_file, fd, json, pid) == 0)
        return NULL;
    *pid = 0;
    return report_short_write(report, fd, json);
}
