/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How much memory is left for one more guest: of the host, and of the cgroups that this process is in
 * (version 2). Where it runs out, the kernel ends the whole process, all guests with it (the OOM killer);
 * so who adds a guest to others asks first. Used by `matrix cloud`.
 */
#ifndef CLOUD_MEMORY_LEFT_H
#define CLOUD_MEMORY_LEFT_H

#include <limits.h>
#include <matrix/error.h>
#include <stdint.h>

struct memory_left {
    uint64_t bytes;        /* UINT64_MAX: nothing is known */
    char cgroup[PATH_MAX]; /* that leaves no more; empty: the host */
};

/* root: "" but for tests, which put another tree in the place of /proc and /sys. */
void memory_left_read(const char *root, struct memory_left *left);

/* MATRIX_ERROR_HOST: so much is not left; the message says of what. */
struct matrix_error *memory_left_check(const struct memory_left *left, const char *guest,
                                       uint64_t bytes) MATRIX_MUST_CHECK;

#endif
