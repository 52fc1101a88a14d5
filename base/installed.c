// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds the parts that come with Matrix. Called for guests by name, and for helper programs. */
#include "base/installed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The build says where things are installed. */
#ifndef MATRIX_LIBEXECDIR
#define MATRIX_LIBEXECDIR "/usr/local/libexec/matrix"
#endif
#ifndef MATRIX_GUESTDIR
#define MATRIX_GUESTDIR "/usr/local/lib/matrix/guests"
#endif
#ifndef MATRIX_DATADIR
#define MATRIX_DATADIR "/usr/local/share/matrix"
#endif

/* In order; the first %s is the directory of the running program, the second the name. */
static const struct {
    const char *beside, *installed;
} places[] = {
    [INSTALLED_PROGRAM] = {"%s/%s", MATRIX_LIBEXECDIR "/%s"},
    [INSTALLED_GUEST] = {"%s/guest/%s.elf", MATRIX_GUESTDIR "/%s.elf"},
    [INSTALLED_MODULES] = {"%s/modules/%s", MATRIX_DATADIR "/modules/%s"},
    [INSTALLED_SHARED] = {"%s/share/%s", MATRIX_DATADIR "/%s"},
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
        memcpy(directory, ".", 2);
}

bool installed_find(enum installed_kind kind, const char *name, char path[PATH_MAX])
{
    char directory[PATH_MAX];
    own_directory(directory);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(path, PATH_MAX, places[kind].beside, directory, name);
    if (length < PATH_MAX && access(path, R_OK) == 0)
        return true;
    length = snprintf(path, PATH_MAX, places[kind].installed, name);
#pragma GCC diagnostic pop
    return length < PATH_MAX && access(path, R_OK) == 0;
}
