// SPDX-License-Identifier: GPL-2.0-or-later
/* Draws merge maps by cairo; see picture.h. */
#include "ksm/picture.h"

#include "base/cleanup.h"
#include "base/drawing.h"
#include "base/error.h"
#include "base/parse.h"
#include "ksm/picture_internal.h"
#include <stdio.h>
#include <string.h>

#define MARGIN     32.0
#define GAP        28.0
#define COLUMNS    4    /* panels beside each other */
#define AXIS       92.0 /* an address of a process */
#define LEGEND     430.0
#define MATRIX_MAX 520.0
#define CELL_MAX   92.0
#define CELL_TEXT  46.0 /* smaller ones have no number */
#define LABEL      150.0
#define SAMPLE     26.0 /* of a colour in the legend */

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

uint32_t ksm_state_colour(enum ksm_state state)
{
    return colours[state];
}

/* --- legend ----------------------------------------------------------------------------------- */

/* How many pages are in a state, of all. */
static uint64_t pages_in(const struct ksm_map *map, enum ksm_state state)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < map->list->count; i++)
        pages += map->counts[i].pages[state];
    return pages;
}

static void outline_sample(cairo_t *cairo, double x, double y)
{
    drawing_colour(cairo, 0x404040);
    cairo_rectangle(cairo, x, y, SAMPLE, LINE - 2);
    cairo_stroke(cairo);
    drawing_colour(cairo, 0);
}

static void draw_legend_state(const struct picture *picture, enum ksm_state state, double x,
                              double y)
{
    cairo_t *cairo = picture->cairo;
    char text[FORMAT_BYTES];
    const uint64_t pages = pages_in(picture->map, state);
    drawing_colour(cairo, colours[state]);
    cairo_rectangle(cairo, x, y, SAMPLE, LINE - 2);
    cairo_fill(cairo);
    outline_sample(cairo, x, y);
    drawing_text(cairo, x + 36, y + FONT, 0, ksm_state_text(state));
    drawing_text(cairo, x + 270, y + FONT, 1, picture_pages(text, pages));
    drawing_text(cairo, x + 390, y + FONT, 1, format_count(text, pages));
}

static void draw_legend_ground(const struct picture *picture, double x, double y)
{
    picture_draw_ground(picture->cairo, x, y, SAMPLE, LINE - 2);
    outline_sample(picture->cairo, x, y);
    drawing_text(picture->cairo, x + 36, y + FONT, 0, "no memory: the map ends before");
}

static void draw_legend(const struct picture *picture, double x, double y)
{
    cairo_t *cairo = picture->cairo;
    char text[160], one[FORMAT_BYTES], two[FORMAT_BYTES];
    bool ground = false;
    drawing_colour(cairo, 0);
    drawing_font(cairo, false, FONT);
    drawing_text(cairo, x + 390, y - 8, 1, "pages");
    for (unsigned i = 0; i < KSM_STATES; i++, y += LINE + 4)
        draw_legend_state(picture, legend[i], x, y);
    for (size_t i = 0; i < picture->map->list->count; i++)
        ground = ground || picture_has_ground(picture, i);
    if (ground)
        draw_legend_ground(picture, x, y);
    y += ground ? 2 * LINE + 4 : LINE;
    if (picture->grid.pages_per_tile == 1)
        snprintf(text, sizeof(text), "A tile is a page, 4 KiB,");
    else
        snprintf(text, sizeof(text), "A tile is %s, as most of its %s pages are,",
                 picture_pages(one, picture->grid.pages_per_tile),
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
                 picture_pages(text, first == second ? picture->map->within[first] : frames));
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
    const double of_legend = (KSM_STATES + 1) * (LINE + 4) + 3 * LINE;
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
        picture_draw_panel(picture, i, MARGIN + AXIS + (double)column * (AXIS + PANEL + GAP),
                           y + (double)row * picture->panel_height);
    }
    y += picture->rows * picture->panel_height + LINE;
    draw_legend(picture, MARGIN, y);
    draw_matrix(picture, MARGIN + LEGEND + GAP, y);
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
    struct drawing drawing;
    drawing_begin(&drawing, path, picture.width, picture.height);
    picture.cairo = drawing.cairo;
    draw(&picture);
    return drawing_end(&drawing);
}
