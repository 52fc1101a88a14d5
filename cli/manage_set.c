// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix set`: contracts as they are written on the command line. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/manage.h"
#include "ksm/guests.h"
#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX 10000
#define CORE_LAST  1023

static struct matrix_error *read_value(const char *key, const char *value, json_t *members)
{
    const bool none = strcmp(value, "none") == 0;
    uint64_t number = 0;
    uint32_t ppm = 0;
    if (strcmp(key, "weight") == 0) {
        RETURN_IF_ERROR(parse_u64(value, 1, WEIGHT_MAX, &number));
        json_object_set_new(members, "weight", json_integer((json_int_t)number));
    } else if (strcmp(key, "floor") == 0 || strcmp(key, "ceiling") == 0) {
        if (!none)
            RETURN_IF_ERROR(parse_percent(value, &ppm));
        json_object_set_new(members, key[0] == 'f' ? "floor_ppm" : "ceiling_ppm",
                            json_integer(ppm));
    } else if (strcmp(key, "latency") == 0) {
        if (!none)
            RETURN_IF_ERROR(parse_duration(value, &number));
        if (number > INT64_MAX)
            return error_usage("none takes a target away", "\"%s\" is too long", value);
        json_object_set_new(members, "latency_ns", json_integer((json_int_t)number));
    } else if (strcmp(key, "pin") == 0) {
        if (!none)
            RETURN_IF_ERROR(parse_u64(value, 0, CORE_LAST, &number));
        json_object_set_new(members, "pin", json_integer(none ? -1 : (json_int_t)number));
    } else {
        return error_usage("use weight, floor, ceiling, latency or pin",
                           "no such part of a contract");
    }
    return NULL;
}

struct matrix_error *manage_read_contract(char **words, size_t count, json_t *members)
{
    for (size_t i = 0; i < count; i++) {
        char key[16];
        const char *equals = strchr(words[i], '=');
        if (!equals || equals - words[i] >= (ptrdiff_t)sizeof(key))
            return error_usage("write weight=50, floor=20%, ceiling=50% or latency=10ms", "\"%s\"",
                               words[i]);
        snprintf(key, sizeof(key), "%.*s", (int)(equals - words[i]), words[i]);
        RETURN_IF_ERROR(error_prefix(read_value(key, equals + 1, members), "%s", words[i]));
    }
    return NULL;
}

static struct matrix_error *set_group(const struct manage_options *options, json_t *answers)
{
    char path[PATH_MAX];
    json_t *answer = NULL;
    json_t *members = json_pack("{s:s}", "group", options->group);
    struct matrix_error *error = manage_read_contract(options->arguments, options->count, members);
    if (!error && options->count == 0)
        error = error_usage("write weight=50, say", "nothing to change");
    error = error ? error : manage_find_cloud(options, path);
    if (error) {
        json_decref(members);
        return error;
    }
    RETURN_IF_ERROR(control_command_at(path, 0, "set", members, &answer));
    json_array_append_new(answers, answer);
    return NULL;
}

struct matrix_error *manage_set(const struct manage_options *options, json_t *answers)
{
    struct ksm_guests guests = {0};
    json_t *answer = NULL;
    if (options->group)
        return set_group(options, answers);
    if (options->count < 2)
        return error_usage("write weight=50, say", "nothing to change");
    RETURN_IF_ERROR(ksm_guests_named(options->arguments[0], &guests));
    CLEANUP_FREE struct control_vm *vms = guests.vms;
    if (guests.count != 1)
        return error_usage("write PID:NAME", "%s stands for %zu guests", options->arguments[0],
                           guests.count);
    json_t *members = json_object();
    struct matrix_error *error =
        manage_read_contract(options->arguments + 1, options->count - 1, members);
    if (error) {
        json_decref(members);
        return error;
    }
    RETURN_IF_ERROR(control_command(vms, "set", members, &answer));
    json_array_append_new(answers, answer);
    return NULL;
}
