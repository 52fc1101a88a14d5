// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix add`: new guests for a running cloud, of a file or of the command line. */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/find_image.h"
#include "cli/manage.h"
#include "cloud/config.h"
#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --- which cloud ---------------------------------------------------------------------------------- */

static struct matrix_error *only_cloud(pid_t pid, char path[PATH_MAX])
{
    struct control_vm *list = NULL;
    size_t count = 0;
    RETURN_IF_ERROR(control_list(pid, &list, &count, NULL));
    CLEANUP_FREE struct control_vm *vms = list;
    for (size_t i = 1; i < count; i++)
        if (vms[i].pid != vms[0].pid)
            return error_usage("say which with --cloud PID",
                               "several processes run guests: %d and %d", vms[0].pid, vms[i].pid);
    if (count == 0 && pid)
        return error_host(ESRCH, "find guests that process %d runs", pid);
    if (count == 0)
        return error_usage("start one: matrix cloud FILE", "no cloud runs");
    memcpy(path, vms[0].path, PATH_MAX);
    return NULL;
}

struct matrix_error *manage_find_cloud(const struct manage_options *options, char path[PATH_MAX])
{
    uint64_t pid = 0;
    if (options->cloud && strchr(options->cloud, '/')) {
        if (snprintf(path, PATH_MAX, "%s", options->cloud) >= PATH_MAX)
            return error_host(ENAMETOOLONG, "find the cloud of %s", options->cloud);
        return NULL;
    }
    if (options->cloud)
        RETURN_IF_ERROR(error_prefix(parse_u64(options->cloud, 1, INT32_MAX, &pid), "--cloud"));
    return only_cloud((pid_t)pid, path);
}

/* --- guests --------------------------------------------------------------------------------------- */

/* The image as the cloud can find it, whose directory is another. */
static struct matrix_error *absolute_image(const char *given, const char *directory,
                                           json_t *members)
{
    char path[PATH_MAX];
    find_image(given, directory, path);
    CLEANUP_FREE char *whole = realpath(path, NULL);
    if (!whole)
        return error_new(MATRIX_ERROR_IMAGE, errno, NULL, "find the image %s", given);
    json_object_set_new(members, "image", json_string(whole));
    return NULL;
}

static struct matrix_error *add_one(const struct manage_options *options, const char *socket,
                                    json_t *members, json_t *answers)
{
    CLEANUP_FREE char *name = NULL;
    json_t *answer = NULL;
    const char *text = json_string_value(json_object_get(members, "guest"));
    name = strdup(text ? text : "?");
    RETURN_IF_ERROR(control_command_at(socket, 0, "add", members, &answer));
    struct matrix_error *error =
        options->no_wait ? NULL : manage_wait(socket, name ? name : "?", &answer);
    json_array_append_new(answers, answer);
    return error;
}

static struct matrix_error *add_image(const struct manage_options *options, const char *socket,
                                      json_t *answers)
{
    json_t *members = json_incref(options->guest);
    const char *image = options->arguments[0];
    json_t *args = json_array();
    for (size_t i = 1; i < options->count; i++)
        json_array_append_new(args, json_string(options->arguments[i]));
    json_object_set_new(members, "args", args);
    if (!json_object_get(members, "guest")) {
        const char *slash = strrchr(image, '/');
        const char *base = slash ? slash + 1 : image;
        json_object_set_new(members, "guest", json_stringn(base, strcspn(base, ".")));
    }
    struct matrix_error *error = absolute_image(image, ".", members);
    if (error) {
        json_decref(members);
        return error;
    }
    return add_one(options, socket, members, answers);
}

/* Names of guests; those of the file come before who names them (add_file). */
static json_t *names_of(const struct cloud_config *config, const unsigned *list, unsigned count)
{
    json_t *names = json_array();
    for (unsigned i = 0; i < count; i++)
        json_array_append_new(names, json_string(config->guests[list[i]].name));
    return names;
}

