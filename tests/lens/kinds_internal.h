/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between kinds.c and kinds_files.c only. */
#ifndef TESTS_LENS_KINDS_INTERNAL_H
#define TESTS_LENS_KINDS_INTERNAL_H

#include "tests/lens/kinds.h"

#define HUGE_2M (2 * MIB)

/* Notes the errno in kinds_why; NULL. */
void *kind_cannot(const char *what);

/* mmap() for reading and writing; NULL: kinds_why says why not. */
char *kind_map(size_t size, int flags, int fd);
/* The middle one of three pages of 2 MiB that may become large. */
char *kind_map_large(int flags, int fd);

/* Reads a byte, so that its page is there. */
char kind_touch(const volatile char *address);

/* Makers of kinds_files.c that no other test needs. */
void *kind_file_written(void);
void *kind_shared(void);
void *kind_memfd_2m(void);

/* Large pages need memory in one piece, which there may be none of after hours of tests. */
void kind_compact_memory(void);
void *kind_vdso(void);
void *kind_vvar(void);
void *kind_low_memory(void);

#endif
