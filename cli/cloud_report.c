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
    {"guest", TABLE_LEFT},         {"weight", TABLE_RIGHT}, {"promised", TABLE_RIGHT},
    {"given", TABLE_RIGHT},        {"error", TABLE_RIGHT},  {"CPU time", TABLE_RIGHT},
    {"work", TABLE_RIGHT},         {"slices", TABLE_RIGHT}, {"preempted", TABLE_RIGHT},
    {"I/O switches", TABLE_RIGHT}, {"exits", TABLE_RIGHT},  {"end", TABLE_LEFT},
};

/* A share means little, and less than a few slices nothing, when hardly anything was shared. */
#define SLICES_MINIMUM 10

/* A share that there never was (a guest that always had the core to itself) is a dash. */
static void share_cell(struct table *table, double share)
{
    if (isnan(share))
        table_cell(table, "-");
    else
        table_cell(table, "%.3f %%", 100 * share);
}

static void add_row(const struct cloud *cloud, unsigned index, struct table *table)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    char text[FORMAT_BYTES];
    matrix_core_guest(cloud->core, index, &guest);
    matrix_vm_info(cloud->guests[index].vm, &info);
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

/* What the table does not show: time without competition, and output that was let go. */
static void print_remarks(const struct cloud *cloud, FILE *file)
{
    char first[FORMAT_BYTES], second[FORMAT_BYTES];
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct matrix_core_guest guest;
        struct matrix_vm_info info;
        matrix_core_guest(cloud->core, i, &guest);
        matrix_vm_info(cloud->guests[i].vm, &info);
        if (guest.alone_cpu_ns)
            fprintf(file,
                    "%s had the core to itself for %s of its CPU time: the others had ended, slept "
                    "or waited. The shares above are of the time when it had company.\n",
                    info.name, format_duration(first, guest.alone_cpu_ns));
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
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        add_row(cloud, i, table);
    fputc('\n', file);
    struct matrix_error *error = table_print(table, file);
    table_destroy(table);
    if (error)
        return error;

    matrix_core_statistics(cloud->core, &loop);
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
    matrix_core_guest(cloud->core, index, &guest);
    matrix_vm_info(cloud->guests[index].vm, &info);
    return json_pack(
        "{s:s, s:i, s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:I, s:I, "
        "s:s, s:o, s:s?, s:o, s:o}",
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
        limit_json(guest.contract.ceiling_ppm));
}

struct matrix_error *cloud_report_write_json(const struct cloud *cloud, FILE *file)
{
    struct matrix_core_statistics loop;
    matrix_core_statistics(cloud->core, &loop);
    json_t *guests = json_array();
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        json_array_append_new(guests, guest_json(cloud, i));
    json_t *root = json_pack(
        "{s:i, s:I, s:o, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:o}",
        "version", 1, "duration_ns", (json_int_t)loop.wall_ns, "core",
        cloud->host_cpu < 0 ? json_null() : json_integer(cloud->host_cpu), "slice_ns",
        (json_int_t)cloud->slice_ns, "scheduler", "overhead_ns", (json_int_t)loop.overhead_ns,
        "guests_cpu_ns", (json_int_t)loop.guests_cpu_ns, "idle_ns", (json_int_t)loop.idle_wall_ns,
        "switches", (json_int_t)loop.switches, "decisions", (json_int_t)loop.decisions,
        "timer_signals", (json_int_t)loop.timer_signals, "stale_signals",
        (json_int_t)loop.stale_signals, "delay_median_ns", (json_int_t)loop.delay_median_ns,
        "delay_p99_ns", (json_int_t)loop.delay_p99_ns, "delay_worst_ns",
        (json_int_t)loop.delay_worst_ns, "guests", guests);
    const bool written = root && json_dumpf(root, file, JSON_INDENT(2)) == 0 &&
                         fputc('\n', file) != EOF && fflush(file) != EOF;
    json_decref(root);
    return written ? NULL : error_host(errno, "write the report as JSON");
}
