// SPDX-License-Identifier: GPL-2.0-or-later
/* The contract report of `matrix cloud`: what was promised, and what was given. */
#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/cloud.h"
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>

static const struct table_column columns[] = {
    {"core", TABLE_RIGHT},         {"moves", TABLE_RIGHT}, /* only where there are several cores */
    {"guest", TABLE_LEFT},         {"weight", TABLE_RIGHT}, {"promised", TABLE_RIGHT},
    {"given", TABLE_RIGHT},        {"error", TABLE_RIGHT},  {"CPU time", TABLE_RIGHT},
    {"work", TABLE_RIGHT},         {"slices", TABLE_RIGHT}, {"preempted", TABLE_RIGHT},
    {"I/O switches", TABLE_RIGHT}, {"exits", TABLE_RIGHT},  {"end", TABLE_LEFT},
};

/* A share means little, and less than a few slices nothing, when hardly anything was shared. */
#define SLICES_MINIMUM 10

/* Periods in the report for people. */
#define PERIODS_SHOWN 20

/* A share that there never was (a guest that always had the core to itself) is a dash. */
static void share_cell(struct table *table, double share)
{
    if (isnan(share))
        table_cell(table, "-");
    else
        table_cell(table, "%.3f %%", 100 * share);
}

static void add_core_cells(const struct cloud *cloud, unsigned index, struct table *table)
{
    struct matrix_machine_guest guest;
    char text[FORMAT_BYTES];
    if (cloud_guest_on_machine(cloud, index, &guest)) {
        table_cell(table, "%u", guest.core);
        table_cell(table, "%s", format_count(text, guest.moves));
    } else {
        table_cell(table, "-");
        table_cell(table, "-");
    }
}

static void add_row(const struct cloud *cloud, unsigned index, struct table *table)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    char text[FORMAT_BYTES];
    cloud_guest_look(cloud, index, &guest, &info);
    if (cloud->cores > 1)
        add_core_cells(cloud, index, table);
    table_cell(table, "%s", info.name);
    table_cell(table, "%u", guest.weight);
    const bool has_share = guest.contended_total_ns >= SLICES_MINIMUM * cloud->slice_ns;
    share_cell(table, has_share ? guest.promised : NAN);
    share_cell(table, has_share ? guest.given : NAN);
    if (!has_share)
        table_cell(table, "-");
    else
        table_cell(table, "%+.3f pp", 100 * (guest.given - guest.promised));
    table_cell(table, "%s", format_duration(text, guest.cpu_ns));
    table_cell(table, "%s", format_count(text, info.work));
    table_cell(table, "%s", format_count(text, guest.slices));
    table_cell(table, "%s", format_count(text, guest.preemptions));
    table_cell(table, "%s", format_count(text, guest.io_switches));
    table_cell(table, "%s", format_count(text, info.exits_total));
    if (info.state == MATRIX_VM_EXITED)
        table_cell(table, "exited, status %d", info.status);
    else
        table_cell(table, "%s", guest.state);
}

/* False: it was not there then. */
static bool add_period_row(const struct cloud *cloud, size_t index, unsigned guest, bool is_first,
                           struct table *table)
{
    const struct cloud_period *period = &cloud->periods.list[index];
    struct cloud_figures figures;
    char text[FORMAT_BYTES];
    if (!cloud_period_share(cloud, index, guest, &figures))
        return false;
    const double total = (double)figures.contended_total_ns;
    const bool has_share = figures.contended_total_ns >= SLICES_MINIMUM * cloud->slice_ns;
    const double promised = has_share ? (double)figures.entitled_ns / total : NAN;
    const double given = has_share ? (double)figures.contended_cpu_ns / total : NAN;
    if (is_first)
        table_cell(table, "%s, %s", format_duration(text, period->begin_ns), period->change);
    else
        table_cell(table, "%s", "");
    table_cell(table, "%s", cloud->config.guests[guest].name);
    table_cell(table, "%u", figures.weight);
    share_cell(table, promised);
    share_cell(table, given);
    if (has_share)
        table_cell(table, "%+.3f pp", 100 * (given - promised));
    else
        table_cell(table, "-");
    return true;
}

