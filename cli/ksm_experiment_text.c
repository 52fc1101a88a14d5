// SPDX-License-Identifier: GPL-2.0-or-later
/* What came of an experiment, for people. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/common.h"
#include "cli/ksm_experiment.h"
#include <inttypes.h>

#define PAGE_BYTES 4096

const char *experiment_bounds(const struct experiment_expectation *expect, char text[96])
{
    if (expect->minimum == expect->maximum)
        snprintf(text, 96, "exactly %" PRId64, expect->minimum);
    else if (expect->maximum == INT64_MAX)
        snprintf(text, 96, "%" PRId64 " or more", expect->minimum);
    else
        snprintf(text, 96, "%" PRId64 " to %" PRId64, expect->minimum, expect->maximum);
    return text;
}

static const char *size_of(char text[FORMAT_BYTES], int64_t pages)
{
    char size[FORMAT_BYTES];
    format_size(size, (uint64_t)(pages < 0 ? -pages : pages) * PAGE_BYTES);
    snprintf(text, FORMAT_BYTES, "%s%.24s", pages < 0 ? "-" : "", size);
    return text;
}

static void add_phase(struct table *table, const struct experiment_phase *phase)
{
    const struct measure_phase *m = &phase->measured;
    char text[FORMAT_BYTES];
    CLEANUP_FREE char *label = cli_escape(phase->label);
    table_cell(table, "%s", label ? label : "");
    table_cell(table, "%s", format_duration(text, m->end_ns - m->start_ns));
    table_cell(table, "%s", size_of(text, m->pages_after));
    table_cell(table, "%s", size_of(text, m->pages_after - m->pages_before));
    table_cell(table, "%s", m->has_90 ? format_duration(text, m->to_90_ns) : "-");
    table_cell(table, "%s",
               phase->flat          ? format_duration(text, phase->to_flat_ns)
               : phase->waited_flat ? "not flat"
                                    : "-");
    table_cell(table, "%.0f", m->merges_per_second);
    table_cell(table, "%s",
               m->ksmd_cpu_ns >= 0 ? format_duration(text, (uint64_t)m->ksmd_cpu_ns) : "-");
    table_cell(table, "%s",
               m->ksmd_ns_per_page > 0 ? format_duration(text, (uint64_t)m->ksmd_ns_per_page)
                                       : "-");
}

static struct matrix_error *print_phases(const struct experiment_results *results)
{
    static const struct table_column columns[] = {
        {"phase", TABLE_LEFT},     {"took", TABLE_RIGHT},     {"merged", TABLE_RIGHT},
        {"change", TABLE_RIGHT},   {"90 %", TABLE_RIGHT},     {"flat", TABLE_RIGHT},
        {"merges/s", TABLE_RIGHT}, {"ksmd CPU", TABLE_RIGHT}, {"a page", TABLE_RIGHT},
    };
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (size_t i = 0; i < results->phase_count; i++)
        add_phase(table, &results->phases[i]);
    struct matrix_error *error = table_print(table, stdout);
    table_destroy(table);
    return error;
}

static void print_checks(const struct experiment_results *results)
{
    for (size_t i = 0; i < results->check_count; i++) {
        const struct experiment_check *check = &results->checks[i];
        const struct experiment_expectation *expect = check->expectation;
        char bounds[96];
        printf("%s: %s%s%s%s%s is %" PRId64 ", expected %s\n", check->passed ? "right" : "WRONG",
               expect->what->name, expect->of ? " of " : "", expect->of ? expect->of : "",
               expect->with ? " with " : "", expect->with ? expect->with : "", check->value,
               experiment_bounds(expect, bounds));
    }
}

struct matrix_error *experiment_print(const struct experiment_file *file,
                                      const struct experiment_results *results)
{
    char size[FORMAT_BYTES], frames[FORMAT_BYTES], mappings[FORMAT_BYTES];
    if (results->phase_count)
        RETURN_IF_ERROR(print_phases(results));
    print_checks(results);
    if (results->map.running)
        printf("merge map of %zu VM%s: %s frames are shared by %s pages, which saves %s\n",
               results->map.running, results->map.running == 1 ? "" : "s",
               format_count(frames, results->map.frames),
               format_count(mappings, results->map.mappings),
               format_size(size, results->map.saved_bytes));
    return NULL;
}
