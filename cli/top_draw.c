// SPDX-License-Identifier: GPL-2.0-or-later
/* The page of `matrix top`: what stands where; see top.h. */
#include "base/parse.h"
#include "cli/top.h"
#include <string.h>

/* With fewer rows than this there is only the table. */
#define ROWS_FOR_SELECTED 15
#define ROWS_FOR_DELAYS   20
#define BARS_LEAST        3
#define BARS_MOST         6

/* Rows of each part; 0: it is not there. */
struct layout {
    unsigned cores, table, selected, delays, memory;
};

/* A page that is printed, and not a screen, shows all there is. */
static struct layout divide_still(const struct top_scene *scene)
{
    return (struct layout){.cores = (unsigned)scene->status->count + 1,
                           .table = (unsigned)scene->model->count + 1,
                           .delays = BARS_LEAST + 2,
                           .memory = 1};
}

/* Of which all have a title and a last line, and an empty line between cores, table and the rest. */
static struct layout divide(unsigned rows, const struct top_scene *scene)
{
    if (scene->view->is_still)
        return divide_still(scene);
    struct layout layout = {.cores = (unsigned)scene->status->count + 1};
    const unsigned most = rows / 4 > 2 ? rows / 4 : 2;
    layout.cores = layout.cores > most ? most : layout.cores;
    unsigned used = 2 + layout.cores + 1;
    if (rows >= ROWS_FOR_SELECTED) {
        layout.selected = 2;
        layout.memory = 1;
        used += layout.selected + layout.memory + 1;
    }
    if (rows >= ROWS_FOR_DELAYS) {
        const unsigned bars = rows / 8;
        layout.delays = 2 + (bars < BARS_LEAST ? BARS_LEAST : bars > BARS_MOST ? BARS_MOST : bars);
        used += layout.delays;
    }
    layout.table = rows > used ? rows - used : 0;
    return layout;
}

unsigned top_rows_wanted(const struct top_scene *scene)
{
    const struct layout layout = divide_still(scene);
    return 1 + layout.cores + 1 + layout.table + 1 + layout.delays + layout.memory;
}

/* --- the first line and the last ------------------------------------------------------------- */

static size_t count_processes(const struct status *status)
{
    size_t count = 0;
    for (size_t i = 0; i < status->count; i++)
        count += i == 0 || status->cores[i].from.pid != status->cores[i - 1].from.pid;
    return count;
}

static void draw_title(struct grid *grid, const struct top_scene *scene)
{
    const struct top_view *view = scene->view;
    const size_t cores = scene->status->count, processes = count_processes(scene->status);
    size_t guests = 0;
    for (size_t i = 0; i < cores; i++)
        guests += scene->status->cores[i].guest_count;
    char interval[FORMAT_BYTES];
    unsigned column = grid_put(grid, 0, 1, GRID_STRONG, "matrix top");
    column = grid_printf(
        grid, 0, column + 2, GRID_PLAIN, "%zu process%s, %zu core%s, %zu guest%s by %s%s, every %s",
        processes, processes == 1 ? "" : "es", cores, cores == 1 ? "" : "s", guests,
        guests == 1 ? "" : "s", top_sort_names[view->order.sort],
        view->order.reverse ? " reversed" : "", format_duration(interval, view->interval_ns));
    if (view->is_frozen)
        grid_put(grid, 0, column + 1, GRID_SELECTED, "FROZEN");
    else if (column + strlen(scene->time) + 1 < grid->columns)
        grid_right(grid, 0, grid->columns - 1, GRID_FAINT, scene->time);
}

static void draw_last_line(struct grid *grid, const struct top_view *view)
{
    const unsigned row = grid->rows - 1;
    unsigned column;
    switch (view->asks) {
    case TOP_ASKS_WEIGHT:
        column = grid_put(grid, row, 1, GRID_STRONG, "New weight of ");
        column = grid_put(grid, row, column, GRID_STRONG, view->selected.name);
        grid_printf(grid, row, column, GRID_STRONG, " (Enter; Esc: as it was): %s_", view->typed);
        return;
    case TOP_ASKS_STOP:
        column = grid_put(grid, row, 1, GRID_BAD, "Stop ");
        column = grid_put(grid, row, column, GRID_BAD, view->selected.name);
        grid_put(grid, row, column, GRID_BAD, "? It ends. y: yes, any other key: no");
        return;
    default:
        break;
    }
    if (view->message[0])
        grid_put(grid, row, 1, view->is_error ? GRID_BAD : GRID_STRONG, view->message);
    else
        grid_put(grid, row, 1, GRID_FAINT,
                 "q quit  h help  p pause  +-w weight  s stop  <>r sort  g groups  space freeze");
}

