// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix reload`, in the cloud: the file is read, checked and compared, and the answer kept; see cloud_reload.h. */
#include "cli/cloud_reload.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "cli/find_image.h"
#include "cloud/memory_left.h"
#include "vmm/image.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool cloud_reload_is_under_way(const struct cloud *cloud)
{
    return cloud->reload &&
           (cloud->reload->state == RELOAD_CHECKING || cloud->reload->state == RELOAD_CHANGING);
}

/* --- in the thread that makes guests ------------------------------------------------------------- */

/* What could not be loaded at the start would have stopped the start. */
static struct matrix_error *check_images(const struct cloud_reload *reload)
{
    for (unsigned i = 0; i < reload->steps.guest_count; i++) {
        const struct config_step *step = &reload->steps.guests[i];
        if (step->change == CONFIG_ADDED || step->change == CONFIG_RESTARTED)
            RETURN_IF_ERROR(
                cloud_check_image(reload->cloud->directory, &reload->new.guests[step->after]));
    }
    return NULL;
}

/* As for each that a command adds. */
static struct matrix_error *check_memory(const struct cloud_reload *reload)
{
    struct memory_left left;
    memory_left_read("", &left);
    for (unsigned i = 0; i < reload->steps.guest_count; i++) {
        const struct config_step *step = &reload->steps.guests[i];
        if (step->change != CONFIG_ADDED)
            continue;
        const struct config_guest *guest = &reload->new.guests[step->after];
        RETURN_IF_ERROR(memory_left_check(
            &left, guest->name, guest->memory_bytes ? guest->memory_bytes : MATRIX_MEMORY_DEFAULT));
    }
    return NULL;
}

static json_t *keys_json(unsigned keys)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < CONFIG_KEYS; i++)
        if (keys & 1U << i)
            json_array_append_new(list, json_string(config_key_name(1U << i)));
    return list;
}

static void describe(json_t *entries, const char *kind, const char *name,
                     const struct config_step *step)
{
    static const char *const words[] = {
        [CONFIG_KEPT] = "kept",   [CONFIG_CHANGED] = "changed", [CONFIG_RESTARTED] = "restarted",
        [CONFIG_ADDED] = "added", [CONFIG_REMOVED] = "removed",
    };
    json_array_append_new(entries,
                          json_pack("{s:o, s:s, s:o}", kind, control_string(name), "change",
                                    words[step->change], "keys", keys_json(step->keys)));
}

static json_t *describe_all(const struct cloud_reload *reload)
{
    const struct cloud_config *running = &reload->cloud->config, *new = &reload->new;
    const struct config_steps *steps = &reload->steps;
    json_t *entries = json_array();
    for (unsigned i = 0; i < steps->guest_count; i++) {
        const struct config_step *step = &steps->guests[i];
        describe(entries, "guest",
                 step->after == CONFIG_NOWHERE ? running->guests[step->before].name
                                               : new->guests[step->after].name,
                 step);
    }
    for (unsigned i = 0; i < steps->group_count; i++) {
        const struct config_step *step = &steps->groups[i];
        describe(entries, "group",
                 step->after == CONFIG_NOWHERE ? running->groups[step->before].name
                                               : new->groups[step->after].name,
                 step);
    }
    return entries;
}

static struct matrix_error *read_and_compare(struct cloud_reload *reload)
{
    const struct cloud *cloud = reload->cloud;
    struct cloud_config *new = &reload->new;
    RETURN_IF_ERROR(config_read(cloud->file, new));
    RETURN_IF_ERROR(config_carry_over(&cloud->config, new));
    RETURN_IF_ERROR(config_compare(&cloud->config, new, &reload->steps));
    /* Contracts are to be kept by the policy that runs. */
    new->policy = cloud->config.policy;
    RETURN_IF_ERROR(cloud_check_contracts(cloud, new));
    RETURN_IF_ERROR(check_images(reload));
    RETURN_IF_ERROR(check_memory(reload));
    RETURN_IF_ERROR(config_plan_make(&cloud->config, &reload->steps, &reload->plan));
    reload->entries = describe_all(reload);
    return NULL;
}

