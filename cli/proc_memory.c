// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix proc translate, and footprint: where the memory of a process is, and how much. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/page_flags.h"
#include "cli/proc.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Pages that are asked for at once. */
#define CHUNK ((size_t)1 << 16)
/* A range takes a second or so at most. */
#define RANGE_MAX ((uint64_t)1 << 40)

#define OFFSET (MATRIX_PAGE_BYTES - 1)

/* Pages that follow one another, in virtual and in physical memory, and are alike. */
struct run {
    uint64_t virtual_address; /* of the first, with the offset that was asked for */
    uint64_t entry;           /* of the first */
    uint64_t pages;
};

/* Where runs go to: a table, or a JSON array. */
struct sink {
    struct table *table;
    json_t *pages;
    struct run run; /* pages 0: none yet */
};

struct range {
    uint64_t start, pages;
};

static uint64_t physical(const struct run *run)
{
    return (run->entry & MATRIX_PAGE_ADDRESS) + (run->virtual_address & OFFSET);
}

static bool has_address(const struct run *run)
{
    return (run->entry & MATRIX_PAGE_PRESENT) && (run->entry & MATRIX_PAGE_ADDRESS);
}

static void run_to_table(struct table *table, const struct run *run)
{
    char piece[FORMAT_BYTES], flags[PAGE_FLAGS_BYTES];
    const uint64_t bytes = matrix_page_piece_bytes(run->entry);
    table_cell(table, "0x%012" PRIx64, run->virtual_address);
    table_cell(table, has_address(run) ? "0x%09" PRIx64 : "-", physical(run));
    table_cell(table, "%" PRIu64, run->pages);
    table_cell(table, "%s", bytes ? format_size(piece, bytes) : "-");
    table_cell(table, "%s", page_flags_text(flags, run->entry));
}

static void run_to_json(json_t *pages, const struct run *run)
{
    const uint64_t piece = matrix_page_piece_bytes(run->entry);
    json_array_append_new(
        pages, json_pack("{s:o, s:o, s:I, s:o, s:o}", "virtual_address",
                         cli_json_address(run->virtual_address), "physical_address",
                         has_address(run) ? cli_json_address(physical(run)) : json_null(), "pages",
                         (json_int_t)run->pages, "mapped_piece_bytes",
                         piece ? json_integer((json_int_t)piece) : json_null(), "flags",
                         page_flags_json(run->entry)));
}

static void flush_run(struct sink *sink)
{
    if (sink->run.pages && sink->table)
        run_to_table(sink->table, &sink->run);
    else if (sink->run.pages)
        run_to_json(sink->pages, &sink->run);
    sink->run.pages = 0;
}

static void add_entry(struct sink *sink, uint64_t address, uint64_t entry)
{
    struct run *run = &sink->run;
    /* What the next entry must be to go on where the run is. */
    uint64_t next = run->entry;
    if (has_address(run))
        next += run->pages * MATRIX_PAGE_BYTES;
    if (run->pages && entry == next) {
        run->pages++;
        return;
    }
    flush_run(sink);
    *run = (struct run){.virtual_address = address, .entry = entry, .pages = 1};
}

