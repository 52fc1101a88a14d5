// SPDX-License-Identifier: GPL-2.0-or-later
/* Lays memory out as tiles; see tiles.h. */
#include "ksm/tiles.h"

struct ksm_grid ksm_grid_choose(enum ksm_layout layout, uint64_t pages)
{
    struct ksm_grid grid = {.layout = layout, .side = 1, .pages_per_tile = 1};
    while (grid.side < KSM_GRID_SIDE_MAX && (uint64_t)grid.side * grid.side < pages)
        grid.side *= 2;
    while (ksm_grid_tiles(&grid, pages) > (uint64_t)grid.side * grid.side)
        grid.pages_per_tile *= 2;
    return grid;
}

uint64_t ksm_grid_tiles(const struct ksm_grid *grid, uint64_t pages)
{
    return pages / grid->pages_per_tile + (pages % grid->pages_per_tile != 0);
}

unsigned ksm_grid_rows(const struct ksm_grid *grid, uint64_t pages)
{
    const uint64_t tiles = ksm_grid_tiles(grid, pages);
    if (grid->layout == KSM_HILBERT)
        return grid->side;
    return (unsigned)(tiles / grid->side + (tiles % grid->side != 0));
}

/* From the smallest square to the whole: each step places a quarter, turned as the curve needs. */
static void place_on_curve(unsigned side, uint64_t tile, unsigned *x, unsigned *y)
{
    *x = *y = 0;
    for (unsigned size = 1; size < side; size *= 2) {
        const unsigned right = tile / 2 & 1, lower = (tile ^ right) & 1;
        if (!lower) {
            if (right) {
                *x = size - 1 - *x;
                *y = size - 1 - *y;
            }
            const unsigned swapped = *x;
            *x = *y;
            *y = swapped;
        }
        *x += size * right;
        *y += size * lower;
        tile /= 4;
    }
}

void ksm_grid_place(const struct ksm_grid *grid, uint64_t tile, unsigned *x, unsigned *y)
{
    if (grid->layout == KSM_HILBERT) {
        place_on_curve(grid->side, tile, x, y);
        return;
    }
    *x = (unsigned)(tile % grid->side);
    *y = (unsigned)(tile / grid->side);
}

enum ksm_state ksm_tile_state(const uint64_t *pages, uint64_t count)
{
    uint64_t counts[KSM_STATES] = {0};
    enum ksm_state most = 0;
    if (count == 1)
        return ksm_page_state(pages[0]);
    for (uint64_t i = 0; i < count; i++)
        counts[ksm_page_state(pages[i])]++;
    for (unsigned state = 1; state < KSM_STATES; state++)
        if (counts[state] > counts[most])
            most = state;
    return most;
}
