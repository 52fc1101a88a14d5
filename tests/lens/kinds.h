/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A page of each kind that a process can have, to be looked at by the tests. Made in the calling
 * process, and never given back: the process ends with its test program.
 */
#ifndef TESTS_LENS_KINDS_H
#define TESTS_LENS_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns an address in the middle of such a page; NULL: kinds_why says why not. */
typedef void *kind_maker(void);

struct kind {
    const char *name;
    kind_maker *make;
    uint64_t is, is_not;  /* MATRIX_PAGE_* */
    const char *smaps;    /* a field of its mapping in smaps that shows that it is of this kind */
    bool may_be_missing;  /* some machine or kernel has no such pages */
    bool is_not_writable; /* by anybody, or it had better not be */
};

extern const struct kind kinds[];
extern const size_t kinds_count;
extern char kinds_why[256];

/* The makers that other tests need one by one. */
void *kind_small(void);
void *kind_thp(void);
void *kind_zero(void);
void *kind_file_private(void);
void *kind_file_shared(void);
void *kind_memfd(void);
void *kind_hugetlb_2m(void);
void *kind_hugetlb_2m_shared(void);
void *kind_hugetlb_1g(void);
void *kind_secret(void);
void *kind_device(void);
/* Two pages merged by KSM; the second is *other. */
void *kind_ksm(char **other);

/* Asks the kernel to swap a page out, until it has; false if it never does. */
bool swap_out(void *page);

#endif
