// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of guests and groups of `matrix top`; see top.h. */
#include "base/parse.h"
#include "cli/top.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define NAME_LEAST 13
#define NAME_MOST  33
#define BAR_LEAST  10
#define BAR_GOOD   20 /* more columns come only where so much is left */
#define BAR_MOST   50

/* --- the bar ---------------------------------------------------------------------------------- */

static double within(double share)
{
    return share > 1 ? 1 : share > 0 ? share : 0; /* NaN is nothing */
}

void top_draw_bar(struct grid *grid, unsigned row, unsigned column, unsigned cells, double share,
                  double due)
{
    const unsigned given = (unsigned)(within(share) * cells + 0.5);
    const unsigned owed = isnan(due) ? given : (unsigned)(within(due) * cells + 0.5);
    for (unsigned cell = 0; cell < cells; cell++) {
        const bool is_given = cell < given, is_owed = cell < owed;
        const enum grid_style style = is_given && is_owed ? GRID_GOOD
                                      : is_given          ? GRID_OVER
                                      : is_owed           ? GRID_SHORT
                                                          : GRID_FAINT;
        const char *text = is_given && is_owed ? (grid->utf8 ? "█" : "#")
                           : is_given          ? (grid->utf8 ? "▓" : "+")
                           : is_owed           ? (grid->utf8 ? "░" : "-")
                                               : (grid->utf8 ? "·" : ".");
        grid_put(grid, row, column + cell, style, text);
    }
}

/* --- cells ------------------------------------------------------------------------------------ */

/* Where a column of this page is. */
struct place {
    struct grid *grid;
    unsigned row, column, width;
};

static void right(const struct place *at, enum grid_style style, const char *text)
{
    grid_right(at->grid, at->row, at->column + at->width, style, text);
}

static void draw_pid(const struct place *at, const struct top_row *row)
{
    char text[24];
    snprintf(text, sizeof(text), "%d", row->core->from.pid);
    right(at, GRID_PLAIN, text);
}

static void draw_core(const struct place *at, const struct top_row *row)
{
    char text[24];
    right(at, GRID_PLAIN, top_core_name(row->core, text));
}

static void draw_name(const struct place *at, const struct top_row *row)
{
    const unsigned most = at->width - 4; /* of a name something is to be seen */
    const unsigned indent = 2 * row->depth < most ? 2 * row->depth : most;
    grid_field(at->grid, at->row, at->column + indent, at->width - indent,
               row->guest ? GRID_PLAIN : GRID_STRONG, row->name);
}

static void draw_state(const struct place *at, const struct top_row *row)
{
    const char *state = row->guest ? row->guest->state : "";
    char members[24];
    snprintf(members, sizeof(members), "%zu guest%s", row->members, row->members == 1 ? "" : "s");
    const enum grid_style style = strcmp(state, "faulted") == 0   ? GRID_BAD
                                  : strcmp(state, "paused") == 0  ? GRID_SHORT
                                  : strcmp(state, "running") == 0 ? GRID_GOOD
                                                                  : GRID_PLAIN;
    grid_field(at->grid, at->row, at->column, at->width, row->guest ? style : GRID_FAINT,
               row->guest ? state : members);
}

static void draw_weight(const struct place *at, const struct top_row *row)
{
    char text[16];
    snprintf(text, sizeof(text), "%" PRIu32, row->weight);
    right(at, GRID_PLAIN, text);
}

static void draw_limit(const struct place *at, uint32_t ppm)
{
    char text[16] = "-";
    if (ppm)
        snprintf(text, sizeof(text), "%.3g%%", ppm / 1e4);
    right(at, ppm ? GRID_PLAIN : GRID_FAINT, text);
}

static void draw_floor(const struct place *at, const struct top_row *row)
{
    draw_limit(at, row->floor_ppm);
}

static void draw_ceiling(const struct place *at, const struct top_row *row)
{
    draw_limit(at, row->ceiling_ppm);
}

static void draw_share_of(const struct place *at, double share)
{
    char text[32] = "-";
    if (!isnan(share))
        snprintf(text, sizeof(text), "%.1f%%", 100 * within(share));
    right(at, isnan(share) ? GRID_FAINT : GRID_PLAIN, text);
}

