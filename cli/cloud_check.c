// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix cloud --check`: the contracts of a file, admitted as a run would and printed as they will be kept. */
#include "cli/cloud.h"

#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cloud/placement.h"
#include "cloud/policy.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

/* As a machine does it. */
#define ROOM_MOVES_MAX 8

static const struct table_column columns[] = {
    {"core", TABLE_RIGHT}, /* only where there are several */
    {"guest", TABLE_LEFT},    {"group", TABLE_LEFT},       {"weight", TABLE_RIGHT},
    {"floor", TABLE_RIGHT},   {"if all run", TABLE_RIGHT}, {"ceiling", TABLE_RIGHT},
    {"latency", TABLE_RIGHT}, {"promised", TABLE_RIGHT},
};

/* What is admitted, groups before guests: each where its index is. */
struct check {
    const struct cloud *cloud;         /* its cores */
    const struct cloud_config *config; /* whose contracts */
    struct placement *placement;
    struct policy **policies; /* of the cores */
    struct policy_entity **groups, *guests;
    struct placement_item *items; /* of groups, then of guests; for those in no group */
};

/* A group or a guest of the file. */
struct member {
    const struct config_contract *text;
    const char *name;
    struct policy_contract contract;
    bool is_group;
    unsigned index; /* among its kind */
};

static unsigned member_count(const struct check *check)
{
    return check->config->group_count + check->config->guest_count;
}

static struct member member_at(const struct check *check, unsigned i)
{
    const struct cloud_config *config = check->config;
    struct member member = {.is_group = i < config->group_count};
    member.index = member.is_group ? i : i - config->group_count;
    member.text = member.is_group ? &config->groups[member.index].contract
                                  : &config->guests[member.index].contract;
    member.name =
        member.is_group ? config->groups[member.index].name : config->guests[member.index].name;
    member.contract = (struct policy_contract){.weight = member.text->weight,
                                               .floor_ppm = member.text->floor_ppm,
                                               .ceiling_ppm = member.text->ceiling_ppm,
                                               .latency_ns = member.text->latency_ns};
    return member;
}

/* The core of the outermost group around it, or its own. */
static unsigned core_of(const struct check *check, unsigned i)
{
    for (struct member member = member_at(check, i); member.text->group != CONFIG_NO_GROUP;
         member = member_at(check, i))
        i = (unsigned)member.text->group;
    return check->items[i].core;
}

static void percent_cell(struct table *table, double share)
{
    if (share > 0)
        table_cell(table, "%.4g %%", 100 * share);
    else
        table_cell(table, "-");
}

static const struct policy_entity *entity_at(const struct check *check, const struct member *member)
{
    return member->is_group ? check->groups[member->index] : &check->guests[member->index];
}

