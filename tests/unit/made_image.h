/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF image that is made here, sound at first, for tests that spoil one thing of it at a time.
 * Used by tests/unit/test_image*.c.
 */
#ifndef TESTS_UNIT_MADE_IMAGE_H
#define TESTS_UNIT_MADE_IMAGE_H

#include "vmm/image.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define TEXT_GVA 0x400000
#define DATA_GVA 0x402000

/* A program of two segments, text and data, with a symbol table. */
struct made_file {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    Elf64_Shdr sections[3];
    Elf64_Sym symbols[4];
    char names[32];
    uint8_t text[64];
    uint8_t data[32];
};

extern struct made_file made;
extern size_t made_bytes; /* so much of it is written */

/* A segment to load, as large in the file as in memory. */
Elf64_Phdr made_segment(uint64_t gva, uint64_t offset, uint64_t bytes, unsigned flags);

/* For cmocka, before a test, or within: all is sound again. */
int made_reset(void **state);

/* Opens what was made, by the name made.elf. */
struct matrix_error *made_open(struct image *image) MATRIX_MUST_CHECK;

/* Fails the running test unless the image is refused with a message that names the file, and part. */
void assert_refused(const char *part);

/* Fails the running test unless the image can be opened. */
void assert_accepted(struct image *image);

#endif
