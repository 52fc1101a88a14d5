// SPDX-License-Identifier: GPL-2.0-or-later
/* What stands above and below the table of `matrix top`: cores, who is selected, delays, memory; see top.h. */
#include "base/cleanup.h"
#include "base/parse.h"
#include "cli/chart.h"
#include "cli/top.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>

/* A board that was not written to for so long has a writer that does not run. */
#define STALE_NS 2000000000ULL

/* Delays are counted by powers of two: up to 1 us, ..., up to 1 s, and longer. */
#define DELAY_SHORT_NS 1024ULL
#define DELAY_BARS     22

const char *top_core_name(const struct status_core *core, char text[24])
{
    if (core->from.cores > 1)
        snprintf(text, 24, "%u", core->from.core); /* several may share a host CPU */
    else if (core->core.host_cpu >= 0)
        snprintf(text, 24, "%" PRId64, core->core.host_cpu);
    else
        return "any";
    return text;
}

/* --- cores ------------------------------------------------------------------------------------ */

/* A counter's part of the wall time since the look before; NaN: there was none. */
static double part_of_time(const struct status_core *core, uint64_t now, uint64_t before)
{
    const uint64_t since = core->before_core.published_ns;
    if (!core->before || !since || core->core.published_ns <= since || now < before)
        return NAN;
    return (double)(now - before) / (double)(core->core.published_ns - since);
}

static void put_percent(struct grid *grid, unsigned row, unsigned end, double part)
{
    char text[32] = "-";
    if (!isnan(part))
        snprintf(text, sizeof(text), "%.1f%%", 100 * (part > 9.99 ? 9.99 : part));
    grid_right(grid, row, end, GRID_PLAIN, text);
}

static bool is_stale(const struct status_core *core)
{
    return core->seen_ns > core->core.published_ns &&
           core->seen_ns - core->core.published_ns > STALE_NS;
}

/* Where the columns of a core's line end; the bar is between the fourth and the fifth. */
#define BUSY_END  30
#define RIGHT_END 44 /* from the bar's end to the line's */
#define BUSY_MOST 50

static void draw_figures(struct grid *grid, unsigned row, unsigned bar_end,
                         const struct status_core *core)
{
    const struct matrix_board_core *now = &core->core, *before = &core->before_core;
    const struct {
        uint64_t ns;
        unsigned end;
    } delays[] = {{now->delay_median_ns, 25}, {now->delay_p99_ns, 34}, {now->delay_worst_ns, 43}};
    char text[FORMAT_BYTES];
    put_percent(grid, row, bar_end + 6, part_of_time(core, now->overhead_ns, before->overhead_ns));
    const double switches = part_of_time(core, now->switches, before->switches) * 1e9;
    grid_right(grid, row, bar_end + 16, GRID_PLAIN,
               switches >= 0 && switches < 1e15 ? format_count(text, (uint64_t)(switches + 0.5))
                                                : "-");
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++)
        grid_right(grid, row, bar_end + delays[i].end, GRID_PLAIN,
                   now->delay_count || delays[i].ns ? format_duration(text, delays[i].ns) : "-");
}

static void draw_core(struct grid *grid, unsigned row, const struct status_core *core)
{
    const struct matrix_board_core *now = &core->core;
    char text[FORMAT_BYTES];
    grid_right(grid, row, 5, GRID_PLAIN, top_core_name(core, text));
    snprintf(text, sizeof(text), "%d", core->from.pid);
    grid_right(grid, row, 14, GRID_PLAIN, text);
    snprintf(text, sizeof(text), "%zu", core->guest_count);
    grid_right(grid, row, 22, GRID_PLAIN, text);
    if (core->has_ended) {
        grid_put(grid, row, 24, GRID_BAD, "has ended");
        return;
    }
    if (is_stale(core)) {
        grid_printf(grid, row, 24, GRID_BAD, "has said nothing for %s: is it stopped (Ctrl-Z)?",
                    format_duration(text, core->seen_ns - now->published_ns));
        return;
    }
    const double busy = part_of_time(core, now->guests_cpu_ns, core->before_core.guests_cpu_ns);
    const unsigned room =
        grid->columns > BUSY_END + RIGHT_END ? grid->columns - BUSY_END - RIGHT_END : 0;
    const unsigned cells = room < BUSY_MOST ? room : BUSY_MOST;
    put_percent(grid, row, BUSY_END, busy);
    if (cells > 1)
        top_draw_bar(grid, row, BUSY_END + 1, cells - 1, busy, busy);
    draw_figures(grid, row, BUSY_END + cells, core);
}

