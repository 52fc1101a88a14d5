/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What /proc says of merging, and whether it can be believed: Linux 6.12 sets KPF_KSM in
 * /proc/kpageflags on every anonymous page. Used by lens/pagemap, and by ksm/ for the merge map and
 * for who shares a page.
 */
#ifndef LENS_MERGED_H
#define LENS_MERGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Whether this kernel's KPF_KSM can be believed, tried on a page of our own that nobody can have merged.
 *
 * own_pagemap, page_flags: /proc/self/pagemap and /proc/kpageflags, open.
 * Returns 0 or an errno; EPERM: the kernel hides where pages are (CAP_SYS_ADMIN).
 */
int merged_flag_is_true(int own_pagemap, int page_flags, bool *is_true);

/*
 * Where it cannot: clears KPF_KSM in the flags of frames that KSM cannot have merged. Left is what is
 * no part of a larger page and has more than one mapping; what parent and child share since a fork
 * looks the same.
 *
 * page_counts: /proc/kpagecount, open, or -1: then it is cleared in all.
 * flags:       of count frames from this one on, as /proc/kpageflags has them.
 * Returns 0 or an errno.
 */
int merged_clear_flags(int page_counts, uint64_t frame, uint64_t *flags, size_t count);

/* Whether a process may have merged pages, by the kernel's own count. Where that does not tell
 * (before Linux 5.19) any may. */
bool merged_is_possible(pid_t pid);

#endif
