// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads a cloud's YAML file. libcyaml checks the structure against the schema below and says
 * where it does not fit; the values, which are text to it, are checked here.
 */
#include "cloud/config.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/yaml.h"
#include "cloud/config_cores.h"
#include "cloud/config_life.h"
#include <errno.h>
#include <matrix/core.h>
#include <string.h>

#define DEFAULT_WEIGHT 100

/* --- the file as it is written: all values are text ------------------------------------------ */

struct contract_text {
    char *weight, *floor, *ceiling, *latency, *group, *pin;
};

struct group_text {
    char *name;
    struct contract_text contract;
};

struct guest_text {
    char *name, *image, *memory, *output, *console, *mergeable;
    struct contract_text contract;
    struct config_life_text life;
    char **args;
    unsigned args_count;
};

struct document {
    char *slice, *duration, *policy, *keep;
    struct config_cores_text cores;
    struct group_text *groups;
    unsigned groups_count;
    struct guest_text *guests;
    unsigned guests_count;
};

static const cyaml_schema_value_t argument_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

#define TEXT_FIELD(key, flags, structure) YAML_TEXT(#key, flags, structure, key)

#define CONTRACT_FIELD(key, structure) YAML_TEXT(#key, CYAML_FLAG_OPTIONAL, structure, contract.key)
#define CONTRACT_FIELDS(structure)                                              \
    CONTRACT_FIELD(weight, structure), CONTRACT_FIELD(floor, structure),        \
        CONTRACT_FIELD(ceiling, structure), CONTRACT_FIELD(latency, structure), \
        CONTRACT_FIELD(group, structure), CONTRACT_FIELD(pin, structure)

static const cyaml_schema_field_t group_fields[] = {
    TEXT_FIELD(name, CYAML_FLAG_DEFAULT, struct group_text),
    CONTRACT_FIELDS(struct group_text),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t group_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct group_text, group_fields),
};

static const cyaml_schema_field_t guest_fields[] = {
    TEXT_FIELD(name, CYAML_FLAG_DEFAULT, struct guest_text),
    TEXT_FIELD(image, CYAML_FLAG_DEFAULT, struct guest_text),
    TEXT_FIELD(memory, CYAML_FLAG_OPTIONAL, struct guest_text),
    CONTRACT_FIELDS(struct guest_text),
    TEXT_FIELD(output, CYAML_FLAG_OPTIONAL, struct guest_text),
    TEXT_FIELD(console, CYAML_FLAG_OPTIONAL, struct guest_text),
    TEXT_FIELD(mergeable, CYAML_FLAG_OPTIONAL, struct guest_text),
    YAML_TEXT("restart", CYAML_FLAG_OPTIONAL, struct guest_text, life.restart),
    YAML_TEXT("backoff", CYAML_FLAG_OPTIONAL, struct guest_text, life.backoff),
    CYAML_FIELD_SEQUENCE("after", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct guest_text,
                         life.after, &argument_schema, 0, CONFIG_LIFE_NAMES_MAX),
    CYAML_FIELD_SEQUENCE("stop-with", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct guest_text,
                         life.stop_with, &argument_schema, 0, CONFIG_LIFE_NAMES_MAX),
    CYAML_FIELD_SEQUENCE("args", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct guest_text, args,
                         &argument_schema, 0, 256),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t guest_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct guest_text, guest_fields),
};

static const cyaml_schema_field_t document_fields[] = {
    YAML_TEXT("core", CYAML_FLAG_OPTIONAL, struct document, cores.core),
    YAML_TEXT("cores", CYAML_FLAG_OPTIONAL, struct document, cores.cores),
    CYAML_FIELD_SEQUENCE("cpus", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct document,
                         cores.cpus, &argument_schema, 0, CONFIG_CORES_MAX),
    YAML_TEXT("rebalance", CYAML_FLAG_OPTIONAL, struct document, cores.rebalance),
    YAML_TEXT("moves", CYAML_FLAG_OPTIONAL, struct document, cores.moves),
    TEXT_FIELD(slice, CYAML_FLAG_OPTIONAL, struct document),
    TEXT_FIELD(duration, CYAML_FLAG_OPTIONAL, struct document),
    TEXT_FIELD(policy, CYAML_FLAG_OPTIONAL, struct document),
    TEXT_FIELD(keep, CYAML_FLAG_OPTIONAL, struct document),
    CYAML_FIELD_SEQUENCE("groups", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct document,
                         groups, &group_schema, 0, CONFIG_GROUPS_MAX),
    CYAML_FIELD_SEQUENCE("guests", CYAML_FLAG_POINTER, struct document, guests, &guest_schema, 1,
                         CONFIG_GUESTS_MAX),
    CYAML_FIELD_END,
};