static json_t *describe(const struct cloud_config *config, const struct config_guest *guest)
{
    const struct config_contract *contract = &guest->contract;
    json_t *args = json_array();
    for (unsigned i = 1; guest->argv[i]; i++)
        json_array_append_new(args, json_string(guest->argv[i]));
    json_t *members =
        json_pack("{s:s, s:o, s:I, s:b, s:b, s:s, s:I, s:o, s:o, s:i, s:i, s:i, s:I}", "guest",
                  guest->name, "args", args, "memory_bytes", (json_int_t)guest->memory_bytes,
                  "mergeable", (int)guest->mergeable, "console", (int)guest->console, "restart",
                  guest->life.restart == LIFE_ON_FAILURE ? "on-failure" : "never", "backoff_ns",
                  (json_int_t)guest->life.backoff_ns, "after",
                  names_of(config, guest->life.after, guest->life.after_count), "stop_with",
                  names_of(config, guest->life.stop_with, guest->life.stop_with_count), "weight",
                  (int)contract->weight, "floor_ppm", (int)contract->floor_ppm, "ceiling_ppm",
                  (int)contract->ceiling_ppm, "latency_ns", (json_int_t)contract->latency_ns);
    if (contract->is_pinned)
        json_object_set_new(members, "pin", json_integer(contract->pin));
    if (contract->group != CONFIG_NO_GROUP)
        json_object_set_new(members, "group", json_string(config->groups[contract->group].name));
    return members;
}

static struct matrix_error *add_guest(const struct manage_options *options, const char *socket,
                                      const struct cloud_config *config, unsigned index,
                                      const char *directory, json_t *answers)
{
    const struct config_guest *guest = &config->guests[index];
    json_t *members = describe(config, guest);
    struct matrix_error *error = absolute_image(guest->image, directory, members);
    if (!error && guest->output) {
        CLEANUP_FREE char *whole = realpath(directory, NULL);
        json_object_set_new(members, "output",
                            json_sprintf("%s%s%s", guest->output[0] == '/' || !whole ? "" : whole,
                                         guest->output[0] == '/' || !whole ? "" : "/",
                                         guest->output));
    }
    if (error) {
        json_decref(members);
        return error;
    }
    return add_one(options, socket, members, answers);
}

static bool are_added(const unsigned *list, unsigned count, const bool *added)
{
    for (unsigned i = 0; i < count; i++)
        if (!added[list[i]])
            return false;
    return true;
}

/* Whoever is named is added before who names it: the cloud knows no others. */
static struct matrix_error *add_in_order(const struct manage_options *options, const char *socket,
                                         const struct cloud_config *config, const char *path,
                                         const char *directory, json_t *answers)
{
    CLEANUP_FREE bool *added = calloc(config->guest_count, sizeof(*added));
    unsigned left = config->guest_count, before;
    if (!added)
        return error_host(ENOMEM, "order the guests");
    do {
        before = left;
        for (unsigned i = 0; i < config->guest_count; i++) {
            const struct life_rules *life = &config->guests[i].life;
            if (added[i] || !are_added(life->after, life->after_count, added) ||
                !are_added(life->stop_with, life->stop_with_count, added))
                continue;
            RETURN_IF_ERROR(error_prefix(add_guest(options, socket, config, i, directory, answers),
                                         "%s: %s", path, config->guests[i].name));
            added[i] = true;
            left--;
        }
    } while (left && left < before);
    return left
               ? error_usage("put them into the cloud's own file, and reload it",
                             "%s: %u guests stop with each other, or after each other, in a circle",
                             path, left)
               : NULL;
}

static struct matrix_error *add_file(const struct manage_options *options, const char *socket,
                                     json_t *answers)
{
    const char *path = options->arguments[0];
    struct cloud_config config;
    struct matrix_error *error = NULL;
    CLEANUP_FREE char *copy = strdup(path);
    if (!copy)
        return error_host(ENOMEM, "read %s", path);
    if (options->count > 1 || json_object_size(options->guest))
        return error_usage("say it in the file", "options and arguments are for a single guest");
    RETURN_IF_ERROR(config_read(path, &config));
    error = add_in_order(options, socket, &config, path, dirname(copy), answers);
    config_free(&config);
    return error;
}

static bool is_cloud_file(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

struct matrix_error *manage_add(const struct manage_options *options, json_t *answers)
{
    char socket[PATH_MAX];
    if (options->count == 0)
        return error_usage("name a file, or an image", "nothing to add");
    RETURN_IF_ERROR(manage_find_cloud(options, socket));
    return is_cloud_file(options->arguments[0]) ? add_file(options, socket, answers)
                                                : add_image(options, socket, answers);
}