/* What the table does not show: time without competition, and output that was let go. */
/* A table for each time between two changes, if there were any. */
static struct matrix_error *print_periods(const struct cloud *cloud, FILE *file)
{
    static const struct table_column period_columns[] = {
        {"period", TABLE_LEFT},    {"guest", TABLE_LEFT},  {"weight", TABLE_RIGHT},
        {"promised", TABLE_RIGHT}, {"given", TABLE_RIGHT}, {"error", TABLE_RIGHT},
    };
    const size_t shown =
        cloud->periods.count < PERIODS_SHOWN ? cloud->periods.count : PERIODS_SHOWN;
    struct table *table;
    if (cloud->periods.count < 2)
        return NULL;
    RETURN_IF_ERROR(
        table_create(period_columns, sizeof(period_columns) / sizeof(period_columns[0]), &table));
    for (size_t i = 0; i < shown; i++) {
        bool is_first = true;
        for (unsigned j = 0; j < cloud->periods.list[i].guest_count; j++)
            is_first &= !add_period_row(cloud, i, j, is_first, table);
    }
    fputs("\nFrom one change to the next:\n", file);
    struct matrix_error *error = table_print(table, file);
    table_destroy(table);
    if (shown < cloud->periods.count)
        fprintf(file, "... and %zu more changes: see --json.\n", cloud->periods.count - shown);
    return error;
}

static void print_remarks(const struct cloud *cloud, FILE *file)
{
    char first[FORMAT_BYTES], second[FORMAT_BYTES];
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct matrix_core_guest guest;
        struct matrix_vm_info info;
        cloud_guest_look(cloud, i, &guest, &info);
        if (guest.alone_cpu_ns)
            fprintf(file,
                    "%s had the core to itself for %s of its CPU time: the others had ended, slept "
                    "or waited. The shares above are of the time when it had company.\n",
                    info.name, format_duration(first, guest.alone_cpu_ns));
        if (cloud->lives.lives[i].restarts)
            fprintf(file, "%s was started again %u times after it had ended badly.\n", info.name,
                    cloud->lives.lives[i].restarts);
        if (cloud->guests[i].error)
            fprintf(file, "%s could not be made the last time: %s\n", info.name,
                    cloud->guests[i].error->message);
        if (info.dropped_lines)
            fprintf(file, "%s printed more than its limit: %s lines (%s) were dropped.\n",
                    info.name, format_count(first, info.dropped_lines),
                    format_size(second, info.dropped_bytes));
    }
}

struct matrix_error *cloud_report_print(const struct cloud *cloud, FILE *file)
{
    struct table *table;
    struct matrix_core_statistics loop;
    char wall[FORMAT_BYTES], overhead[FORMAT_BYTES], idle[FORMAT_BYTES];
    char median[FORMAT_BYTES], p99[FORMAT_BYTES], worst[FORMAT_BYTES], slice[FORMAT_BYTES];
    const size_t first = cloud->cores > 1 ? 0 : 2;
    RETURN_IF_ERROR(
        table_create(columns + first, sizeof(columns) / sizeof(columns[0]) - first, &table));
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        add_row(cloud, i, table);
    fputc('\n', file);
    struct matrix_error *error = table_print(table, file);
    table_destroy(table);
    if (error)
        return error;

    cloud_cores_sum(cloud, &loop);
    fprintf(file,
            "\n%s in all, slices of %s. The loop took %s of CPU time (%.2f %%, charged to nobody) "
            "for %" PRIu64 " switches; nobody could run for %s.\n"
            "From a slice's end to the loop having the core back: median %s, 99 %% within %s, "
            "worst %s.\n",
            format_duration(wall, loop.wall_ns), format_duration(slice, cloud->slice_ns),
            format_duration(overhead, loop.overhead_ns),
            100.0 * (double)loop.overhead_ns / (double)(loop.guests_cpu_ns + loop.overhead_ns + 1),
            loop.switches, format_duration(idle, loop.idle_wall_ns),
            format_duration(median, loop.delay_median_ns), format_duration(p99, loop.delay_p99_ns),
            format_duration(worst, loop.delay_worst_ns));
    RETURN_IF_ERROR(cloud_report_print_cores(cloud, file));
    RETURN_IF_ERROR(print_periods(cloud, file));
    print_remarks(cloud, file);
    return fflush(file) == EOF || ferror(file) ? error_host(errno, "print the report") : NULL;
}

/* A share, or null where there was none. */
static json_t *share_json(double share)
{
    return isnan(share) ? json_null() : json_real(share);
}

static json_t *exits_json(const struct matrix_vm_info *info)
{
    json_t *exits = json_object();
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        json_object_set_new(exits, matrix_exit_kind_name(kind),
                            json_integer((json_int_t)info->exits[kind]));
    return exits;
}

static json_t *limit_json(uint32_t ppm)
{
    return ppm ? json_real((double)ppm / MATRIX_WHOLE_CORE) : json_null();
}