static const cyaml_schema_value_t document_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct document, document_fields),
};

/* --- values -------------------------------------------------------------------------------- */

static struct matrix_error *check_guest_name(const struct document *document, unsigned index)
{
    const char *name = document->guests[index].name;
    RETURN_IF_ERROR(parse_check_name(name));
    for (unsigned other = 0; other < index; other++)
        if (strcmp(document->guests[other].name, name) == 0)
            return error_usage("give each guest its own name",
                               "name: \"%s\" is guests[%u]'s already", name, other);
    return NULL;
}

static int find_group(const struct cloud_config *config, const char *name)
{
    for (unsigned i = 0; i < config->group_count; i++)
        if (config->groups[i].name && strcmp(config->groups[i].name, name) == 0)
            return (int)i;
    return CONFIG_NO_GROUP;
}

/* Groups that were read before can be named. */
static struct matrix_error *read_contract(const struct contract_text *text,
                                          const struct cloud_config *config,
                                          struct config_contract *contract)
{
    uint64_t weight = DEFAULT_WEIGHT;
    *contract = (struct config_contract){.group = CONFIG_NO_GROUP};
    if (text->weight)
        RETURN_IF_ERROR(
            error_prefix(parse_u64(text->weight, 1, MATRIX_WEIGHT_MAX, &weight), "weight"));
    contract->weight = (unsigned)weight;
    if (text->floor)
        RETURN_IF_ERROR(error_prefix(parse_percent(text->floor, &contract->floor_ppm), "floor"));
    if (text->ceiling)
        RETURN_IF_ERROR(
            error_prefix(parse_percent(text->ceiling, &contract->ceiling_ppm), "ceiling"));
    if (text->latency)
        RETURN_IF_ERROR(
            error_prefix(parse_duration(text->latency, &contract->latency_ns), "latency"));
    if (text->latency && contract->latency_ns == 0)
        return error_usage("leave it out to have no target", "latency: it is 0");
    if (text->group)
        contract->group = find_group(config, text->group);
    if (text->group && contract->group == CONFIG_NO_GROUP)
        return error_usage("list it under groups, before groups that are in it",
                           "group: there is no \"%s\"", text->group);
    return text->pin ? error_prefix(config_pin_read(text->pin, contract), "pin") : NULL;
}

static struct matrix_error *read_group(const struct group_text *text, struct cloud_config *config)
{
    struct config_group *group = &config->groups[config->group_count];
    RETURN_IF_ERROR(parse_check_name(text->name));
    if (find_group(config, text->name) != CONFIG_NO_GROUP)
        return error_usage("give each group its own name", "name: \"%s\" is another's already",
                           text->name);
    RETURN_IF_ERROR(read_contract(&text->contract, config, &group->contract));
    group->name = text->name;
    config->group_count++;
    return NULL;
}

static struct matrix_error *read_bool(const char *text, bool *value)
{
    *value = strcmp(text, "yes") == 0;
    return *value || strcmp(text, "no") == 0 ? NULL
                                             : error_usage("write yes or no", "\"%s\"", text);
}

static struct matrix_error *read_guest(const struct document *document, unsigned index,
                                       const struct cloud_config *config,
                                       struct config_guest *guest)
{
    const struct guest_text *text = &document->guests[index];
    RETURN_IF_ERROR(check_guest_name(document, index));
    if (text->image[0] == '\0')
        return error_usage("name a file, or a guest that comes with Matrix", "image: it is empty");
    if (text->output && text->output[0] == '\0')
        return error_usage("name a file, or leave it out", "output: it is empty");
    guest->name = text->name;
    guest->image = text->image;
    guest->output = text->output;
    RETURN_IF_ERROR(read_contract(&text->contract, config, &guest->contract));
    if (text->memory)
        RETURN_IF_ERROR(error_prefix(parse_size(text->memory, &guest->memory_bytes), "memory"));
    if (text->memory && guest->memory_bytes < MATRIX_MEMORY_MINIMUM)
        return error_usage("give it 2M or more", "memory: %s is too small", text->memory);
    if (guest->memory_bytes % 4096)
        return error_usage("use a multiple of 4K", "memory: %s is not whole pages", text->memory);
    if (text->console)
        RETURN_IF_ERROR(error_prefix(read_bool(text->console, &guest->console), "console"));
    if (text->mergeable)
        RETURN_IF_ERROR(error_prefix(read_bool(text->mergeable, &guest->mergeable), "mergeable"));

