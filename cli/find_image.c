// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds a guest image by name or path. Called by run and cloud. */
#include "cli/find_image.h"

#include "base/installed.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void find_image(const char *given, const char *directory, char path[PATH_MAX])
{
    const char *base = given[0] == '/' ? "" : directory;
    /* A path that does not fit is cut, and not found. */
    if (snprintf(path, PATH_MAX, "%s%s%s", base, base[0] ? "/" : "", given) >= PATH_MAX)
        path[0] = '\0';
    char installed[PATH_MAX];
    if (!strchr(given, '/') && access(path, F_OK) < 0 &&
        installed_find(INSTALLED_GUEST, given, installed))
        memcpy(path, installed, sizeof(installed));
}