static void draw_cores_head(struct grid *grid, unsigned row)
{
    const unsigned room =
        grid->columns > BUSY_END + RIGHT_END ? grid->columns - BUSY_END - RIGHT_END : 0;
    const unsigned bar_end = BUSY_END + (room < BUSY_MOST ? room : BUSY_MOST);
    const struct {
        const char *title;
        unsigned end;
    } titles[] = {{"CORE", 5},
                  {"PID", 14},
                  {"GUESTS", 22},
                  {"BUSY", BUSY_END},
                  {"LOOP", bar_end + 6},
                  {"SWITCH/S", bar_end + 16},
                  {"DELAY", bar_end + 25},
                  {"99 %", bar_end + 34},
                  {"WORST", bar_end + 43}};
    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        grid_right(grid, row, titles[i].end, GRID_HEAD, titles[i].title);
}

unsigned top_draw_cores(struct grid *grid, unsigned row, const struct top_scene *scene,
                        unsigned room)
{
    const struct status *status = scene->status;
    draw_cores_head(grid, row);
    for (size_t i = 0; i < status->count && i + 1 < room; i++) {
        if (i + 2 == room && i + 1 < status->count) {
            grid_printf(grid, row + room - 1, 1, GRID_FAINT, "... and %zu more cores",
                        status->count - i);
            break;
        }
        draw_core(grid, row + 1 + (unsigned)i, &status->cores[i]);
    }
    return row + room;
}

/* --- who is selected ------------------------------------------------------------------------- */

static void draw_guest(struct grid *grid, unsigned row, const struct matrix_board_guest *guest)
{
    char cpu[FORMAT_BYTES], work[FORMAT_BYTES], slices[FORMAT_BYTES], memory[FORMAT_BYTES];
    const unsigned column = grid_put(grid, row, 1, GRID_STRONG, guest->name);
    grid_printf(grid, row, column + 1, GRID_PLAIN,
                "had %s of CPU time in %s slices; memory %s, work %s",
                format_duration(cpu, guest->cpu_ns), format_count(slices, guest->slices),
                format_size(memory, guest->memory_bytes), format_count(work, guest->work));
}

static void draw_group(struct grid *grid, unsigned row, const struct top_row *group)
{
    char cpu[FORMAT_BYTES], memory[FORMAT_BYTES], core[24];
    const unsigned column = grid_put(grid, row, 1, GRID_STRONG, group->name);
    grid_printf(grid, row, column + 1, GRID_PLAIN,
                "is a group on core %s: its guests had %s of CPU time; memory %s",
                top_core_name(group->core, core), format_duration(cpu, group->cpu_ns),
                format_size(memory, group->memory_bytes));
}

unsigned top_draw_selected(struct grid *grid, unsigned row, const struct top_scene *scene)
{
    const struct top_view *view = scene->view;
    if (!view->selected.is_somebody || view->index >= scene->model->count)
        return row + 2;
    const struct top_row *selected = &scene->model->rows[view->index];
    if (selected->guest)
        draw_guest(grid, row, selected->guest);
    else
        draw_group(grid, row, selected);
    unsigned column = grid_put(grid, row + 1, 1, GRID_PLAIN, "exits/s:");
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++) {
        char text[FORMAT_BYTES];
        const double rate = selected->exits_per_s[kind];
        column = grid_printf(grid, row + 1, column + 1, rate > 0 ? GRID_PLAIN : GRID_FAINT, "%s %s",
                             matrix_exit_kind_name(kind),
                             rate < 1e15 ? format_count(text, (uint64_t)(rate > 0 ? rate + 0.5 : 0))
                                         : "many");
        column = grid_put(grid, row + 1, column, GRID_FAINT,
                          kind + 1 < MATRIX_EXIT_KIND_COUNT ? "," : "");
    }
    return row + 2;
}

/* --- delays ---------------------------------------------------------------------------------- */

static unsigned bar_of(uint64_t ns)
{
    unsigned bar = 0;
    while (bar + 1 < DELAY_BARS && ns > DELAY_SHORT_NS << bar)
        bar++;
    return bar;
}

static double count_delays(const struct matrix_board_core *core, double bars[DELAY_BARS])
{
    double most = 0;
    memset(bars, 0, DELAY_BARS * sizeof(*bars));
    for (unsigned i = 0; i < MATRIX_BOARD_BUCKETS; i++)
        bars[bar_of(matrix_board_bucket_ns(i))] += core->delay_buckets[i];
    for (unsigned i = 0; i < DELAY_BARS; i++)
        most = bars[i] > most ? bars[i] : most;
    return most;
}