/* --- help ------------------------------------------------------------------------------------ */

static const char *const help[][2] = {
    {"up down k j", "select; also page up and down, home, end"},
    {"p", "pause the selected guest, or let it run again"},
    {"+ -", "its weight, or its group's: a tenth more, or less"},
    {"w", "type its weight"},
    {"s", "stop it: it ends. Asks before"},
    {"left right < >", "sort by another column (the one that is marked)"},
    {"r", "the other way round"},
    {"g", "groups, or all guests among each other"},
    {"space", "freeze what is seen, and let it go on"},
    {"q", "quit"},
    {"", ""},
    {"DUE", "part of the guests' CPU time that was theirs by contract"},
    {"GIVEN", "part that they had; both since the look before"},
    {"DELAY", "from a slice's end to the core: median, 99 %, worst"},
};

static void draw_help(struct grid *grid)
{
    static const struct {
        double share, due;
        const char *text;
    } bars[] = {{0.6, 0.6, "as much as was due"},
                {0.4, 0.6, "less: the pale part is owed"},
                {0.6, 0.4, "more than was due"}};
    unsigned row = 1;
    grid_put(grid, 0, 1, GRID_STRONG, "matrix top: keys, and what is seen");
    for (size_t i = 0; i < sizeof(help) / sizeof(help[0]); i++, row++) {
        grid_put(grid, row, 2, GRID_STRONG, help[i][0]);
        grid_put(grid, row, 18, GRID_PLAIN, help[i][1]);
    }
    for (size_t i = 0; i < sizeof(bars) / sizeof(bars[0]); i++, row++) {
        top_draw_bar(grid, row, 2, 14, bars[i].share, bars[i].due);
        grid_put(grid, row, 18, GRID_PLAIN, bars[i].text);
    }
    grid_put(grid, grid->rows - 1, 1, GRID_FAINT, "any key: back");
}

/* --- the page -------------------------------------------------------------------------------- */

static const struct status_core *selected_core(const struct top_scene *scene)
{
    if (scene->view->index < scene->model->count)
        return scene->model->rows[scene->view->index].core;
    return scene->status->count ? &scene->status->cores[0] : NULL;
}

static void draw_page(struct grid *grid, const struct top_scene *scene)
{
    const struct layout layout = divide(grid->rows, scene);
    const struct status_core *core = selected_core(scene);
    draw_title(grid, scene);
    unsigned row = top_draw_cores(grid, 1, scene, layout.cores) + 1;
    if (scene->status->count == 0)
        grid_put(grid, row++, 1, GRID_STRONG, "Nobody runs guests here now.");
    else
        row = top_draw_table(grid, row, scene, layout.table) + 1;
    if (layout.selected)
        row = top_draw_selected(grid, row, scene);
    if (layout.delays && core)
        row = top_draw_delays(grid, row, core, layout.delays - 2);
    if (layout.memory)
        top_draw_memory(grid, row, scene);
}

void top_draw(struct grid *grid, const struct top_scene *scene)
{
    if (grid->columns < TOP_COLUMNS_LEAST || grid->rows < TOP_ROWS_LEAST) {
        grid_printf(grid, 0, 0, GRID_PLAIN, "%ux%u is too small:", grid->columns, grid->rows);
        grid_printf(grid, 1, 0, GRID_PLAIN, "%ux%u is needed", TOP_COLUMNS_LEAST, TOP_ROWS_LEAST);
        return;
    }
    if (scene->view->asks == TOP_ASKS_HELP) {
        draw_help(grid);
        return;
    }
    draw_page(grid, scene);
    if (!scene->view->is_still)
        draw_last_line(grid, scene->view);
}
