// SPDX-License-Identifier: GPL-2.0-or-later
/* The merge map as JSON. */
#include "cli/ksm_map.h"

#include "base/error.h"
#include "cli/json.h"
#include <inttypes.h>
#include <stdio.h>

#define KSM_MAP_JSON_VERSION 1

static const char *const rules[] = {
    [KSM_BY_FLAG] = "kpageflags",
    [KSM_BY_MODULE] = "module",
    [KSM_BY_MAPPINGS] = "mappings",
};

static const char *const kinds[] = {
    [KSM_PROCESS] = "process",
    [KSM_MATRIX_GUEST] = "guest",
    [KSM_QEMU] = "qemu",
};

static void set_number(json_t *object, const char *name, uint64_t number)
{
    json_object_set_new(object, name, json_integer((json_int_t)number));
}

static void set_pages(json_t *object, enum ksm_state state, const char *suffix, uint64_t pages)
{
    char name[48];
    snprintf(name, sizeof(name), "%s_pages%s", ksm_state_name(state), suffix);
    set_number(object, name, pages);
}

static json_t *difference_to_json(const struct ksm_difference *difference)
{
    json_t *changes = json_array();
    for (unsigned from = 0; from < KSM_STATES; from++)
        for (unsigned to = 0; to < KSM_STATES; to++)
            if (difference->moved[from][to])
                json_array_append_new(changes,
                                      json_pack("{s:s, s:s, s:I}", "from", ksm_state_name(from),
                                                "to", ksm_state_name(to), "pages",
                                                (json_int_t)difference->moved[from][to]));
    return changes;
}

static json_t *regions_to_json(const struct ksm_subject *subject)
{
    json_t *regions = json_array();
    for (size_t i = 0; i < subject->region_count; i++)
        json_array_append_new(
            regions, json_pack("{s:o, s:o, s:I}", "gpa", cli_json_address(subject->regions[i].gpa),
                               "hva", cli_json_address(subject->regions[i].hva), "memory_bytes",
                               (json_int_t)subject->regions[i].bytes));
    return regions;
}

static json_t *subject_to_json(const struct ksm_map_report *report, size_t index)
{
    const struct ksm_map *map = report->map;
    const struct ksm_subject *subject = &map->list->subjects[index];
    const struct ksm_counts *counts = &map->counts[index];
    json_t *object = json_object();
    json_object_set_new(object, "name", cli_json_string(subject->name));
    set_number(object, "pid", (uint64_t)subject->pid);
    json_object_set_new(object, "kind", json_string(kinds[subject->kind]));
    json_object_set_new(object, "regions", regions_to_json(subject));
    set_number(object, "memory_pages", ksm_subject_pages(subject));
    for (unsigned state = 0; state < KSM_STATES; state++)
        set_pages(object, state, "", counts->pages[state]);
    set_number(object, "private_pages_once_merged", counts->alone);
    set_number(object, "shared_pages_outside_only", counts->outside);
    set_number(object, "saved_bytes", (uint64_t)counts->saved_bytes);
    if (report->differences) {
        set_number(object, "moved_pages", report->differences[index].total);
        json_object_set_new(object, "moves", difference_to_json(&report->differences[index]));
    }
    return object;
}

/* Subjects are named by their index: names need not differ. */
static json_t *pairs_to_json(const struct ksm_map *map)
{
    const size_t subjects = map->list->count;
    json_t *pairs = json_array();
    for (size_t i = 0; i < subjects; i++)
        for (size_t j = i; j < subjects; j++) {
            const uint64_t frames = map->pairs[i * subjects + j];
            const uint64_t saved = i == j ? map->within[i] : frames;
            if (frames)
                json_array_append_new(pairs, json_pack("{s:I, s:I, s:I, s:I}", "first",
                                                       (json_int_t)i, "second", (json_int_t)j,
                                                       "frames", (json_int_t)frames, "saved_bytes",
                                                       (json_int_t)(saved * MATRIX_PAGE_BYTES)));
        }
    return pairs;
}

static void set_content(json_t *object, const struct ksm_content *content)
{
    char hash[17], first[2 * KSM_CONTENT_FIRST + 1];
    snprintf(hash, sizeof(hash), "%016" PRIx64, content->hash);
    for (unsigned i = 0; i < KSM_CONTENT_FIRST; i++)
        snprintf(first + 2 * (size_t)i, 3, "%02x", content->first[i]);
    json_object_set_new(object, "xxh64", content->is_known ? json_string(hash) : json_null());
    json_object_set_new(object, "first_bytes",
                        content->is_known ? json_string(first) : json_null());
}

static json_t *group_to_json(const struct ksm_map_report *report, size_t index)
{
    const struct ksm_map *map = report->map;
    const struct ksm_group *group = &map->groups[index];
    json_t *object = json_object(), *places = json_array();
    set_number(object, "frame", group->frame);
    set_number(object, "mappings", group->mappings);
    set_number(object, "mappings_outside", group->outside);
    if (report->contents)
        set_content(object, &report->contents->items[index]);
    for (uint32_t i = 0; i < group->mappings; i++) {
        const struct ksm_place place = map->places[group->first_place + i];
        json_array_append_new(places, json_pack("{s:i, s:o, s:o}", "subject", (int)place.subject,
                                                "gpa", cli_json_address(ksm_map_gpa(map, place)),
                                                "hva", cli_json_address(ksm_map_hva(map, place))));
    }
    json_object_set_new(object, "places", places);
    return object;
}

struct matrix_error *ksm_map_print_json(const struct ksm_map_report *report)
{
    const struct ksm_map *map = report->map;
    json_t *root = json_object(), *subjects = json_array(), *top = json_array();
    set_number(root, "version", KSM_MAP_JSON_VERSION);
    json_object_set_new(root, "rule", json_string(rules[map->rule]));
    set_number(root, "page_bytes", MATRIX_PAGE_BYTES);
    set_number(root, "duration_ns", map->duration_ns);
    if (report->differences)
        set_number(root, "between_ns", report->between_ns);
    set_number(root, "merged_frames", map->frames);
    set_number(root, "merged_mappings", map->mappings);
    set_number(root, "saved_bytes", map->saved_bytes);
    set_number(root, "resident_bytes", ksm_map_resident_pages(map) * MATRIX_PAGE_BYTES);
    if (report->contents)
        set_number(root, "contents", report->contents->distinct);
    for (size_t i = 0; i < map->list->count; i++)
        json_array_append_new(subjects, subject_to_json(report, i));
    json_object_set_new(root, "subjects", subjects);
    json_object_set_new(root, "pairs", pairs_to_json(map));
    for (size_t i = 0; i < report->top_count; i++)
        json_array_append_new(top, group_to_json(report, report->top[i]));
    json_object_set_new(root, "most_shared", top);
    return cli_json_print(root, false);
}
