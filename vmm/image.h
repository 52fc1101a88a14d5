/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest image: a static ELF64 executable for x86-64. Everything in the file is checked before
 * it is used; nothing of it is mapped, so a file that changes underneath cannot hurt.
 */
#ifndef VMM_IMAGE_H
#define VMM_IMAGE_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IMAGE_SEGMENTS_MAX 32

/* An image may use addresses in [IMAGE_START, IMAGE_END); above it lie heap, stack and start page
 * (vmm/layout.c). Nothing lies below, so that a null pointer faults. */
#define IMAGE_START 0x10000ULL
#define IMAGE_END   0x600000000000ULL

struct image_segment {
    uint64_t gva;
    uint64_t memory_bytes;
    uint64_t file_offset;
    uint64_t file_bytes;
    bool writable, executable;
};

struct image_symbols;

struct image {
    int fd;
    char *path;
    uint64_t file_bytes;
    uint64_t entry;
    unsigned segment_count;
    struct image_segment segments[IMAGE_SEGMENTS_MAX]; /* by rising address, no page shared */
    uint64_t section_table;
    unsigned section_count;
    struct image_symbols *symbols; /* read when first asked for */
};

/* Opens and checks the image at path. */
struct matrix_error *image_open(const char *path, struct image *image);

/* The same for a file that is open already; fd is taken over, also on error. */
struct matrix_error *image_open_fd(int fd, const char *path, struct image *image);

void image_close(struct image *image);

/* Reads bytes bytes at offset of the file, all or nothing. */
struct matrix_error *image_read(const struct image *image, uint64_t offset, void *buffer,
                                size_t bytes);

/* The symbol that address lies in, and how far in; NULL if there is none. */
const char *image_symbol(struct image *image, uint64_t address, uint64_t *offset);

#endif
