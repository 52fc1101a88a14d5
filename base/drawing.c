// SPDX-License-Identifier: GPL-2.0-or-later
/* What every picture is drawn with, on cairo; see drawing.h. */
#include "base/drawing.h"

#include "base/error.h"
#include <stdbool.h>
#include <string.h>

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), of_end = strlen(end);
    return length > of_end && strcmp(text + length - of_end, end) == 0;
}

bool drawing_is_png(const char *path)
{
    return ends_with(path, ".png");
}

struct matrix_error *drawing_check_name(const char *path)
{
    if (ends_with(path, ".png") || ends_with(path, ".svg"))
        return NULL;
    return error_usage("name it FILE.png or FILE.svg", "%s: no such kind of picture", path);
}

void drawing_colour(cairo_t *cairo, uint32_t colour)
{
    cairo_set_source_rgb(cairo, (colour >> 16 & 0xff) / 255.0, (colour >> 8 & 0xff) / 255.0,
                         (colour & 0xff) / 255.0);
}

void drawing_text(cairo_t *cairo, double x, double y, double align, const char *text)
{
    char clean[160];
    size_t length = 0;
    for (; *text && length + 1 < sizeof(clean); text++)
        clean[length++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
    clean[length] = '\0';
    cairo_text_extents_t extents;
    cairo_text_extents(cairo, clean, &extents);
    cairo_move_to(cairo, x - align * extents.x_advance, y);
    cairo_show_text(cairo, clean);
}

void drawing_font(cairo_t *cairo, bool bold, double size)
{
    cairo_select_font_face(cairo, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cairo, size);
}
