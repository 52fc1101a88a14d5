// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of the control socket: a table, and a function each. Called by the server, between
 * two slices of the core's guests: what a command does is little, and bounded.
 */
#include "control/answer.h"

#include "base/error.h"
#include "base/parse.h"
#include "control/protocol.h"
#include <inttypes.h>
#include <jansson.h>
#include <matrix/board.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

json_t *control_refuse(struct control_call *call, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    call->code = code;
    vsnprintf(call->message, sizeof(call->message), format, arguments);
    va_end(arguments);
    return NULL;
}

bool control_unpack(struct control_call *call, const char *format, ...)
{
    char whole[256];
    json_error_t why;
    va_list arguments;
    snprintf(whole, sizeof(whole), "{%s !}", format);
    va_start(arguments, format);
    const int failed = json_vunpack_ex(call->request, &why, 0, whole, arguments);
    va_end(arguments);
    if (failed)
        control_refuse(call, "bad_request", "%s", why.text);
    return !failed;
}

json_t *control_refuse_error(struct control_call *call, struct matrix_error *error)
{
    control_refuse(call, "failed", "%s%s%s%s", error->message, error->remedy ? " (" : "",
                   error->remedy ? error->remedy : "", error->remedy ? ")" : "");
    matrix_error_free(error);
    return NULL;
}

static json_t *address(uint64_t value)
{
    return json_sprintf("0x%" PRIx64, value);
}

json_t *control_string(const char *text)
{
    char copy[256];
    snprintf(copy, sizeof(copy), "%s", text);
    json_t *string = json_string(copy);
    for (char *byte = copy; !string && *byte; byte++)
        if (*byte & 0x80)
            *byte = '?';
    return string ? string : json_string(copy);
}

/* Finds the guest that is meant; without a name the only one. NULL: refused. */
static struct matrix_vm *find_guest(struct control_call *call, const char *name)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    struct matrix_vm *found = NULL;
    for (size_t i = 0; matrix_core_guest(call->core, i, &guest); i++) {
        matrix_vm_info(guest.vm, &info);
        json_t *string = name ? control_string(info.name) : NULL;
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

/* --- commands -------------------------------------------------------------------------------- */

static json_t *command_help(struct control_call *call);

static json_t *command_list(struct control_call *call)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    json_int_t from = 0;
    if (!control_unpack(call, "s?I", "from", &from))
        return NULL;
    if (from < 0)
        return control_refuse(call, "bad_request", "from is negative");
    json_t *guests = json_array();
    size_t index = (size_t)from;
    for (; index - (size_t)from < CONTROL_LIST_MAX && matrix_core_guest(call->core, index, &guest);
         index++) {
        matrix_vm_info(guest.vm, &info);
        json_array_append_new(guests,
                              json_pack("{s:o, s:s, s:I, s:i}", "name", control_string(info.name),
                                        "state", guest.state, "memory_bytes",
                                        (json_int_t)info.memory_bytes, "vcpus", (int)info.vcpus));
    }
    const bool more = matrix_core_guest(call->core, index, &guest);
    return json_pack("{s:i, s:o, s:o}", "pid", (int)getpid(), "guests", guests, "next",
                     more ? json_integer((json_int_t)index) : json_null());
}

static json_t *command_memory(struct control_call *call)
{
    const char *name = NULL;
    struct matrix_region region;
    if (!control_unpack(call, "s?s", "guest", &name))
        return NULL;
    const struct matrix_vm *vm = find_guest(call, name);
    if (!vm)
        return NULL;
    json_t *regions = json_array();
    for (size_t i = 0; matrix_vm_region(vm, i, &region); i++)
        json_array_append_new(regions,
                              json_pack("{s:o, s:o, s:I}", "gpa", address(region.gpa), "hva",
                                        address(region.hva), "bytes", (json_int_t)region.bytes));
    return json_pack("{s:o}", "regions", regions);
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

static json_t *translate(struct control_call *call, struct matrix_vm *vm, unsigned vcpu,
                         uint64_t gva)
{
    struct matrix_translation t;
    struct matrix_error *error = matrix_vm_translate_vcpu(vm, vcpu, gva, &t);
    if (error)
        return control_refuse_error(call, error);
    return json_pack("{s:o, s:b, s:o, s:o, s:I, s:b, s:b, s:b, s:b}", "gva", address(gva), "mapped",
                     t.mapped, "gpa", t.mapped ? address(t.gpa) : json_null(), "hva",
                     t.mapped ? address(t.hva) : json_null(), "page_bytes",
                     (json_int_t)t.page_bytes, "readable", t.readable, "writable", t.writable,
                     "executable", t.executable, "kvm_agrees", t.agree);
}

static json_t *command_translate(struct control_call *call)
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
    if (!vm)
        return NULL;
    json_t *translations = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *translation = translate(call, vm, (unsigned)vcpu, addresses[i]);
        if (!translation) {
            json_decref(translations);
            return NULL;
        }
        json_array_append_new(translations, translation);
    }
    return json_pack("{s:o}", "translations", translations);
}

