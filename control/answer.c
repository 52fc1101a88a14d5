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
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A request at work. A function of the table returns its answer, or NULL and says in the last two
 * why there is none. */
struct call {
    struct matrix_core *core;
    json_t *request;
    const char *code;
    char message[256];
};

static json_t *refuse(struct call *call, const char *code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static json_t *refuse(struct call *call, const char *code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    call->code = code;
    vsnprintf(call->message, sizeof(call->message), format, arguments);
    va_end(arguments);
    return NULL;
}

/* Unpacks the members of a request, of which none may be left over; false if they do not fit. */
#define UNPACK(call, format, ...)                                                            \
    ({                                                                                       \
        json_error_t why_;                                                                   \
        const int failed_ =                                                                  \
            json_unpack_ex((call)->request, &why_, 0, "{s:i, s:s, " format " !}", "version", \
                           &(int){0}, "command", &(const char *){0}, ##__VA_ARGS__);         \
        if (failed_)                                                                         \
            refuse((call), "bad_request", "%s", why_.text);                                  \
        !failed_;                                                                            \
    })

static json_t *address(uint64_t value)
{
    return json_sprintf("0x%" PRIx64, value);
}

/* A guest's name, or a message, as JSON can hold it: of what is not UTF-8 every byte beyond ASCII
 * comes out as a question mark. */
static json_t *string_of(const char *text)
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
static struct matrix_vm *find_guest(struct call *call, const char *name)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    struct matrix_vm *found = NULL;
    for (size_t i = 0; matrix_core_guest(call->core, i, &guest); i++) {
        matrix_vm_info(guest.vm, &info);
        json_t *string = name ? string_of(info.name) : NULL;
        const bool is_meant = !name || (string && strcmp(json_string_value(string), name) == 0);
        json_decref(string);
        if (is_meant && found)
            return (void *)refuse(call, "which_guest", "there are several: name one");
        if (is_meant)
            found = guest.vm;
        if (found && name)
            break;
    }
    if (!found)
        refuse(call, "no_such_guest", "there is no guest of that name");
    return found;
}

/* --- commands -------------------------------------------------------------------------------- */

static json_t *command_help(struct call *call);

static json_t *command_list(struct call *call)
{
    struct matrix_core_guest guest;
    struct matrix_vm_info info;
    json_int_t from = 0;
    if (!UNPACK(call, "s?I", "from", &from))
        return NULL;
    if (from < 0)
        return refuse(call, "bad_request", "from is negative");
    json_t *guests = json_array();
    size_t index = (size_t)from;
    for (; index - (size_t)from < CONTROL_LIST_MAX && matrix_core_guest(call->core, index, &guest);
         index++) {
        matrix_vm_info(guest.vm, &info);
        json_array_append_new(guests,
                              json_pack("{s:o, s:s, s:I, s:i}", "name", string_of(info.name),
                                        "state", guest.state, "memory_bytes",
                                        (json_int_t)info.memory_bytes, "vcpus", (int)info.vcpus));
    }
    const bool more = matrix_core_guest(call->core, index, &guest);
    return json_pack("{s:i, s:i, s:o, s:o}", "version", CONTROL_VERSION, "pid", (int)getpid(),
                     "guests", guests, "next",
                     more ? json_integer((json_int_t)index) : json_null());
}

static json_t *command_memory(struct call *call)
{
    const char *name = NULL;
    struct matrix_region region;
    if (!UNPACK(call, "s?s", "guest", &name))
        return NULL;
    const struct matrix_vm *vm = find_guest(call, name);
    if (!vm)
        return NULL;
    json_t *regions = json_array();
    for (size_t i = 0; matrix_vm_region(vm, i, &region); i++)
        json_array_append_new(regions,
                              json_pack("{s:o, s:o, s:I}", "gpa", address(region.gpa), "hva",
                                        address(region.hva), "bytes", (json_int_t)region.bytes));
    return json_pack("{s:i, s:o}", "version", CONTROL_VERSION, "regions", regions);
}

/* Reads the addresses of a request: strings, since a JSON number may be a double to who writes it. */
static bool read_addresses(struct call *call, const json_t *list, uint64_t *addresses,
                           size_t *count)
{
    *count = json_array_size(list);
    if (*count == 0 || *count > CONTROL_TRANSLATE_MAX) {
        refuse(call, "bad_request", "addresses: 1 to %d strings", CONTROL_TRANSLATE_MAX);
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        struct matrix_error *error = text ? parse_u64(text, 0, UINT64_MAX, &addresses[i]) : NULL;
        if (!text || error)
            refuse(call, "bad_request", "addresses: %s",
                   error ? error->message : "write them as strings: \"0x1000\"");
        const bool is_good = text && !error;
        matrix_error_free(error);
        if (!is_good)
            return false;
    }
    return true;
}

static json_t *translate(struct call *call, struct matrix_vm *vm, unsigned vcpu, uint64_t gva)
{
    struct matrix_translation t;
    struct matrix_error *error = matrix_vm_translate_vcpu(vm, vcpu, gva, &t);
    if (error) {
        refuse(call, "failed", "%s", error->message);
        matrix_error_free(error);
        return NULL;
    }
    return json_pack("{s:o, s:b, s:o, s:o, s:I, s:b, s:b, s:b, s:b}", "gva", address(gva), "mapped",
                     t.mapped, "gpa", t.mapped ? address(t.gpa) : json_null(), "hva",
                     t.mapped ? address(t.hva) : json_null(), "page_bytes",
                     (json_int_t)t.page_bytes, "readable", t.readable, "writable", t.writable,
                     "executable", t.executable, "kvm_agrees", t.agree);
}

static json_t *command_translate(struct call *call)
{
    uint64_t addresses[CONTROL_TRANSLATE_MAX];
    const char *name = NULL;
    json_t *list = NULL;
    int vcpu = 0;
    size_t count;
    if (!UNPACK(call, "s?s, s?i, s:o", "guest", &name, "vcpu", &vcpu, "addresses", &list) ||
        !read_addresses(call, list, addresses, &count))
        return NULL;
    if (vcpu < 0)
        return refuse(call, "bad_request", "vcpu is negative");
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
    return json_pack("{s:i, s:o}", "version", CONTROL_VERSION, "translations", translations);
}

/* --- the table ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    json_t *(*function)(struct call *call);
    const char *help;
} commands[] = {
    {"help", command_help, "what can be asked"},
    {"list", command_list, "the guests, 64 at a time: from (optional; the answer's next)"},
    {"memory", command_memory, "where a guest's memory is: guest (optional if there is one)"},
    {"translate", command_translate,
     "guest-virtual addresses: guest (as above), addresses, vcpu (optional)"},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static json_t *command_help(struct call *call)
{
    if (!UNPACK(call, ""))
        return NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < COMMANDS; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "name", commands[i].name, "help", commands[i].help));
    return json_pack("{s:i, s:o}", "version", CONTROL_VERSION, "commands", list);
}

static json_t *answer(struct call *call)
{
    const char *name = json_string_value(json_object_get(call->request, "command"));
    const json_t *version = json_object_get(call->request, "version");
    if (!json_is_object(call->request))
        return refuse(call, "bad_request", "a request is a JSON object");
    if (!json_is_integer(version))
        return refuse(call, "bad_request", "version, a number, is missing");
    if (json_integer_value(version) != CONTROL_VERSION)
        return refuse(call, "unknown_version", "this is version %d", CONTROL_VERSION);
    if (!name)
        return refuse(call, "bad_request", "command, a string, is missing");
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].function(call);
    return refuse(call, "unknown_command", "see the command help");
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
                             code, "message", string_of(message)));
}

char *control_answer(struct matrix_core *core, const char *request, size_t bytes)
{
    json_error_t why;
    struct call call = {.core = core};
    call.request = json_loadb(request, bytes, JSON_REJECT_DUPLICATES, &why);
    json_t *object = call.request ? answer(&call) : refuse(&call, "bad_json", "%s", why.text);
    json_decref(call.request);
    if (!object && call.code)
        return control_answer_error(call.code, call.message);
    return to_line(object);
}
