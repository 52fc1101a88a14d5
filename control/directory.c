// SPDX-License-Identifier: GPL-2.0-or-later
/* The runtime directory: found, made, checked, cleaned; see directory.h. */
#include "control/directory.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".sock"

/* What one start looks at: others clean the rest. */
#define CLEANED_MAX 64

struct matrix_error *control_directory_path(char path[PATH_MAX])
{
    const char *given = getenv("MATRIX_RUNTIME_DIR");
    const char *user = getenv("XDG_RUNTIME_DIR");
    const uid_t uid = geteuid();
    int length;
    if (given && *given)
        length = snprintf(path, PATH_MAX, "%s", given);
    else if (uid == 0)
        length = snprintf(path, PATH_MAX, "/run/matrix");
    else if (user && *user == '/')
        length = snprintf(path, PATH_MAX, "%s/matrix", user);
    else
        length = snprintf(path, PATH_MAX, "/tmp/matrix-%u", uid);
    return length < PATH_MAX ? NULL : error_host(ENAMETOOLONG, "find the runtime directory");
}

struct matrix_error *control_directory_make(const char *path, int *directory)
{
    struct stat status;
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_new(MATRIX_ERROR_HOST, errno, "name another: MATRIX_RUNTIME_DIR",
                         "make the runtime directory %s", path);
    /* Not by a link: in /tmp anybody could have put one. */
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return error_new(MATRIX_ERROR_HOST, errno, "name another: MATRIX_RUNTIME_DIR",
                         "open the runtime directory %s", path);
    const bool is_ours = fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
                         !(status.st_mode & (S_IWGRP | S_IWOTH));
    if (!is_ours) {
        close(fd);
        return error_new(MATRIX_ERROR_HOST, 0, "name another: MATRIX_RUNTIME_DIR",
                         "the runtime directory %s is another user's, or others may write to it",
                         path);
    }
    *directory = fd;
    return NULL;
}

pid_t control_directory_pid(const char *name)
{
    char *end;
    if (!isdigit((unsigned char)name[0]) || name[0] == '0')
        return 0;
    errno = 0;
    const long pid = strtol(name, &end, 10);
    return errno == 0 && pid <= INT_MAX && strcmp(end, SUFFIX) == 0 ? (pid_t)pid : 0;
}

bool control_directory_address(int directory, const char *name, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    return snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", directory,
                    name) < (int)sizeof(address->sun_path);
}

bool control_directory_is_left_over(int directory, const char *name)
{
    struct sockaddr_un address;
    struct stat status;
    /* The kernel refuses to connect to any other file in the same way. */
    if (!control_directory_address(directory, name, &address) ||
        fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    CLEANUP_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
           errno == ECONNREFUSED;
}

void control_directory_clean(int directory)
{
    const int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = copy < 0 ? NULL : fdopendir(copy);
    if (!entries) {
        if (copy >= 0)
            close(copy);
        return;
    }
    unsigned cleaned = 0;
    for (const struct dirent *entry; cleaned < CLEANED_MAX && (entry = readdir(entries));) {
        const pid_t pid = control_directory_pid(entry->d_name);
        /* One of another pid namespace is nobody here, and may be listening all the same. */
        if (!pid || kill(pid, 0) == 0 || errno != ESRCH ||
            !control_directory_is_left_over(directory, entry->d_name))
            continue;
        unlinkat(directory, entry->d_name, 0);
        cleaned++;
    }
    closedir(entries);
}