    guest->argv = calloc(text->args_count + 2, sizeof(*guest->argv));
    if (!guest->argv)
        return error_host(ENOMEM, "read its arguments");
    guest->argv[0] = text->image;
    for (unsigned i = 0; i < text->args_count; i++)
        guest->argv[i + 1] = text->args[i];
    return NULL;
}

static struct matrix_error *read_document(const struct document *document,
                                          struct cloud_config *config)
{
    RETURN_IF_ERROR(config_cores_read(&document->cores, config));
    if (document->slice)
        RETURN_IF_ERROR(error_prefix(parse_duration(document->slice, &config->slice_ns), "slice"));
    if (document->slice && config->slice_ns < MATRIX_SLICE_MINIMUM_NS)
        return error_usage("use 50us or more; 1ms is the default", "slice: %s is too short",
                           document->slice);
    if (config->slice_ns > MATRIX_SLICE_MAXIMUM_NS)
        return error_usage("use 10s or less; 1ms is the default", "slice: %s is too long",
                           document->slice);
    if (document->duration)
        RETURN_IF_ERROR(
            error_prefix(parse_duration(document->duration, &config->duration_ns), "duration"));
    if (document->duration && config->duration_ns == 0)
        return error_usage("leave it out to run without end", "duration: it is 0");

    config->policy = document->policy;
    if (document->keep)
        RETURN_IF_ERROR(error_prefix(read_bool(document->keep, &config->keep), "keep"));
    config->groups = calloc(document->groups_count + 1, sizeof(*config->groups));
    if (!config->groups)
        return error_host(ENOMEM, "read the groups");
    for (unsigned i = 0; i < document->groups_count; i++)
        RETURN_IF_ERROR(error_prefix(read_group(&document->groups[i], config), "groups[%u]", i));
    config->guests = calloc(document->guests_count, sizeof(*config->guests));
    if (!config->guests)
        return error_host(ENOMEM, "read the guests");
    config->guest_count = document->guests_count;
    for (unsigned i = 0; i < document->guests_count; i++)
        RETURN_IF_ERROR(
            error_prefix(read_guest(document, i, config, &config->guests[i]), "guests[%u]", i));
    for (unsigned i = 0; i < document->guests_count; i++)
        RETURN_IF_ERROR(error_prefix(
            config_life_read(&document->guests[i].life, config, i, &config->guests[i].life),
            "guests[%u]", i));
    return config_life_check(config);
}

struct matrix_error *config_parse(const char *text, size_t bytes, const char *name,
                                  struct cloud_config *config)
{
    *config = (struct cloud_config){0};
    RETURN_IF_ERROR(document_load(
        text, bytes, name, &document_schema,
        "docs/cloud.md lists the keys; examples/matrix.yaml is a whole file", &config->document));
    /* An empty file is no error to libcyaml, and no document either. */
    if (!config->document)
        return error_usage("examples/matrix.yaml is a whole file", "%s: no guests", name);
    struct matrix_error *error = error_prefix(read_document(config->document, config), "%s", name);
    if (error)
        config_free(config);
    return error;
}

struct matrix_error *config_read(const char *path, struct cloud_config *config)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes;
    *config = (struct cloud_config){0};
    RETURN_IF_ERROR(document_read_file(path, &text, &bytes));
    return config_parse(text, bytes, path, config);
}

void config_free(struct cloud_config *config)
{
    for (unsigned i = 0; i < config->guest_count; i++) {
        config_life_free(&config->guests[i].life);
        free(config->guests[i].argv);
    }
    for (unsigned i = 0; config->groups && i < config->group_count; i++)
        free(config->groups[i].own_name);
    free(config->guests);
    free(config->groups);
    free(config->cpus);
    document_free(&document_schema, config->document);
    *config = (struct cloud_config){0};
}
