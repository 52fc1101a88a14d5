// SPDX-License-Identifier: GPL-2.0-or-later
/* Asks those who run guests; see client.h. Used by the commands that look into guests. */
#include "control/client.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "control/reply.h"
#include "control/sockets.h"
#include "control/talk.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void cleanup_json(json_t **value)
{
    json_decref(*value);
}

#define CLEANUP_JSON __attribute__((cleanup(cleanup_json)))

/* --- one request ----------------------------------------------------------------------------- */

/* Sends a request and reads its answer. pid: who must be there, or 0, and who may only be being started then;
 * out: who was. wanted: out, a descriptor that came with the answer, unless it is NULL. */
static struct matrix_error *ask_for(const char *path, pid_t *pid, json_t *request, json_t **answer,
                                    int *wanted)
{
    struct talk *talk;
    const uint64_t patience_ns = *pid ? CONTROL_PATIENCE_NS : CONTROL_START_PATIENCE_NS;
    RETURN_IF_ERROR(talk_open(path, pid, patience_ns, &talk));
    struct matrix_error *error = talk_ask(talk, request, answer, wanted);
    talk_close(talk);
    return error;
}

static struct matrix_error *ask(const char *path, pid_t *pid, json_t *request, json_t **answer)
{
    return ask_for(path, pid, request, answer, NULL);
}

/* --- lists ----------------------------------------------------------------------------------- */

/* Appends the guests of a socket; of one that answers wrongly nothing. */
static struct matrix_error *list_socket(const char *path, pid_t pid, struct control_vm **vms,
                                        size_t *count)
{
    const size_t before = *count;
    size_t next = 0;
    struct matrix_error *error = NULL;
    do {
        const size_t from = next;
        CLEANUP_JSON json_t *answer = NULL;
        CLEANUP_JSON json_t *request = json_pack("{s:i, s:s, s:I}", "version", CONTROL_VERSION,
                                                 "command", "list", "from", (json_int_t)from);
        error = ask(path, &pid, request, &answer);
        if (!error)
            error = reply_list(answer, vms, count, &next);
        if (!error && next && next <= from)
            error = error_host(EPROTO, "list guests at %s: the list goes back", path);
    } while (!error && next);
    if (error)
        *count = before;
    for (size_t i = before; i < *count; i++) {
        (*vms)[i].pid = pid;
        (*vms)[i].index = (unsigned)(i - before);
        snprintf((*vms)[i].path, PATH_MAX, "%s", path);
    }
    return error;
}

struct matrix_error *control_list_at(const char *path, struct control_vm **vms, size_t *count)
{
    CLEANUP_FREE struct control_vm *list = NULL;
    *count = 0;
    RETURN_IF_ERROR(list_socket(path, 0, &list, count));
    *vms = TAKE(list);
    return NULL;
}

/* The same for all sockets; those at which nobody answers are counted. */
static struct matrix_error *list_sockets(const struct control_socket *sockets, size_t socket_count,
                                         struct control_vm **vms, size_t *count, size_t *silent)
{
    for (size_t i = 0; i < socket_count; i++) {
        struct matrix_error *error = NULL;
        if (strlen(sockets[i].path) < PATH_MAX)
            error = list_socket(sockets[i].path, sockets[i].pid, vms, count);
        if (error && error->number == ENOMEM)
            return error;
        /* Left behind, or gone meanwhile: nobody is there. */
        *silent += error && error->number != ECONNREFUSED && error->number != ENOENT &&
                   error->number != ECONNRESET;
        matrix_error_free(error);
    }
    return NULL;
}

static int by_pid(const void *a, const void *b)
{
    const struct control_vm *first = a, *second = b;
    if (first->pid != second->pid)
        return first->pid < second->pid ? -1 : 1;
    return first->index < second->index ? -1 : first->index > second->index;
}