static json_t *guest_json(const struct cloud *cloud, unsigned index)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    struct matrix_machine_guest now;
    cloud_guest_look(cloud, index, &guest, &info);
    const bool is_there = cloud_guest_on_machine(cloud, index, &now);
    return json_pack(
        "{s:s, s:i, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, "
        "s:s, s:o, s:s?, s:o, s:o, s:i, s:s?, s:o, s:I}",
        "name", info.name, "weight", (int)guest.weight, "promised", share_json(guest.promised),
        "given", share_json(guest.given), "error_pp",
        share_json(100 * (guest.given - guest.promised)), "cpu_ns", (json_int_t)guest.cpu_ns,
        "contended_cpu_ns", (json_int_t)guest.contended_cpu_ns, "contended_total_ns",
        (json_int_t)guest.contended_total_ns, "entitled_ns", (json_int_t)guest.entitled_ns,
        "alone_cpu_ns", (json_int_t)guest.alone_cpu_ns, "work", (json_int_t)info.work, "slices",
        (json_int_t)guest.slices, "preemptions", (json_int_t)guest.preemptions, "io_switches",
        (json_int_t)guest.io_switches, "exits", exits_json(&info), "dropped_lines",
        (json_int_t)info.dropped_lines, "dropped_bytes", (json_int_t)info.dropped_bytes, "state",
        guest.state, "exit_status",
        info.state == MATRIX_VM_EXITED ? json_integer(info.status) : json_null(), "group",
        guest.group, "floor", limit_json(guest.contract.floor_ppm), "ceiling",
        limit_json(guest.contract.ceiling_ppm), "restarts", (int)cloud->lives.lives[index].restarts,
        "error", cloud->guests[index].error ? cloud->guests[index].error->message : NULL, "core",
        is_there ? json_integer(now.core) : json_null(), "moves",
        (json_int_t)(is_there ? now.moves : 0));
}

static json_t *period_guest_json(const struct cloud *cloud, size_t period, unsigned index)
{
    struct cloud_figures figures;
    if (!cloud_period_share(cloud, period, index, &figures))
        return NULL;
    const double total = (double)figures.contended_total_ns;
    const double promised = total > 0 ? (double)figures.entitled_ns / total : NAN;
    const double given = total > 0 ? (double)figures.contended_cpu_ns / total : NAN;
    return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:I, s:I}", "name",
                     cloud->config.guests[index].name, "weight", (int)figures.weight, "floor",
                     limit_json(figures.floor_ppm), "ceiling", limit_json(figures.ceiling_ppm),
                     "promised", share_json(promised), "given", share_json(given), "error_pp",
                     share_json(100 * (given - promised)), "cpu_ns", (json_int_t)figures.cpu_ns,
                     "contended_total_ns", (json_int_t)figures.contended_total_ns);
}

static json_t *periods_json(const struct cloud *cloud, uint64_t end_ns)
{
    json_t *periods = json_array();
    for (size_t i = 0; i < cloud->periods.count; i++) {
        const struct cloud_period *period = &cloud->periods.list[i];
        const bool is_last = i + 1 == cloud->periods.count;
        json_t *guests = json_array();
        for (unsigned j = 0; j < period->guest_count; j++)
            json_array_append_new(guests, period_guest_json(cloud, i, j));
        json_array_append_new(periods,
                              json_pack("{s:s, s:I, s:I, s:o}", "change", period->change,
                                        "begin_ns", (json_int_t)period->begin_ns, "end_ns",
                                        (json_int_t)(is_last ? end_ns : period[1].begin_ns),
                                        "guests", guests));
    }
    return periods;
}

struct matrix_error *cloud_report_write_json(const struct cloud *cloud, FILE *file)
{
    struct matrix_core_statistics loop;
    cloud_cores_sum(cloud, &loop);
    json_t *guests = json_array();
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        json_array_append_new(guests, guest_json(cloud, i));
    json_t *root = json_pack(
        "{s:i, s:I, s:o, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o, s:f, s:o, "
        "s:o}",
        "version", 1, "duration_ns", (json_int_t)loop.wall_ns, "core",
        cloud->cpus[0] < 0 ? json_null() : json_integer(cloud->cpus[0]), "slice_ns",
        (json_int_t)cloud->slice_ns, "scheduler", "overhead_ns", (json_int_t)loop.overhead_ns,
        "guests_cpu_ns", (json_int_t)loop.guests_cpu_ns, "idle_ns", (json_int_t)loop.idle_wall_ns,
        "switches", (json_int_t)loop.switches, "decisions", (json_int_t)loop.decisions,
        "timer_signals", (json_int_t)loop.timer_signals, "stale_signals",
        (json_int_t)loop.stale_signals, "delay_median_ns", (json_int_t)loop.delay_median_ns,
        "delay_p99_ns", (json_int_t)loop.delay_p99_ns, "delay_worst_ns",
        (json_int_t)loop.delay_worst_ns, "cores", cloud_report_cores_json(cloud), "shortfall",
        matrix_machine_shortfall(cloud->machine), "guests", guests, "periods",
        periods_json(cloud, loop.wall_ns));
    const bool written = root && json_dumpf(root, file, JSON_INDENT(2)) == 0 &&
                         fputc('\n', file) != EOF && fflush(file) != EOF;
    json_decref(root);
    return written ? NULL : error_host(errno, "write the report as JSON");
}
