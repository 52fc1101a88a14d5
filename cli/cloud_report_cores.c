// SPDX-License-Identifier: GPL-2.0-or-later
/* The cores in the report of `matrix cloud`: what was promised on each, and what its loop did. */
#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/cloud.h"
#include <inttypes.h>

static const struct table_column columns[] = {
    {"core", TABLE_RIGHT},   {"host CPU", TABLE_RIGHT}, {"load", TABLE_RIGHT},
    {"floors", TABLE_RIGHT}, {"guests", TABLE_RIGHT},   {"CPU time", TABLE_RIGHT},
    {"loop", TABLE_RIGHT},   {"idle", TABLE_RIGHT},     {"switches", TABLE_RIGHT},
};

static void add_row(const struct matrix_machine_core *core, unsigned number, struct table *table)
{
    const struct matrix_core_statistics *loop = &core->loop;
    char text[FORMAT_BYTES];
    table_cell(table, "%u", number);
    if (core->cpu < 0)
        table_cell(table, "any");
    else
        table_cell(table, "%d", core->cpu);
    table_cell(table, "%.3f", core->load);
    table_cell(table, "%.4g %%", 100 * core->floors);
    table_cell(table, "%zu", loop->guests);
    table_cell(table, "%s", format_duration(text, loop->guests_cpu_ns));
    table_cell(table, "%.2f %%",
               100.0 * (double)loop->overhead_ns /
                   (double)(loop->guests_cpu_ns + loop->overhead_ns + 1));
    table_cell(table, "%s", format_duration(text, loop->idle_wall_ns));
    table_cell(table, "%s", format_count(text, loop->switches));
}

struct matrix_error *cloud_report_print_cores(const struct cloud *cloud, FILE *file)
{
    struct matrix_machine_core core;
    struct table *table;
    if (cloud->cores < 2)
        return NULL;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (unsigned k = 0; matrix_machine_core(cloud->machine, k, &core); k++)
        add_row(&core, k, table);
    fputc('\n', file);
    struct matrix_error *error = table_print(table, file);
    table_destroy(table);
    fprintf(file,
            "At the end nobody was short of its ideal share by more than %.2f %% of a core for "
            "being where it was.\n",
            100 * matrix_machine_shortfall(cloud->machine));
    return error;
}

static json_t *core_json(const struct matrix_machine_core *core, unsigned number)
{
    const struct matrix_core_statistics *loop = &core->loop;
    return json_pack(
        "{s:i, s:o, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "core",
        (int)number, "cpu", core->cpu < 0 ? json_null() : json_integer(core->cpu), "load",
        core->load, "floors", core->floors, "guests", (json_int_t)loop->guests, "overhead_ns",
        (json_int_t)loop->overhead_ns, "guests_cpu_ns", (json_int_t)loop->guests_cpu_ns, "idle_ns",
        (json_int_t)loop->idle_wall_ns, "switches", (json_int_t)loop->switches, "decisions",
        (json_int_t)loop->decisions, "timer_signals", (json_int_t)loop->timer_signals,
        "stale_signals", (json_int_t)loop->stale_signals, "delay_median_ns",
        (json_int_t)loop->delay_median_ns, "delay_p99_ns", (json_int_t)loop->delay_p99_ns,
        "delay_worst_ns", (json_int_t)loop->delay_worst_ns);
}

json_t *cloud_report_cores_json(const struct cloud *cloud)
{
    struct matrix_machine_core core;
    json_t *cores = json_array();
    for (unsigned k = 0; matrix_machine_core(cloud->machine, k, &core); k++)
        json_array_append_new(cores, core_json(&core, k));
    return cores;
}