static void check(void *context)
{
    struct cloud_reload *reload = context;
    reload->error = read_and_compare(reload);
    /* The reader of the file names it itself. */
    if (reload->error && !strstr(reload->error->message, reload->cloud->file))
        reload->error = error_prefix(reload->error, "%s", reload->cloud->file);
}

/* --- in the core's thread -------------------------------------------------------------------------- */

static void checked(void *context)
{
    struct cloud_reload *reload = context;
    if (!reload->error && reload->cloud->has_ended)
        reload->error = error_usage(NULL, "the cloud has ended");
    if (!reload->error && !reload->check)
        reload->error = cloud_reload_apply(reload);
    if (reload->error)
        reload->state = RELOAD_REFUSED;
    else if (reload->check)
        reload->state = RELOAD_DONE;
    else
        return;
    cloud_reload_end(reload);
}

void cloud_reload_end(struct cloud_reload *reload)
{
    if (reload->state == RELOAD_CHANGING)
        reload->state = RELOAD_DONE;
    if (!reload->check)
        cloud_service_reload(reload->cloud, false);
    config_plan_free(&reload->plan);
    config_free(&reload->new);
    free(TAKE(reload->places));
    /* Not its members: they are the core's. */
    free((void *)reload->leaving);
    reload->leaving = NULL;
}

static void release(struct cloud_reload *reload)
{
    if (!reload)
        return;
    if (reload->state == RELOAD_CHECKING || reload->state == RELOAD_CHANGING)
        cloud_reload_end(reload);
    config_free(&reload->old);
    config_steps_free(&reload->steps);
    matrix_error_free(reload->error);
    json_decref(reload->entries);
    for (int end = 0; end < 2; end++)
        if (reload->pipe[end] >= 0)
            close(reload->pipe[end]);
    free(reload);
}

void cloud_reload_free(struct cloud *cloud)
{
    release(TAKE(cloud->reload));
}

struct matrix_error *cloud_reload_begin(struct cloud *cloud, bool check_only)
{
    struct cloud_reload *reload = calloc(1, sizeof(*reload));
    if (!reload)
        return error_host(ENOMEM, "read the file again");
    if (cloud->config.policy && !cloud->policy)
        cloud->config.policy = cloud->policy = strdup(cloud->config.policy);
    *reload = (struct cloud_reload){.cloud = cloud,
                                    .number = cloud->reload ? cloud->reload->number + 1 : 1,
                                    .check = check_only,
                                    .pipe = {-1, -1}};
    cloud_reload_free(cloud);
    cloud->reload = reload;
    if (!check_only)
        cloud_service_reload(cloud, true);
    builder_do(cloud->builder, check, checked, reload);
    return NULL;
}

/* --- the answer ------------------------------------------------------------------------------------ */

json_t *cloud_reload_answer(const struct cloud *cloud, size_t from)
{
    static const char *const states[] = {
        [RELOAD_CHECKING] = "checking",
        [RELOAD_CHANGING] = "changing",
        [RELOAD_DONE] = "done",
        [RELOAD_REFUSED] = "refused",
    };
    const struct cloud_reload *reload = cloud->reload;
    /* While it is checked, the entries are the other thread's. */
    const json_t *entries = reload->state == RELOAD_CHECKING ? NULL : reload->entries;
    const struct matrix_error *error = reload->state == RELOAD_REFUSED ? reload->error : NULL;
    const size_t count = reload->state == RELOAD_REFUSED ? 0 : json_array_size(entries);
    json_t *changes = json_array();
    size_t index = from;
    for (; index < count && index - from < CONTROL_LIST_MAX; index++)
        json_array_append(changes, json_array_get(entries, index));
    return json_pack("{s:i, s:b, s:s, s:o, s:o, s:o, s:o, s:o}", "reload", (int)reload->number,
                     "check", (int)reload->check, "state", states[reload->state], "error",
                     error ? control_string(error->message) : json_null(), "remedy",
                     error && error->remedy ? control_string(error->remedy) : json_null(),
                     "changes", changes, "later", keys_json(entries ? reload->steps.later : 0),
                     "next", index < count ? json_integer((json_int_t)index) : json_null());
}
