// SPDX-License-Identifier: GPL-2.0-or-later
/* On which cores a cloud's guests run, as its file says it; see config_cores.h. */
#include "cloud/config_cores.h"

#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CPU_LAST 1023

struct matrix_error *config_core_read(const char *text, int *core)
{
    uint64_t number = 0;
    *core = CONFIG_CORE_ANY;
    if (strcmp(text, "any") == 0)
        return NULL;
    RETURN_IF_ERROR(parse_u64(text, 0, CPU_LAST, &number));
    *core = (int)number;
    return NULL;
}

static struct matrix_error *read_cpu(const char *text, const int *before, unsigned count, int *cpu)
{
    uint64_t number = 0;
    RETURN_IF_ERROR(parse_u64(text, 0, CPU_LAST, &number));
    *cpu = (int)number;
    for (unsigned i = 0; i < count; i++)
        if (before[i] == *cpu)
            return error_usage("each core wants a host CPU of its own", "%s is there twice", text);
    return NULL;
}

struct matrix_error *config_cpus_read(char *const *texts, unsigned count, int **cpus)
{
    struct matrix_error *error = NULL;
    if (count == 0 || count > CONFIG_CORES_MAX)
        return error_usage("name 1 to 1024 host CPUs", "%u of them", count);
    int *read = calloc(count, sizeof(*read));
    if (!read)
        return error_host(ENOMEM, "read numbers of host CPUs");
    for (unsigned i = 0; i < count && !error; i++)
        error = read_cpu(texts[i], read, i, &read[i]);
    if (error)
        free(read);
    else
        *cpus = read;
    return error;
}

/* More often than cores report how their guests are would be about nothing new. */
struct matrix_error *config_rebalance_read(const char *text, uint64_t *ns)
{
    RETURN_IF_ERROR(parse_duration(text, ns));
    if (*ns && *ns < CONFIG_REBALANCE_MINIMUM_NS)
        return error_usage("use 100ms or more, or 0s to move nobody", "%s is too short", text);
    return NULL;
}

struct matrix_error *config_pin_read(const char *text, struct config_contract *contract)
{
    uint64_t number = 0;
    RETURN_IF_ERROR(parse_u64(text, 0, CONFIG_CORES_MAX - 1, &number));
    if (contract->group != CONFIG_NO_GROUP)
        return error_usage("pin the group around it", "it is in a group, which lives on one core");
    contract->is_pinned = true;
    contract->pin = (unsigned)number;
    return NULL;
}

struct matrix_error *config_cores_read(const struct config_cores_text *text,
                                       struct cloud_config *config)
{
    uint64_t cores = 0, moves = 0;
    config->core = CONFIG_CORE_UNSET;
    if (text->core)
        RETURN_IF_ERROR(error_prefix(config_core_read(text->core, &config->core), "core"));
    if (text->cores)
        RETURN_IF_ERROR(error_prefix(parse_u64(text->cores, 1, CONFIG_CORES_MAX, &cores), "cores"));
    if (text->cpus)
        RETURN_IF_ERROR(
            error_prefix(config_cpus_read(text->cpus, text->cpus_count, &config->cpus), "cpus"));
    if (text->cpus && text->core)
        return error_usage("leave core out", "cpus: with core, which says the same for one core");
    if (text->cpus && text->cores && cores != text->cpus_count)
        return error_usage("leave cores out: there is one for each host CPU",
                           "cores: %s, and %u under cpus", text->cores, text->cpus_count);
    if (config->core >= 0 && cores > 1)
        return error_usage("list host CPUs under cpus", "core: one host CPU, %s, for %s cores",
                           text->core, text->cores);
    config->cores = text->cpus ? text->cpus_count : (unsigned)cores;
    if (text->rebalance)
        RETURN_IF_ERROR(error_prefix(config_rebalance_read(text->rebalance, &config->rebalance_ns),
                                     "rebalance"));
    if (text->moves)
        RETURN_IF_ERROR(error_prefix(parse_u64(text->moves, 1, CONFIG_MOVES_MAX, &moves), "moves"));
    if (text->moves && !config->rebalance_ns)
        return error_usage("say under rebalance how often", "moves: nobody is moved");
    config->moves = (unsigned)moves;
    return NULL;
}
