// SPDX-License-Identifier: GPL-2.0-or-later
/* What memory is left; see memory_left.h. Files that are not there, or say nothing, set no limit. */
#include "cloud/memory_left.h"

#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Documentation/admin-guide/cgroup-v2.rst, "Mounting" and "Core Interface Files". */
#define CGROUPS     "/sys/fs/cgroup"
#define OWN_CGROUPS "/proc/self/cgroup"

static FILE *open_file(const char *root, const char *path)
{
    char full[PATH_MAX];
    if (snprintf(full, sizeof(full), "%s%s", root, path) >= PATH_MAX)
        return NULL;
    return fopen(full, "re");
}

/* The number behind key at a line's beginning; false: there is none. */
static bool read_key(const char *root, const char *path, const char *key, uint64_t *value)
{
    char line[256], format[64];
    bool found = false;
    FILE *file = open_file(root, path);
    snprintf(format, sizeof(format), "%s %%" SCNu64, key);
    while (file && !found && fgets(line, sizeof(line), file))
        found = sscanf(line, format, value) == 1;
    if (file)
        fclose(file);
    return found;
}

static uint64_t less(uint64_t from, uint64_t what)
{
    return from > what ? from - what : 0;
}

/* One cgroup: its limit, less what it has in use and would not give up first (its files' pages). */
static void ask_cgroup(const char *root, const char *cgroup, struct memory_left *left)
{
    char path[PATH_MAX];
    uint64_t limit, used, cached = 0;
    if (snprintf(path, sizeof(path), CGROUPS "%s/memory.max", cgroup) >= PATH_MAX ||
        !read_key(root, path, "", &limit))
        return;
    snprintf(path, sizeof(path), CGROUPS "%s/memory.current", cgroup);
    if (!read_key(root, path, "", &used))
        return;
    snprintf(path, sizeof(path), CGROUPS "%s/memory.stat", cgroup);
    if (!read_key(root, path, "file", &cached))
        cached = 0;
    const uint64_t bytes = less(limit, less(used, cached));
    if (bytes >= left->bytes)
        return;
    left->bytes = bytes;
    snprintf(left->cgroup, sizeof(left->cgroup), "%s", cgroup);
}

/* This process's, and those that it is in. */
static void ask_cgroups(const char *root, struct memory_left *left)
{
    char line[PATH_MAX];
    bool found = false;
    FILE *file = open_file(root, OWN_CGROUPS);
    while (file && !found && fgets(line, sizeof(line), file))
        found = strncmp(line, "0::/", 4) == 0;
    if (file)
        fclose(file);
    if (!found)
        return;
    line[strcspn(line, "\n")] = '\0';
    char *cgroup = line + 3;
    for (char *end; (end = strrchr(cgroup, '/')) && end[1]; *end = '\0')
        ask_cgroup(root, cgroup, left);
    ask_cgroup(root, "/", left); /* in a container that is no root, and may have limits */
}

void memory_left_read(const char *root, struct memory_left *left)
{
    uint64_t kib;
    *left = (struct memory_left){.bytes = UINT64_MAX};
    if (read_key(root, "/proc/meminfo", "MemAvailable:", &kib) && kib <= UINT64_MAX / 1024)
        left->bytes = kib * 1024;
    if (read_key(root, "/proc/meminfo", "SwapFree:", &kib) && kib <= UINT64_MAX / 1024 &&
        left->bytes < UINT64_MAX - kib * 1024)
        left->bytes += kib * 1024;
    ask_cgroups(root, left);
}

struct matrix_error *memory_left_check(const struct memory_left *left, const char *guest,
                                       uint64_t bytes)
{
    char wanted[FORMAT_BYTES], there[FORMAT_BYTES];
    if (bytes <= left->bytes)
        return NULL;
    format_size(wanted, bytes);
    format_size(there, left->bytes);
    if (*left->cgroup)
        return error_new(MATRIX_ERROR_HOST, ENOMEM, "raise its memory.max, or stop other guests",
                         "make guest %s with %s of memory: the cgroup %s has %s left", guest,
                         wanted, left->cgroup, there);
    return error_new(MATRIX_ERROR_HOST, ENOMEM, "stop other guests",
                     "make guest %s with %s of memory: the host has %s left", guest, wanted, there);
}
