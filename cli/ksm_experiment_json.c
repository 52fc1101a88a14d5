// SPDX-License-Identifier: GPL-2.0-or-later
/* What came of an experiment, as JSON: the report is made from it, also later and elsewhere. */
#include "cli/json.h"
#include "cli/ksm_experiment.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_VERSION 1

static json_t *text_or_null(const char *text)
{
    return text ? cli_json_string(text) : json_null();
}

static json_t *number_or_null(int64_t number)
{
    return number == MEASURE_UNKNOWN ? json_null() : json_integer(number);
}

static json_t *knobs_to_json(const struct ksm_knobs *knobs)
{
    json_t *object = json_object();
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++)
        if (knobs->text[knob][0])
            json_object_set_new(object, ksm_knob_name(knob), json_string(knobs->text[knob]));
    return object;
}

static json_t *phase_to_json(const struct experiment_phase *phase)
{
    const struct measure_phase *m = &phase->measured;
    return json_pack(
        "{s:o, s:I, s:I, s:I, s:I, s:b, s:o, s:o, s:f, s:f, s:o, s:o, s:f}", "label",
        cli_json_string(phase->label), "start_ns", (json_int_t)m->start_ns, "duration_ns",
        (json_int_t)(m->end_ns - m->start_ns), "pages_before", (json_int_t)m->pages_before,
        "pages_after", (json_int_t)m->pages_after, "waited_until_flat", phase->waited_flat,
        "to_flat_ns", phase->flat ? json_integer((json_int_t)phase->to_flat_ns) : json_null(),
        "to_90_percent_ns", m->has_90 ? json_integer((json_int_t)m->to_90_ns) : json_null(),
        "merges_per_s", m->merges_per_second, "peak_merges_per_s", m->peak_merges_per_second,
        "full_scans", number_or_null(m->full_scans), "ksmd_cpu_ns", number_or_null(m->ksmd_cpu_ns),
        "ksmd_cpu_ns_per_page", m->ksmd_ns_per_page);
}

static json_t *check_to_json(const struct experiment_check *check)
{
    const struct experiment_expectation *expect = check->expectation;
    return json_pack("{s:I, s:s, s:o, s:o, s:I, s:I, s:I, s:b}", "step",
                     (json_int_t)check->step + 1, "what", expect->what->name, "of",
                     text_or_null(expect->of), "with", text_or_null(expect->with), "value",
                     (json_int_t)check->value, "minimum", (json_int_t)expect->minimum, "maximum",
                     (json_int_t)expect->maximum, "passed", check->passed);
}

static json_t *map_to_json(const struct experiment_map *map)
{
    json_t *vms = json_array(), *pairs = json_array();
    for (size_t i = 0; i < map->vm_count; i++) {
        json_t *vm = json_pack("{s:o, s:I}", "name", cli_json_string(map->vms[i].name),
                               "saved_bytes", (json_int_t)map->vms[i].saved_bytes);
        for (unsigned state = 0; state < KSM_STATES; state++) {
            char name[48];
            snprintf(name, sizeof(name), "%s_pages", ksm_state_name(state));
            json_object_set_new(vm, name, json_integer((json_int_t)map->vms[i].pages[state]));
        }
        json_array_append_new(vms, vm);
        json_t *row = json_array();
        for (size_t j = 0; j < map->vm_count; j++)
            json_array_append_new(
                row, json_integer((json_int_t)map->shared_pages[i * map->vm_count + j]));
        json_array_append_new(pairs, row);
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o, s:o}", "time_ns", (json_int_t)map->time_ns,
                     "frames", (json_int_t)map->frames, "mappings", (json_int_t)map->mappings,
                     "saved_bytes", (json_int_t)map->saved_bytes, "vms", vms, "shared_pages",
                     pairs);
}

/* The first line that a program says about itself; the command is a constant. */
static json_t *first_line(const char *command)
{
    char line[256] = "";
    FILE *program = popen(command, "re"); /* NOLINT(cert-env33-c): a constant */
    if (program && fgets(line, sizeof(line), program))
        line[strcspn(line, "\n")] = '\0';
    if (program)
        pclose(program);
    return line[0] ? cli_json_string(line) : json_null();
}

static json_t *host_to_json(void)
{
    struct ksm_facts facts;
    const char *lab = getenv("MATRIX_LAB");
    ksm_facts_read(&facts);
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:b, s:s, s:o}", "kernel",
                     cli_json_string(facts.kernel), "processor", cli_json_string(facts.processor),
                     "cpus", (json_int_t)facts.cpus, "memory_bytes", (json_int_t)facts.memory_bytes,
                     "page_bytes", (json_int_t)facts.page_bytes, "lab", lab && *lab == '1',
                     "matrix", MATRIX_VERSION, "qemu",
                     first_line("qemu-system-x86_64 --version 2>/dev/null"));
}

static json_t *lists_to_json(json_t *root, enum experiment_curve curve,
                             const struct experiment_results *results)
{
    json_t *phases = json_array(), *checks = json_array(), *events = json_array();
    for (size_t i = 0; i < results->phase_count; i++)
        json_array_append_new(phases, phase_to_json(&results->phases[i]));
    for (size_t i = 0; i < results->check_count; i++)
        json_array_append_new(checks, check_to_json(&results->checks[i]));
    for (size_t i = 0; i < results->event_count; i++)
        json_array_append_new(events, json_pack("{s:I, s:o}", "time_ns",
                                                (json_int_t)results->events[i].time_ns, "text",
                                                cli_json_string(results->events[i].text)));
    json_object_set_new(root, "curve", json_string(curve == CURVE_VMS ? "vms" : "host"));
    json_object_set_new(root, "phases", phases);
    json_object_set_new(root, "checks", checks);
    json_object_set_new(root, "events", events);
    json_object_set_new(root, "map",
                        results->map.running ? map_to_json(&results->map) : json_null());
    return root;
}

json_t *experiment_to_json(const struct experiment_file *file,
                           const struct experiment_results *results,
                           const struct matrix_error *error)
{
    json_t *ended = error ? json_pack("{s:o, s:o}", "message", cli_json_string(error->message),
                                      "remedy", text_or_null(error->remedy))
                          : json_null();
    json_t *root = json_pack(
        "{s:i, s:o, s:o, s:f, s:I, s:i, s:o, s:I, s:I, s:b, s:{s:o, s:o, s:o}, s:o}", "version",
        JSON_VERSION, "name", text_or_null(file->name), "description",
        text_or_null(file->description), "started_s", (double)results->started_realtime_ns / 1e9,
        "duration_ns", (json_int_t)results->duration_ns, "signal", results->signal, "error", ended,
        "steps", (json_int_t)file->step_count, "steps_done", (json_int_t)results->steps_done,
        "knobs_restored", results->knobs_restored, "knobs", "before",
        knobs_to_json(&results->before), "during", knobs_to_json(&results->during), "after",
        knobs_to_json(&results->after), "host", host_to_json());
    return root ? lists_to_json(root, file->curve, results) : NULL;
}
