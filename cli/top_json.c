// SPDX-License-Identifier: GPL-2.0-or-later
/* What `matrix top --json` prints: what `matrix status --json` does, and what top alone looks at. Names and units
 * are a contract: docs/top.md. */
#include "cli/top.h"
#include <math.h>

static json_t *known(int64_t bytes)
{
    return bytes < 0 ? json_null() : json_integer(bytes);
}

static json_t *share(double value)
{
    return isnan(value) ? json_null() : json_real(value);
}

/* Buckets in which there is something. */
static json_t *delays(const struct matrix_board_core *core)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < MATRIX_BOARD_BUCKETS; i++)
        if (core->delay_buckets[i])
            json_array_append_new(list, json_pack("{s:I, s:I}", "up_to_ns",
                                                  (json_int_t)matrix_board_bucket_ns(i), "count",
                                                  (json_int_t)core->delay_buckets[i]));
    return list;
}

static void add_to_core(json_t *object, const struct status_core *core)
{
    json_object_set_new(object, "delays", delays(&core->core));
    for (size_t i = 0; i < core->guest_count; i++) {
        const struct matrix_board_guest *guest = &core->guests[i];
        json_t *rates = json_object(),
               *entry = json_array_get(json_object_get(object, "guests"), i);
        json_object_set_new(entry, "due", share(status_due(core, guest)));
        for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
            json_object_set_new(rates, matrix_exit_kind_name(kind),
                                json_real(status_exits_of_kind_per_s(core, guest, kind)));
        json_object_set_new(entry, "exits_of_kind_per_s", rates);
    }
}

static json_t *describe_process(const struct top_process *process)
{
    return json_pack("{s:i, s:I, s:o, s:o, s:o}", "pid", (int)process->pid, "guests_memory_bytes",
                     (json_int_t)process->guests_bytes, "resident_bytes",
                     known(process->resident_bytes), "ksm_merged_bytes",
                     known(process->merged_bytes), "ksm_profit_bytes",
                     process->has_profit ? json_integer(process->profit_bytes) : json_null());
}

json_t *top_json(const struct status *status, const struct top_memory *memory)
{
    json_t *root = status_json(status), *processes = json_array();
    for (size_t i = 0; root && i < status->count; i++)
        add_to_core(json_array_get(json_object_get(root, "cores"), i), &status->cores[i]);
    for (size_t i = 0; i < memory->count; i++)
        json_array_append_new(processes, describe_process(&memory->processes[i]));
    if (!root) {
        json_decref(processes);
        return NULL;
    }
    json_object_set_new(root, "processes", processes);
    json_object_set_new(root, "ksm_saved_bytes",
                        memory->has_saved ? json_integer(memory->saved_bytes) : json_null());
    return root;
}
