// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of the control socket: a table, and a function each. Called by the server, between
 * two slices of the core's guests: what a command does is little, and bounded.
 */
#include "control/answer.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "control/looks.h"
#include "control/protocol.h"
#include <jansson.h>
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

/* --- commands -------------------------------------------------------------------------------- */

static json_t *command_help(struct control_call *call);

static json_t *command_list(struct control_call *call)
{
    struct control_guest guest;
    json_int_t from = 0;
    if (!control_unpack(call, "s?I", "from", &from))
        return NULL;
    if (from < 0)
        return control_refuse(call, "bad_request", "from is negative");
    json_t *guests = json_array();
    size_t index = (size_t)from;
    for (; index - (size_t)from < CONTROL_LIST_MAX &&
           call->guests->guest(call->guests, index, &guest);
         index++)
        json_array_append_new(guests,
                              json_pack("{s:o, s:s, s:I, s:i, s:i}", "name",
                                        control_string(guest.info.name), "state", guest.state,
                                        "memory_bytes", (json_int_t)guest.info.memory_bytes,
                                        "vcpus", (int)guest.info.vcpus, "core", (int)guest.core));
    const bool more = call->guests->guest(call->guests, index, &guest);
    return json_pack("{s:i, s:o, s:o}", "pid", (int)getpid(), "guests", guests, "next",
                     more ? json_integer((json_int_t)index) : json_null());
}

/* --- the table ------------------------------------------------------------------------------- */

static const struct control_command own_table[] = {
    {"board", command_board,
     "memory to watch a core by: core (optional, 0); a descriptor comes with the answer"},
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

static void finish(struct control_call *call, json_t *object)
{
    char *line = !object && call->code ? control_answer_error(call->code, call->message)
                                       : to_line(with_version(object));
    call->answered(call->answered_context, line, object ? call->fd : -1);
    json_decref(call->request);
    free(call);
}

/* In this thread again. */
static void finish_work(struct control_call *call)
{
    struct control_work *work = TAKE(call->work);
    json_t *object = work->answer(call, work);
    free(work);
    finish(call, object);
}

static void work_is_done(void *context)
{
    struct control_work *work = context;
    work->call->is_done = true;
    if (!work->call->is_busy)
        finish_work(work->call);
}

static json_t *begin_work(struct control_call *call, struct control_work *work,
                          struct matrix_vm *vm, unsigned core)
{
    const struct control_guests *guests = call->guests;
    work->call = call;
    work->visit.done = work_is_done;
    work->visit.context = work;
    call->work = work;
    struct matrix_error *error =
        vm ? guests->look(guests, vm, &work->visit) : guests->visit(guests, core, &work->visit);
    if (!error)
        return NULL;
    free(TAKE(call->work));
    return control_refuse_error(call, error);
}

json_t *control_look(struct control_call *call, struct matrix_vm *vm, struct control_work *work)
{
    return begin_work(call, work, vm, 0);
}

json_t *control_visit(struct control_call *call, unsigned core, struct control_work *work)
{
    return begin_work(call, work, NULL, core);
}

void control_answer(const struct control_guests *guests, const struct control_commands *more,
                    const char *request, size_t bytes, control_answered *answered, void *context)
{
    json_error_t why;
    struct control_call *call = calloc(1, sizeof(*call));
    if (!call) {
        answered(context, NULL, -1);
        return;
    }
    *call = (struct control_call){.guests = guests,
                                  .more = more,
                                  .context = more ? more->context : NULL,
                                  .fd = -1,
                                  .is_busy = true,
                                  .answered = answered,
                                  .answered_context = context};
    call->request = json_loadb(request, bytes, JSON_REJECT_DUPLICATES, &why);
    json_t *object =
        call->request ? answer(call) : control_refuse(call, "bad_json", "%s", why.text);
    call->is_busy = false;
    if (!call->work)
        finish(call, object);
    else if (call->is_done)
        finish_work(call);
}
