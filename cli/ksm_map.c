// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix ksm map`: which page of which guest or process is merged with which others. */
#include "cli/ksm_map.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/drawing.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/ksm.h"
#include "ksm/picture.h"
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROGRAM     "matrix ksm map"
#define TOP_DEFAULT 10
#define TOP_MAXIMUM 1000000

enum { KEY_TOP = 256, KEY_STABLE, KEY_SOURCE, KEY_NO_CONTENT, KEY_PICTURE, KEY_LAYOUT };

struct options {
    struct ksm_subject_list list;
    bool any_named;
    bool json, stable, no_content;
    enum matrix_lens_source source;
    uint64_t top;
    const char *picture;
    enum ksm_layout layout;
    struct matrix_error *error; /* the first */
};

static const struct argp_option argp_options[] = {
    {"json", 'j', NULL, 0, "JSON, with units in the names", 0},
    {"top", KEY_TOP, "N", 0, "The N most shared frames (10)", 0},
    {"stable", KEY_STABLE, NULL, 0, "Take the map twice, and tell what moved", 0},
    {"no-content", KEY_NO_CONTENT, NULL, 0, "Leave the content of merged frames unread", 0},
    {"picture", KEY_PICTURE, "FILE.png|FILE.svg", 0, "Draw the map", 0},
    {"layout", KEY_LAYOUT, "rows|hilbert", 0, "How memory lies in the picture (rows)", 0},
    {"source", KEY_SOURCE, "module|proc", 0, "Ask this one (the module, if it can be used)", 0},
    {0},
};

static struct matrix_error *set_source(struct options *options, const char *value)
{
    if (strcmp(value, "module") == 0)
        options->source = MATRIX_LENS_MODULE;
    else if (strcmp(value, "proc") == 0)
        options->source = MATRIX_LENS_PROC;
    else
        return error_usage("module or proc", "--source: no such source: %s", value);
    return NULL;
}

static struct matrix_error *set_layout(struct options *options, const char *value)
{
    if (strcmp(value, "rows") == 0)
        options->layout = KSM_ROWS;
    else if (strcmp(value, "hilbert") == 0)
        options->layout = KSM_HILBERT;
    else
        return error_usage("rows or hilbert", "--layout: no such layout: %s", value);
    return NULL;
}

/* Who is named is wanted: its end is an error. */
static struct matrix_error *add_named(struct options *options, const char *text)
{
    const size_t before = options->list.count;
    options->any_named = true;
    RETURN_IF_ERROR(ksm_subject_find(text, &options->list));
    for (size_t i = before; i < options->list.count; i++)
        options->list.subjects[i].is_required = true;
    return NULL;
}

static error_t parse(int key, char *value, struct argp_state *state)
{
    struct options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'j':
        options->json = true;
        break;
    case KEY_TOP:
        error = error_prefix(parse_u64(value, 0, TOP_MAXIMUM, &options->top), "--top");
        break;
    case KEY_STABLE:
        options->stable = true;
        break;
    case KEY_NO_CONTENT:
        options->no_content = true;
        break;
    case KEY_PICTURE:
        options->picture = value;
        error = error_prefix(drawing_check_name(value), "--picture");
        break;
    case KEY_LAYOUT:
        error = set_layout(options, value);
        break;
    case KEY_SOURCE:
        error = set_source(options, value);
        break;
    case ARGP_KEY_ARG:
        if (!options->error)
            error = add_named(options, value);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (options->error)
        matrix_error_free(error);
    else
        options->error = error;
    return 0;
}

uint64_t ksm_map_resident_pages(const struct ksm_map *map)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < map->list->count; i++)
        for (unsigned state = 0; state < KSM_STATES; state++)
            pages +=
                state == KSM_UNTOUCHED || state == KSM_SWAPPED ? 0 : map->counts[i].pages[state];
    return pages;
}

static struct matrix_error *compare(const struct ksm_map *before, struct ksm_map_report *report,
                                    struct ksm_difference **differences)
{
    const size_t count = report->map->list->count;
    *differences = calloc(count + 1, sizeof(**differences));
    if (!*differences)
        return error_host(ENOMEM, "compare two maps");
    for (size_t i = 0; i < count; i++)
        ksm_map_compare(before, report->map, i, &(*differences)[i]);
    report->differences = *differences;
    return NULL;
}

static struct matrix_error *nobody(void)
{
    return error_new(MATRIX_ERROR_HOST, 0,
                     geteuid() ? "run it as root: the memory of others is not seen otherwise"
                               : "guests offer theirs with `--mergeable`, QEMU by itself, other "
                                 "programs by madvise(2)",
                     "no process that can be seen here has memory that KSM may merge");
}

