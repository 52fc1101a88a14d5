// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix cloud --check`: the contracts of a file, admitted as a run would and printed as they will be kept. */
#include "cli/cloud.h"

#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cloud/policy.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

static const struct table_column columns[] = {
    {"guest", TABLE_LEFT},    {"group", TABLE_LEFT},       {"weight", TABLE_RIGHT},
    {"floor", TABLE_RIGHT},   {"if all run", TABLE_RIGHT}, {"ceiling", TABLE_RIGHT},
    {"latency", TABLE_RIGHT}, {"promised", TABLE_RIGHT},
};

/* What is admitted: groups first, each then in the place of its index. */
struct check {
    struct policy *policy;
    struct policy_entity **groups, *guests;
};

static void percent_cell(struct table *table, double share)
{
    if (share > 0)
        table_cell(table, "%.4g %%", 100 * share);
    else
        table_cell(table, "-");
}

static void add_row(const struct check *check, const struct policy_entity *entity, bool is_group,
                    struct table *table)
{
    char text[FORMAT_BYTES];
    double least, all;
    const uint64_t promised = policy_latency(check->policy, entity);
    const uint32_t ceiling = entity->contract.ceiling_ppm;
    const char *group = policy_group_name(entity);
    policy_promise(entity, &least, &all);
    table_cell(table, "%s%s", entity->name, is_group ? " (group)" : "");
    table_cell(table, "%s", group ? group : "-");
    table_cell(table, "%u", entity->weight);
    percent_cell(table, least);
    percent_cell(table, all);
    percent_cell(table, ceiling ? (double)ceiling / POLICY_WHOLE : 1);
    if (entity->contract.latency_ns)
        table_cell(table, "%s", format_duration(text, entity->contract.latency_ns));
    else
        table_cell(table, "-");
    if (entity->contract.latency_ns && promised == UINT64_MAX)
        table_cell(table, "nothing");
    else if (entity->contract.latency_ns)
        table_cell(table, "%s", format_duration(text, promised));
    else
        table_cell(table, "-");
}

static struct matrix_error *admit(const struct cloud_config *config, struct check *check)
{
    for (unsigned i = 0; i < config->group_count + config->guest_count; i++) {
        const bool is_group = i < config->group_count;
        const unsigned index = is_group ? i : i - config->group_count;
        const struct config_contract *text =
            is_group ? &config->groups[index].contract : &config->guests[index].contract;
        const char *name = is_group ? config->groups[index].name : config->guests[index].name;
        const struct policy_contract contract = {.weight = text->weight,
                                                 .floor_ppm = text->floor_ppm,
                                                 .ceiling_ppm = text->ceiling_ppm,
                                                 .latency_ns = text->latency_ns};
        struct policy_entity *parent =
            text->group == CONFIG_NO_GROUP ? NULL : check->groups[text->group];
        struct matrix_error *error =
            is_group
                ? policy_add_group(check->policy, parent, name, &contract, &check->groups[index])
                : policy_add(check->policy, parent, &check->guests[index], name, &contract);
        RETURN_IF_ERROR(error_prefix(error, "%s %s", is_group ? "group" : "guest", name));
    }
    return NULL;
}

static json_t *share_json(double share)
{
    return share > 0 ? json_real(share) : json_null();
}

static json_t *entity_json(const struct check *check, const struct policy_entity *entity)
{
    const uint64_t promised = policy_latency(check->policy, entity);
    const struct policy_contract *contract = &entity->contract;
    double least, all;
    policy_promise(entity, &least, &all);
    return json_pack(
        "{s:s, s:s?, s:i, s:o, s:o, s:f, s:o, s:o}", "name", entity->name, "group",
        policy_group_name(entity), "weight", (int)entity->weight, "floor", share_json(least),
        "if_all_run", share_json(all), "ceiling",
        contract->ceiling_ppm ? (double)contract->ceiling_ppm / POLICY_WHOLE : 1.0,
        "latency_target_ns",
        contract->latency_ns ? json_integer((json_int_t)contract->latency_ns) : json_null(),
        "latency_promised_ns",
        contract->latency_ns && promised != UINT64_MAX ? json_integer((json_int_t)promised)
                                                       : json_null());
}

static struct matrix_error *print_json(const struct cloud_config *config, const struct check *check,
                                       FILE *file)
{
    json_t *groups = json_array(), *guests = json_array();
    for (unsigned i = 0; i < config->group_count; i++)
        json_array_append_new(groups, entity_json(check, check->groups[i]));
    for (unsigned i = 0; i < config->guest_count; i++)
        json_array_append_new(guests, entity_json(check, &check->guests[i]));
    json_t *root = json_pack("{s:i, s:o, s:o}", "version", 1, "groups", groups, "guests", guests);
    const bool written = root && json_dumpf(root, file, JSON_INDENT(2)) == 0 &&
                         fputc('\n', file) != EOF && fflush(file) != EOF;
    json_decref(root);
    return written ? NULL : error_host(errno, "print the contract");
}

static struct matrix_error *print(const struct cloud_config *config, const struct check *check,
                                  FILE *file)
{
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (unsigned i = 0; i < config->group_count; i++)
        add_row(check, check->groups[i], true, table);
    for (unsigned i = 0; i < config->guest_count; i++)
        add_row(check, &check->guests[i], false, table);
    struct matrix_error *error = table_print(table, file);
    table_destroy(table);
    return error;
}

struct matrix_error *cloud_check(const struct cloud_config *config, uint64_t slice_ns, bool json,
                                 FILE *file)
{
    struct check check = {
        .groups = calloc(config->group_count + 1, sizeof(struct policy_entity *)),
        .guests = calloc(config->guest_count, sizeof(struct policy_entity)),
    };
    struct matrix_error *error =
        check.groups && check.guests ? NULL : error_host(ENOMEM, "check the contracts");
    error = error ? error : policy_create(slice_ns, config->policy, &check.policy);
    error = error ? error : admit(config, &check);
    if (!error)
        error = json ? print_json(config, &check, file) : print(config, &check, file);
    policy_destroy(check.policy);
    free(check.groups);
    free(check.guests);
    return error;
}