/* ADDRESS, ADDRESS-END or ADDRESS+SIZE. */
static struct matrix_error *parse_range(const char *text, struct range *range)
{
    CLEANUP_FREE char *copy = strdup(text);
    if (!copy)
        return error_host(ENOMEM, "read the range %s", text);
    char *rest = copy + strcspn(copy, "-+");
    const char separator = *rest;
    uint64_t end = 0, bytes = 1;
    *rest = '\0';
    RETURN_IF_ERROR(error_prefix(parse_u64(copy, 0, UINT64_MAX, &range->start), "%s", text));
    if (separator == '-') {
        RETURN_IF_ERROR(error_prefix(parse_u64(rest + 1, 0, UINT64_MAX, &end), "%s", text));
        if (end <= range->start)
            return error_usage("write ADDRESS-END; END is the first address that is not meant",
                               "%s: it ends before it begins", text);
        bytes = end - range->start;
    } else if (separator == '+') {
        RETURN_IF_ERROR(error_prefix(strncmp(rest + 1, "0x", 2) == 0
                                         ? parse_u64(rest + 1, 1, UINT64_MAX, &bytes)
                                         : parse_size(rest + 1, &bytes),
                                     "%s", text));
        if (bytes == 0)
            return error_usage("write ADDRESS+SIZE: 0x1000+2M", "%s: no byte at all", text);
    }
    if (bytes > RANGE_MAX)
        return error_usage("ask in pieces of 1 TiB", "%s: the range is too large", text);
    if (bytes - 1 > UINT64_MAX - range->start)
        return error_usage(NULL, "%s: the range ends beyond 2^64", text);
    range->pages = ((range->start & OFFSET) + bytes - 1) / MATRIX_PAGE_BYTES + 1;
    return NULL;
}

static struct matrix_error *translate_range(const struct proc_options *options, pid_t pid,
                                            const struct range *range, uint64_t *entries,
                                            struct sink *sink)
{
    const uint64_t first = range->start & ~OFFSET;
    for (uint64_t done = 0; done < range->pages;) {
        const uint64_t left = range->pages - done;
        const size_t count = left < CHUNK ? (size_t)left : CHUNK;
        const uint64_t address = first + done * MATRIX_PAGE_BYTES;
        RETURN_IF_ERROR(matrix_lens_translate(options->lens, pid, address, count,
                                              options->no_addresses ? MATRIX_LENS_NO_ADDRESSES : 0,
                                              entries));
        for (size_t i = 0; i < count; i++)
            add_entry(sink, done + i ? address + i * MATRIX_PAGE_BYTES : range->start, entries[i]);
        done += count;
    }
    flush_run(sink);
    return NULL;
}

static struct matrix_error *translate_ranges(const struct proc_options *options,
                                             const struct matrix_lens_task *task, struct sink *sink)
{
    CLEANUP_FREE uint64_t *entries = malloc(CHUNK * sizeof(*entries));
    if (!entries)
        return error_host(ENOMEM, "translate addresses");
    for (size_t i = 1; i < options->argument_count; i++) {
        struct range range;
        RETURN_IF_ERROR(parse_range(options->arguments[i], &range));
        RETURN_IF_ERROR(translate_range(options, task->pid, &range, entries, sink));
    }
    return proc_check_same(options->lens, task);
}

static struct matrix_error *print_pages(const struct proc_options *options,
                                        const struct matrix_lens_task *task, struct sink *sink)
{
    if (sink->table) {
        RETURN_IF_ERROR(table_print(sink->table, stdout));
        proc_print_source(options->lens, "/proc/PID/pagemap", task->pid);
        return NULL;
    }
    json_t *root = proc_json_begin(options->lens);
    json_object_set_new(root, "pid", json_integer(task->pid));
    json_object_set_new(root, "name", cli_json_string(task->name));
    json_object_set(root, "ranges", sink->pages);
    return cli_json_print(root, false);
}

struct matrix_error *proc_translate(struct proc_options *options)
{
    static const struct table_column columns[] = {
        {"VIRTUAL", TABLE_LEFT}, {"PHYSICAL", TABLE_LEFT}, {"PAGES", TABLE_RIGHT},
        {"PIECE", TABLE_RIGHT},  {"WHAT", TABLE_LEFT},
    };
    struct matrix_lens_task task;
    struct sink sink = {0};
    pid_t pid;
    RETURN_IF_ERROR(cli_parse_pid(options->arguments[0], &pid));
    RETURN_IF_ERROR(matrix_lens_process(options->lens, pid, &task));
    if (options->json)
        sink.pages = json_array();
    else
        RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &sink.table));
    struct matrix_error *error = translate_ranges(options, &task, &sink);
    if (!error)
        error = print_pages(options, &task, &sink);
    table_destroy(sink.table);
    json_decref(sink.pages);
    return error;
}

