// SPDX-License-Identifier: GPL-2.0-or-later
/* Draws merge maps by cairo; see picture.h. */
#include "ksm/picture.h"

#include "base/cleanup.h"
#include "base/drawing.h"
#include "base/error.h"
#include "base/parse.h"
#include <cairo-svg.h>
#include <cairo.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MARGIN     32.0
#define GAP        28.0
#define LINE       18.0
#define FONT       13.0
#define PANEL      512 /* pixels of a grid's side */
#define COLUMNS    4   /* panels beside each other */
#define AXIS       92.0 /* an address of a process */
#define CAPTION    (3 * LINE)
#define LEGEND     430.0
#define MATRIX_MAX 520.0
#define CELL_MAX   92.0
#define CELL_TEXT  46.0 /* smaller ones have no number */
#define LABEL      150.0

/*
 * After Okabe and Ito's colours, which differ for every kind of colour blindness; made lighter or
 * darker so that they also differ in grey, in this order (tests/unit/test_ksm_map.c).
 */
static const uint32_t colours[KSM_STATES] = {
    [KSM_UNTOUCHED] = 0xffffff, [KSM_ZERO] = 0xf0e442,  [KSM_PRIVATE] = 0xa5d4f2,
    [KSM_WITHIN] = 0xe69f00,    [KSM_HUGE] = 0xcc79a7,  [KSM_SHARED] = 0xbd4b00,
    [KSM_SWAPPED] = 0x00563f,   [KSM_OTHER] = 0x000000,
};

/* In the legend: what the map is for first. */
static const enum ksm_state legend[KSM_STATES] = {
    KSM_SHARED, KSM_WITHIN, KSM_PRIVATE, KSM_HUGE, KSM_ZERO, KSM_UNTOUCHED, KSM_SWAPPED, KSM_OTHER};

struct picture {
    const struct ksm_map *map;
    struct ksm_grid grid;
    unsigned columns, rows; /* of panels */
    double width, height;   /* of all */
    double panel_height;
    double cell; /* of the heat map */
    cairo_t *cairo;
};

uint32_t ksm_state_colour(enum ksm_state state)
{
    return colours[state];
}

/* --- text ------------------------------------------------------------------------------------- */

static char *format_pages(char text[FORMAT_BYTES], uint64_t pages)
{
    return format_size(text, pages * MATRIX_PAGE_BYTES);
}

/* --- memory ----------------------------------------------------------------------------------- */

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
        const uint32_t pixel = 0xff000000 | colours[state];
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

static void draw_panel(const struct picture *picture, size_t subject, double x, double y)
{
    cairo_t *cairo = picture->cairo;
    const struct ksm_map *map = picture->map;
    const struct ksm_subject *of = &map->list->subjects[subject];
    const unsigned scale = PANEL / picture->grid.side;
    char text[160], one[FORMAT_BYTES], two[FORMAT_BYTES], three[FORMAT_BYTES];
    drawing_colour(cairo, 0);
    drawing_font(cairo, true, FONT + 1);
    snprintf(text, sizeof(text), "%.63s (%d), %s", of->name, of->pid,
             format_pages(one, ksm_subject_pages(of)));
    drawing_text(cairo, x, y + LINE - 5, 0, text);
    drawing_font(cairo, false, FONT);
    snprintf(text, sizeof(text), "with others %s, within %s, saved %s",
             format_pages(one, map->counts[subject].pages[KSM_SHARED]),
             format_pages(two, map->counts[subject].pages[KSM_WITHIN]),
             format_size(three, (uint64_t)map->counts[subject].saved_bytes));
    drawing_text(cairo, x, y + 2 * LINE - 5, 0, text);
    y += CAPTION;
    draw_axis(picture, subject, x, y, scale);
    cairo_surface_t *image = make_image(picture, subject, scale);
    cairo_set_source_surface(cairo, image, x, y);
    cairo_paint(cairo);
    drawing_colour(cairo, 0x808080);
    cairo_set_line_width(cairo, 1);
    cairo_rectangle(cairo, x - 0.5, y - 0.5, cairo_image_surface_get_width(image) + 1.0,
                    cairo_image_surface_get_height(image) + 1.0);
    cairo_stroke(cairo);
    cairo_surface_destroy(image);
}

/* --- legend ----------------------------------------------------------------------------------- */

