// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Metrics as text: OpenMetrics 1.0.0, or the format of Prometheus 0.0.4, which differs in what stands above
 * the samples. See metrics.h.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/common.h"
#include "cli/metrics.h"
#include <errno.h>
#include <inttypes.h>

/* --- labels ---------------------------------------------------------------------------------- */

/*
 * Whoever wrote the board chose the text. Control characters and what is not UTF-8 come out as \xNN, as in
 * `matrix status`; then what the format itself wants escaped.
 */
static bool print_label(FILE *file, const char *name, const char *text)
{
    CLEANUP_FREE char *escaped = cli_escape(text);
    if (!escaped)
        return false;
    fprintf(file, "%s=\"", name);
    for (const char *byte = escaped; *byte; byte++) {
        if (*byte == '\\' || *byte == '"')
            putc('\\', file);
        putc(*byte, file);
    }
    putc('"', file);
    return true;
}

static void print_core(FILE *file, const struct metrics_process *process)
{
    fprintf(file, "pid=\"%d\",core=\"", process->from.pid);
    if (process->core.host_cpu < 0)
        fputs("any\"", file);
    else
        fprintf(file, "%" PRId64 "\"", process->core.host_cpu);
    if (process->from.cores > 1)
        fprintf(file, ",core_number=\"%u\"", process->from.core);
}

char *metrics_core_labels(const struct metrics_process *process)
{
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return NULL;
    print_core(file, process);
    if (fclose(file) == 0)
        return text;
    free(text);
    return NULL;
}

char *metrics_guest_labels(const struct metrics_process *process,
                           const struct matrix_board_guest *guest)
{
    char *text = NULL;
    size_t bytes;
    FILE *file = open_memstream(&text, &bytes);
    if (!file)
        return NULL;
    bool is_whole = print_label(file, "guest", guest->name);
    putc(',', file);
    is_whole &= print_label(file, "group", guest->group);
    putc(',', file);
    print_core(file, process);
    fprintf(file, ",id=\"%" PRIu64 "\"", guest->id);
    if (fclose(file) == 0 && is_whole)
        return text;
    free(text);
    return NULL;
}

/* --- families -------------------------------------------------------------------------------- */

static void print_head(FILE *file, const struct metrics_family *family, enum metrics_format format)
{
    static const char *const types[METRICS_FORMATS][4] = {
        [METRICS_OPENMETRICS] = {"gauge", "counter", "stateset", "histogram"},
        [METRICS_PLAIN] = {"gauge", "counter", "gauge", "histogram"},
    };
    /* The older format names a counter as its samples are named, and knows no units. */
    const bool is_plain = format == METRICS_PLAIN;
    const char *suffix = is_plain && family->type == METRICS_COUNTER ? "_total" : "";
    fprintf(file, "# TYPE " METRICS_PREFIX "%s%s %s\n", family->name, suffix,
            types[format][family->type]);
    if (family->unit && !is_plain)
        fprintf(file, "# UNIT " METRICS_PREFIX "%s %s\n", family->name, family->unit);
    fprintf(file, "# HELP " METRICS_PREFIX "%s%s %s\n", family->name, suffix, family->help);
}

static void print_guests(FILE *file, const struct metrics *metrics, enum metrics_format format)
{
    for (size_t i = 0; i < metrics_of_guests.count; i++) {
        const struct metrics_family *family = &metrics_of_guests.families[i];
        print_head(file, family, format);
        for (size_t j = 0; j < metrics->count; j++) {
            const struct metrics_process *process = &metrics->processes[j];
            for (size_t k = 0; process->is_shown && k < process->guest_count; k++)
                family->write(file, family, process->labels[k], &process->guests[k]);
        }
    }
}

/* Who has come since the last map has no samples. */
static void print_merged(FILE *file, const struct metrics *metrics, enum metrics_format format)
{
    for (size_t i = 0; i < metrics_of_merged.count; i++) {
        const struct metrics_family *family = &metrics_of_merged.families[i];
        print_head(file, family, format);
        for (size_t j = 0; j < metrics->count; j++) {
            const struct metrics_process *process = &metrics->processes[j];
            for (size_t k = 0; process->is_shown && k < process->guest_count; k++) {
                const struct metrics_merged *merged =
                    metrics_map_find(metrics->map, process, &process->guests[k]);
                if (merged)
                    family->write(file, family, process->labels[k], merged);
            }
        }
    }
}

/* How old the last map is, and how long it took. */
static void print_map(FILE *file, const struct metrics *metrics, enum metrics_format format)
{
    static const struct metrics_family age = {
        .name = "ksm_map_age_seconds", .unit = "seconds", .help = "How old the last map is."};
    static const struct metrics_family duration = {
        .name = "ksm_map_duration_seconds", .unit = "seconds", .help = "How long it took."};
    const struct metrics_map *map = metrics->map;
    const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    print_head(file, &age, format);
    if (map->taken_ns)
        fprintf(file, METRICS_PREFIX "%s %.3f\n", age.name, (double)(now_ns - map->taken_ns) / 1e9);
    print_head(file, &duration, format);
    if (map->taken_ns)
        fprintf(file, METRICS_PREFIX "%s %.9f\n", duration.name, (double)map->duration_ns / 1e9);
}

static void print_processes(FILE *file, const struct metrics *metrics, enum metrics_format format,
                            const struct metrics_table *table, bool by_core)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct metrics_family *family = &table->families[i];
        print_head(file, family, format);
        for (size_t j = 0; j < metrics->count; j++) {
            const struct metrics_process *process = &metrics->processes[j];
            if (process->is_shown && (by_core || process->from.core == 0))
                family->write(file, family, by_core ? process->core_labels : process->pid_label,
                              process);
        }
    }
}

static void print_self(FILE *file, const struct metrics *metrics, enum metrics_format format)
{
    static const struct metrics_family shown = {
        .name = "processes", .help = "Processes that run guests and are shown here."};
    static const struct metrics_family silent = {
        .name = "unreadable_processes",
        .help = "Processes with a control socket that do not answer, or whose board is none."};
    size_t shown_count = 0, silent_count = 0;
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metrics_process *process = &metrics->processes[i];
        if (process->from.core)
            continue; /* as its first core */
        shown_count += process->is_shown;
        silent_count += process->is_silent;
    }
    print_head(file, &shown, format);
    fprintf(file, METRICS_PREFIX "%s %zu\n", shown.name, shown_count);
    print_head(file, &silent, format);
    fprintf(file, METRICS_PREFIX "%s %zu\n", silent.name, silent_count);
}

struct matrix_error *metrics_print(const struct metrics *metrics, enum metrics_format format,
                                   char **text, size_t *bytes)
{
    *text = NULL;
    FILE *file = open_memstream(text, bytes);
    if (!file)
        return error_host(errno, "write the metrics");
    print_guests(file, metrics, format);
    if (metrics->map)
        print_merged(file, metrics, format);
    print_processes(file, metrics, format, &metrics_of_cores, true);
    print_processes(file, metrics, format, &metrics_of_processes, false);
    print_self(file, metrics, format);
    if (metrics->map)
        print_map(file, metrics, format);
    if (format == METRICS_OPENMETRICS)
        fputs("# EOF\n", file);
    if (fclose(file) == 0)
        return NULL;
    free(TAKE(*text));
    return error_host(ENOMEM, "write the metrics");
}