static json_t *command_board(struct control_call *call)
{
    if (!control_unpack(call, ""))
        return NULL;
    struct matrix_error *error = matrix_core_board(call->core, &call->fd);
    if (error)
        return control_refuse_error(call, error);
    return json_pack("{s:i, s:i}", "pid", (int)getpid(), "board_version", MATRIX_BOARD_VERSION);
}

/* --- the table ------------------------------------------------------------------------------- */

static const struct control_command own_table[] = {
    {"board", command_board, "memory to watch the core by: a descriptor comes with the answer"},
    {"help", command_help, "what can be asked"},
    {"list", command_list, "the guests, 64 at a time: from (optional; the answer's next)"},
    {"memory", command_memory, "where a guest's memory is: guest (optional if there is one)"},
    {"translate", command_translate,
     "guest-virtual addresses: guest (as above), addresses, vcpu (optional)"},
};

static const struct control_commands own = {own_table, sizeof(own_table) / sizeof(own_table[0]),
                                            NULL};

static json_t *command_help(struct control_call *call)
{
    if (!control_unpack(call, ""))
        return NULL;
    json_t *list = json_array();
    const struct control_commands *const all[] = {&own, call->more};
    for (size_t i = 0; i < 2 && all[i]; i++)
        for (size_t j = 0; j < all[i]->count; j++)
            json_array_append_new(list, json_pack("{s:s, s:s}", "name", all[i]->table[j].name,
                                                  "help", all[i]->table[j].help));
    return json_pack("{s:o}", "commands", list);
}

static const struct control_command *find_command(const struct control_call *call, const char *name)
{
    const struct control_commands *const all[] = {&own, call->more};
    for (size_t i = 0; i < 2 && all[i]; i++)
        for (size_t j = 0; j < all[i]->count; j++)
            if (strcmp(all[i]->table[j].name, name) == 0)
                return &all[i]->table[j];
    return NULL;
}

static json_t *answer(struct control_call *call)
{
    const char *name = json_string_value(json_object_get(call->request, "command"));
    const json_t *version = json_object_get(call->request, "version");
    if (!json_is_object(call->request))
        return control_refuse(call, "bad_request", "a request is a JSON object");
    if (!json_is_integer(version))
        return control_refuse(call, "bad_request", "version, a number, is missing");
    if (json_integer_value(version) != CONTROL_VERSION)
        return control_refuse(call, "unknown_version", "this is version %d", CONTROL_VERSION);
    if (!name)
        return control_refuse(call, "bad_request", "command, a string, is missing");
    const struct control_command *command = find_command(call, name);
    if (!command)
        return control_refuse(call, "unknown_command", "see the command help");
    json_object_del(call->request, "version");
    json_object_del(call->request, "command");
    return command->function(call);
}

/* With its newline; frees object. */
static char *to_line(json_t *object)
{
    char *line = NULL;
    char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text && asprintf(&line, "%s\n", text) < 0)
        line = NULL;
    free(text);
    return line;
}

char *control_answer_error(const char *code, const char *message)
{
    return to_line(json_pack("{s:i, s:{s:s, s:o}}", "version", CONTROL_VERSION, "error", "code",
                             code, "message", control_string(message)));
}

/* Every answer says of which version it is. */
static json_t *with_version(json_t *object)
{
    json_t *whole = object ? json_pack("{s:i}", "version", CONTROL_VERSION) : NULL;
    if (whole)
        json_object_update(whole, object);
    json_decref(object);
    return whole;
}

char *control_answer(struct matrix_core *core, const struct control_commands *more,
                     const char *request, size_t bytes, int *fd)
{
    json_error_t why;
    struct control_call call = {
        .core = core, .more = more, .context = more ? more->context : NULL, .fd = -1};
    call.request = json_loadb(request, bytes, JSON_REJECT_DUPLICATES, &why);
    json_t *object =
        call.request ? answer(&call) : control_refuse(&call, "bad_json", "%s", why.text);
    json_decref(call.request);
    *fd = object ? call.fd : -1;
    if (!object && call.code)
        return control_answer_error(call.code, call.message);
    return to_line(with_version(object));
}