static void draw_legend(const struct picture *picture, double x, double y)
{
    cairo_t *cairo = picture->cairo;
    const struct ksm_map *map = picture->map;
    char text[160], one[FORMAT_BYTES], two[FORMAT_BYTES];
    for (unsigned i = 0; i < KSM_STATES; i++, y += LINE + 4) {
        uint64_t pages = 0;
        for (size_t j = 0; j < map->list->count; j++)
            pages += map->counts[j].pages[legend[i]];
        drawing_colour(cairo, colours[legend[i]]);
        cairo_rectangle(cairo, x, y, 26, LINE - 2);
        cairo_fill_preserve(cairo);
        drawing_colour(cairo, 0x404040);
        cairo_stroke(cairo);
        drawing_colour(cairo, 0);
        drawing_font(cairo, false, FONT);
        drawing_text(cairo, x + 36, y + FONT, 0, ksm_state_text(legend[i]));
        drawing_text(cairo, x + 270, y + FONT, 1, format_pages(one, pages));
        drawing_text(cairo, x + 390, y + FONT, 1, format_count(two, pages));
        if (i == 0)
            drawing_text(cairo, x + 390, y - 8, 1, "pages");
    }
    y += LINE;
    if (picture->grid.pages_per_tile == 1)
        snprintf(text, sizeof(text), "A tile is a page, 4 KiB,");
    else
        snprintf(text, sizeof(text), "A tile is %s, as most of its %s pages are,",
                 format_pages(one, picture->grid.pages_per_tile),
                 format_count(two, picture->grid.pages_per_tile));
    drawing_text(cairo, x, y, 0, text);
    drawing_text(cairo, x, y + LINE, 0,
                 picture->grid.layout == KSM_ROWS
                     ? "in order of address: to the right, then down."
                     : "in order of address along Hilbert's curve, from the upper left.");
}

/* --- heat map --------------------------------------------------------------------------------- */

/* From white to dark blue by a share of the largest; its lightness falls all the way. */
static uint32_t heat(double share)
{
    static const double low[3] = {255, 255, 255}, middle[3] = {86, 180, 233}, high[3] = {0, 50, 90};
    uint32_t colour = 0;
    for (unsigned i = 0; i < 3; i++) {
        const double value = share < 0.5 ? low[i] + (middle[i] - low[i]) * 2 * share
                                         : middle[i] + (high[i] - middle[i]) * (2 * share - 1);
        colour = colour << 8 | (uint32_t)(value + 0.5);
    }
    return colour;
}

static void draw_cell(const struct picture *picture, size_t first, size_t second, uint64_t most,
                      double x, double y)
{
    cairo_t *cairo = picture->cairo;
    const double cell = picture->cell;
    const uint64_t frames = picture->map->pairs[first * picture->map->list->count + second];
    const double share = most ? (double)frames / (double)most : 0;
    char text[FORMAT_BYTES];
    drawing_colour(cairo, heat(share));
    cairo_rectangle(cairo, x, y, cell, cell);
    cairo_fill_preserve(cairo);
    drawing_colour(cairo, 0xa0a0a0);
    cairo_stroke(cairo);
    if (cell < CELL_TEXT)
        return;
    drawing_colour(cairo, share > 0.5 ? 0xffffff : 0);
    drawing_font(cairo, false, FONT - 1);
    drawing_text(cairo, x + cell / 2, y + cell / 2, 0.5, format_count(text, frames));
    drawing_text(cairo, x + cell / 2, y + cell / 2 + LINE - 3, 0.5,
                 format_pages(text, first == second ? picture->map->within[first] : frames));
}

static void draw_matrix(const struct picture *picture, double x, double y)
{
    cairo_t *cairo = picture->cairo;
    const struct ksm_map *map = picture->map;
    const size_t subjects = map->list->count;
    uint64_t most = 0;
    drawing_colour(cairo, 0);
    drawing_font(cairo, false, FONT);
    drawing_text(cairo, x, y - 8, 0,
                 "Frames that both map, and what that saves; on the diagonal: in one alone");
    for (size_t i = 0; i < subjects * subjects; i++)
        most = map->pairs[i] > most ? map->pairs[i] : most;
    for (size_t i = 0; i < subjects; i++) {
        char label[KSM_LABEL_BYTES];
        drawing_colour(cairo, 0);
        drawing_font(cairo, false, picture->cell < FONT ? picture->cell : FONT - 1);
        drawing_text(cairo, x + LABEL - 8, y + (double)i * picture->cell + picture->cell / 2 + 4, 1,
                     ksm_subject_label(map->list, i, label));
        for (size_t j = 0; j < subjects; j++)
            draw_cell(picture, i, j, most, x + LABEL + (double)j * picture->cell,
                      y + (double)i * picture->cell);
    }
}

