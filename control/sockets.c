// SPDX-License-Identifier: GPL-2.0-or-later
/* Control sockets, found; see sockets.h. */
#include "control/sockets.h"

#include "base/error.h"
#include "control/directory.h"
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Where every user's sockets may be, for root: see control_directory_path. */
static const char *const everybodys[] = {"/run/user/*/matrix", "/tmp/matrix-[0-9]*"};

struct list {
    struct control_socket *sockets;
    size_t count, room;
};

static struct matrix_error *append(struct list *list, const char *directory, const char *name,
                                   pid_t pid)
{
    if (list->count == list->room) {
        const size_t room = list->room ? 2 * list->room : 16;
        struct control_socket *grown = realloc(list->sockets, room * sizeof(*grown));
        if (!grown)
            return error_host(ENOMEM, "list control sockets");
        list->sockets = grown;
        list->room = room;
    }
    struct control_socket *socket = &list->sockets[list->count];
    socket->pid = pid;
    if (asprintf(&socket->path, "%s/%s", directory, name) < 0)
        return error_host(ENOMEM, "list control sockets");
    list->count++;
    return NULL;
}

static struct matrix_error *list_directory(const char *directory, pid_t only, struct list *list)
{
    DIR *entries = opendir(directory);
    if (!entries) /* nobody has made it, or it is not for us */
        return NULL;
    struct matrix_error *error = NULL;
    for (const struct dirent *entry; !error && (entry = readdir(entries));) {
        const pid_t pid = control_directory_pid(entry->d_name);
        if (pid && (!only || pid == only))
            error = append(list, directory, entry->d_name, pid);
    }
    closedir(entries);
    return error;
}

/* Those of all users; $MATRIX_RUNTIME_DIR stands for all there is. */
static struct matrix_error *list_everybodys(pid_t only, struct list *list)
{
    struct matrix_error *error = NULL;
    if (geteuid() != 0 || getenv("MATRIX_RUNTIME_DIR"))
        return NULL;
    for (size_t i = 0; !error && i < sizeof(everybodys) / sizeof(everybodys[0]); i++) {
        glob_t found;
        if (glob(everybodys[i], GLOB_NOSORT, NULL, &found) != 0)
            continue;
        for (size_t j = 0; !error && j < found.gl_pathc; j++)
            error = list_directory(found.gl_pathv[j], only, list);
        globfree(&found);
    }
    return error;
}

struct matrix_error *control_sockets_list(pid_t only, struct control_socket **sockets,
                                          size_t *count)
{
    struct list list = {0};
    char path[PATH_MAX];
    *sockets = NULL;
    *count = 0;
    RETURN_IF_ERROR(control_directory_path(path));
    struct matrix_error *error = list_directory(path, only, &list);
    if (!error)
        error = list_everybodys(only, &list);
    if (error) {
        control_sockets_free(list.sockets, list.count);
        return error;
    }
    *sockets = list.sockets;
    *count = list.count;
    return NULL;
}

void control_sockets_free(struct control_socket *sockets, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(sockets[i].path);
    free(sockets);
}
