/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel itself says of a process's memory, by means that are not ours: /proc/PID/pagemap,
 * maps, smaps and status, /proc/kpageflags and kpagecount, and its count of page faults.
 */
#ifndef TESTS_LENS_ORACLE_H
#define TESTS_LENS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* /proc/PID/pagemap: Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PRESENT (1ULL << 63)
#define PAGEMAP_SWAPPED (1ULL << 62)
#define PAGEMAP_FILE    (1ULL << 61)
#define PAGEMAP_FRAME   ((1ULL << 55) - 1)
/* /proc/kpageflags: include/uapi/linux/kernel-page-flags.h */
#define FRAME_ANONYMOUS  (1ULL << 12)
#define FRAME_SWAPBACKED (1ULL << 14)
#define FRAME_HEAD       (1ULL << 15)
#define FRAME_TAIL       (1ULL << 16)
#define FRAME_HUGETLB    (1ULL << 17)
#define FRAME_KSM        (1ULL << 21)
#define FRAME_ZERO       (1ULL << 24)

/* A line of /proc/PID/maps. */
struct oracle_mapping {
    uintptr_t start, end;
    char permissions[5];
    char name[128];
};

/* The mappings of a process; returns how many there are, at most max. */
size_t oracle_mappings(pid_t pid, struct oracle_mapping *mappings, size_t max);

/* The mapping that covers an address; false if there is none. */
bool oracle_find_mapping(pid_t pid, uintptr_t address, struct oracle_mapping *mapping);

/* The numbers of pagemap for count pages. */
void oracle_pagemap(pid_t pid, uintptr_t address, size_t count, uint64_t *numbers);

/* The frame behind an address; 0 if there is none. */
uint64_t oracle_frame(pid_t pid, const void *address);
uint64_t oracle_frame_flags(uint64_t frame);
/*
 * Whether FRAME_KSM means what it says: from 6.9 on /proc/kpageflags has it for every anonymous page
 * (stable_page_flags() tested for any of two bits, where both are meant), until that was mended.
 */
bool oracle_knows_ksm(void);
/* In how many page tables a frame is. */
uint64_t oracle_frame_count(uint64_t frame);

/* A field of the mapping's entry in smaps, in bytes. */
uint64_t oracle_smaps(pid_t pid, const void *address, const char *field);
/* Whether VmFlags in that entry has this flag. */
bool oracle_has_vm_flag(pid_t pid, uintptr_t address, const char *flag);
/* A field of /proc/PID/FILE, in bytes, summed over all lines that have it. */
uint64_t oracle_total(pid_t pid, const char *file, const char *field);

/* Whether writing a byte there takes the calling process a page fault. It is the same after. */
bool oracle_write_faults(volatile char *address);

/* A byte of another process, through /proc/PID/mem. */
char oracle_peek(pid_t pid, const char *address);

/* Fails the running test unless count entries of the device, from address on, say what the kernel says. */
void assert_agrees(pid_t pid, uintptr_t address, size_t count, const uint64_t *entries);

#endif
