// SPDX-License-Identifier: GPL-2.0-or-later
/* The merge map as tables. */
#include "cli/ksm_map.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/common.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Places of a frame that its line names; the rest is counted. */
#define PLACES_SHOWN 3

static const char *const rules[] = {
    [KSM_BY_FLAG] = "/proc/PID/pagemap, /proc/kpageflags; merged is what has KPF_KSM",
    [KSM_BY_MODULE] = "the kernel module matrix_lens",
    [KSM_BY_MAPPINGS] =
        "/proc/PID/pagemap, /proc/kpageflags; this kernel sets KPF_KSM on every anonymous page, so "
        "that merged is what has more than one mapping here: memory shared by fork counts as well",
};

static void print_pages(struct table *table, uint64_t pages)
{
    char size[FORMAT_BYTES];
    table_cell(table, "%s", pages ? format_size(size, pages * MATRIX_PAGE_BYTES) : "-");
}

/* Names are whatever guests and processes call themselves. */
static void print_name(struct table *table, const char *text)
{
    CLEANUP_FREE char *name = cli_escape(text);
    table_cell(table, "%s", name ? name : "?");
}

static struct matrix_error *print_table(struct table *table, struct matrix_error *error)
{
    if (!error)
        error = table_print(table, stdout);
    table_destroy(table);
    return error;
}

static struct matrix_error *print_subjects(const struct ksm_map *map)
{
    static const struct table_column columns[] = {
        {"VM", TABLE_LEFT},       {"PID", TABLE_RIGHT},       {"MEMORY", TABLE_RIGHT},
        {"PRIVATE", TABLE_RIGHT}, {"WITHIN", TABLE_RIGHT},    {"WITH OTHERS", TABLE_RIGHT},
        {"ZERO", TABLE_RIGHT},    {"UNTOUCHED", TABLE_RIGHT}, {"SWAPPED", TABLE_RIGHT},
        {"HUGE", TABLE_RIGHT},    {"OTHER", TABLE_RIGHT},     {"SAVED", TABLE_RIGHT},
    };
    static const enum ksm_state order[] = {KSM_PRIVATE,   KSM_WITHIN,  KSM_SHARED, KSM_ZERO,
                                           KSM_UNTOUCHED, KSM_SWAPPED, KSM_HUGE,   KSM_OTHER};
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (size_t i = 0; i < map->list->count; i++) {
        char size[FORMAT_BYTES];
        const struct ksm_subject *subject = &map->list->subjects[i];
        print_name(table, subject->name);
        table_cell(table, "%d", subject->pid);
        print_pages(table, ksm_subject_pages(subject));
        for (unsigned j = 0; j < KSM_STATES; j++)
            print_pages(table, map->counts[i].pages[order[j]]);
        table_cell(table, "%s", format_size(size, (uint64_t)map->counts[i].saved_bytes));
    }
    return print_table(table, NULL);
}

static struct matrix_error *print_pairs(const struct ksm_map *map)
{
    static const struct table_column columns[] = {
        {"VM", TABLE_LEFT},
        {"AND", TABLE_LEFT},
        {"FRAMES OF BOTH", TABLE_RIGHT},
        {"THAT SAVES", TABLE_RIGHT},
    };
    const size_t subjects = map->list->count;
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (size_t i = 0; i < subjects; i++)
        for (size_t j = i; j < subjects; j++) {
            char text[FORMAT_BYTES], label[KSM_LABEL_BYTES];
            const uint64_t frames = map->pairs[i * subjects + j];
            if (!frames)
                continue;
            print_name(table, ksm_subject_label(map->list, i, label));
            if (i == j)
                table_cell(table, "itself");
            else
                print_name(table, ksm_subject_label(map->list, j, label));
            table_cell(table, "%s", format_count(text, frames));
            print_pages(table, i == j ? map->within[i] : frames);
        }
    putchar('\n');
    return print_table(table, NULL);
}

/* "neo 0x1000 0x2000, morpheus 0x1000, 12 more" */
static struct matrix_error *format_places(const struct ksm_map *map, const struct ksm_group *group,
                                          char **text)
{
    size_t size;
    FILE *file = open_memstream(text, &size);
    if (!file)
        return error_host(ENOMEM, "print a map");
    const struct ksm_place *places = &map->places[group->first_place];
    uint32_t shown = 0;
    char label[KSM_LABEL_BYTES];
    for (uint32_t i = 0; i < group->mappings && shown < PLACES_SHOWN; i++) {
        if (i && places[i].subject == places[i - 1].subject)
            continue; /* a place of each first: who shares is asked before where */
        fputs(shown++ ? ", " : "", file);
        cli_print_escaped(file, ksm_subject_label(map->list, places[i].subject, label));
        fprintf(file, " 0x%" PRIx64, ksm_map_gpa(map, places[i]));
    }
    const uint32_t all = group->mappings + group->outside;
    if (all > shown)
        fprintf(file, ", %" PRIu32 " more", all - shown);
    return fclose(file) ? error_host(ENOMEM, "print a map") : NULL;
}

