// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests of `matrix run` and `matrix cloud`; see guests.h. */
#include "ksm/guests.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "ksm/mappings.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 8 /* in a message */

struct matrix_error *ksm_guests_all(struct ksm_guests *guests)
{
    return control_list(0, &guests->vms, &guests->count, NULL);
}

struct matrix_error *ksm_guests_of(pid_t pid, struct ksm_guests *guests)
{
    return control_list(pid, &guests->vms, &guests->count, NULL);
}

/* Splits PID:NAME; a NAME alone has pid 0. */
static const char *split(const char *text, pid_t *pid)
{
    uint64_t number = 0;
    const char *colon = strchr(text, ':');
    CLEANUP_FREE char *digits = colon ? strndup(text, (size_t)(colon - text)) : NULL;
    struct matrix_error *error = digits ? parse_u64(digits, 1, INT32_MAX, &number) : NULL;
    matrix_error_free(error);
    *pid = (pid_t)number;
    return number ? colon + 1 : text;
}

/* Some of the names that there are, for who mistyped one; to be freed. */
static char *list_names(const struct ksm_guests *guests)
{
    char *names = NULL;
    size_t size;
    FILE *file = open_memstream(&names, &size);
    if (!file)
        return NULL;
    for (size_t i = 0; i < guests->count && i < NAMES_MAX; i++)
        fprintf(file, "%s%s", i ? ", " : "; there are: ", guests->vms[i].name);
    if (guests->count > NAMES_MAX)
        fprintf(file, " and %zu more", guests->count - NAMES_MAX);
    return fclose(file) == 0 ? names : NULL;
}

#define MORE_BYTES 32 /* for " and 4294967295 more" */

void ksm_guests_names(const struct ksm_guests *guests, char *names, size_t bytes)
{
    size_t used = 0;
    names[0] = '\0';
    for (size_t i = 0; i < guests->count; i++) {
        const bool is_last = i + 1 == guests->count;
        const char *between = i == 0 ? "" : is_last ? " and " : ", ";
        const size_t needed = strlen(between) + strlen(guests->vms[i].name);
        if (i && used + needed + (is_last ? 1 : MORE_BYTES) > bytes) {
            snprintf(names + used, bytes - used, " and %zu more", guests->count - i);
            return;
        }
        snprintf(names + used, bytes - used, "%s%s", between, guests->vms[i].name);
        used = strlen(names);
    }
}

static struct matrix_error *no_guest(const struct ksm_guests *guests, const char *text,
                                     size_t silent)
{
    CLEANUP_FREE char *names = list_names(guests);
    return error_new(MATRIX_ERROR_USAGE, 0,
                     silent ? "some who run guests do not answer: are they stopped (Ctrl-Z)?"
                            : "give the name of a guest that runs, its PID:NAME, or a pid; other "
                              "users' guests are for root",
                     "no guest that runs is called %s%s", text, names ? names : "");
}

struct matrix_error *ksm_guests_named(const char *text, struct ksm_guests *guests)
{
    size_t silent = 0, found = 0;
    pid_t pid;
    if (strchr(text, '/'))
        return control_list_at(text, &guests->vms, &guests->count);
    const char *name = split(text, &pid);
    RETURN_IF_ERROR(control_list(pid, &guests->vms, &guests->count, &silent));
    for (size_t i = 0; i < guests->count; i++)
        found += strcmp(guests->vms[i].name, name) == 0;
    if (found == 0)
        return no_guest(guests, text, silent);
    found = 0;
    for (size_t i = 0; i < guests->count; i++)
        if (strcmp(guests->vms[i].name, name) == 0)
            guests->vms[found++] = guests->vms[i];
    guests->count = found;
    if (found == 1)
        return NULL;
    return error_usage("write PID:NAME", "%zu guests are called %s: one of process %d, one of %d",
                       found, name, guests->vms[0].pid, guests->vms[1].pid);
}

/*
 * Whoever answers at a socket may say what it likes: that much memory nobody has, or memory that is not
 * there. Where its mappings are kept from us so is its memory.
 */
static struct matrix_error *check_memory(const struct control_vm *vm,
                                         const struct matrix_region *regions, size_t count)
{
    CLEANUP_FREE struct ksm_mapping *mappings = NULL;
    uint64_t left = ksm_memory_max();
    size_t mapping_count = 0;
    for (size_t i = 0; i < count; left -= regions[i++].bytes)
        if (regions[i].bytes > left)
            return error_new(
                MATRIX_ERROR_HOST, EPROTO, "is it a Matrix at all?",
                "believe process %d about guest %s: it tells of more than %d times the "
                "memory of this host",
                vm->pid, vm->name, KSM_MEMORY_FACTOR);
    struct matrix_error *error = ksm_mappings_read(vm->pid, &mappings, &mapping_count);
    if (error && error->number == EPERM) {
        matrix_error_free(error);
        return NULL;
    }
    RETURN_IF_ERROR(error);
    for (size_t i = 0; i < count; i++)
        if (!ksm_mappings_cover(mappings, mapping_count, regions[i].hva, regions[i].bytes))
            return error_new(MATRIX_ERROR_HOST, EPROTO, "is it a Matrix at all?",
                             "believe process %d about guest %s: it tells of memory at 0x%" PRIx64
                             " that it does not have",
                             vm->pid, vm->name, regions[i].hva);
    return NULL;
}

struct matrix_error *ksm_guest_subject(const struct control_vm *vm, struct ksm_subject *subject)
{
    struct matrix_region regions[CONTROL_REGIONS_MAX];
    size_t count;
    RETURN_IF_ERROR(control_memory(vm, regions, &count));
    RETURN_IF_ERROR(check_memory(vm, regions, count));
    *subject = (struct ksm_subject){.pid = vm->pid, .kind = KSM_MATRIX_GUEST};
    snprintf(subject->name, sizeof(subject->name), "%s", vm->name);
    subject->regions = calloc(count, sizeof(*subject->regions));
    if (!subject->regions)
        return error_host(ENOMEM, "keep where the memory of guest %s is", vm->name);
    for (size_t i = 0; i < count; i++)
        subject->regions[i] = (struct ksm_region){regions[i].gpa, regions[i].hva, regions[i].bytes};
    subject->region_count = count;
    return NULL;
}