/* With --stable the one before as well, of the same processes. *between_ns: from one to the next. */
static struct matrix_error *take(struct options *options, const struct matrix_lens *lens,
                                 struct ksm_map **before, struct ksm_map **map,
                                 uint64_t *between_ns)
{
    size_t count;
    do {
        const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
        ksm_map_free(TAKE(*before));
        if (options->stable)
            RETURN_IF_ERROR(ksm_map_take(lens, &options->list, before));
        *between_ns = clock_now_ns(CLOCK_MONOTONIC) - start;
        count = options->list.count;
        ksm_map_free(TAKE(*map));
        RETURN_IF_ERROR(count ? ksm_map_take(lens, &options->list, map) : NULL);
    } while (options->stable && options->list.count != count);
    return *map ? NULL : nobody();
}

static struct matrix_error *describe(const struct options *options, struct ksm_map_report report)
{
    struct ksm_contents contents = {0};
    CLEANUP_FREE size_t *top = calloc(options->top + 1, sizeof(*top));
    if (!top)
        return error_host(ENOMEM, "keep the %zu most shared frames", (size_t)options->top);
    report.top = top;
    report.top_count = ksm_map_top(report.map, top, options->top);
    if (!options->no_content) {
        RETURN_IF_ERROR(ksm_contents_read(report.map, &contents));
        report.contents = &contents;
    }
    struct matrix_error *error =
        options->json ? ksm_map_print_json(&report) : ksm_map_print(&report);
    ksm_contents_free(&contents);
    return error;
}

static struct matrix_error *take_and_describe(struct options *options,
                                              const struct matrix_lens *lens)
{
    struct ksm_map *before = NULL, *map = NULL;
    CLEANUP_FREE struct ksm_difference *differences = NULL;
    struct ksm_map_report report = {0};
    struct matrix_error *error = take(options, lens, &before, &map, &report.between_ns);
    if (!error) {
        report.map = map;
        if (before)
            error = compare(before, &report, &differences);
        if (!error && options->picture)
            error = ksm_picture_draw(map, options->layout, options->picture);
        if (!error)
            error = describe(options, report);
    }
    ksm_map_free(before);
    ksm_map_free(map);
    return error;
}

/* Named twice, its pages would be merged with themselves. */
static struct matrix_error *check_distinct(const struct ksm_subject_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        for (size_t j = 0; j < i; j++) {
            const struct ksm_subject *a = &list->subjects[i], *b = &list->subjects[j];
            if (a->pid == b->pid && a->region_count && b->region_count &&
                a->regions[0].hva == b->regions[0].hva)
                return error_usage("name it once", "%s (process %d) is named twice", a->name,
                                   a->pid);
        }
    return NULL;
}

static struct matrix_error *run(struct options *options)
{
    struct matrix_lens *lens;
    if (options->error)
        return TAKE(options->error);
    if (!options->any_named)
        RETURN_IF_ERROR(ksm_subject_find_all(&options->list));
    if (!options->list.count)
        return nobody();
    if (options->list.left_out)
        fprintf(stderr,
                PROGRAM
                ": the %zu largest are left out: with them it would be more than %d times the "
                "memory of this host; who is named is not\n",
                options->list.left_out, KSM_MEMORY_FACTOR);
    RETURN_IF_ERROR(check_distinct(&options->list));
    if (options->picture)
        RETURN_IF_ERROR(drawing_check_place(options->picture));
    RETURN_IF_ERROR(matrix_lens_open(options->source, &lens));
    struct matrix_error *error = take_and_describe(options, lens);
    matrix_lens_close(lens);
    if (!error && (fflush(stdout) || ferror(stdout)))
        return error_host(errno, "write to standard output");
    return error;
}

int ksm_map_main(int argc, char **argv)
{
    struct options options = {.source = MATRIX_LENS_BEST, .top = TOP_DEFAULT};
    static const struct argp parser = {
        argp_options,
        parse,
        "[PID|VM...]",
        "Says which pages of guests and processes are merged with which others, exactly. Without "
        "arguments: all guests, and all processes with memory that KSM may merge.",
        NULL,
        NULL,
        NULL};
    argp_parse(&parser, argc, argv, 0, NULL, &options);
    struct matrix_error *error = run(&options);
    ksm_subject_list_free(&options.list);
    matrix_error_free(options.error);
    return error ? cli_fail(PROGRAM, error) : EXIT_SUCCESS;
}
