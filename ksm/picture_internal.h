/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of a merge map's picture: picture.c lays it out, picture_memory.c draws memory. */
#ifndef KSM_PICTURE_INTERNAL_H
#define KSM_PICTURE_INTERNAL_H

#include "base/parse.h"
#include "ksm/picture.h"
#include <cairo.h>

#define LINE    18.0
#define FONT    13.0
#define PANEL   512 /* pixels of a grid's side */
#define CAPTION (3 * LINE)

struct picture {
    const struct ksm_map *map;
    struct ksm_grid grid;
    unsigned columns, rows; /* of panels */
    double width, height;   /* of all */
    double panel_height;
    double cell; /* of the heat map */
    cairo_t *cairo;
};

/* Pages as the memory that they are: "16 KiB". */
char *picture_pages(char text[FORMAT_BYTES], uint64_t pages);

/* A subject's memory, with its caption above, the upper left corner at x and y. */
void picture_draw_panel(const struct picture *picture, size_t subject, double x, double y);

/* Whether a panel is larger than its memory, so that some of it is ground. */
bool picture_has_ground(const struct picture *picture, size_t subject);
/* Slanting lines on white: told from every state, in grey, too, and from untouched memory. */
void picture_draw_ground(cairo_t *cairo, double x, double y, double width, double height);

#endif
