/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the parts of the soak share: soak.c, and soak_report.c, which looks at what is left in the end. */
#ifndef TESTS_KVM_SOAK_H
#define TESTS_KVM_SOAK_H

#include "tests/kvm/soak_model.h"

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

#define SOAK_GUESTS_MAX 1000

struct soak {
    char build[PATH_MAX / 4], directory[64], socket[80], report[80], errors[80];
    struct soak_guest guests[SOAK_GUESTS_MAX];
    unsigned count, wanted;
    uint64_t random, steps, succeeded, refused;
    pid_t cloud;
    unsigned files_at_first;
    char failure[1024]; /* the first; empty: none */
};

/* A line of TAP. failure: what went wrong; NULL or empty: nothing. */
void soak_check(const char *name, const char *failure);

/* The cloud's report: everybody is there, all time is somebody's, and the witnesses had their shares. */
void soak_check_report(const struct soak *soak);

/* Its errors: nothing that a sanitizer has written. */
void soak_check_sanitizers(const struct soak *soak);

#endif
