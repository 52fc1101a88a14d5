// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of a cloud's control socket that change something; docs/control.md describes them. What a
 * request says is checked here as a file's keys are in cloud/config.c.
 */
#include "cli/cloud_commands.h"

#include "base/error.h"
#include <string.h>

bool cloud_command_guest(struct control_call *call, const char *name, unsigned *index)
{
    const struct cloud *cloud = call->context;
    for (*index = 0; *index < cloud->config.guest_count; ++*index)
        if (!cloud->config.guests[*index].removed &&
            strcmp(cloud->config.guests[*index].name, name) == 0)
            return true;
    control_refuse(call, "no_such_guest", "there is no guest %.64s", name);
    return false;
}

static json_t *pin_json(const struct config_contract *contract)
{
    return contract->is_pinned ? json_integer(contract->pin) : json_null();
}

static json_t *error_json(const struct matrix_error *error)
{
    char text[1024];
    if (!error)
        return json_null();
    snprintf(text, sizeof(text), "%s%s%s%s", error->message, error->remedy ? " (" : "",
             error->remedy ? error->remedy : "", error->remedy ? ")" : "");
    return control_string(text);
}

json_t *cloud_command_answer(const struct cloud *cloud, unsigned index)
{
    const struct life *life = &cloud->lives.lives[index];
    const struct config_guest *config = &cloud->config.guests[index];
    struct matrix_core_guest contract;
    struct matrix_vm_info info;
    struct matrix_machine_guest now;
    cloud_guest_look(cloud, index, &contract, &info);
    const bool is_there = cloud_guest_on_machine(cloud, index, &now);
    return json_pack(
        "{s:s, s:s, s:s, s:o, s:o, s:i, s:i, s:i, s:i, s:I, s:o, s:o, s:o}", "guest", config->name,
        "life", life_state_name(life->state), "state", contract.state, "core",
        is_there ? json_integer(now.core) : json_null(), "pin", pin_json(&config->contract),
        "restarts", (int)life->restarts, "weight", (int)config->contract.weight, "floor_ppm",
        (int)config->contract.floor_ppm, "ceiling_ppm", (int)config->contract.ceiling_ppm,
        "latency_ns", (json_int_t)config->contract.latency_ns, "exit_status",
        info.state == MATRIX_VM_EXITED && cloud->guests[index].vm ? json_integer(info.status)
                                                                  : json_null(),
        "output", config->output ? control_string(config->output) : json_null(), "error",
        error_json(cloud->guests[index].error));
}

/* Also of one that was to be added and could not be made: who has asked for it wants to know why. */
static json_t *command_guest(struct control_call *call)
{
    const struct cloud *cloud = call->context;
    const char *name;
    unsigned index;
    if (!control_unpack(call, "s:s", "guest", &name))
        return NULL;
    const int removed = cloud_find_removed(cloud, name);
    if (removed != CONFIG_NOWHERE && cloud->guests[removed].error)
        return cloud_command_answer(cloud, (unsigned)removed);
    if (!cloud_command_guest(call, name, &index))
        return NULL;
    return cloud_command_answer(call->context, index);
}

static json_t *change_life(struct control_call *call, cloud_life_command *command, const char *verb)
{
    const char *name;
    unsigned index;
    if (!control_unpack(call, "s:s", "guest", &name) || !cloud_command_guest(call, name, &index))
        return NULL;
    struct matrix_error *error = cloud_live_command(call->context, index, command, verb);
    return error ? control_refuse_error(call, error) : cloud_command_answer(call->context, index);
}

static json_t *command_start(struct control_call *call)
{
    return change_life(call, life_start, "start");
}

static json_t *command_stop(struct control_call *call)
{
    return change_life(call, life_stop, "stop");
}

static json_t *command_restart(struct control_call *call)
{
    return change_life(call, life_restart, "restart");
}

static json_t *command_pause(struct control_call *call)
{
    return change_life(call, life_pause, "pause");
}

