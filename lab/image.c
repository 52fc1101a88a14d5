// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finds or makes what the lab boots, through lab/prepare.sh. Called by lab/lab.c.
 *
 * The script stands in the source tree for a matrix-lab that runs from its build tree, else
 * where `make install` put it; what it makes goes to $MATRIX_LAB_DIR, else to lab/ in the
 * build tree, else to the user's cache (~/.cache/matrix/lab).
 */
#include "lab/internal.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The directory of the running program if that is a build tree, else "". */
static void find_build_tree(char tree[PATH_MAX])
{
    char probe[PATH_MAX + 16];
    ssize_t length = readlink("/proc/self/exe", tree, PATH_MAX - 1);
    tree[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(tree, '/');
    if (slash)
        *slash = '\0';
    snprintf(probe, sizeof(probe), "%s/build.ninja", tree);
    if (access(probe, F_OK))
        tree[0] = '\0';
}

static struct matrix_error *find_state(const char *build_tree, char **state)
{
    const char *chosen = getenv("MATRIX_LAB_DIR");
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length = -1;
    if (chosen && *chosen)
        length = asprintf(state, "%s", chosen);
    else if (*build_tree)
        length = asprintf(state, "%s/lab", build_tree);
    else if (cache && *cache == '/')
        length = asprintf(state, "%s/matrix/lab", cache);
    else if (home && *home)
        length = asprintf(state, "%s/.cache/matrix/lab", home);
    else
        return error_usage("set MATRIX_LAB_DIR", "no place for the lab's kernel: HOME is not set");
    return length < 0 ? error_host(ENOMEM, "name the lab's directory") : NULL;
}

/* Runs the script; its last word on standard output is the directory that it made. */
static struct matrix_error *run_script(const char *script, const char *state, const char *package,
                                       char **directory)
{
    int output[2];
    if (pipe(output))
        return error_host(errno, "make a pipe for %s", script);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(output[1], STDOUT_FILENO);
        close(output[0]);
        close(output[1]);
        execlp("bash", "bash", script, state, package, NULL);
        _exit(127);
    }
    close(output[1]);
    CLEANUP_FILE FILE *reader = fdopen(output[0], "r");
    if (pid < 0 || !reader)
        return error_host(errno, "start %s", script);

    size_t capacity = 0;
    ssize_t length = getline(directory, &capacity, reader);
    int status;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0 || length <= 1)
        return error_host(0, "%s could not make the lab's kernel ready", script);
    (*directory)[length - 1] = '\0';
    return NULL;
}

struct matrix_error *lab_image_prepare(const char *package, struct lab_image *image)
{
    char build_tree[PATH_MAX];
    CLEANUP_FREE char *state = NULL;
    CLEANUP_FREE char *directory = NULL;
    find_build_tree(build_tree);
    RETURN_IF_ERROR(find_state(build_tree, &state));
    const char *script =
        *build_tree ? MATRIX_LAB_SOURCE "/prepare.sh" : MATRIX_LAB_INSTALLED "/prepare.sh";
    if (access(script, R_OK))
        return error_new(MATRIX_ERROR_HOST, errno, "install Matrix again, or run it from its build",
                         "read %s", script);
    RETURN_IF_ERROR(run_script(script, state, package, &directory));

    char absolute[PATH_MAX];
    if (!realpath(directory, absolute))
        return error_host(errno, "find %s", directory);
    if (asprintf(&image->kernel, "%s/vmlinux", absolute) < 0 ||
        asprintf(&image->initramfs, "%s/initramfs.cpio", absolute) < 0 ||
        asprintf(&image->modules, "%s/modules", absolute) < 0)
        return error_host(ENOMEM, "name the files of the lab");
    return NULL;
}

void lab_image_free(struct lab_image *image)
{
    free(image->kernel);
    free(image->initramfs);
    free(image->modules);
    *image = (struct lab_image){0};
}
