// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands that offer all their memory; see merge_all.h. */
#include "ksm/merge_all.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/utsname.h>

#define NEEDED_MAJOR 6
#define NEEDED_MINOR 7

bool merge_all_outlives_exec(const char *release)
{
    char *end;
    const unsigned long major = strtoul(release, &end, 10);
    if (end == release || *end != '.')
        return true;
    const char *second = end + 1;
    const unsigned long minor = strtoul(second, &end, 10);
    if (end == second)
        return true;
    return major > NEEDED_MAJOR || (major == NEEDED_MAJOR && minor >= NEEDED_MINOR);
}

struct matrix_error *merge_all_check(void)
{
    struct utsname system;
    if (uname(&system) || merge_all_outlives_exec(system.release))
        return NULL;
    return error_new(
        MATRIX_ERROR_HOST, ENOSYS,
        "use Linux 6.7 or later, or leave it out where the command offers its own memory",
        "`merge: all` on Linux %s, which would merge nothing of it", system.release);
}