/* Counts of one to a million are all to be seen: by their logarithm. */
static void draw_bars(struct grid *grid, unsigned row, unsigned height, unsigned width,
                      const double bars[DELAY_BARS], double most)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes = 0;
    double values[DELAY_BARS * 4];
    char top[FORMAT_BYTES];
    for (unsigned i = 0; i < DELAY_BARS * width; i++) {
        const double count = bars[i / width];
        values[i] = count > 0 && (width == 1 || i % width + 1 < width) ? log2(count + 1) : NAN;
    }
    const struct chart_axis axis = {0, log2(most + 1), format_count(top, (uint64_t)most), "1"};
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return;
    chart_draw_axis(file, values, (size_t)DELAY_BARS * width, &axis, height, grid->utf8, "\n");
    if (fclose(file) != 0)
        return;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) && height; height--)
        grid_put(grid, row++, 0, GRID_PLAIN, line);
}

static void draw_delay_axis(struct grid *grid, unsigned row, unsigned width)
{
    static const char *const units[] = {"us", "ms", "s"};
    for (unsigned bar = 0; bar < DELAY_BARS; bar += 4) {
        uint64_t value = DELAY_SHORT_NS << bar;
        unsigned unit = 0;
        for (value = (value + 500) / 1000; value >= 1000 && unit + 1 < 3; unit++)
            value = (value + 500) / 1000;
        grid_printf(grid, row, CHART_MARGIN + bar * width, GRID_FAINT, "%" PRIu64 " %s", value,
                    units[unit]);
    }
}

unsigned top_draw_delays(struct grid *grid, unsigned row, const struct status_core *core,
                         unsigned height)
{
    double bars[DELAY_BARS];
    char name[24], median[FORMAT_BYTES], p99[FORMAT_BYTES], worst[FORMAT_BYTES];
    const struct matrix_board_core *now = &core->core;
    const double most = count_delays(now, bars);
    const unsigned room = grid->columns > CHART_MARGIN ? grid->columns - CHART_MARGIN : 0;
    const unsigned width = room >= 3 * DELAY_BARS ? 3 : room >= 2 * DELAY_BARS ? 2 : 1;
    grid_printf(grid, row, 1, GRID_PLAIN,
                "From a slice's end to core %s: median %s, 99 %% within %s, worst %s",
                top_core_name(core, name), format_duration(median, now->delay_median_ns),
                format_duration(p99, now->delay_p99_ns),
                format_duration(worst, now->delay_worst_ns));
    if (most > 0)
        draw_bars(grid, row + 1, height, width, bars, most);
    draw_delay_axis(grid, row + 1 + height, width);
    return row + height + 2;
}

/* --- memory ---------------------------------------------------------------------------------- */

static const char *known_size(char text[FORMAT_BYTES + 1], int64_t bytes, bool is_signed)
{
    char size[FORMAT_BYTES];
    if (bytes < 0 && !is_signed)
        return "?";
    snprintf(text, FORMAT_BYTES + 1, "%s%s", bytes < 0 ? "-" : "",
             format_size(size, bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes));
    return text;
}

static const struct top_process *process_of(const struct top_scene *scene)
{
    const struct top_view *view = scene->view;
    for (size_t i = 0; i < scene->memory->count; i++)
        if (!view->selected.is_somebody || scene->memory->processes[i].pid == view->selected.pid)
            return &scene->memory->processes[i];
    return NULL;
}

unsigned top_draw_memory(struct grid *grid, unsigned row, const struct top_scene *scene)
{
    const struct top_process *process = process_of(scene);
    char guests[FORMAT_BYTES], resident[FORMAT_BYTES + 1], merged[FORMAT_BYTES + 1],
        saved[FORMAT_BYTES + 1];
    if (!process)
        return row + 1;
    unsigned column =
        grid_printf(grid, row, 1, GRID_PLAIN, "Memory: guests %s, resident %s, merged %s",
                    format_size(guests, process->guests_bytes),
                    known_size(resident, process->resident_bytes, false),
                    known_size(merged, process->merged_bytes, false));
    if (scene->memory->has_saved)
        column = grid_printf(grid, row, column, GRID_PLAIN, "; KSM saves %s",
                             known_size(saved, scene->memory->saved_bytes, true));
    if (scene->memory->count > 1)
        grid_printf(grid, row, column, GRID_FAINT, " (process %d)", process->pid);
    return row + 1;
}
