// SPDX-License-Identifier: GPL-2.0-or-later
/* Two descriptions of a cloud, compared; see config_compare.h. */
#include "cloud/config_compare.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *config_key_name(unsigned key)
{
    static const char *const names[CONFIG_KEYS] = {
        "weight",   "floor",  "ceiling", "latency", "restart",   "backoff",   "after", "stop-with",
        "image",    "args",   "memory",  "output",  "mergeable", "group",     "core",  "slice",
        "duration", "policy", "pin",     "cores",   "cpus",      "rebalance", "moves", "console"};
    for (unsigned i = 0; i < CONFIG_KEYS; i++)
        if (key == 1U << i)
            return names[i];
    return "?";
}

/* --- who is who -------------------------------------------------------------------------------- */

/* One by one: some thousands of names are a matter of milliseconds, in a thread that nobody waits for. */
static int find_guest(const struct cloud_config *config, const char *name)
{
    for (unsigned i = 0; i < config->guest_count; i++)
        if (!config->guests[i].removed && strcmp(config->guests[i].name, name) == 0)
            return (int)i;
    return CONFIG_NOWHERE;
}

static int find_group(const struct cloud_config *config, const char *name)
{
    for (unsigned i = 0; i < config->group_count; i++)
        if (!config->groups[i].missing && strcmp(config->groups[i].name, name) == 0)
            return (int)i;
    return CONFIG_NOWHERE;
}

static const char *group_name(const struct cloud_config *config,
                              const struct config_contract *contract)
{
    return contract->group == CONFIG_NO_GROUP ? NULL : config->groups[contract->group].name;
}

static bool differ(const char *one, const char *other)
{
    return one && other ? strcmp(one, other) != 0 : one != other;
}

/* --- what differs ------------------------------------------------------------------------------ */

static bool pins_differ(const struct config_contract *before, const struct config_contract *after)
{
    return before->is_pinned != after->is_pinned ||
           (before->is_pinned && before->pin != after->pin);
}

static unsigned compare_contracts(const struct config_contract *before,
                                  const struct config_contract *after)
{
    return (before->weight != after->weight ? CONFIG_KEY_WEIGHT : 0) |
           (before->floor_ppm != after->floor_ppm ? CONFIG_KEY_FLOOR : 0) |
           (before->ceiling_ppm != after->ceiling_ppm ? CONFIG_KEY_CEILING : 0) |
           (before->latency_ns != after->latency_ns ? CONFIG_KEY_LATENCY : 0) |
           (pins_differ(before, after) ? CONFIG_KEY_PIN : 0);
}

static bool is_named(const struct cloud_config *config, const unsigned *list, unsigned count,
                     const char *name)
{
    for (unsigned i = 0; i < count; i++)
        if (strcmp(config->guests[list[i]].name, name) == 0)
            return true;
    return false;
}

/* In any order, and however often. */
static bool lists_differ(const struct cloud_config *config, const unsigned *list, unsigned count,
                         const struct cloud_config *other, const unsigned *others,
                         unsigned other_count)
{
    for (unsigned i = 0; i < count; i++)
        if (!is_named(other, others, other_count, config->guests[list[i]].name))
            return true;
    for (unsigned i = 0; i < other_count; i++)
        if (!is_named(config, list, count, other->guests[others[i]].name))
            return true;
    return false;
}

static uint64_t first_pause(const struct life_rules *rules)
{
    return rules->backoff_ns ? rules->backoff_ns : LIFE_BACKOFF_DEFAULT_NS;
}

static unsigned compare_lives(const struct cloud_config *running, const struct life_rules *before,
                              const struct cloud_config *new, const struct life_rules *after)
{
    return (before->restart != after->restart ? CONFIG_KEY_RESTART : 0) |
           (first_pause(before) != first_pause(after) ? CONFIG_KEY_BACKOFF : 0) |
           (lists_differ(running, before->after, before->after_count, new, after->after,
                         after->after_count)
                ? CONFIG_KEY_AFTER
                : 0) |
           (lists_differ(running, before->stop_with, before->stop_with_count, new, after->stop_with,
                         after->stop_with_count)
                ? CONFIG_KEY_STOP_WITH
                : 0);
}

static bool arguments_differ(const char **before, const char **after)
{
    unsigned i = 1; /* the first is the image */
    while (before[i] && after[i] && strcmp(before[i], after[i]) == 0)
        i++;
    return before[i] || after[i];
}

/* Whoever is in a group that could not be made could not come either. */
static bool groups_differ(const struct cloud_config *running, const struct config_contract *before,
                          const struct cloud_config *new, const struct config_contract *after)
{
    const bool is_missing =
        before->group != CONFIG_NO_GROUP && running->groups[before->group].missing;
    return is_missing || differ(group_name(running, before), group_name(new, after));
}

