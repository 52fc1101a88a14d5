// SPDX-License-Identifier: GPL-2.0-or-later
/* What every picture is drawn with, on cairo; see drawing.h. */
#include "base/drawing.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <cairo-svg.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

struct matrix_error *drawing_check_place(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const int length = slash ? (int)(slash - path) : 0;
    if (access(path, F_OK) == 0)
        return access(path, W_OK) ? error_host(errno, "write the picture %s", path) : NULL;
    snprintf(directory, sizeof(directory), "%.*s/", length, slash ? path : "");
    if (access(slash ? directory : ".", W_OK | X_OK))
        return error_host(errno, "write the picture %s", path);
    return NULL;
}

static cairo_status_t keep(void *drawing, const unsigned char *bytes, unsigned count)
{
    FILE *file = ((struct drawing *)drawing)->file;
    return file && fwrite(bytes, 1, count, file) == count ? CAIRO_STATUS_SUCCESS
                                                          : CAIRO_STATUS_NO_MEMORY;
}

void drawing_begin(struct drawing *drawing, const char *path, double width, double height)
{
    *drawing = (struct drawing){.path = path};
    drawing->file = open_memstream(&drawing->bytes, &drawing->size);
    drawing->surface = drawing_is_png(path)
                           ? cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height)
                           : cairo_svg_surface_create_for_stream(keep, drawing, width, height);
    drawing->cairo = cairo_create(drawing->surface);
}

static struct matrix_error *write_picture(const struct drawing *drawing)
{
    CLEANUP_FILE FILE *file = fopen(drawing->path, "we");
    if (!file || fwrite(drawing->bytes, 1, drawing->size, file) != drawing->size || fflush(file))
        return error_host(errno, "write the picture %s", drawing->path);
    return NULL;
}

struct matrix_error *drawing_end(struct drawing *drawing)
{
    cairo_status_t status = cairo_status(drawing->cairo);
    cairo_destroy(drawing->cairo);
    if (status == CAIRO_STATUS_SUCCESS && drawing_is_png(drawing->path))
        status = cairo_surface_write_to_png_stream(drawing->surface, keep, drawing);
    cairo_surface_finish(drawing->surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(drawing->surface);
    cairo_surface_destroy(drawing->surface);
    if ((!drawing->file || fclose(drawing->file)) && status == CAIRO_STATUS_SUCCESS)
        status = CAIRO_STATUS_NO_MEMORY;
    struct matrix_error *error =
        status == CAIRO_STATUS_SUCCESS ? write_picture(drawing)
        : status == CAIRO_STATUS_NO_MEMORY
            ? error_host(ENOMEM, "draw %s", drawing->path)
            : error_host(0, "draw %s: %s", drawing->path, cairo_status_to_string(status));
    free(drawing->bytes);
    return error;
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