static void draw_due(const struct place *at, const struct top_row *row)
{
    draw_share_of(at, row->due);
}

static void draw_share(const struct place *at, const struct top_row *row)
{
    draw_share_of(at, row->share);
}

static void draw_error(const struct place *at, const struct top_row *row)
{
    char text[32] = "-";
    const double error = 100 * (row->share - row->due);
    if (!isnan(error))
        snprintf(text, sizeof(text), "%+.1f", error > 999 ? 999 : error < -999 ? -999 : error);
    right(at, isnan(error) ? GRID_FAINT : GRID_PLAIN, text);
}

static void draw_bar(const struct place *at, const struct top_row *row)
{
    top_draw_bar(at->grid, at->row, at->column, at->width, row->share, row->due);
}

static void draw_rate(const struct place *at, double rate)
{
    char text[FORMAT_BYTES];
    right(at, GRID_PLAIN,
          rate < 1e15 ? format_count(text, (uint64_t)(rate > 0 ? rate + 0.5 : 0)) : "many");
}

static void draw_exits(const struct place *at, const struct top_row *row)
{
    draw_rate(at, row->all_exits_per_s);
}

static void draw_io(const struct place *at, const struct top_row *row)
{
    draw_rate(at, row->exits_per_s[MATRIX_EXIT_KIND_HYPERCALL]);
}

static void draw_timer(const struct place *at, const struct top_row *row)
{
    draw_rate(at, row->exits_per_s[MATRIX_EXIT_KIND_INTERRUPTED]);
}

static void draw_cpu(const struct place *at, const struct top_row *row)
{
    char text[FORMAT_BYTES];
    right(at, GRID_PLAIN, format_duration(text, row->cpu_ns));
}

static void draw_memory(const struct place *at, const struct top_row *row)
{
    char text[FORMAT_BYTES];
    right(at, GRID_PLAIN, format_size(text, row->memory_bytes));
}

/* --- columns ---------------------------------------------------------------------------------- */

enum { WHENEVER, SEVERAL_PIDS, SEVERAL_CORES, WIDE };

#define NOT_SORTED TOP_SORTS

/* From left to right. Of those for wide pages the first get room first. */
static const struct column {
    const char *title;
    unsigned width; /* 0: what is left */
    unsigned when;
    enum top_sort sort;
    bool is_left;
    bool gives_way; /* where the bar would be but a stump */
    void (*draw)(const struct place *at, const struct top_row *row);
} columns[] = {
    {"PID", 7, SEVERAL_PIDS, NOT_SORTED, false, true, draw_pid},
    {"CORE", 4, SEVERAL_CORES, NOT_SORTED, false, true, draw_core},
    {"GUEST", NAME_LEAST, WHENEVER, TOP_BY_NAME, true, false, draw_name},
    {"STATE", 10, WHENEVER, TOP_BY_STATE, true, false, draw_state},
    {"WEIGHT", 6, WHENEVER, TOP_BY_WEIGHT, false, false, draw_weight},
    {"FLOOR", 5, WHENEVER, NOT_SORTED, false, true, draw_floor},
    {"CEIL", 5, WHENEVER, NOT_SORTED, false, true, draw_ceiling},
    {"DUE", 6, WHENEVER, TOP_BY_DUE, false, false, draw_due},
    {"GIVEN", 6, WHENEVER, TOP_BY_SHARE, false, false, draw_share},
    {"ERROR", 6, WIDE, TOP_BY_ERROR, false, false, draw_error},
    {"", 0, WHENEVER, NOT_SORTED, true, false, draw_bar},
    {"EXITS/S", 7, WHENEVER, TOP_BY_EXITS, false, false, draw_exits},
    {"IO/S", 7, WIDE, NOT_SORTED, false, false, draw_io},
    {"TIMER/S", 7, WIDE, NOT_SORTED, false, false, draw_timer},
    {"CPU TIME", 9, WIDE, TOP_BY_CPU, false, false, draw_cpu},
    {"MEMORY", 9, WIDE, TOP_BY_MEMORY, false, false, draw_memory},
};

