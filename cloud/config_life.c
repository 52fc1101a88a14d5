// SPDX-License-Identifier: GPL-2.0-or-later
/* When guests start and stop, as the file says it. */
#include "cloud/config_life.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct matrix_error *find_guest(const struct cloud_config *config, const char *name,
                                       unsigned *index)
{
    for (*index = 0; *index < config->guest_count; ++*index)
        if (strcmp(config->guests[*index].name, name) == 0)
            return NULL;
    return error_usage("name guests of this file", "there is no guest \"%s\"", name);
}

static struct matrix_error *read_names(const struct cloud_config *config, unsigned self,
                                       char **names, unsigned count, const unsigned **result,
                                       unsigned *result_count)
{
    unsigned *indices = calloc(count + 1, sizeof(*indices));
    if (!indices)
        return error_host(ENOMEM, "read names of guests");
    *result = indices;
    *result_count = count;
    for (unsigned i = 0; i < count; i++) {
        RETURN_IF_ERROR(find_guest(config, names[i], &indices[i]));
        if (indices[i] == self)
            return error_usage("name others", "it is %s itself", names[i]);
    }
    return NULL;
}

static struct matrix_error *read_restart(const char *text, enum life_restart *restart)
{
    *restart = strcmp(text, "on-failure") == 0 ? LIFE_ON_FAILURE : LIFE_NEVER;
    if (*restart == LIFE_NEVER && strcmp(text, "never") != 0)
        return error_usage("write never or on-failure", "\"%s\"", text);
    return NULL;
}

struct matrix_error *config_life_read(const struct config_life_text *text,
                                      const struct cloud_config *config, unsigned index,
                                      struct life_rules *rules)
{
    if (text->restart)
        RETURN_IF_ERROR(error_prefix(read_restart(text->restart, &rules->restart), "restart"));
    if (text->backoff)
        RETURN_IF_ERROR(error_prefix(parse_duration(text->backoff, &rules->backoff_ns), "backoff"));
    if (text->backoff && (rules->backoff_ns == 0 || rules->backoff_ns > LIFE_BACKOFF_MAX_NS))
        return error_usage("give it a time up to 1m", "backoff: %s", text->backoff);
    if (text->backoff && rules->restart == LIFE_NEVER)
        return error_usage("add restart: on-failure", "backoff: it never restarts");
    RETURN_IF_ERROR(error_prefix(read_names(config, index, text->after, text->after_count,
                                            &rules->after, &rules->after_count),
                                 "after"));
    return error_prefix(read_names(config, index, text->stop_with, text->stop_with_count,
                                   &rules->stop_with, &rules->stop_with_count),
                        "stop-with");
}

void config_life_free(struct life_rules *rules)
{
    free((void *)rules->after);
    free((void *)rules->stop_with);
    rules->after = rules->stop_with = NULL;
}

/* --- circles --------------------------------------------------------------------------------- */

/* Names who waits for whom, from one that waits all the way round. can_start: all others. */
static struct matrix_error *refuse_circle(const struct cloud_config *config, const bool *can_start)
{
    char text[512] = "";
    unsigned at = 0, first = 0;
    while (can_start[at])
        at++;
    /* Who cannot start waits for another that cannot: after so many steps we are in the circle. */
    for (unsigned step = 0; step < 2 * config->guest_count; step++) {
        const struct life_rules *rules = &config->guests[at].life;
        unsigned next = 0;
        while (can_start[rules->after[next]])
            next++;
        if (step == config->guest_count)
            first = at;
        if (step >= config->guest_count) {
            const size_t length = strlen(text);
            snprintf(text + length, sizeof(text) - length, "%s after ", config->guests[at].name);
        }
        at = rules->after[next];
        if (step >= config->guest_count && at == first)
            break;
    }
    return error_usage("leave one of these out", "after: none of these would ever start: %s%s",
                       text, config->guests[at].name);
}

struct matrix_error *config_life_check(const struct cloud_config *config)
{
    CLEANUP_FREE bool *can_start = calloc(config->guest_count, sizeof(*can_start));
    if (!can_start)
        return error_host(ENOMEM, "order the guests");
    unsigned left = config->guest_count;
    for (bool found = true; found;) {
        found = false;
        for (unsigned i = 0; i < config->guest_count; i++) {
            const struct life_rules *rules = &config->guests[i].life;
            unsigned met = 0;
            while (met < rules->after_count && can_start[rules->after[met]])
                met++;
            if (can_start[i] || met < rules->after_count)
                continue;
            can_start[i] = found = true;
            left--;
        }
    }
    return left ? refuse_circle(config, can_start) : NULL;
}
