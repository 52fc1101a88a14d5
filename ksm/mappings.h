/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mappings of a process, as /proc/PID/maps lists them. */
#ifndef KSM_MAPPINGS_H
#define KSM_MAPPINGS_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ksm_mapping {
    uint64_t start, end; /* addresses, multiples of the page's size, start < end */
    bool no_access;      /* PROT_NONE */
    bool is_private;     /* and not MAP_SHARED */
    bool is_writable;
    bool is_anonymous; /* no file behind it */
    bool is_special;   /* the kernel's: [vdso], [vvar], [vsyscall] */
};

/* Reads a line; false if it is none of a mapping. Pure. */
bool ksm_mapping_parse(const char *line, struct ksm_mapping *mapping);

/* All of a process, in order of address, to be freed. */
struct matrix_error *ksm_mappings_read(pid_t pid, struct ksm_mapping **mappings,
                                       size_t *count) MATRIX_MUST_CHECK;

/* Whether all of a piece of memory is mapped. Pure. */
bool ksm_mappings_cover(const struct ksm_mapping *mappings, size_t count, uint64_t start,
                        uint64_t bytes);

/*
 * Whether the process has a mapping that KSM may merge: it was advised MADV_MERGEABLE ("mg" in
 * smaps). Of what is gone or another's: false.
 */
bool ksm_mappings_any_mergeable(pid_t pid);

#endif
