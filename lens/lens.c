// SPDX-License-Identifier: GPL-2.0-or-later
/* The lens's API: chooses the source, checks arguments, and hands over to it. */
#include "base/cleanup.h"
#include "base/error.h"
#include "lens/explain.h"
#include "lens/internal.h"
#include <errno.h>
#include <inttypes.h>

static const struct lens_source proc_source = {
    .name = "proc",
    .translate = pagemap_translate,
    .footprint = smaps_footprint,
    .running = process_running,
    .children = process_children,
};

struct matrix_error *matrix_lens_open(enum matrix_lens_source source, struct matrix_lens **lens)
{
    CLEANUP_FREE struct matrix_lens *opened = calloc(1, sizeof(*opened));
    if (!opened)
        return error_host(ENOMEM, "open the lens");
    opened->source = &proc_source;
    opened->device = -1;
    if (source != MATRIX_LENS_PROC) {
        struct matrix_error *error = device_open(&opened->device, &opened->features);
        if (!error)
            opened->source = &device_source;
        else if (source == MATRIX_LENS_MODULE || error->number == ENOMEM ||
                 error->number == EMFILE || error->number == ENFILE)
            return error;
        opened->module_error = error;
    }
    *lens = TAKE(opened);
    return NULL;
}

void matrix_lens_close(struct matrix_lens *lens)
{
    if (!lens)
        return;
    if (lens->device >= 0)
        close(lens->device);
    matrix_error_free(lens->module_error);
    free(lens);
}

const char *matrix_lens_source_name(const struct matrix_lens *lens)
{
    return lens->source->name;
}

unsigned matrix_lens_features(const struct matrix_lens *lens)
{
    return lens->features;
}

static struct matrix_error *invalid(struct matrix_error *error)
{
    if (error->number == 0)
        error->number = EINVAL;
    return error;
}

static struct matrix_error *check_pid(pid_t pid)
{
    if (pid > 0)
        return NULL;
    return invalid(
        error_usage("give the number of a process, as ps(1) shows it", "%d is not a pid", pid));
}

struct matrix_error *matrix_lens_translate(const struct matrix_lens *lens, pid_t pid,
                                           uint64_t address, size_t count, unsigned flags,
                                           uint64_t *entries)
{
    RETURN_IF_ERROR(check_pid(pid));
    if (flags & ~MATRIX_LENS_NO_ADDRESSES)
        return invalid(error_usage(NULL, "translate: unknown flags 0x%x", flags));
    if (address % MATRIX_PAGE_BYTES)
        return invalid(error_usage("begin at a multiple of 4096",
                                   "0x%" PRIx64 " is not the beginning of a page", address));
    /* The last page may end at 2^64, which has no number. */
    if (count && count - 1 > (UINT64_MAX - address) / MATRIX_PAGE_BYTES)
        return invalid(
            error_usage(NULL, "%zu pages from 0x%" PRIx64 " end beyond 2^64", count, address));
    if (count == 0)
        return NULL;
    return lens->source->translate(lens, pid, address, count, flags, entries);
}

struct matrix_error *matrix_lens_footprint(const struct matrix_lens *lens, pid_t pid,
                                           struct matrix_footprint *footprint)
{
    RETURN_IF_ERROR(check_pid(pid));
    return lens->source->footprint(lens, pid, footprint);
}

struct matrix_error *matrix_lens_footprint_quick(const struct matrix_lens *lens, pid_t pid,
                                                 struct matrix_footprint *footprint)
{
    RETURN_IF_ERROR(check_pid(pid));
    return status_footprint(pid, footprint);
}

void matrix_task_list_free(struct matrix_task_list *list)
{
    free(list->tasks);
    *list = (struct matrix_task_list){0};
}

struct matrix_error *matrix_lens_running(const struct matrix_lens *lens,
                                         struct matrix_task_list *list)
{
    *list = (struct matrix_task_list){0};
    return lens->source->running(lens, list);
}

struct matrix_error *matrix_lens_children(const struct matrix_lens *lens, pid_t pid,
                                          struct matrix_task_list *list)
{
    *list = (struct matrix_task_list){0};
    RETURN_IF_ERROR(check_pid(pid));
    return lens->source->children(lens, pid, list);
}

struct matrix_error *matrix_lens_processes(const struct matrix_lens *lens,
                                           struct matrix_task_list *list)
{
    *list = (struct matrix_task_list){0};
    return process_all(list);
}

struct matrix_error *matrix_lens_process(const struct matrix_lens *lens, pid_t pid,
                                         struct matrix_lens_task *task)
{
    RETURN_IF_ERROR(check_pid(pid));
    return process_read(pid, task);
}

static struct matrix_error *check_place(const struct matrix_place *place)
{
    const unsigned known = MATRIX_LENS_PHYSICAL | MATRIX_LENS_FORCE;
    if (place->flags & ~known)
        return invalid(error_usage(NULL, "a byte: unknown flags 0x%x", place->flags));
    const bool same_offset =
        (place->virtual_address ^ place->physical_address) % MATRIX_PAGE_BYTES == 0;
    if (!(place->flags & MATRIX_LENS_PHYSICAL)) {
        RETURN_IF_ERROR(check_pid(place->pid));
        /* Who does not know the physical address cannot get here: no page of a user's is at 0. */
        if (!same_offset && place->physical_address)
            return invalid(error_usage("a page keeps its last three hexadecimal digits",
                                       "0x%" PRIx64 " cannot be at physical address 0x%" PRIx64,
                                       place->virtual_address, place->physical_address));
        return NULL;
    }
    if (place->pid || place->virtual_address)
        return invalid(error_usage(NULL, "a physical address alone has no process"));
    return NULL;
}

static struct matrix_error *access_byte(const struct matrix_lens *lens,
                                        const struct matrix_place *place, bool write,
                                        uint8_t *value)
{
    RETURN_IF_ERROR(check_place(place));
    if (lens->device >= 0)
        return device_byte(lens, place, write, value);
    const struct lens_subject subject = {.pid = place->pid,
                                         .virtual_address = place->virtual_address,
                                         .physical_address = place->physical_address};
    return lens_explain_missing(write ? LENS_WRITE : LENS_READ, &subject, lens->module_error);
}

struct matrix_error *matrix_lens_read_byte(const struct matrix_lens *lens,
                                           const struct matrix_place *place, uint8_t *value)
{
    return access_byte(lens, place, false, value);
}

struct matrix_error *matrix_lens_write_byte(const struct matrix_lens *lens,
                                            const struct matrix_place *place, uint8_t value,
                                            uint8_t *old)
{
    RETURN_IF_ERROR(access_byte(lens, place, true, &value));
    if (old)
        *old = value;
    return NULL;
}

struct matrix_error *matrix_lens_reparent(const struct matrix_lens *lens, pid_t pid,
                                          pid_t parent_pid, pid_t *old_parent_pid)
{
    pid_t unused;
    RETURN_IF_ERROR(check_pid(pid));
    RETURN_IF_ERROR(check_pid(parent_pid));
    if (lens->device >= 0)
        return device_reparent(lens, pid, parent_pid, old_parent_pid ? old_parent_pid : &unused);
    const struct lens_subject subject = {.pid = pid, .parent_pid = parent_pid};
    return lens_explain_missing(LENS_REPARENT, &subject, lens->module_error);
}