static unsigned compare_guests(const struct cloud_config *running,
                               const struct config_guest *before, const struct cloud_config *new,
                               const struct config_guest *after)
{
    return compare_contracts(&before->contract, &after->contract) |
           compare_lives(running, &before->life, new, &after->life) |
           (strcmp(before->image, after->image) != 0 ? CONFIG_KEY_IMAGE : 0) |
           (arguments_differ(before->argv, after->argv) ? CONFIG_KEY_ARGS : 0) |
           (before->memory_bytes != after->memory_bytes ? CONFIG_KEY_MEMORY : 0) |
           (differ(before->output, after->output) ? CONFIG_KEY_OUTPUT : 0) |
           (before->mergeable != after->mergeable ? CONFIG_KEY_MERGEABLE : 0) |
           (before->console != after->console ? CONFIG_KEY_CONSOLE : 0) |
           (groups_differ(running, &before->contract, new, &after->contract) ? CONFIG_KEY_GROUP
                                                                             : 0);
}

static bool cpus_differ(const struct cloud_config *running, const struct cloud_config *new)
{
    if (!running->cpus || !new->cpus)
        return running->cpus != new->cpus;
    return running->cores != new->cores ||
           memcmp(running->cpus, new->cpus, new->cores * sizeof(*new->cpus)) != 0;
}

static unsigned compare_clouds(const struct cloud_config *running, const struct cloud_config *new)
{
    return (running->core != new->core ? CONFIG_KEY_CORE : 0) |
           (running->slice_ns != new->slice_ns ? CONFIG_KEY_SLICE : 0) |
           (running->duration_ns != new->duration_ns ? CONFIG_KEY_DURATION : 0) |
           (differ(running->policy, new->policy) ? CONFIG_KEY_POLICY : 0) |
           (running->cores != new->cores ? CONFIG_KEY_CORES : 0) |
           (cpus_differ(running, new) ? CONFIG_KEY_CPUS : 0) |
           (running->rebalance_ns != new->rebalance_ns ? CONFIG_KEY_REBALANCE : 0) |
           (running->moves != new->moves ? CONFIG_KEY_MOVES : 0);
}

static enum config_change change_of(unsigned keys)
{
    return keys & CONFIG_KEYS_RESTART ? CONFIG_RESTARTED : keys ? CONFIG_CHANGED : CONFIG_KEPT;
}

/* --- steps ------------------------------------------------------------------------------------- */

static struct config_step guest_step(const struct cloud_config *running,
                                     const struct cloud_config *new, unsigned index)
{
    const struct config_guest *after = &new->guests[index];
    struct config_step step = {.before = find_guest(running, after->name), .after = (int)index};
    if (step.before == CONFIG_NOWHERE)
        step.change = CONFIG_ADDED;
    else if (!after->added) /* else it is there for its contract only */
        step.keys = compare_guests(running, &running->guests[step.before], new, after);
    step.change = step.change == CONFIG_ADDED ? CONFIG_ADDED : change_of(step.keys);
    return step;
}

static struct matrix_error *group_step(const struct cloud_config *running,
                                       const struct cloud_config *new, unsigned index,
                                       struct config_step *step)
{
    const struct config_group *after = &new->groups[index];
    *step = (struct config_step){
        .change = CONFIG_ADDED, .before = find_group(running, after->name), .after = (int)index};
    if (step->before == CONFIG_NOWHERE)
        return NULL;
    const struct config_group *before = &running->groups[step->before];
    if (differ(group_name(running, &before->contract), group_name(new, &after->contract)))
        return error_usage(
            "give it another name: then it is a new group, and its members start anew",
            "group %s: it cannot be put into another group while its members run", after->name);
    step->keys = compare_contracts(&before->contract, &after->contract);
    step->change = change_of(step->keys);
    return NULL;
}

static void append_removed(struct config_step *list, unsigned *count, unsigned index)
{
    list[(*count)++] = (struct config_step){
        .change = CONFIG_REMOVED, .before = (int)index, .after = CONFIG_NOWHERE};
}

static struct matrix_error *compare(const struct cloud_config *running,
                                    const struct cloud_config *new, struct config_steps *steps)
{
    for (unsigned i = 0; i < new->group_count; i++)
        RETURN_IF_ERROR(group_step(running, new, i, &steps->groups[steps->group_count++]));
    for (unsigned i = 0; i < running->group_count; i++)
        if (find_group(new, running->groups[i].name) == CONFIG_NOWHERE)
            append_removed(steps->groups, &steps->group_count, i);
    for (unsigned i = 0; i < new->guest_count; i++)
        steps->guests[steps->guest_count++] = guest_step(running, new, i);
    for (unsigned i = 0; i < running->guest_count; i++)
        if (!running->guests[i].removed &&
            find_guest(new, running->guests[i].name) == CONFIG_NOWHERE)
            append_removed(steps->guests, &steps->guest_count, i);
    steps->later = compare_clouds(running, new);
    return NULL;
}