static json_t *command_resume(struct control_call *call)
{
    return change_life(call, life_resume, "resume");
}

/* --- contracts --------------------------------------------------------------------------------- */

bool cloud_command_is_busy(struct control_call *call)
{
    if (!cloud_reload_is_under_way(call->context))
        return false;
    control_refuse(call, "busy", "the cloud is reading its file again: try once more in a moment");
    return true;
}

static bool is_said(const struct control_call *call, const char *member)
{
    return json_object_get(call->request, member) != NULL;
}

bool cloud_command_contract(struct control_call *call, const struct contract_request *request,
                            struct config_contract *contract)
{
    const struct {
        const char *member;
        json_int_t value, least, most;
    } numbers[] = {{"weight", request->weight, 1, MATRIX_WEIGHT_MAX},
                   {"floor_ppm", request->floor_ppm, 0, MATRIX_WHOLE_CORE},
                   {"ceiling_ppm", request->ceiling_ppm, 0, MATRIX_WHOLE_CORE}};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (is_said(call, numbers[i].member) &&
            (numbers[i].value < numbers[i].least || numbers[i].value > numbers[i].most))
            return control_refuse(call, "bad_request", "%s: %lld to %lld", numbers[i].member,
                                  (long long)numbers[i].least, (long long)numbers[i].most);
    if (is_said(call, "latency_ns") && request->latency_ns < 0)
        return control_refuse(call, "bad_request", "latency_ns: 0 (no target) or more");
    if (is_said(call, "pin") && (request->pin < PIN_NONE || request->pin >= CONFIG_CORES_MAX))
        return control_refuse(call, "bad_request", "pin: a core, or -1 for none");
    if (is_said(call, "pin")) {
        contract->is_pinned = request->pin != PIN_NONE;
        contract->pin = contract->is_pinned ? (unsigned)request->pin : 0;
    }
    if (is_said(call, "weight"))
        contract->weight = (unsigned)request->weight;
    if (is_said(call, "floor_ppm"))
        contract->floor_ppm = (uint32_t)request->floor_ppm;
    if (is_said(call, "ceiling_ppm"))
        contract->ceiling_ppm = (uint32_t)request->ceiling_ppm;
    if (is_said(call, "latency_ns"))
        contract->latency_ns = (uint64_t)request->latency_ns;
    return true;
}

int cloud_command_group(const struct cloud *cloud, const char *name)
{
    for (unsigned i = 0; i < cloud->config.group_count; i++)
        if (strcmp(cloud->config.groups[i].name, name) == 0)
            return (int)i;
    return CONFIG_NO_GROUP;
}

static json_t *set_guest(struct control_call *call, const char *name,
                         const struct contract_request *request)
{
    struct cloud *cloud = call->context;
    unsigned index;
    if (!cloud_command_guest(call, name, &index))
        return NULL;
    struct config_contract contract = cloud->config.guests[index].contract;
    if (!cloud_command_contract(call, request, &contract))
        return NULL;
    struct matrix_error *error = cloud_live_set(cloud, index, &contract);
    return error ? control_refuse_error(call, error) : cloud_command_answer(cloud, index);
}

static json_t *set_group(struct control_call *call, const char *name,
                         const struct contract_request *request)
{
    struct cloud *cloud = call->context;
    const int index = cloud_command_group(cloud, name);
    if (index == CONFIG_NO_GROUP)
        return control_refuse(call, "no_such_group", "there is no group %.64s", name);
    struct config_contract contract = cloud->config.groups[index].contract;
    if (!cloud_command_contract(call, request, &contract))
        return NULL;
    struct matrix_error *error = cloud_live_set_group(cloud, (unsigned)index, &contract);
    if (error)
        return control_refuse_error(call, error);
    return json_pack("{s:s, s:o, s:i, s:i, s:i, s:I}", "group", name, "pin", pin_json(&contract),
                     "weight", (int)contract.weight, "floor_ppm", (int)contract.floor_ppm,
                     "ceiling_ppm", (int)contract.ceiling_ppm, "latency_ns",
                     (json_int_t)contract.latency_ns);
}