#define COLUMNS (sizeof(columns) / sizeof(columns[0]))
#define NAME    2 /* its index */

/* The width of each on this page; 0: it is not there. */
struct widths {
    unsigned of[COLUMNS];
};

static bool is_there(const struct column *column, const struct status *status)
{
    bool several_pids = false;
    for (size_t i = 1; i < status->count; i++)
        several_pids |= status->cores[i].from.pid != status->cores[0].from.pid;
    return column->when == WHENEVER || (column->when == SEVERAL_PIDS && several_pids) ||
           (column->when == SEVERAL_CORES && status->count > 1);
}

static struct widths divide(const struct grid *grid, const struct status *status)
{
    struct widths widths = {{0}};
    unsigned used = 1, bar = 0; /* the mark of who is selected */
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (columns[i].width == 0)
            bar = i;
        if (is_there(&columns[i], status))
            used += (widths.of[i] = columns[i].width) + 1;
    }
    for (unsigned i = 0; i < COLUMNS; i++)
        if (columns[i].when == WIDE && used + columns[i].width + 1 + BAR_GOOD <= grid->columns)
            used += (widths.of[i] = columns[i].width) + 1;
    int left = (int)grid->columns - (int)used;
    if (left > BAR_GOOD) {
        const int more = left - BAR_GOOD < 2 * (NAME_MOST - NAME_LEAST) ? (left - BAR_GOOD) / 2
                                                                        : NAME_MOST - NAME_LEAST;
        widths.of[NAME] += (unsigned)more;
        left -= more;
    }
    /* From the right: limits first. */
    for (unsigned i = COLUMNS; i-- > 0;)
        if (columns[i].gives_way && widths.of[i] && left < BAR_LEAST) {
            left += (int)widths.of[i] + 1;
            widths.of[i] = 0;
        }
    left = left > 0 ? left : 0;
    widths.of[bar] = left < BAR_MOST ? (unsigned)left : BAR_MOST;
    return widths;
}

static void draw_head(struct grid *grid, unsigned row, const struct widths *widths,
                      const struct top_order *order)
{
    unsigned column = 1;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (!widths->of[i])
            continue;
        const enum grid_style style = columns[i].sort == order->sort ? GRID_SELECTED : GRID_HEAD;
        if (columns[i].is_left)
            grid_put(grid, row, column, style, columns[i].title);
        else
            grid_right(grid, row, column + widths->of[i], style, columns[i].title);
        column += widths->of[i] + 1;
    }
}

static void draw_row(struct grid *grid, unsigned row, const struct widths *widths,
                     const struct top_row *what)
{
    struct place at = {grid, row, 1, 0};
    for (unsigned i = 0; i < COLUMNS; i++) {
        at.width = widths->of[i];
        if (!at.width)
            continue;
        columns[i].draw(&at, what);
        at.column += at.width + 1;
    }
}

/* The selected row is among those that are seen. */
static void scroll(struct top_view *view, size_t count, size_t room)
{
    if (view->first_row + room > count)
        view->first_row = count > room ? count - room : 0;
    if (view->index < view->first_row)
        view->first_row = view->index;
    if (view->index >= view->first_row + room)
        view->first_row = view->index - room + 1;
}

unsigned top_draw_table(struct grid *grid, unsigned row, const struct top_scene *scene,
                        unsigned room)
{
    struct top_view *view = scene->view;
    const struct top_model *model = scene->model;
    const struct widths widths = divide(grid, scene->status);
    draw_head(grid, row, &widths, &view->order);
    view->page = room > 1 ? room - 1 : 1;
    scroll(view, model->count, view->page);
    for (size_t i = view->first_row; i < model->count && i < view->first_row + view->page; i++) {
        const unsigned here = row + 1 + (unsigned)(i - view->first_row);
        draw_row(grid, here, &widths, &model->rows[i]);
        if (!view->selected.is_somebody || i != view->index)
            continue;
        grid_paint(grid, here, GRID_SELECTED);
        grid_put(grid, here, 0, GRID_SELECTED, ">");
    }
    return row + room;
}
