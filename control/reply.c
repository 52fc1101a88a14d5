// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers of the control socket, read; see reply.h. */
#include "control/reply.h"

#include "base/base64.h"
#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than any process can run: a list without end is none. */
#define GUESTS_MAX 65536

#define CORES_MAX 1024

#define PAGE_BYTES 4096ULL

static struct matrix_error *bad(const char *what)
{
    return error_new(MATRIX_ERROR_HOST, EPROTO, "is it a Matrix of another version?",
                     "read the answer of the control socket: %s", what);
}

/* In the server's own words; of which kind is in the code. */
static struct matrix_error *refusal(const char *code, const char *message)
{
    if (strcmp(code, "unknown_command") == 0)
        return error_new(MATRIX_ERROR_HOST, 0,
                         "what runs guests by `matrix run` cannot manage them; or is it a Matrix "
                         "of another version?",
                         "the process does not know this command");
    const bool is_usage = strcmp(code, "no_such_guest") == 0 ||
                          strcmp(code, "no_such_group") == 0 || strcmp(code, "bad_request") == 0;
    return error_new(is_usage ? MATRIX_ERROR_USAGE : MATRIX_ERROR_HOST, 0, NULL, "%.400s", message);
}

struct matrix_error *reply_parse(const char *text, size_t bytes, json_t **answer)
{
    const char *code, *message;
    int version;
    json_t *object = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    if (!object)
        return bad("it is no JSON");
    struct matrix_error *error = NULL;
    if (json_unpack(object, "{s:i}", "version", &version) < 0 || version != CONTROL_VERSION)
        error = bad("not the version that is known here");
    else if (json_unpack(object, "{s:{s:s, s:s}}", "error", "code", &code, "message", &message) ==
             0)
        error = refusal(code, message);
    if (error) {
        json_decref(object);
        return error;
    }
    *answer = object;
    return NULL;
}

static bool copy_text(char *to, size_t size, const char *text)
{
    return snprintf(to, size, "%s", text) < (int)size;
}

static struct matrix_error *read_vm(json_t *object, struct control_vm *vm)
{
    const char *name, *state;
    json_int_t memory_bytes;
    int vcpus;
    if (json_unpack(object, "{s:s, s:s, s:I, s:i}", "name", &name, "state", &state, "memory_bytes",
                    &memory_bytes, "vcpus", &vcpus) < 0 ||
        memory_bytes < 0 || vcpus < 0 || vcpus > MATRIX_VCPUS_MAX ||
        !copy_text(vm->name, sizeof(vm->name), name) ||
        !copy_text(vm->state, sizeof(vm->state), state))
        return bad("a guest that is none");
    vm->memory_bytes = (uint64_t)memory_bytes;
    vm->vcpus = (unsigned)vcpus;
    return NULL;
}

struct matrix_error *reply_list(const json_t *answer, struct control_vm **vms, size_t *count,
                                size_t *next)
{
    const json_t *guests = json_object_get(answer, "guests");
    const json_t *more = json_object_get(answer, "next");
    const size_t added = json_array_size(guests);
    if (!json_is_array(guests) || added > CONTROL_LIST_MAX || *count + added > GUESTS_MAX ||
        (json_is_integer(more) && added == 0))
        return bad("a list that is none");
    struct control_vm *grown = realloc(*vms, (*count + added + 1) * sizeof(**vms));
    if (!grown)
        return error_host(ENOMEM, "list guests");
    *vms = grown;
    for (size_t i = 0; i < added; i++) {
        grown[*count] = (struct control_vm){0};
        RETURN_IF_ERROR(read_vm(json_array_get(guests, i), &grown[*count]));
        ++*count;
    }
    const json_int_t number = json_is_integer(more) ? json_integer_value(more) : 0;
    if (number < 0 || number > GUESTS_MAX)
        return bad("a list that is none");
    *next = (size_t)number;
    return NULL;
}

struct matrix_error *reply_cores(const json_t *answer, unsigned core, unsigned *cores)
{
    const json_t *number = json_object_get(answer, "cores"),
                 *which = json_object_get(answer, "core");
    const json_int_t count = number ? json_integer_value(number) : 1;
    if (count < 1 || count > CORES_MAX || core >= count || json_integer_value(which) != core)
        return bad("the board of another core");
    *cores = (unsigned)count;
    return NULL;
}

static bool read_address(const char *text, uint64_t *address)
{
    struct matrix_error *error = parse_u64(text, 0, UINT64_MAX, address);
    matrix_error_free(error);
    return !error;
}

static int by_gpa(const void *a, const void *b)
{
    const struct matrix_region *first = a, *second = b;
    return first->gpa < second->gpa ? -1 : first->gpa > second->gpa;
}

/* Whole pages, which end where numbers do at the latest. */
static bool is_region(const struct matrix_region *region)
{
    return region->bytes > 0 && (region->gpa | region->hva | region->bytes) % PAGE_BYTES == 0 &&
           region->bytes <= UINT64_MAX - region->gpa && region->bytes <= UINT64_MAX - region->hva;
}

