/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A merge map as a picture, PNG or SVG: the memory of each subject as an image, a legend with
 * totals, and who shares how much with whom as a heat map.
 */
#ifndef KSM_PICTURE_H
#define KSM_PICTURE_H

#include "ksm/tiles.h"

/* More would not be readable. */
#define KSM_PICTURE_SUBJECTS_MAX 64

/* Draws into a file, whose name says of which kind it is. */
struct matrix_error *ksm_picture_draw(const struct ksm_map *map, enum ksm_layout layout,
                                      const char *path) MATRIX_MUST_CHECK;

/* 0xRRGGBB. */
uint32_t ksm_state_colour(enum ksm_state state);

#endif
