// SPDX-License-Identifier: GPL-2.0-or-later
/* What `matrix top` asks for, over the control socket: as `matrix pause`, `set` and the like; see top.h. */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/top.h"
#include "control/client.h"
#include "control/sockets.h"
#include <errno.h>
#include <matrix/core.h>
#include <stdlib.h>
#include <string.h>

static struct matrix_error *find_socket(const struct top_source *source, pid_t pid,
                                        char path[PATH_MAX])
{
    struct control_socket *sockets = NULL;
    size_t count = 0;
    if (source->target && strchr(source->target, '/')) {
        snprintf(path, PATH_MAX, "%s", source->target);
        return NULL;
    }
    RETURN_IF_ERROR(control_sockets_list(pid, &sockets, &count));
    if (count)
        snprintf(path, PATH_MAX, "%s", sockets[0].path);
    control_sockets_free(sockets, count);
    return count ? NULL : error_host(ESRCH, "find the control socket of process %d", pid);
}

/* Whose board this is must listen there; the name is as the socket has it. */
static struct matrix_error *find_guest(const struct top_source *source,
                                       const struct top_selected *who, struct control_vm *vm)
{
    *vm = (struct control_vm){.pid = who->pid};
    snprintf(vm->name, sizeof(vm->name), "%s", who->name);
    json_t *string = json_string(vm->name);
    for (char *byte = vm->name; !string && *byte; byte++)
        if (*byte & 0x80)
            *byte = '?';
    json_decref(string);
    return find_socket(source, who->pid, vm->path);
}

static struct matrix_error *ask(const struct control_vm *vm, const struct top_selected *who,
                                const char *command, json_t *members)
{
    json_t *answer = NULL;
    struct matrix_error *error;
    if (who->is_group) {
        json_object_set_new(members, "group", json_string(vm->name));
        error = control_command_at(vm->path, vm->pid, command, members, &answer);
    } else {
        error = control_command(vm, command, members, &answer);
    }
    json_decref(answer);
    return error;
}

static struct matrix_error *set_weight(const struct control_vm *vm, const struct top_action *action,
                                       char text[static 128])
{
    RETURN_IF_ERROR(
        ask(vm, &action->who, "set", json_pack("{s:i}", "weight", (int)action->weight)));
    snprintf(text, 128, "%s has weight %u now", vm->name, action->weight);
    return NULL;
}

struct matrix_error *top_act(const struct top_source *source, const struct top_action *action,
                             char text[static 128])
{
    static const struct {
        const char *command, *done;
    } verbs[] = {[TOP_PAUSE] = {"pause", "is paused"},
                 [TOP_RESUME] = {"resume", "runs again"},
                 [TOP_STOP] = {"stop", "is stopped"}};
    CLEANUP_FREE struct control_vm *vm = malloc(sizeof(*vm));
    if (!vm)
        return error_host(ENOMEM, "ask for something");
    RETURN_IF_ERROR(find_guest(source, &action->who, vm));
    if (action->verb == TOP_SET)
        return error_prefix(set_weight(vm, action, text), "set");
    const char *command = verbs[action->verb].command;
    RETURN_IF_ERROR(error_prefix(ask(vm, &action->who, command, json_object()), "%s", command));
    snprintf(text, 128, "%s %s", vm->name, verbs[action->verb].done);
    return NULL;
}