struct matrix_error *reply_regions(const json_t *answer,
                                   struct matrix_region regions[CONTROL_REGIONS_MAX], size_t *count)
{
    const json_t *list = json_object_get(answer, "regions");
    *count = json_array_size(list);
    if (*count == 0 || *count > CONTROL_REGIONS_MAX)
        return bad("no memory, or too many pieces");
    for (size_t i = 0; i < *count; i++) {
        const char *gpa, *hva;
        json_int_t bytes;
        if (json_unpack(json_array_get(list, i), "{s:s, s:s, s:I}", "gpa", &gpa, "hva", &hva,
                        "bytes", &bytes) < 0 ||
            bytes < 0 || !read_address(gpa, &regions[i].gpa) || !read_address(hva, &regions[i].hva))
            return bad("a piece of memory that is none");
        regions[i].bytes = (uint64_t)bytes;
        if (!is_region(&regions[i]))
            return bad("a piece of memory that is none");
    }
    qsort(regions, *count, sizeof(*regions), by_gpa);
    for (size_t i = 1; i < *count; i++)
        if (regions[i].gpa - regions[i - 1].gpa < regions[i - 1].bytes)
            return bad("memory that lies over other memory");
    return NULL;
}

static struct matrix_error *read_translation(json_t *object, uint64_t address,
                                             struct matrix_translation *t)
{
    const char *gva;
    const json_t *gpa, *hva;
    json_int_t page_bytes;
    int mapped, readable, writable, executable, agree;
    *t = (struct matrix_translation){.gva = address};
    if (json_unpack(object, "{s:s, s:b, s:o, s:o, s:I, s:b, s:b, s:b, s:b}", "gva", &gva, "mapped",
                    &mapped, "gpa", &gpa, "hva", &hva, "page_bytes", &page_bytes, "readable",
                    &readable, "writable", &writable, "executable", &executable, "kvm_agrees",
                    &agree) < 0 ||
        !read_address(gva, &t->gva) || t->gva != address)
        return bad("a translation of something else");
    t->mapped = mapped;
    t->agree = agree;
    if (!mapped)
        return NULL;
    if (!json_is_string(gpa) || !read_address(json_string_value(gpa), &t->gpa) ||
        !json_is_string(hva) || !read_address(json_string_value(hva), &t->hva) ||
        page_bytes < (json_int_t)PAGE_BYTES || page_bytes > 1 << 30 ||
        (page_bytes & (page_bytes - 1)) || (t->gpa ^ address) % PAGE_BYTES ||
        (t->hva ^ address) % PAGE_BYTES)
        return bad("a translation to nowhere");
    t->page_bytes = (uint64_t)page_bytes;
    t->readable = readable;
    t->writable = writable;
    t->executable = executable;
    return NULL;
}

struct matrix_error *reply_translations(const json_t *answer, const uint64_t *addresses,
                                        size_t count, struct matrix_translation *translations)
{
    const json_t *list = json_object_get(answer, "translations");
    if (json_array_size(list) != count)
        return bad("not as many addresses as were asked for");
    for (size_t i = 0; i < count; i++)
        RETURN_IF_ERROR(read_translation(json_array_get(list, i), addresses[i], &translations[i]));
    return NULL;
}

struct matrix_error *reply_logs(const json_t *answer, uint64_t asked, struct control_logs *logs)
{
    const char *state, *data;
    json_int_t from, next, end, lost_bytes;
    int start, over, takes_input;
    *logs = (struct control_logs){0};
    if (json_unpack((json_t *)answer, "{s:s, s:I, s:I, s:I, s:I, s:s, s:i, s:b, s:b}", "state",
                    &state, "from", &from, "next", &next, "end", &end, "lost_bytes", &lost_bytes,
                    "data", &data, "start", &start, "over", &over, "takes_input",
                    &takes_input) < 0 ||
        from < 0 || next < from || end < next || start < 0 ||
        !copy_text(logs->state, sizeof(logs->state), state))
        return bad("a piece of a log that is none");
    const size_t length = strlen(data);
    if (length > BASE64_TEXT_LENGTH(CONTROL_LOGS_MAX) || next - from > CONTROL_LOGS_MAX ||
        !base64_decode(data, length, logs->data, &logs->bytes) ||
        logs->bytes != (size_t)(next - from) || (uint64_t)from < asked ||
        (uint64_t)lost_bytes != (uint64_t)from - asked)
        return bad("a piece of a log that was not asked for");
    logs->from = (uint64_t)from;
    logs->next = (uint64_t)next;
    logs->end = (uint64_t)end;
    logs->lost_bytes = (uint64_t)lost_bytes;
    logs->start = (unsigned)start;
    logs->is_over = over;
    logs->takes_input = takes_input;
    return NULL;
}

struct matrix_error *reply_input(const json_t *answer, size_t bytes, size_t *taken, bool *is_last)
{
    json_int_t count;
    int eof;
    if (json_unpack((json_t *)answer, "{s:I, s:b}", "taken", &count, "eof", &eof) < 0 ||
        count < 0 || (uint64_t)count > bytes)
        return bad("more input than there was");
    *taken = (size_t)count;
    *is_last = eof;
    return NULL;
}
