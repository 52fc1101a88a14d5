/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How memory is laid out in a picture: pure arithmetic. */
#ifndef KSM_TILES_H
#define KSM_TILES_H

#include "ksm/map.h"

enum ksm_layout {
    KSM_ROWS,    /* as one reads: to the right, then down */
    KSM_HILBERT, /* along Hilbert's curve: what is near in memory is near in the picture */
};

/* A square of tiles, each for so many pages; the same for all subjects of a picture. */
struct ksm_grid {
    enum ksm_layout layout;
    unsigned side;           /* tiles; a power of two */
    uint64_t pages_per_tile; /* a power of two */
};

/* The largest square. */
#define KSM_GRID_SIDE_MAX 256

/* A grid that the memory of pages fits in: one page a tile, if it can be. */
struct ksm_grid ksm_grid_choose(enum ksm_layout layout, uint64_t pages);

/* How many tiles pages take, and how many rows of the grid those touch. */
uint64_t ksm_grid_tiles(const struct ksm_grid *grid, uint64_t pages);
unsigned ksm_grid_rows(const struct ksm_grid *grid, uint64_t pages);

/* Where a tile is: x to the right, y down, both from 0. */
void ksm_grid_place(const struct ksm_grid *grid, uint64_t tile, unsigned *x, unsigned *y);

/*
 * The state that a tile shows: the one that most of its pages have; of several the one that stands
 * first in enum ksm_state. pages: those of the tile; count: 1 or more.
 */
enum ksm_state ksm_tile_state(const uint64_t *pages, uint64_t count);

#endif
