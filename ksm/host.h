/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counters and settings of KSM: every file of /sys/kernel/mm/ksm, whatever the kernel offers,
 * held open and read again for each sample.
 */
#ifndef KSM_HOST_H
#define KSM_HOST_H

#include "ksm/value.h"
#include <matrix/error.h>

#define KSM_HOST_ROOT "/sys/kernel/mm/ksm"

struct ksm_host;

/* root: KSM_HOST_ROOT, or a tree that a test made. Fails where the kernel has no KSM. */
struct matrix_error *ksm_host_open(const char *root, struct ksm_host **host) MATRIX_MUST_CHECK;
void ksm_host_close(struct ksm_host *host); /* NULL is allowed */

/*
 * How many counters there are: the files in order of their names and, where the kernel has no
 * general_profit, that, computed.
 */
size_t ksm_host_count(const struct ksm_host *host);
void ksm_host_counter(const struct ksm_host *host, size_t index, struct ksm_counter *counter);

/* Reads all of them. A file that cannot be read is KSM_NOTHING. */
void ksm_host_read(const struct ksm_host *host, struct ksm_reading *readings);

/* Reads a small file from its beginning, as a text; "" if that fails. Returns 0 or the errno. */
int ksm_read_again(int fd, char *text, size_t size);

#endif
