// SPDX-License-Identifier: GPL-2.0-or-later
/* Commands of the control socket for which a guest, or a core, is looked into, in the thread where that may
 * be done. Called by answer. */
#include "control/looks.h"

#include "base/error.h"
#include "base/parse.h"
#include "control/protocol.h"
#include <inttypes.h>
#include <matrix/board.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of a guest, which has one for each memory slot. */
#define MEMORY_REGIONS_MAX 16

static json_t *address(uint64_t value)
{
    return json_sprintf("0x%" PRIx64, value);
}

/* Finds the guest that is meant; without a name the only one. NULL: refused. */
static struct matrix_vm *find_guest(struct control_call *call, const char *name)
{
    struct control_guest guest;
    struct matrix_vm *found = NULL;
    for (size_t i = 0; call->guests->guest(call->guests, i, &guest); i++) {
        json_t *string = name ? control_string(guest.info.name) : NULL;
        const bool is_meant = !name || (string && strcmp(json_string_value(string), name) == 0);
        json_decref(string);
        if (is_meant && found)
            return (void *)control_refuse(call, "which_guest", "there are several: name one");
        if (is_meant)
            found = guest.vm;
        if (found && name)
            break;
    }
    if (!found)
        control_refuse(call, "no_such_guest", "there is no guest of that name");
    return found;
}

static json_t *out_of_memory(struct control_call *call)
{
    return control_refuse(call, "failed", "there is no memory for the answer");
}

/* Where a guest's memory is. */
struct memory_work {
    struct control_work work;
    struct matrix_region regions[MEMORY_REGIONS_MAX];
    size_t count;
};

static void look_for_memory(struct matrix_vm *vm, void *context)
{
    struct memory_work *memory = context;
    while (memory->count < MEMORY_REGIONS_MAX &&
           matrix_vm_region(vm, memory->count, &memory->regions[memory->count]))
        memory->count++;
}

static json_t *answer_memory(struct control_call *call, struct control_work *work)
{
    const struct memory_work *memory = (struct memory_work *)work;
    json_t *regions = json_array();
    for (size_t i = 0; i < memory->count; i++) {
        const struct matrix_region *region = &memory->regions[i];
        json_array_append_new(regions,
                              json_pack("{s:o, s:o, s:I}", "gpa", address(region->gpa), "hva",
                                        address(region->hva), "bytes", (json_int_t)region->bytes));
    }
    return json_pack("{s:o}", "regions", regions);
}

json_t *command_memory(struct control_call *call)
{
    const char *name = NULL;
    if (!control_unpack(call, "s?s", "guest", &name))
        return NULL;
    struct matrix_vm *vm = find_guest(call, name);
    struct memory_work *memory = vm ? calloc(1, sizeof(*memory)) : NULL;
    if (!memory)
        return vm ? out_of_memory(call) : NULL;
    memory->work = (struct control_work){.visit.look = look_for_memory, .answer = answer_memory};
    return control_look(call, vm, &memory->work);
}

/* Reads the addresses of a request: strings, since a JSON number may be a double to who writes it. */
static bool read_addresses(struct control_call *call, const json_t *list, uint64_t *addresses,
                           size_t *count)
{
    *count = json_array_size(list);
    if (*count == 0 || *count > CONTROL_TRANSLATE_MAX) {
        control_refuse(call, "bad_request", "addresses: 1 to %d strings", CONTROL_TRANSLATE_MAX);
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct matrix_error *error = text ? parse_u64(text, 0, UINT64_MAX, &addresses[i]) : NULL;
        if (!text || error)
            control_refuse(call, "bad_request", "addresses: %s",
                           error ? error->message : "write them as strings: \"0x1000\"");
        const bool is_good = text && !error;
        matrix_error_free(error);
        if (!is_good)
            return false;
    }
    return true;
}

struct translate_work {
    struct control_work work;
    unsigned vcpu;
    size_t count;
    uint64_t addresses[CONTROL_TRANSLATE_MAX];
    struct matrix_translation translations[CONTROL_TRANSLATE_MAX];
    struct matrix_error *error;
};

static void look_for_addresses(struct matrix_vm *vm, void *context)
{
    struct translate_work *work = context;
    for (size_t i = 0; i < work->count && !work->error; i++)
        work->error =
            matrix_vm_translate_vcpu(vm, work->vcpu, work->addresses[i], &work->translations[i]);
}

static json_t *translation_json(const struct matrix_translation *t)
{
    return json_pack("{s:o, s:b, s:o, s:o, s:I, s:b, s:b, s:b, s:b}", "gva", address(t->gva),
                     "mapped", t->mapped, "gpa", t->mapped ? address(t->gpa) : json_null(), "hva",
                     t->mapped ? address(t->hva) : json_null(), "page_bytes",
                     (json_int_t)t->page_bytes, "readable", t->readable, "writable", t->writable,
                     "executable", t->executable, "kvm_agrees", t->agree);
}

static json_t *answer_translate(struct control_call *call, struct control_work *work)
{
    const struct translate_work *done = (struct translate_work *)work;
    if (done->error)
        return control_refuse_error(call, done->error);
    json_t *translations = json_array();
    for (size_t i = 0; i < done->count; i++)
        json_array_append_new(translations, translation_json(&done->translations[i]));
    return json_pack("{s:o}", "translations", translations);
}

json_t *command_translate(struct control_call *call)
{
    uint64_t addresses[CONTROL_TRANSLATE_MAX];
    const char *name = NULL;
    json_t *list = NULL;
    int vcpu = 0;
    size_t count;
    if (!control_unpack(call, "s?s, s?i, s:o", "guest", &name, "vcpu", &vcpu, "addresses", &list) ||
        !read_addresses(call, list, addresses, &count))
        return NULL;
    if (vcpu < 0)
        return control_refuse(call, "bad_request", "vcpu is negative");
    struct matrix_vm *vm = find_guest(call, name);
    struct translate_work *work = vm ? calloc(1, sizeof(*work)) : NULL;
    if (!work)
        return vm ? out_of_memory(call) : NULL;
    work->work =
        (struct control_work){.visit.look = look_for_addresses, .answer = answer_translate};
    work->vcpu = (unsigned)vcpu;
    work->count = count;
    memcpy(work->addresses, addresses, count * sizeof(addresses[0]));
    return control_look(call, vm, &work->work);
}

struct board_work {
    struct control_work work;
    unsigned core;
    int fd;
    struct matrix_error *error;
};

static void visit_board(struct matrix_core *core, void *context)
{
    struct board_work *board = context;
    board->error = matrix_core_board(core, &board->fd);
}

static json_t *answer_board(struct control_call *call, struct control_work *work)
{
    const struct board_work *board = (struct board_work *)work;
    if (board->error)
        return control_refuse_error(call, board->error);
    call->fd = board->fd;
    return json_pack("{s:i, s:i, s:i, s:i}", "pid", (int)getpid(), "board_version",
                     MATRIX_BOARD_VERSION, "core", (int)board->core, "cores",
                     (int)call->guests->cores);
}

json_t *command_board(struct control_call *call)
{
    json_int_t core = 0;
    if (!control_unpack(call, "s?I", "core", &core))
        return NULL;
    if (core < 0 || core >= (json_int_t)call->guests->cores)
        return control_refuse(call, "bad_request", "core: 0 to %u", call->guests->cores - 1);
    struct board_work *board = calloc(1, sizeof(*board));
    if (!board)
        return out_of_memory(call);
    board->work = (struct control_work){.visit.visit = visit_board, .answer = answer_board};
    board->core = (unsigned)core;
    return control_visit(call, board->core, &board->work);
}
