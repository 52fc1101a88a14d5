// SPDX-License-Identifier: GPL-2.0-or-later
/* The memory of one subject in a picture of a merge map; see picture_internal.h. */
#include "base/drawing.h"
#include "base/parse.h"
#include "ksm/picture_internal.h"
#include <stdio.h>
#include <string.h>

/* Where a picture has no memory: between these lines it is white, as no state is. */
#define GROUND_COLOUR 0x909090
#define GROUND_STEP   6.0

char *picture_pages(char text[FORMAT_BYTES], uint64_t pages)
{
    return format_size(text, pages * MATRIX_PAGE_BYTES);
}

/* A pixel for each of a tile's: an image stays small in an SVG, and as sharp as it is. */
static cairo_surface_t *make_image(const struct picture *picture, size_t subject, unsigned scale)
{
    const struct ksm_grid *grid = &picture->grid;
    const uint64_t pages = ksm_subject_pages(&picture->map->list->subjects[subject]);
    const unsigned rows = ksm_grid_rows(grid, pages);
    cairo_surface_t *surface = cairo_image_surface_create(
        CAIRO_FORMAT_ARGB32, (int)(grid->side * scale), (int)((rows ? rows : 1) * scale));
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS)
        return surface;
    unsigned char *data = cairo_image_surface_get_data(surface);
    const size_t stride = (size_t)cairo_image_surface_get_stride(surface);
    for (uint64_t tile = 0; tile < ksm_grid_tiles(grid, pages); tile++) {
        unsigned x, y;
        const uint64_t first = tile * grid->pages_per_tile, left = pages - first;
        const enum ksm_state state =
            ksm_tile_state(&picture->map->pages[subject][first],
                           left < grid->pages_per_tile ? left : grid->pages_per_tile);
        const uint32_t pixel = 0xff000000 | ksm_state_colour(state);
        ksm_grid_place(grid, tile, &x, &y);
        for (unsigned i = 0; i < scale; i++)
            for (unsigned j = 0; j < scale; j++)
                memcpy(data + (size_t)(y * scale + i) * stride + 4 * (size_t)(x * scale + j),
                       &pixel, sizeof(pixel));
    }
    cairo_surface_mark_dirty(surface);
    return surface;
}

/* The address where a row begins, guest-physical or of the process, at every eighth of the grid. */
static void draw_axis(const struct picture *picture, size_t subject, double x, double y,
                      unsigned scale)
{
    const struct ksm_grid *grid = &picture->grid;
    const struct ksm_subject *of = &picture->map->list->subjects[subject];
    const unsigned rows = ksm_grid_rows(grid, ksm_subject_pages(of));
    const unsigned step = grid->side / 8 ? grid->side / 8 : 1;
    if (grid->layout == KSM_HILBERT)
        return;
    drawing_font(picture->cairo, false, FONT - 3);
    for (unsigned row = 0; row < rows; row += step) {
        char text[FORMAT_BYTES];
        const struct ksm_place place = {
            .subject = (uint32_t)subject,
            .page = (uint32_t)((uint64_t)row * grid->side * grid->pages_per_tile)};
        const uint64_t address = ksm_map_gpa(picture->map, place);
        if (of->kind == KSM_PROCESS)
            snprintf(text, sizeof(text), "0x%llx", (unsigned long long)address);
        else
            format_size(text, address);
        drawing_text(picture->cairo, x - 5, y + row * scale + FONT - 4, 1, text);
    }
}

void picture_draw_ground(cairo_t *cairo, double x, double y, double width, double height)
{
    cairo_save(cairo);
    cairo_rectangle(cairo, x, y, width, height);
    cairo_clip(cairo);
    drawing_colour(cairo, 0xffffff);
    cairo_paint(cairo);
    drawing_colour(cairo, GROUND_COLOUR);
    cairo_set_line_width(cairo, 1);
    const unsigned lines = (unsigned)((width + height) / GROUND_STEP);
    for (unsigned i = 0; i < lines; i++) {
        const double at = (i + 0.5) * GROUND_STEP;
        cairo_move_to(cairo, x + at, y);
        cairo_line_to(cairo, x + at - height, y + height);
    }
    cairo_stroke(cairo);
    cairo_restore(cairo);
}

bool picture_has_ground(const struct picture *picture, size_t subject)
{
    const struct ksm_grid *grid = &picture->grid;
    const uint64_t pages = ksm_subject_pages(&picture->map->list->subjects[subject]);
    const unsigned rows = ksm_grid_rows(grid, pages);
    return ksm_grid_tiles(grid, pages) < (uint64_t)(rows ? rows : 1) * grid->side;
}

void picture_draw_panel(const struct picture *picture, size_t subject, double x, double y)
{
    cairo_t *cairo = picture->cairo;
    const struct ksm_map *map = picture->map;
    const struct ksm_subject *of = &map->list->subjects[subject];
    const unsigned scale = PANEL / picture->grid.side;
    char text[160], one[FORMAT_BYTES], two[FORMAT_BYTES], three[FORMAT_BYTES];
    drawing_colour(cairo, 0);
    drawing_font(cairo, true, FONT + 1);
    snprintf(text, sizeof(text), "%.63s (%d), %s", of->name, of->pid,
             picture_pages(one, ksm_subject_pages(of)));
    drawing_text(cairo, x, y + LINE - 5, 0, text);
    drawing_font(cairo, false, FONT);
    snprintf(text, sizeof(text), "with others %s, within %s, saved %s",
             picture_pages(one, map->counts[subject].pages[KSM_SHARED]),
             picture_pages(two, map->counts[subject].pages[KSM_WITHIN]),
             format_size(three, (uint64_t)map->counts[subject].saved_bytes));
    drawing_text(cairo, x, y + 2 * LINE - 5, 0, text);
    y += CAPTION;
    draw_axis(picture, subject, x, y, scale);
    cairo_surface_t *image = make_image(picture, subject, scale);
    if (picture_has_ground(picture, subject))
        picture_draw_ground(cairo, x, y, cairo_image_surface_get_width(image),
                            cairo_image_surface_get_height(image));
    cairo_set_source_surface(cairo, image, x, y);
    cairo_paint(cairo);
    drawing_colour(cairo, 0x808080);
    cairo_set_line_width(cairo, 1);
    cairo_rectangle(cairo, x - 0.5, y - 0.5, cairo_image_surface_get_width(image) + 1.0,
                    cairo_image_surface_get_height(image) + 1.0);
    cairo_stroke(cairo);
    cairo_surface_destroy(image);
}
