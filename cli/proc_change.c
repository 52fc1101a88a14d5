// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix proc poke, and reparent: what changes other processes. Only the module can. */
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/proc.h"
#include <inttypes.h>
#include <string.h>

#define OFFSET (MATRIX_PAGE_BYTES - 1)

static bool is_module(const struct matrix_lens *lens)
{
    return strcmp(matrix_lens_source_name(lens), "module") == 0;
}

/* Where the byte of a process is now. */
static struct matrix_error *find_byte(const struct matrix_lens *lens, struct matrix_place *place)
{
    uint64_t entry;
    RETURN_IF_ERROR(
        matrix_lens_translate(lens, place->pid, place->virtual_address & ~OFFSET, 1, 0, &entry));
    if (entry & MATRIX_PAGE_PRESENT) {
        place->physical_address = (entry & MATRIX_PAGE_ADDRESS) + (place->virtual_address & OFFSET);
        return NULL;
    }
    const bool mapped = entry & MATRIX_PAGE_MAPPED;
    return error_new(MATRIX_ERROR_HOST, 0,
                     mapped ? "let the process touch the page first"
                            : "/proc/PID/maps has the addresses that are mapped",
                     "write 0x%" PRIx64 " of process %d: %s", place->virtual_address, place->pid,
                     entry & MATRIX_PAGE_SWAPPED  ? "the page is in swap"
                     : entry & MATRIX_PAGE_MOVING ? "the page is being moved; try again"
                     : mapped                     ? "no page is there yet"
                                                  : "no mapping covers the address");
}

/* "PID ADDRESS BYTE", or with --physical "BYTE" alone. */
static struct matrix_error *parse_place(const struct proc_options *options,
                                        struct matrix_place *place, uint8_t *byte)
{
    uint64_t number;
    char *const *arguments = options->arguments;
    const size_t count = options->argument_count;
    if (count != 3 && !(count == 1 && options->has_physical))
        return error_usage("matrix proc poke PID ADDRESS BYTE, or poke --physical=ADDRESS BYTE",
                           "poke takes a process, an address and a byte, not %zu arguments", count);
    RETURN_IF_ERROR(error_prefix(parse_u64(arguments[count - 1], 0, 255, &number), "the byte"));
    *byte = (uint8_t)number;
    *place = (struct matrix_place){.flags = options->force ? MATRIX_LENS_FORCE : 0,
                                   .physical_address = options->physical_address};
    if (count == 1) {
        place->flags |= MATRIX_LENS_PHYSICAL;
        return NULL;
    }
    RETURN_IF_ERROR(cli_parse_pid(arguments[0], &place->pid));
    return error_prefix(parse_u64(arguments[1], 0, UINT64_MAX, &place->virtual_address),
                        "the address");
}

static struct matrix_error *report_poke(const struct proc_options *options,
                                        const struct matrix_place *place, uint8_t old,
                                        uint8_t written, uint8_t now)
{
    if (options->json) {
        json_t *root = proc_json_begin(options->lens);
        json_object_set_new(root, "pid", place->pid ? json_integer(place->pid) : json_null());
        json_object_set_new(root, "virtual_address",
                            place->pid ? cli_json_address(place->virtual_address) : json_null());
        json_object_set_new(root, "physical_address", cli_json_address(place->physical_address));
        json_object_set_new(root, "old", json_integer(old));
        json_object_set_new(root, "new", json_integer(written));
        json_object_set_new(root, "read_back", json_integer(now));
        json_object_set_new(root, "verified", json_boolean(now == written));
        return cli_json_print(root, false);
    }
    if (place->pid)
        printf("process %d, 0x%" PRIx64 ", at physical address 0x%" PRIx64, place->pid,
               place->virtual_address, place->physical_address);
    else
        printf("physical address 0x%" PRIx64, place->physical_address);
    printf(": was 0x%02x, is 0x%02x: %s\n", old, now,
           now == written ? "verified" : "somebody has written it again");
    proc_print_source(options->lens, "", 0);
    return NULL;
}

struct matrix_error *proc_poke(struct proc_options *options)
{
    struct matrix_place place;
    uint8_t byte, old, now;
    RETURN_IF_ERROR(parse_place(options, &place, &byte));
    /* Without the module this says so at once; to translate would only ask for more rights. */
    if (!is_module(options->lens))
        return matrix_lens_write_byte(options->lens, &place, byte, &old);
    if (place.pid && !options->has_physical)
        RETURN_IF_ERROR(find_byte(options->lens, &place));
    RETURN_IF_ERROR(matrix_lens_write_byte(options->lens, &place, byte, &old));
    RETURN_IF_ERROR(error_prefix(matrix_lens_read_byte(options->lens, &place, &now),
                                 "the byte was written; to verify it"));
    options->status = now == byte ? EXIT_SUCCESS : EXIT_FAILURE;
    return report_poke(options, &place, old, byte, now);
}

/* What a pid is called, for the report; a process that has just ended has no name. */
static struct matrix_lens_task describe(const struct matrix_lens *lens, pid_t pid)
{
    struct matrix_lens_task task = {.pid = pid, .name = "?"};
    struct matrix_error *error = pid > 0 ? matrix_lens_process(lens, pid, &task) : NULL;
    matrix_error_free(error);
    task.pid = pid;
    return task;
}

struct matrix_error *proc_reparent(struct proc_options *options)
{
    pid_t pid, to, old;
    const struct matrix_lens *lens = options->lens;
    RETURN_IF_ERROR(cli_parse_pid(options->arguments[0], &pid));
    if (!options->to)
        return error_usage("matrix proc reparent PID --to=PID",
                           "whose child it shall be is missing");
    RETURN_IF_ERROR(error_prefix(cli_parse_pid(options->to, &to), "--to"));
    RETURN_IF_ERROR(matrix_lens_reparent(lens, pid, to, &old));

    const struct matrix_lens_task child = describe(lens, pid), before = describe(lens, old),
                                  after = describe(lens, to);
    if (options->json) {
        json_t *root = proc_json_begin(lens);
        json_object_set_new(root, "pid", json_integer(pid));
        json_object_set_new(root, "name", cli_json_string(child.name));
        json_object_set_new(root, "old_parent_pid", old ? json_integer(old) : json_null());
        json_object_set_new(root, "parent_pid", json_integer(to));
        return cli_json_print(root, false);
    }
    fputs("process ", stdout);
    proc_print_process(stdout, &child);
    fputs(": was a child of ", stdout);
    if (old)
        proc_print_process(stdout, &before);
    else
        fputs("a process outside this pid namespace", stdout);
    fputs(", is a child of ", stdout);
    proc_print_process(stdout, &after);
    putchar('\n');
    proc_print_source(lens, "", 0);
    return NULL;
}
