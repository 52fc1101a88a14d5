// SPDX-License-Identifier: GPL-2.0-or-later
/* Starts gnuplot on a template; see gnuplot.h. */
#include "cli/gnuplot.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/installed.h"
#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define GNUPLOT "gnuplot"
#define DATA_FD 3

static struct matrix_error *start_gnuplot(char *const *arguments, int data, int picture)
{
    posix_spawn_file_actions_t actions;
    extern char **environ;
    pid_t pid;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, picture, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, data, DATA_FD);
    const int number = posix_spawnp(&pid, GNUPLOT, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (number)
        return error_new(MATRIX_ERROR_HOST, number,
                         number == ENOENT ? "apt-get install gnuplot-nox (or `make deps`)" : NULL,
                         "start " GNUPLOT);
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return error_host(errno, "wait for " GNUPLOT);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return NULL;
    return error_host(0, GNUPLOT " failed; what it says stands above");
}

struct matrix_error *gnuplot_check_name(const char *out)
{
    const char *type = strrchr(out, '.');
    if (type && (strcmp(type, ".svg") == 0 || strcmp(type, ".png") == 0))
        return NULL;
    return error_usage("name it FILE.svg or FILE.png", "%s: no such kind of picture", out);
}

static struct matrix_error *copy_picture(int picture, const char *out)
{
    char bytes[1 << 16];
    ssize_t count;
    off_t at = 0;
    CLEANUP_FILE FILE *file = fopen(out, "we");
    if (!file)
        return error_host(errno, "write the picture %s", out);
    for (; (count = pread(picture, bytes, sizeof(bytes), at)) > 0; at += count)
        if (fwrite(bytes, 1, (size_t)count, file) != (size_t)count)
            break;
    return count || fflush(file) ? error_host(errno, "write the picture %s", out) : NULL;
}

struct matrix_error *gnuplot_draw(const char *template, const char *const *arguments, int data,
                                  const char *out)
{
    char path[PATH_MAX];
    RETURN_IF_ERROR(gnuplot_check_name(out));
    if (strchr(template, '/'))
        snprintf(path, sizeof(path), "%s", template);
    else if (!installed_find(INSTALLED_SHARED, template, path))
        return error_new(MATRIX_ERROR_HOST, 0, "build it with `make`, or install Matrix again",
                         "the template %s is missing", template);
    char *line[5 + GNUPLOT_ARGUMENTS_MAX] = {(char *)GNUPLOT, (char *)"-c", path,
                                             (char *)strrchr(out, '.') + 1};
    for (unsigned i = 0; i < GNUPLOT_ARGUMENTS_MAX && arguments[i]; i++)
        line[4 + i] = (char *)arguments[i];
    /* Drawn in memory: when that fails there is no half a picture, and an older one is still there. */
    CLEANUP_CLOSE int picture = memfd_create("picture", MFD_CLOEXEC);
    if (picture < 0)
        return error_host(errno, "make room for a picture");
    RETURN_IF_ERROR(start_gnuplot(line, data, picture));
    return copy_picture(picture, out);
}
