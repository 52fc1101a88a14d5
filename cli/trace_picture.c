// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A trace drawn: a line for each core and one for each guest, over the whole time, and below it a
 * twentieth of that from its middle, in which single slices can be seen. By cairo.
 */
#include "base/drawing.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/trace.h"
#include <cairo.h>
#include <math.h>
#include <string.h>

#define MARGIN    24.0
#define LINE      18.0
#define FONT      13.0
#define LABEL     150.0
#define WIDTH     1000.0 /* of the time */
#define ROW       26.0
#define BAR       18.0
#define GAP       40.0
#define ROWS_MAX  24 /* guests drawn by themselves: those who had most; the core's line has all */
#define ZOOM      20
#define TICKS_MAX 12
#define SEAM      0.02 /* of a pixel */

#define GREY  0x808080
#define LIGHT 0xe6e6e6

/* After Okabe and Ito, which differ for every kind of colour blindness. */
static const uint32_t colours[] = {0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7,
                                   0x56b4e9, 0xd55e00, 0xf0e442, 0x000000};

#define COLOURS (sizeof(colours) / sizeof(colours[0]))

struct picture {
    const struct traces *traces;
    const struct trace *first; /* of its cores */
    size_t rows[ROWS_MAX];     /* the guests of the lines below the cores' */
    size_t row_count;
    cairo_t *cairo;
};

/* A panel: what is drawn from when to when, and where its first line is. */
struct panel {
    uint64_t from_ns, to_ns;
    double top;
};

/* --- parts ----------------------------------------------------------------------------------- */

/* A hundredth of a pixel is more than can be seen, and fewer digits than all of them. */
static double x_of(const struct panel *panel, uint64_t time_ns)
{
    const uint64_t time = time_ns < panel->from_ns ? panel->from_ns
                          : time_ns > panel->to_ns ? panel->to_ns
                                                   : time_ns;
    const double part = (double)(time - panel->from_ns) / (double)(panel->to_ns - panel->from_ns);
    return MARGIN + LABEL + floor(part * WIDTH * 100 + 0.5) / 100;
}

/* The stays of a guest on a core, on a line, as one shape. */
static void draw_stays(const struct picture *picture, const struct panel *panel,
                       const struct trace *trace, size_t guest, size_t line)
{
    const double y = panel->top + (double)line * ROW + (ROW - BAR) / 2;
    double from = 0, to = -1; /* one after the other is one rectangle: the file gets smaller */
    for (size_t i = 0; i < trace->stay_count; i++) {
        const struct matrix_board_stay *stay = &trace->stays[i];
        if (stay->guest != trace->guests[guest].id || stay->end_ns < panel->from_ns ||
            stay->start_ns > panel->to_ns)
            continue;
        const double x = x_of(panel, stay->start_ns);
        if (x - to > SEAM) {
            cairo_rectangle(picture->cairo, from, y, to > from ? to - from : 0, BAR);
            from = x;
        }
        to = x_of(panel, stay->end_ns);
    }
    cairo_rectangle(picture->cairo, from, y, to > from ? to - from : 0, BAR);
    drawing_colour(picture->cairo, colours[trace->tracks[guest] % COLOURS]);
    cairo_fill(picture->cairo);
}

/* What is on the line of a guest, whatever the core; of nobody: ROWS_MAX. */
static size_t row_of(const struct picture *picture, size_t track)
{
    for (size_t row = 0; row < picture->row_count; row++)
        if (picture->rows[row] == track)
            return row;
    return ROWS_MAX;
}

static size_t line_count(const struct picture *picture)
{
    return picture->traces->count + picture->row_count;
}

/* 1, 2 or 5 times a power of ten, so that a dozen marks at most are there. */
static uint64_t tick_of(const struct panel *panel)
{
    const uint64_t span = panel->to_ns - panel->from_ns;
    for (uint64_t step = 1000; step < UINT64_MAX / 10; step *= 10)
        for (uint64_t factor = 1; factor <= 5; factor = factor == 2 ? 5 : factor * 2)
            if (span / (step * factor) < TICKS_MAX)
                return step * factor;
    return span;
}

static void draw_axis(const struct picture *picture, const struct panel *panel)
{
    const uint64_t begin = picture->first->begin_ns, tick = tick_of(panel);
    const double bottom = panel->top + (double)line_count(picture) * ROW;
    cairo_t *cairo = picture->cairo;
    const uint64_t first = (panel->from_ns - begin + tick - 1) / tick * tick;
    drawing_font(cairo, false, FONT - 2);
    cairo_set_line_width(cairo, 1);
    for (uint64_t time = first; begin + time <= panel->to_ns; time += tick) {
        char text[32];
        const double x = x_of(panel, begin + time);
        drawing_colour(cairo, LIGHT);
        cairo_move_to(cairo, x, panel->top);
        cairo_line_to(cairo, x, bottom);
        cairo_stroke(cairo);
        drawing_colour(cairo, GREY);
        snprintf(text, sizeof(text), "%.6g ms", (double)time / 1e6);
        drawing_text(cairo, x, bottom + LINE - 4, 0.5, text);
    }
}

