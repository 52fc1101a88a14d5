/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a recording says about the machine it was made on, so that figures can be compared. */
#ifndef KSM_FACTS_H
#define KSM_FACTS_H

#include <stdint.h>
#include <sys/types.h>

struct ksm_facts {
    char boot[40];    /* a number of this boot: times of CLOCK_MONOTONIC compare only within it */
    char kernel[160]; /* "Linux 6.1.0-9-amd64" */
    char processor[128]; /* its name; "" where there is none */
    uint64_t cpus, memory_bytes, page_bytes;
};

void ksm_facts_read(struct ksm_facts *facts);

/* When a process started, since boot; 0 if there is none. */
uint64_t ksm_facts_start_time_ns(pid_t pid);

#endif
