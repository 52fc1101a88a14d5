// SPDX-License-Identifier: GPL-2.0-or-later
/* What `matrix status --json` prints. Names and units are those of the report of `matrix cloud`, and a
 * contract: docs/board.md. */
#include "cli/json.h"
#include "cli/status.h"
#include <math.h>
#include <matrix/vm.h>

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *share(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

static json_t *limit(uint32_t ppm)
{
    return ppm ? json_real(ppm / 1e6) : json_null();
}

static json_t *exits(const struct matrix_board_guest *guest)
{
    json_t *object = json_object();
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        json_object_set_new(object, matrix_exit_kind_name(kind), number(guest->exits[kind]));
    return object;
}

static json_t *contract(const struct matrix_board_guest *guest)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", number(guest->id),
                     "name", cli_json_string(guest->name), "group",
                     guest->group[0] ? cli_json_string(guest->group) : json_null(), "state",
                     cli_json_string(guest->state), "weight", number(guest->weight), "floor",
                     limit(guest->floor_ppm), "ceiling", limit(guest->ceiling_ppm), "latency_ns",
                     guest->latency_ns ? number(guest->latency_ns) : json_null(), "promised",
                     share(status_promised(guest)), "given", share(status_given(guest)));
}

static json_t *describe_guest(const struct status_core *core,
                              const struct matrix_board_guest *guest)
{
    json_t *object = contract(guest);
    json_t *rest = json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:f, s:o, s:o, s:o, s:o, s:o}", "share",
        share(status_share(core, guest)), "cpu_ns", number(guest->cpu_ns), "contended_cpu_ns",
        number(guest->contended_cpu_ns), "contended_total_ns", number(guest->contended_total_ns),
        "entitled_ns", number(guest->entitled_ns), "alone_cpu_ns", number(guest->alone_cpu_ns),
        "slices", number(guest->slices), "preemptions", number(guest->preemptions), "io_switches",
        number(guest->io_switches), "exits", exits(guest), "exits_per_s",
        status_exits_per_s(core, guest), "work", number(guest->work), "memory_bytes",
        number(guest->memory_bytes), "vcpus", number(guest->vcpus), "dropped_lines",
        number(guest->dropped_lines), "dropped_bytes", number(guest->dropped_bytes));
    if (json_object_update(object, rest) < 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(rest);
    return object;
}

static json_t *describe_group(const struct status_core *core,
                              const struct matrix_board_group *group)
{
    const struct matrix_board_group *parent = status_group(core, group->parent);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "name", cli_json_string(group->name),
                     "group", parent ? cli_json_string(parent->name) : json_null(), "weight",
                     number(group->weight), "floor", limit(group->floor_ppm), "ceiling",
                     limit(group->ceiling_ppm), "latency_ns",
                     group->latency_ns ? number(group->latency_ns) : json_null());
}

static json_t *describe_loop(const struct matrix_board_core *core)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "overhead_ns",
                     number(core->overhead_ns), "guests_cpu_ns", number(core->guests_cpu_ns),
                     "idle_ns", number(core->idle_wall_ns), "switches", number(core->switches),
                     "decisions", number(core->decisions), "timer_signals",
                     number(core->timer_signals), "stale_signals", number(core->stale_signals),
                     "delay_median_ns", number(core->delay_median_ns), "delay_p99_ns",
                     number(core->delay_p99_ns), "delay_worst_ns", number(core->delay_worst_ns),
                     "board_cpu_ns", number(core->publish_cpu_ns));
}

static json_t *describe_core(const struct status_core *status)
{
    const struct matrix_board_core *core = &status->core;
    const uint64_t age_ns =
        status->seen_ns > core->published_ns ? status->seen_ns - core->published_ns : 0;
    json_t *guests = json_array(), *groups = json_array();
    for (size_t i = 0; i < status->guest_count; i++)
        json_array_append_new(guests, describe_guest(status, &status->guests[i]));
    for (size_t i = 0; i < status->group_count; i++)
        json_array_append_new(groups, describe_group(status, &status->groups[i]));
    return json_pack(
        "{s:i, s:i, s:i, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid",
        (int)status->from.pid, "number", (int)status->from.core, "cores", (int)status->from.cores,
        "core", core->host_cpu < 0 ? json_null() : json_integer(core->host_cpu), "ended",
        (int)status->has_ended, "age_ns", number(age_ns), "duration_ns", number(core->wall_ns),
        "slice_ns", number(core->slice_ns), "scheduler", describe_loop(core), "guests_unlisted",
        number(core->guests_unlisted), "groups", groups, "guests", guests);
}

json_t *status_json(const struct status *status)
{
    json_t *cores = json_array();
    for (size_t i = 0; i < status->count; i++)
        json_array_append_new(cores, describe_core(&status->cores[i]));
    return json_pack("{s:i, s:o}", "version", 1, "cores", cores);
}