static void print_content(struct table *table, const struct ksm_contents *contents, size_t group)
{
    const struct ksm_content *content = contents ? &contents->items[group] : NULL;
    char text[3 * KSM_CONTENT_FIRST + 1] = "";
    if (!content || !content->is_known) {
        table_cell(table, "-");
        table_cell(table, "-");
        return;
    }
    table_cell(table, "%016" PRIx64, content->hash);
    for (unsigned i = 0; i < KSM_CONTENT_FIRST / 2; i++)
        snprintf(text + 3 * (size_t)i, 4, "%02x ", content->first[i]);
    size_t end = 3 * KSM_CONTENT_FIRST / 2;
    for (unsigned i = 0; i < KSM_CONTENT_FIRST / 2; i++)
        text[end++] = isprint(content->first[i]) ? (char)content->first[i] : '.';
    text[end] = '\0';
    table_cell(table, "%s", text);
}

static struct matrix_error *print_top(const struct ksm_map_report *report)
{
    static const struct table_column columns[] = {
        {"MAPPINGS", TABLE_RIGHT},   {"FRAME", TABLE_RIGHT}, {"XXH64", TABLE_LEFT},
        {"BEGINS WITH", TABLE_LEFT}, {"WHERE", TABLE_LEFT},
    };
    struct table *table;
    struct matrix_error *error = NULL;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (size_t i = 0; i < report->top_count && !error; i++) {
        const struct ksm_group *group = &report->map->groups[report->top[i]];
        CLEANUP_FREE char *places = NULL;
        table_cell(table, "%" PRIu32, group->mappings + group->outside);
        table_cell(table, "0x%" PRIx64, group->frame);
        print_content(table, report->contents, report->top[i]);
        error = format_places(report->map, group, &places);
        if (!error)
            table_cell(table, "%s", places);
    }
    putchar('\n');
    return print_table(table, error);
}

static void print_totals(const struct ksm_map_report *report)
{
    const struct ksm_map *map = report->map;
    char frames[FORMAT_BYTES], mappings[FORMAT_BYTES], saved[FORMAT_BYTES];
    const uint64_t resident = ksm_map_resident_pages(map) * MATRIX_PAGE_BYTES;
    printf("\n%s merged frames for %s mappings", format_count(frames, map->frames),
           format_count(mappings, map->mappings));
    if (report->contents)
        printf(", %s different contents", format_count(frames, report->contents->distinct));
    printf(": %s saved, %.1f %% of what would be resident\n", format_size(saved, map->saved_bytes),
           resident ? 100.0 * (double)map->saved_bytes / (double)resident : 0.0);
}

static void print_differences(const struct ksm_map_report *report)
{
    const struct ksm_map *map = report->map;
    char text[FORMAT_BYTES], other[FORMAT_BYTES], label[KSM_LABEL_BYTES];
    printf("\nbetween two maps, %s apart:\n", format_duration(text, report->between_ns));
    for (size_t i = 0; i < map->list->count; i++) {
        const struct ksm_difference *difference = &report->differences[i];
        fputs("  ", stdout);
        cli_print_escaped(stdout, ksm_subject_label(map->list, i, label));
        printf(": %s of %s pages moved", format_count(text, difference->total),
               format_count(other, ksm_subject_pages(&map->list->subjects[i])));
        for (unsigned from = 0; from < KSM_STATES; from++)
            for (unsigned to = 0; to < KSM_STATES; to++)
                if (difference->moved[from][to])
                    printf("; %s to %s: %s", ksm_state_text(from),
                           from == to ? "another frame" : ksm_state_text(to),
                           format_count(text, difference->moved[from][to]));
        putchar('\n');
    }
}

struct matrix_error *ksm_map_print(const struct ksm_map_report *report)
{
    char duration[FORMAT_BYTES];
    RETURN_IF_ERROR(print_subjects(report->map));
    if (report->map->frames)
        RETURN_IF_ERROR(print_pairs(report->map));
    if (report->top_count)
        RETURN_IF_ERROR(print_top(report));
    print_totals(report);
    if (report->differences)
        print_differences(report);
    printf("source: %s; taken in %s\n", rules[report->map->rule],
           format_duration(duration, report->map->duration_ns));
    return NULL;
}
