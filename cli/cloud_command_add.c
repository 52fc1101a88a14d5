// SPDX-License-Identifier: GPL-2.0-or-later
/* The command that adds a guest to a cloud that runs; see cloud_commands.h. */
#include "cli/cloud_commands.h"

#include "base/error.h"
#include "base/parse.h"
#include "cloud/config_life.h"
#include <stdlib.h>
#include <string.h>

#define ARGUMENTS_MAX 256

/* argv of the new guest, of strings of the request; NULL: refused. */
static const char **read_arguments(struct control_call *call, const char *image, const json_t *list)
{
    const size_t count = json_array_size(list);
    const char **argv = calloc(count + 2, sizeof(*argv));
    if (!argv || count > ARGUMENTS_MAX || (list && !json_is_array(list))) {
        free(argv);
        return (void *)control_refuse(call, "bad_request", "args: up to %d strings", ARGUMENTS_MAX);
    }
    argv[0] = image;
    for (size_t i = 0; i < count; i++) {
        argv[i + 1] = json_string_value(json_array_get(list, i));
        if (argv[i + 1])
            continue;
        free(argv);
        return (void *)control_refuse(call, "bad_request", "args: not a string");
    }
    return argv;
}

#define NAMES_MAX 64

/* Guests that are there, by name, as their numbers. */
static bool read_names(struct control_call *call, const char *member, const json_t *list,
                       const unsigned **indices, unsigned *count)
{
    const size_t length = json_array_size(list);
    if (!list)
        return true;
    unsigned *numbers = calloc(length + 1, sizeof(*numbers));
    *indices = numbers;
    if (!numbers || !json_is_array(list) || length > NAMES_MAX)
        return control_refuse(call, "bad_request", "%s: up to %d names", member, NAMES_MAX);
    for (*count = 0; *count < length; ++*count) {
        const char *name = json_string_value(json_array_get(list, *count));
        if (!name)
            return control_refuse(call, "bad_request", "%s: not a string", member);
        if (!cloud_command_guest(call, name, &numbers[*count]))
            return false;
    }
    return true;
}

/* When it starts and stops. Nobody that is there can come after it: no circle comes about. */
static bool read_life(struct control_call *call, const char *restart, json_int_t backoff_ns,
                      const json_t *after, const json_t *stop_with, struct life_rules *rules)
{
    if (restart && strcmp(restart, "never") != 0 && strcmp(restart, "on-failure") != 0)
        return control_refuse(call, "bad_request", "restart: never or on-failure");
    rules->restart = restart && strcmp(restart, "on-failure") == 0 ? LIFE_ON_FAILURE : LIFE_NEVER;
    if (backoff_ns < 0 || backoff_ns > (json_int_t)LIFE_BACKOFF_MAX_NS ||
        (backoff_ns && rules->restart == LIFE_NEVER))
        return control_refuse(call, "bad_request",
                              "backoff_ns: up to a minute, with restart: on-failure");
    rules->backoff_ns = (uint64_t)backoff_ns;
    return read_names(call, "after", after, &rules->after, &rules->after_count) &&
           read_names(call, "stop_with", stop_with, &rules->stop_with, &rules->stop_with_count);
}

static bool check_guest(struct control_call *call, const struct config_guest *guest)
{
    const struct cloud *cloud = call->context;
    struct matrix_error *error = parse_check_name(guest->name);
    if (error)
        return control_refuse_error(call, error);
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        if (!cloud->config.guests[i].removed &&
            strcmp(cloud->config.guests[i].name, guest->name) == 0)
            return control_refuse(call, "bad_request", "name: there is a guest %s", guest->name);
    if (guest->image[0] == '\0' || (guest->output && guest->output[0] == '\0'))
        return control_refuse(call, "bad_request", "image, output: an empty path");
    return true;
}

static bool read_guest(struct control_call *call, struct config_guest *guest)
{
    const struct cloud *cloud = call->context;
    struct contract_request request = {0};
    const char *group = NULL, *restart = NULL;
    json_int_t memory_bytes = 0;
    json_t *args = NULL, *after = NULL, *stop_with = NULL;
    json_int_t backoff_ns = 0;
    int mergeable = 0, console = 0;
    if (!control_unpack(
            call, "s:s, s:s, s?o, s?I, s?s, s?b, s?b, s?s, s?s, s?I, s?o, s?o, " CONTRACT_FORMAT,
            "guest", &guest->name, "image", &guest->image, "args", &args, "memory_bytes",
            &memory_bytes, "output", &guest->output, "console", &console, "mergeable", &mergeable,
            "group", &group, "restart", &restart, "backoff_ns", &backoff_ns, "after", &after,
            "stop_with", &stop_with, CONTRACT_MEMBERS(&request)))
        return false;
    guest->contract = (struct config_contract){.weight = 100, .group = CONFIG_NO_GROUP};
    if (memory_bytes < 0 || (memory_bytes && memory_bytes < (json_int_t)MATRIX_MEMORY_MINIMUM) ||
        memory_bytes % 4096)
        return control_refuse(call, "bad_request", "memory_bytes: 2 MiB or more, whole pages");
    if (group && (guest->contract.group = cloud_command_group(cloud, group)) == CONFIG_NO_GROUP)
        return control_refuse(call, "no_such_group", "there is no group %.64s", group);
    guest->memory_bytes = (uint64_t)memory_bytes;
    guest->mergeable = mergeable;
    guest->console = console;
    if (!read_life(call, restart, backoff_ns, after, stop_with, &guest->life))
        return false;
    if (!check_guest(call, guest) || !cloud_command_contract(call, &request, &guest->contract))
        return false;
    guest->argv = read_arguments(call, guest->image, args);
    return guest->argv;
}

json_t *cloud_command_add(struct control_call *call)
{
    struct cloud *cloud = call->context;
    struct config_guest guest = {0};
    struct matrix_error *error = NULL;
    unsigned index;
    if (cloud_command_is_busy(call))
        return NULL;
    const bool is_read = read_guest(call, &guest);
    if (is_read)
        error = cloud_live_add(cloud, &guest, &index);
    if (!is_read || error) {
        free(guest.argv);
        config_life_free(&guest.life);
        if (!is_read)
            return NULL;
        return control_refuse_error(call, error);
    }
    /* Its strings are the request's. */
    json_array_append(cloud->added, call->request);
    return cloud_command_answer(cloud, index);
}