static json_t *command_set(struct control_call *call)
{
    struct contract_request request = {0};
    const char *guest = NULL, *group = NULL;
    if (!control_unpack(call, "s?s, s?s, " CONTRACT_FORMAT, "guest", &guest, "group", &group,
                        CONTRACT_MEMBERS(&request)))
        return NULL;
    if (cloud_command_is_busy(call))
        return NULL;
    if (!guest == !group)
        return control_refuse(call, "bad_request", "name a guest, or a group");
    return guest ? set_guest(call, guest, &request) : set_group(call, group, &request);
}

static json_t *command_groups(struct control_call *call)
{
    const struct cloud *cloud = call->context;
    if (!control_unpack(call, ""))
        return NULL;
    json_t *groups = json_array();
    for (unsigned i = 0; i < cloud->config.group_count; i++) {
        const struct config_group *group = &cloud->config.groups[i];
        const int parent = group->contract.group;
        json_array_append_new(
            groups, json_pack("{s:s, s:s?, s:i, s:i, s:i}", "group", group->name, "in",
                              parent == CONFIG_NO_GROUP ? NULL : cloud->config.groups[parent].name,
                              "weight", (int)group->contract.weight, "floor_ppm",
                              (int)group->contract.floor_ppm, "ceiling_ppm",
                              (int)group->contract.ceiling_ppm));
    }
    return json_pack("{s:o}", "groups", groups);
}

static json_t *command_reload(struct control_call *call)
{
    struct cloud *cloud = call->context;
    int check = 0;
    if (!control_unpack(call, "s?b", "check", &check) || cloud_command_is_busy(call))
        return NULL;
    struct matrix_error *error = cloud_reload_begin(cloud, check);
    return error ? control_refuse_error(call, error) : cloud_reload_answer(cloud, 0);
}

static json_t *command_reloaded(struct control_call *call)
{
    const struct cloud *cloud = call->context;
    json_int_t from = 0;
    if (!control_unpack(call, "s?I", "from", &from))
        return NULL;
    if (from < 0)
        return control_refuse(call, "bad_request", "from is negative");
    if (!cloud->reload)
        return control_refuse(call, "failed", "the cloud has not read its file again yet");
    return cloud_reload_answer(cloud, (size_t)from);
}

static const struct control_command table[] = {
    {"guest", command_guest, "a guest, its contract and its state: guest"},
    {"groups", command_groups, "the groups and their contracts"},
    {"start", command_start, "starts a guest that is down: guest"},
    {"stop", command_stop, "ends a guest: guest"},
    {"restart", command_restart, "ends a guest, and starts it again: guest"},
    {"pause", command_pause, "a guest runs no more, for now: guest"},
    {"resume", command_resume, "a paused guest runs again: guest"},
    {"set", command_set,
     "changes a contract: guest or group; weight, floor_ppm, ceiling_ppm, latency_ns (0: none), "
     "pin "
     "(a core; -1: none)"},
    {"logs", cloud_command_logs,
     "what a guest printed lately, a piece at a time: guest; from (optional; the answer's next), "
     "max",
     .is_last = true},
    {"input", cloud_command_input, "what a guest is to read: guest, data (base64); eof"},
    {"add", cloud_command_add,
     "one more guest: guest (its name), image; args, memory_bytes, output, console, mergeable, "
     "group, "
     "restart, backoff_ns, after, stop_with (names), and a contract as in set"},
    {"reload", command_reload, "reads the cloud's file again: check (optional: change nothing)"},
    {"reloaded", command_reloaded,
     "what became of the last reload: from (optional; the answer's next)"},
};

struct control_commands cloud_commands(struct cloud *cloud)
{
    return (struct control_commands){table, sizeof(table) / sizeof(table[0]), cloud};
}