/* --- footprint -------------------------------------------------------------------------------- */

static const struct {
    const char *name; /* of the JSON member */
    const char *text;
    size_t offset;
} footprint_fields[] = {
#define FIELD(name, text)                                    \
    {                                                        \
#name, text, offsetof(struct matrix_footprint, name) \
    }
    FIELD(virtual_bytes, "virtual"),
    FIELD(resident_bytes, "resident"),
    FIELD(resident_4k_bytes, "  mapped by 4 KiB"),
    FIELD(resident_2m_bytes, "  mapped by 2 MiB"),
    FIELD(anonymous_bytes, "  anonymous"),
    FIELD(file_bytes, "  file"),
    FIELD(shmem_bytes, "  shared memory"),
    FIELD(ksm_bytes, "  merged by KSM"),
    FIELD(no_access_bytes, "  without access"),
    FIELD(hugetlb_2m_bytes, "hugetlb, 2 MiB"),
    FIELD(hugetlb_1g_bytes, "hugetlb, 1 GiB"),
    FIELD(zero_bytes, "zero pages"),
    FIELD(device_bytes, "devices"),
    FIELD(swapped_bytes, "swapped"),
#undef FIELD
};

static uint64_t field(const struct matrix_footprint *footprint, size_t index)
{
    uint64_t value;
    memcpy(&value, (const char *)footprint + footprint_fields[index].offset, sizeof(value));
    return value;
}

static struct matrix_error *print_footprint(const struct matrix_lens *lens,
                                            const struct matrix_lens_task *task,
                                            const struct matrix_footprint *footprint)
{
    static const struct table_column columns[] = {
        {"MEMORY", TABLE_LEFT}, {"SIZE", TABLE_RIGHT}, {"BYTES", TABLE_RIGHT}};
    char size[FORMAT_BYTES], count[FORMAT_BYTES];
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, 3, &table));
    for (size_t i = 0; i < sizeof(footprint_fields) / sizeof(footprint_fields[0]); i++) {
        const uint64_t bytes = field(footprint, i);
        const bool known = bytes != MATRIX_FOOTPRINT_UNKNOWN;
        table_cell(table, "%s", footprint_fields[i].text);
        table_cell(table, "%s", known ? format_size(size, bytes) : "-");
        table_cell(table, "%s", known ? format_count(count, bytes) : "not told");
    }
    fputs("process ", stdout);
    proc_print_process(stdout, task);
    printf(", %s mappings\n", format_count(count, footprint->mappings));
    struct matrix_error *error = table_print(table, stdout);
    table_destroy(table);
    proc_print_source(lens, "/proc/PID/smaps", task->pid);
    return error;
}

struct matrix_error *proc_footprint(struct proc_options *options)
{
    struct matrix_lens_task task;
    struct matrix_footprint footprint;
    pid_t pid;
    RETURN_IF_ERROR(cli_parse_pid(options->arguments[0], &pid));
    RETURN_IF_ERROR(matrix_lens_process(options->lens, pid, &task));
    RETURN_IF_ERROR(matrix_lens_footprint(options->lens, pid, &footprint));
    RETURN_IF_ERROR(proc_check_same(options->lens, &task));
    if (!options->json)
        return print_footprint(options->lens, &task, &footprint);

    json_t *root = proc_json_begin(options->lens);
    json_object_set_new(root, "pid", json_integer(pid));
    json_object_set_new(root, "name", cli_json_string(task.name));
    json_object_set_new(root, "mappings", json_integer((json_int_t)footprint.mappings));
    for (size_t i = 0; i < sizeof(footprint_fields) / sizeof(footprint_fields[0]); i++) {
        const uint64_t bytes = field(&footprint, i);
        json_object_set_new(root, footprint_fields[i].name,
                            bytes == MATRIX_FOOTPRINT_UNKNOWN ? json_null()
                                                              : json_integer((json_int_t)bytes));
    }
    return cli_json_print(root, false);
}