static void draw_core_label(const struct picture *picture, const struct panel *panel, size_t line)
{
    const struct trace *trace = &picture->traces->cores[line];
    char text[32] = "the core";
    if (picture->traces->count > 1)
        snprintf(text, sizeof(text), "core %u", trace->number);
    else if (trace->core.host_cpu >= 0)
        snprintf(text, sizeof(text), "core %d", (int)trace->core.host_cpu);
    drawing_text(picture->cairo, MARGIN + LABEL - 10,
                 panel->top + (double)line * ROW + ROW / 2 + FONT / 3, 1, text);
}

static void draw_labels(const struct picture *picture, const struct panel *panel)
{
    cairo_t *cairo = picture->cairo;
    char text[MATRIX_BOARD_NAME_BYTES + 32];
    const size_t cores = picture->traces->count;
    drawing_font(cairo, true, FONT);
    drawing_colour(cairo, 0);
    for (size_t line = 0; line < cores; line++)
        draw_core_label(picture, panel, line);
    drawing_font(cairo, false, FONT);
    for (size_t row = 0; row < picture->row_count; row++) {
        const size_t guest = picture->rows[row];
        snprintf(text, sizeof(text), "%.16s  %.2f %%", picture->traces->guests[guest].name,
                 100 * trace_share(picture->traces, guest));
        drawing_text(cairo, MARGIN + LABEL - 10,
                     panel->top + (double)(cores + row) * ROW + ROW / 2 + FONT / 3, 1, text);
    }
}

static void draw_panel(const struct picture *picture, const struct panel *panel)
{
    const size_t cores = picture->traces->count;
    draw_axis(picture, panel);
    draw_labels(picture, panel);
    for (size_t k = 0; k < cores; k++) {
        const struct trace *trace = &picture->traces->cores[k];
        for (size_t guest = 0; guest < trace->guest_count; guest++) {
            const size_t row = row_of(picture, trace->tracks[guest]);
            draw_stays(picture, panel, trace, guest, k);
            if (row < ROWS_MAX)
                draw_stays(picture, panel, trace, guest, cores + row);
        }
    }
}

/* --- the whole ------------------------------------------------------------------------------- */

static bool comes_before(const struct trace_guest *a, const struct trace_guest *b)
{
    return a->cpu_ns != b->cpu_ns ? a->cpu_ns > b->cpu_ns : a->id < b->id;
}

/* Those who had most, in the order of their coming. */
static void choose_rows(struct picture *picture)
{
    const struct traces *trace = picture->traces;
    for (size_t guest = 0; guest < trace->guest_count; guest++) {
        size_t with_more = 0;
        for (size_t other = 0; other < trace->guest_count && with_more < ROWS_MAX; other++)
            with_more += comes_before(&trace->guests[other], &trace->guests[guest]);
        if (with_more < ROWS_MAX)
            picture->rows[picture->row_count++] = guest;
    }
}

static void draw(const struct picture *picture)
{
    const struct trace *trace = picture->first;
    size_t stays = 0;
    for (size_t k = 0; k < picture->traces->count; k++)
        stays += picture->traces->cores[k].stay_count;
    char text[200], duration[FORMAT_BYTES], slice[FORMAT_BYTES];
    const uint64_t span = trace->end_ns - trace->begin_ns, middle = trace->begin_ns + span / 2;
    const double height = (double)line_count(picture) * ROW + LINE + GAP;
    struct panel whole = {trace->begin_ns, trace->end_ns, MARGIN + 2 * LINE};
    struct panel part = {middle, middle + span / ZOOM, whole.top + height};
    cairo_t *cairo = picture->cairo;
    drawing_colour(cairo, 0xffffff);
    cairo_paint(cairo);
    drawing_colour(cairo, 0);
    drawing_font(cairo, true, FONT + 3);
    snprintf(text, sizeof(text), "Who was on the %s: %s, slices of %s, %zu stays",
             picture->traces->count > 1 ? "cores" : "core", format_duration(duration, span),
             format_duration(slice, trace->core.slice_ns), stays);
    drawing_text(cairo, MARGIN, MARGIN + FONT, 0, text);
    draw_panel(picture, &whole);
    drawing_colour(cairo, 0);
    drawing_font(cairo, true, FONT);
    snprintf(text, sizeof(text), "of that, %s from the middle",
             format_duration(duration, span / ZOOM));
    drawing_text(cairo, MARGIN, part.top - LINE / 2, 0, text);
    draw_panel(picture, &part);
}

struct matrix_error *trace_draw(const struct traces *traces, const char *path)
{
    const struct trace *trace = &traces->cores[0];
    struct picture picture = {.traces = traces, .first = trace};
    if (trace->end_ns - trace->begin_ns < ZOOM)
        return error_usage("watch for longer", "draw a trace without time");
    choose_rows(&picture);
    const double width = 2 * MARGIN + LABEL + WIDTH + 30;
    const double height =
        2 * MARGIN + 2 * LINE + 2 * ((double)line_count(&picture) * ROW + LINE) + GAP;
    struct drawing drawing;
    drawing_begin(&drawing, path, width, height);
    picture.cairo = drawing.cairo;
    draw(&picture);
    return drawing_end(&drawing);
}