static void add_row(const struct check *check, unsigned i, struct table *table)
{
    const struct member member = member_at(check, i);
    const struct policy_entity *entity = entity_at(check, &member);
    const unsigned core = core_of(check, i);
    char text[FORMAT_BYTES];
    double least, all;
    const uint64_t promised = policy_latency(check->policies[core], entity);
    const uint32_t ceiling = entity->contract.ceiling_ppm;
    const char *group = policy_group_name(entity);
    policy_promise(entity, &least, &all);
    if (check->cloud->cores > 1)
        table_cell(table, "%u", core);
    table_cell(table, "%s%s", entity->name, member.is_group ? " (group)" : "");
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

/* By itself it must make sense, whoever else is there; then a core is found for it, as in a run. */
static struct matrix_error *place(struct check *check, unsigned i)
{
    const struct member member = member_at(check, i);
    const struct placement_contract contract = {.weight = member.text->weight,
                                                .floor_ppm = member.text->floor_ppm,
                                                .ceiling_ppm = member.text->ceiling_ppm,
                                                .pinned = member.text->is_pinned,
                                                .core = member.text->pin};
    struct placement_move moves[ROOM_MOVES_MAX];
    struct policy_entity alone;
    struct policy *policy;
    size_t moved;
    RETURN_IF_ERROR(policy_create(check->cloud->slice_ns, check->config->policy, &policy));
    struct matrix_error *error = policy_add(policy, NULL, &alone, member.name, &member.contract);
    policy_destroy(policy);
    RETURN_IF_ERROR(error);
    if (check->cloud->rebalance_ns)
        RETURN_IF_ERROR(placement_make_room(check->placement, member.name, &contract, moves,
                                            ROOM_MOVES_MAX, &moved));
    return placement_add(check->placement, &check->items[i], member.name, &contract);
}

static struct matrix_error *admit(struct check *check, unsigned i)
{
    const struct member member = member_at(check, i);
    const int group = member.text->group;
    struct policy *policy = check->policies[core_of(check, i)];
    struct policy_entity *parent = group == CONFIG_NO_GROUP ? NULL : check->groups[group];
    return member.is_group ? policy_add_group(policy, parent, member.name, &member.contract,
                                              &check->groups[member.index])
                           : policy_add(policy, parent, &check->guests[member.index], member.name,
                                        &member.contract);
}

static struct matrix_error *name_it(const struct check *check, unsigned i,
                                    struct matrix_error *error)
{
    const struct member member = member_at(check, i);
    return error_prefix(error, "%s %s", member.is_group ? "group" : "guest", member.name);
}

/* Where all are is known when all are placed: some may have to make room for others. */
static struct matrix_error *admit_all(struct check *check)
{
    for (unsigned i = 0; i < member_count(check); i++)
        if (member_at(check, i).text->group == CONFIG_NO_GROUP)
            RETURN_IF_ERROR(name_it(check, i, place(check, i)));
    for (unsigned i = 0; i < member_count(check); i++)
        RETURN_IF_ERROR(name_it(check, i, admit(check, i)));
    return NULL;
}

static json_t *share_json(double share)
{
    return share > 0 ? json_real(share) : json_null();
}

static json_t *member_json(const struct check *check, unsigned i)
{
    const struct member member = member_at(check, i);
    const struct policy_entity *entity = entity_at(check, &member);
    const unsigned core = core_of(check, i);
    const uint64_t promised = policy_latency(check->policies[core], entity);
    const struct policy_contract *contract = &entity->contract;
    double least, all;
    policy_promise(entity, &least, &all);
    return json_pack(
        "{s:s, s:s?, s:i, s:b, s:i, s:o, s:o, s:f, s:o, s:o}", "name", entity->name, "group",
        policy_group_name(entity), "core", (int)core, "pinned", (int)member.text->is_pinned,
        "weight", (int)entity->weight, "floor", share_json(least), "if_all_run", share_json(all),
        "ceiling", contract->ceiling_ppm ? (double)contract->ceiling_ppm / POLICY_WHOLE : 1.0,
        "latency_target_ns",
        contract->latency_ns ? json_integer((json_int_t)contract->latency_ns) : json_null(),
        "latency_promised_ns",
        contract->latency_ns && promised != UINT64_MAX ? json_integer((json_int_t)promised)
                                                       : json_null());
}

static struct matrix_error *print_json(const struct check *check, FILE *file)
{
    json_t *groups = json_array(), *guests = json_array(), *cores = json_array();
    for (unsigned i = 0; i < member_count(check); i++)
        json_array_append_new(member_at(check, i).is_group ? groups : guests,
                              member_json(check, i));
    for (unsigned k = 0; k < check->cloud->cores; k++)
        json_array_append_new(
            cores,
            json_pack("{s:i, s:o, s:f, s:f}", "core", (int)k, "cpu",
                      check->cloud->cpus[k] < 0 ? json_null() : json_integer(check->cloud->cpus[k]),
                      "load", placement_load(check->placement, k), "floors",
                      placement_floors(check->placement, k)));
    json_t *root =
        json_pack("{s:i, s:o, s:f, s:o, s:o}", "version", 1, "cores", cores, "shortfall",
                  placement_shortfall(check->placement), "groups", groups, "guests", guests);
    const bool written = root && json_dumpf(root, file, JSON_INDENT(2)) == 0 &&
                         fputc('\n', file) != EOF && fflush(file) != EOF;
    json_decref(root);
    return written ? NULL : error_host(errno, "print the contract");
}

static void print_cores(const struct check *check, FILE *file)
{
    fputc('\n', file);
    for (unsigned k = 0; k < check->cloud->cores; k++)
        fprintf(file, "Core %u: a load of %.3f cores, floors of %.4g %%.\n", k,
                placement_load(check->placement, k), 100 * placement_floors(check->placement, k));
    fprintf(file,
            "While all run, nobody is short of its ideal share by more than %.2f %% of a core for "
            "being where it is.\n",
            100 * placement_shortfall(check->placement));
}

static struct matrix_error *print(const struct check *check, FILE *file)
{
    const size_t first = check->cloud->cores > 1 ? 0 : 1;
    struct table *table;
    RETURN_IF_ERROR(
        table_create(columns + first, sizeof(columns) / sizeof(columns[0]) - first, &table));
    for (unsigned i = 0; i < member_count(check); i++)
        add_row(check, i, table);
    struct matrix_error *error = table_print(table, file);
    table_destroy(table);
    if (!error && check->cloud->cores > 1)
        print_cores(check, file);
    return error;
}

static struct matrix_error *make(struct check *check)
{
    const struct cloud_config *config = check->config;
    check->groups = calloc(config->group_count + 1, sizeof(struct policy_entity *));
    check->guests = calloc(config->guest_count, sizeof(*check->guests));
    check->items = calloc(member_count(check), sizeof(*check->items));
    check->policies = calloc(check->cloud->cores, sizeof(struct policy *));
    if (!check->groups || !check->guests || !check->items || !check->policies)
        return error_host(ENOMEM, "check the contracts");
    for (unsigned k = 0; k < check->cloud->cores; k++)
        RETURN_IF_ERROR(policy_create(check->cloud->slice_ns, config->policy, &check->policies[k]));
    return placement_create(check->cloud->cores, &check->placement);
}

/* Admits all, and then, with a file, prints what they come to. */
static struct matrix_error *check_config(const struct cloud *cloud,
                                         const struct cloud_config *config, bool json, FILE *file)
{
    struct check check = {.cloud = cloud, .config = config};
    struct matrix_error *error = make(&check);
    error = error ? error : admit_all(&check);
    if (!error && file)
        error = json ? print_json(&check, file) : print(&check, file);
    for (unsigned k = 0; check.policies && k < cloud->cores; k++)
        policy_destroy(check.policies[k]);
    placement_destroy(check.placement);
    free(check.policies);
    free(check.items);
    free(check.groups);
    free(check.guests);
    return error;
}

struct matrix_error *cloud_check(const struct cloud *cloud, bool json, FILE *file)
{
    return check_config(cloud, &cloud->config, json, file);
}

struct matrix_error *cloud_check_contracts(const struct cloud *cloud,
                                           const struct cloud_config *config)
{
    return check_config(cloud, config, false, NULL);
}