struct matrix_error *config_compare(const struct cloud_config *running,
                                    const struct cloud_config *new, struct config_steps *steps)
{
    *steps = (struct config_steps){
        .guests = calloc(running->guest_count + new->guest_count + 1, sizeof(*steps->guests)),
        .groups = calloc(running->group_count + new->group_count + 1, sizeof(*steps->groups)),
    };
    struct matrix_error *error = steps->guests && steps->groups
                                     ? compare(running, new, steps)
                                     : error_host(ENOMEM, "compare the file with what runs");
    if (error)
        config_steps_free(steps);
    return error;
}

void config_steps_free(struct config_steps *steps)
{
    free(steps->guests);
    free(steps->groups);
    *steps = (struct config_steps){0};
}

/* --- carried over ------------------------------------------------------------------------------- */

/* Marks the groups that a guest is in, from the inside to the outside. */
static void mark_groups(const struct cloud_config *config, int group, bool *needed)
{
    for (; group != CONFIG_NO_GROUP; group = config->groups[group].contract.group)
        needed[group] = true;
}

/* The same contract, with the group's number in the new description. */
static struct config_contract translate(const struct cloud_config *running,
                                        const struct config_contract *contract,
                                        const struct cloud_config *new)
{
    struct config_contract result = *contract;
    const char *group = group_name(running, contract);
    result.group = group ? find_group(new, group) : CONFIG_NO_GROUP;
    return result;
}

static struct matrix_error *carry_groups(const struct cloud_config *running, const bool *needed,
                                         struct cloud_config *new)
{
    for (unsigned i = 0; i < running->group_count; i++) {
        const struct config_group *group = &running->groups[i];
        if (!needed[i] || find_group(new, group->name) != CONFIG_NOWHERE)
            continue;
        if (new->group_count == CONFIG_GROUPS_MAX)
            return error_usage("stop some, or use fewer groups",
                               "group %s of guests that were added: more than %u groups",
                               group->name, CONFIG_GROUPS_MAX);
        struct config_group *more = reallocarray(new->groups, new->group_count + 1, sizeof(*more));
        if (!more)
            return error_host(ENOMEM, "keep group %s", group->name);
        new->groups = more;
        /* The document that has the name will be gone. */
        char *name = strdup(group->name);
        if (!name)
            return error_host(ENOMEM, "keep group %s", group->name);
        more[new->group_count] = (struct config_group){
            .name = name, .own_name = name, .contract = translate(running, &group->contract, new)};
        new->group_count++;
    }
    return NULL;
}

static struct matrix_error *carry_guest(const struct cloud_config *running,
                                        const struct config_guest *guest, struct cloud_config *new)
{
    if (new->guest_count == CONFIG_GUESTS_MAX)
        return error_usage("use fewer guests", "guest %s, which was added: more than %u guests",
                           guest->name, CONFIG_GUESTS_MAX);
    struct config_guest *more = reallocarray(new->guests, new->guest_count + 1, sizeof(*more));
    if (!more)
        return error_host(ENOMEM, "keep guest %s", guest->name);
    new->guests = more;
    more[new->guest_count++] =
        (struct config_guest){.name = guest->name,
                              .image = guest->image,
                              .contract = translate(running, &guest->contract, new),
                              .added = true};
    return NULL;
}

struct matrix_error *config_carry_over(const struct cloud_config *running, struct cloud_config *new)
{
    CLEANUP_FREE bool *needed = calloc(running->group_count + 1, sizeof(*needed));
    CLEANUP_FREE bool *stays = calloc(running->guest_count + 1, sizeof(*stays));
    if (!needed || !stays)
        return error_host(ENOMEM, "keep the guests that were added");
    for (unsigned i = 0; i < running->guest_count; i++) {
        const struct config_guest *guest = &running->guests[i];
        stays[i] =
            guest->added && !guest->removed && find_guest(new, guest->name) == CONFIG_NOWHERE;
        if (stays[i])
            mark_groups(running, guest->contract.group, needed);
    }
    RETURN_IF_ERROR(carry_groups(running, needed, new));
    for (unsigned i = 0; i < running->guest_count; i++)
        if (stays[i])
            RETURN_IF_ERROR(carry_guest(running, &running->guests[i], new));
    return NULL;
}

struct config_contract config_contract_between(const struct config_contract *before,
                                               const struct config_contract *after)
{
    struct config_contract between = *after;
    between.latency_ns = 0;
    between.is_pinned = before->is_pinned && !pins_differ(before, after);
    if (before->floor_ppm < after->floor_ppm)
        between.floor_ppm = before->floor_ppm;
    if (before->ceiling_ppm > after->ceiling_ppm && after->ceiling_ppm)
        between.ceiling_ppm = before->ceiling_ppm;
    if (!before->ceiling_ppm)
        between.ceiling_ppm = 0;
    return between;
}
