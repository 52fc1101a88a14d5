/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ksmd, the kernel thread that merges, costs. By the sampler. */
#ifndef KSM_KSMD_H
#define KSM_KSMD_H

#include <stdbool.h>
#include <stdint.h>

struct ksmd {
    int fd;
    bool in_ticks; /* stat is all there is; else schedstat, in ns */
};

/* Finds it, if it can be seen: pid namespaces and kernels without KSM have none. */
void ksmd_open(const char *proc_root, struct ksmd *ksmd);
void ksmd_close(struct ksmd *ksmd);

/* Its CPU time since boot; false if that cannot be told. */
bool ksmd_read(const struct ksmd *ksmd, uint64_t *cpu_ns);

#endif