/* --- all of it -------------------------------------------------------------------------------- */

static double lower_height(const struct picture *picture)
{
    const double of_legend = KSM_STATES * (LINE + 4) + 3 * LINE;
    const double of_matrix = (double)picture->map->list->count * picture->cell;
    return of_legend > of_matrix ? of_legend : of_matrix;
}

static void lay_out(struct picture *picture, enum ksm_layout layout)
{
    const struct ksm_subject_list *list = picture->map->list;
    uint64_t largest = 1;
    for (size_t i = 0; i < list->count; i++) {
        const uint64_t pages = ksm_subject_pages(&list->subjects[i]);
        largest = pages > largest ? pages : largest;
    }
    picture->grid = ksm_grid_choose(layout, largest);
    const unsigned scale = PANEL / picture->grid.side;
    picture->panel_height = CAPTION + ksm_grid_rows(&picture->grid, largest) * scale + GAP;
    picture->columns = list->count < COLUMNS ? (unsigned)list->count : COLUMNS;
    picture->rows = (unsigned)((list->count + COLUMNS - 1) / COLUMNS);
    picture->cell = MATRIX_MAX / (double)list->count;
    picture->cell = picture->cell < CELL_MAX ? picture->cell : CELL_MAX;
    const double panels = picture->columns * (AXIS + PANEL) + (picture->columns - 1) * GAP;
    const double below = LEGEND + GAP + LABEL + MATRIX_MAX;
    picture->width = 2 * MARGIN + (panels > below ? panels : below);
    picture->height = 2 * MARGIN + 2 * LINE + picture->rows * picture->panel_height + LINE +
                      lower_height(picture);
}

static void draw(const struct picture *picture)
{
    const struct ksm_map *map = picture->map;
    cairo_t *cairo = picture->cairo;
    char text[200], one[FORMAT_BYTES], two[FORMAT_BYTES], three[FORMAT_BYTES];
    double y = MARGIN;
    drawing_colour(cairo, 0xffffff);
    cairo_paint(cairo);
    drawing_colour(cairo, 0);
    drawing_font(cairo, true, FONT + 4);
    snprintf(text, sizeof(text), "%s merged frames for %s mappings: %s saved",
             format_count(one, map->frames), format_count(two, map->mappings),
             format_size(three, map->saved_bytes));
    drawing_text(cairo, MARGIN, y + FONT, 0, text);
    y += 2 * LINE;
    for (size_t i = 0; i < map->list->count; i++) {
        const size_t row = i / COLUMNS, column = i % COLUMNS;
        draw_panel(picture, i, MARGIN + AXIS + (double)column * (AXIS + PANEL + GAP),
                   y + (double)row * picture->panel_height);
    }
    y += picture->rows * picture->panel_height + LINE;
    draw_legend(picture, MARGIN, y);
    draw_matrix(picture, MARGIN + LEGEND + GAP, y);
}

static struct matrix_error *fail(const char *path, cairo_status_t status)
{
    return error_host(status == CAIRO_STATUS_NO_MEMORY     ? ENOMEM
                      : status == CAIRO_STATUS_WRITE_ERROR ? EIO
                                                           : 0,
                      "draw %s: %s", path, cairo_status_to_string(status));
}

struct matrix_error *ksm_picture_draw(const struct ksm_map *map, enum ksm_layout layout,
                                      const char *path)
{
    struct picture picture = {.map = map};
    RETURN_IF_ERROR(drawing_check_name(path));
    if (map->list->count > KSM_PICTURE_SUBJECTS_MAX)
        return error_usage("name those that are to be drawn", "draw the memory of %zu processes",
                           map->list->count);
    lay_out(&picture, layout);
    const bool is_png = drawing_is_png(path);
    cairo_surface_t *surface =
        is_png ? cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)picture.width,
                                            (int)picture.height)
               : cairo_svg_surface_create(path, picture.width, picture.height);
    picture.cairo = cairo_create(surface);
    draw(&picture);
    cairo_status_t status = cairo_status(picture.cairo);
    cairo_destroy(picture.cairo);
    if (status == CAIRO_STATUS_SUCCESS && is_png)
        status = cairo_surface_write_to_png(surface, path);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return status == CAIRO_STATUS_SUCCESS ? NULL : fail(path, status);
}
