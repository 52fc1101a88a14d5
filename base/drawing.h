/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every picture is drawn with, on cairo. Linked only into the programs that draw. */
#ifndef BASE_DRAWING_H
#define BASE_DRAWING_H

#include <cairo.h>
#include <matrix/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Refuses the name of a picture whose kind is unknown: .png and .svg are known. */
struct matrix_error *drawing_check_name(const char *path) MATRIX_MUST_CHECK;

/*
 * Fails unless a picture can be written there, before anybody has drawn it. Neither makes a file nor
 * changes one.
 */
struct matrix_error *drawing_check_place(const char *path) MATRIX_MUST_CHECK;

/*
 * A picture that is drawn in memory, and written when it is whole: when anything fails before that, what was
 * there is still there. drawing_begin() never fails; drawing_end() does for all, and frees.
 */
struct drawing {
    cairo_t *cairo;
    cairo_surface_t *surface;
    const char *path;
    FILE *file; /* into bytes */
    char *bytes;
    size_t size;
};
void drawing_begin(struct drawing *drawing, const char *path, double width, double height);
struct matrix_error *drawing_end(struct drawing *drawing) MATRIX_MUST_CHECK;

/* Whether it is a .png; else, after that, it is an .svg. */
bool drawing_is_png(const char *path);

/* 0xRRGGBB */
void drawing_colour(cairo_t *cairo, uint32_t colour);

/* align: 0 begins at x, 0.5 is centred there, 1 ends there. Names are whatever they are. */
void drawing_text(cairo_t *cairo, double x, double y, double align, const char *text);

void drawing_font(cairo_t *cairo, bool bold, double size);

#endif
