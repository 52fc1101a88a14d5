// SPDX-License-Identifier: GPL-2.0-or-later
/* The table of `matrix status`, and a line below it for each core. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/common.h"
#include "cli/status.h"
#include <inttypes.h>
#include <math.h>

/* A board that was not written to for so long has a writer that does not run. */
#define STALE_NS 2000000000ULL

static const struct table_column columns[] = {
    {"pid", TABLE_RIGHT}, /* only where there are several */
    {"core", TABLE_RIGHT},    {"guest", TABLE_LEFT},     {"group", TABLE_LEFT},
    {"state", TABLE_LEFT},    {"weight", TABLE_RIGHT},   {"floor", TABLE_RIGHT},
    {"ceiling", TABLE_RIGHT}, {"promised", TABLE_RIGHT}, {"given", TABLE_RIGHT},
    {"now", TABLE_RIGHT},     {"CPU time", TABLE_RIGHT}, {"exits/s", TABLE_RIGHT},
    {"memory", TABLE_RIGHT},
};

/* Whoever wrote the board chose the text. */
static void text_cell(struct table *table, const char *text)
{
    CLEANUP_FREE char *escaped = cli_escape(text[0] ? text : "-");
    table_cell(table, "%s", escaped ? escaped : "?");
}

static void limit_cell(struct table *table, uint32_t ppm)
{
    if (ppm)
        table_cell(table, "%.4g %%", ppm / 1e4);
    else
        table_cell(table, "-");
}

static void share_cell(struct table *table, double share)
{
    if (isnan(share))
        table_cell(table, "-");
    else
        table_cell(table, "%.2f %%", 100 * share);
}

/* The host CPU; of several cores of a process also which one. */
static void core_cell(struct table *table, const struct status_core *core)
{
    char cpu[32] = "any";
    if (core->core.host_cpu >= 0)
        snprintf(cpu, sizeof(cpu), "%" PRId64, core->core.host_cpu);
    if (core->from.cores > 1)
        table_cell(table, "%u (CPU %s)", core->from.core, cpu);
    else
        table_cell(table, "%s", cpu);
}

static void add_row(struct table *table, const struct status_core *core,
                    const struct matrix_board_guest *guest)
{
    char text[FORMAT_BYTES];
    core_cell(table, core);
    text_cell(table, guest->name);
    text_cell(table, guest->group);
    text_cell(table, guest->state);
    table_cell(table, "%" PRIu32, guest->weight);
    limit_cell(table, guest->floor_ppm);
    limit_cell(table, guest->ceiling_ppm);
    share_cell(table, status_promised(guest));
    share_cell(table, status_given(guest));
    share_cell(table, status_share(core, guest));
    table_cell(table, "%s", format_duration(text, guest->cpu_ns));
    table_cell(table, "%.0f", status_exits_per_s(core, guest));
    table_cell(table, "%s", format_size(text, guest->memory_bytes));
}

static void print_core(const struct status_core *status, FILE *file)
{
    const struct matrix_board_core *core = &status->core;
    char wall[FORMAT_BYTES], slice[FORMAT_BYTES], median[FORMAT_BYTES], p99[FORMAT_BYTES],
        worst[FORMAT_BYTES], age[FORMAT_BYTES];
    const double all_ns = (double)core->guests_cpu_ns + (double)core->overhead_ns + 1;
    char number[32] = "";
    if (status->from.cores > 1)
        snprintf(number, sizeof(number), ", core %u", status->from.core);
    fprintf(file,
            "Process %d%s: %s, slices of %s. The loop took %.2f %% of the CPU time, the board %.3f "
            "%% of it. Slice's end to core: median %s, 99 %% within %s, worst %s.\n",
            status->from.pid, number, format_duration(wall, core->wall_ns),
            format_duration(slice, core->slice_ns), 100 * (double)core->overhead_ns / all_ns,
            100 * (double)core->publish_cpu_ns / all_ns,
            format_duration(median, core->delay_median_ns),
            format_duration(p99, core->delay_p99_ns), format_duration(worst, core->delay_worst_ns));
    if (core->guests_unlisted)
        fprintf(file, "%" PRIu64 " more guests found no room on the board.\n",
                core->guests_unlisted);
    if (status->has_ended)
        fprintf(file, "Process %d%s has ended its run.\n", status->from.pid, number);
    else if (status->seen_ns > core->published_ns &&
             status->seen_ns - core->published_ns > STALE_NS)
        fprintf(file, "Process %d%s has said nothing for %s: is it stopped (Ctrl-Z)?\n",
                status->from.pid, number,
                format_duration(age, status->seen_ns - core->published_ns));
}

struct matrix_error *status_print(const struct status *status, FILE *file)
{
    const bool several =
        status->count && status->cores[0].from.pid != status->cores[status->count - 1].from.pid;
    const size_t first = several ? 0 : 1;
    struct table *table;
    RETURN_IF_ERROR(
        table_create(columns + first, sizeof(columns) / sizeof(columns[0]) - first, &table));
    for (size_t i = 0; i < status->count; i++)
        for (size_t j = 0; j < status->cores[i].guest_count; j++) {
            if (several)
                table_cell(table, "%d", status->cores[i].from.pid);
            add_row(table, &status->cores[i], &status->cores[i].guests[j]);
        }
    struct matrix_error *error = table_print(table, file);
    table_destroy(table);
    fputc('\n', file);
    for (size_t i = 0; !error && i < status->count; i++)
        print_core(&status->cores[i], file);
    return error;
}