struct matrix_error *control_list(pid_t pid, struct control_vm **vms, size_t *count, size_t *silent)
{
    CLEANUP_FREE struct control_vm *list = NULL;
    struct control_socket *sockets = NULL;
    size_t socket_count = 0, ignored = 0;
    *count = 0;
    RETURN_IF_ERROR(control_sockets_list(pid, &sockets, &socket_count));
    struct matrix_error *error = list_sockets(sockets, socket_count, &list, count, &ignored);
    control_sockets_free(sockets, socket_count);
    RETURN_IF_ERROR(error);
    if (silent)
        *silent = ignored;
    if (*count)
        qsort(list, *count, sizeof(*list), by_pid);
    *vms = TAKE(list);
    return NULL;
}

/* --- commands -------------------------------------------------------------------------------- */

static struct matrix_error *ask_command(const char *path, pid_t pid, const char *command,
                                        json_t *members, json_t **answer)
{
    CLEANUP_JSON json_t *request =
        json_pack("{s:i, s:s}", "version", CONTROL_VERSION, "command", command);
    if (request && members)
        json_object_update(request, members);
    json_decref(members);
    return ask(path, &pid, request, answer);
}

struct matrix_error *control_command(const struct control_vm *vm, const char *command,
                                     json_t *members, json_t **answer)
{
    members = members ? members : json_object();
    json_object_set_new(members, "guest", json_string(vm->name));
    return ask_command(vm->path, vm->pid, command, members, answer);
}

struct matrix_error *control_command_at(const char *path, pid_t pid, const char *command,
                                        json_t *members, json_t **answer)
{
    return ask_command(path, pid, command, members, answer);
}

/* --- the board ------------------------------------------------------------------------------- */

struct matrix_error *control_board(const char *path, pid_t *pid, unsigned core, unsigned *cores,
                                   struct matrix_board **board)
{
    CLEANUP_JSON json_t *answer = NULL;
    CLEANUP_JSON json_t *request =
        json_pack("{s:i, s:s}", "version", CONTROL_VERSION, "command", "board");
    /* Who has one core only may be of a version that knows of no others. */
    if (core)
        json_object_set_new(request, "core", json_integer(core));
    CLEANUP_CLOSE int fd = -1;
    RETURN_IF_ERROR(ask_for(path, pid, request, &answer, &fd));
    if (fd < 0)
        return error_host(EPROTO, "%s: an answer without a board", path);
    RETURN_IF_ERROR(error_prefix(reply_cores(answer, core, cores), "%s", path));
    return error_prefix(matrix_board_open(fd, board), "%s", path);
}

/* --- about one guest ------------------------------------------------------------------------- */

struct matrix_error *control_memory(const struct control_vm *vm,
                                    struct matrix_region regions[CONTROL_REGIONS_MAX],
                                    size_t *count)
{
    CLEANUP_JSON json_t *answer = NULL;
    CLEANUP_JSON json_t *request = json_pack("{s:i, s:s, s:s}", "version", CONTROL_VERSION,
                                             "command", "memory", "guest", vm->name);
    pid_t pid = vm->pid;
    RETURN_IF_ERROR(ask(vm->path, &pid, request, &answer));
    return error_prefix(reply_regions(answer, regions, count), "%s", vm->path);
}

static struct matrix_error *translate_some(const struct control_vm *vm, unsigned vcpu,
                                           const uint64_t *addresses, size_t count,
                                           struct matrix_translation *translations)
{
    CLEANUP_JSON json_t *answer = NULL;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_sprintf("0x%" PRIx64, addresses[i]));
    CLEANUP_JSON json_t *request =
        json_pack("{s:i, s:s, s:s, s:i, s:o}", "version", CONTROL_VERSION, "command", "translate",
                  "guest", vm->name, "vcpu", (int)vcpu, "addresses", list);
    pid_t pid = vm->pid;
    RETURN_IF_ERROR(ask(vm->path, &pid, request, &answer));
    return error_prefix(reply_translations(answer, addresses, count, translations), "%s", vm->path);
}

struct matrix_error *control_translate(const struct control_vm *vm, unsigned vcpu,
                                       const uint64_t *addresses, size_t count,
                                       struct matrix_translation *translations)
{
    for (size_t done = 0; done < count;) {
        const size_t part =
            count - done < CONTROL_TRANSLATE_MAX ? count - done : CONTROL_TRANSLATE_MAX;
        RETURN_IF_ERROR(translate_some(vm, vcpu, addresses + done, part, translations + done));
        done += part;
    }
    return NULL;
}
