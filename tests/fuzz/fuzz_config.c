// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for the YAML of `matrix cloud`: a file is refused with a message that names it,
 * or describes a cloud that keeps every promise of cloud/config.h.
 */
#include "cloud/config.h"

#include "base/yaml.h"
#include "tests/fuzz/fuzz.h"
#include <matrix/core.h>

#define FILE_NAME "the-file.yaml"

static void check_contract(const struct config_contract *contract, unsigned groups)
{
    FUZZ_CHECK(contract->weight >= 1 && contract->weight <= MATRIX_WEIGHT_MAX, "weight %u",
               contract->weight);
    FUZZ_CHECK(contract->floor_ppm <= MATRIX_WHOLE_CORE, "floor %u", contract->floor_ppm);
    FUZZ_CHECK(contract->ceiling_ppm <= MATRIX_WHOLE_CORE, "ceiling %u", contract->ceiling_ppm);
    FUZZ_CHECK(contract->group >= CONFIG_NO_GROUP && contract->group < (int)groups, "group %d",
               contract->group);
}

static void check_guest(const struct cloud_config *config, unsigned index)
{
    const struct config_guest *guest = &config->guests[index];
    FUZZ_CHECK(guest->name && guest->name[0], "guest %u has no name", index);
    FUZZ_CHECK(guest->image && guest->image[0], "guest %u has no image", index);
    check_contract(&guest->contract, config->group_count);
    FUZZ_CHECK(guest->argv[0] && strcmp(guest->argv[0], guest->image) == 0, "argv[0] of guest %u",
               index);
    for (unsigned i = 0; guest->argv[i]; i++)
        FUZZ_CHECK(strlen(guest->argv[i]) < YAML_BYTES_MAX, "argument %u", i);
    for (unsigned i = 0; i < guest->life.after_count; i++)
        FUZZ_CHECK(guest->life.after[i] < config->guest_count && guest->life.after[i] != index,
                   "guest %u after %u", index, guest->life.after[i]);
    for (unsigned i = 0; i < guest->life.stop_with_count; i++)
        FUZZ_CHECK(guest->life.stop_with[i] < config->guest_count, "guest %u stops with %u", index,
                   guest->life.stop_with[i]);
    for (unsigned other = 0; other < index; other++)
        FUZZ_CHECK(strcmp(config->guests[other].name, guest->name) != 0, "%s twice", guest->name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of its own, so that a byte beyond the end is seen. */
    char *text = malloc(size);
    if (size)
        memcpy(text, data, size);
    struct cloud_config config;
    struct matrix_error *error = config_parse(text, size, FILE_NAME, &config);
    if (error) {
        FUZZ_CHECK(strstr(error->message, FILE_NAME), "does not name the file: %s", error->message);
        FUZZ_CHECK(!config.guests && !config.document, "leaves something behind");
        matrix_error_free(error);
    } else {
        FUZZ_CHECK(config.guest_count >= 1 && config.guest_count <= CONFIG_GUESTS_MAX, "%u guests",
                   config.guest_count);
        FUZZ_CHECK(config.core >= CONFIG_CORE_UNSET, "core %d", config.core);
        for (unsigned i = 0; i < config.group_count; i++)
            check_contract(&config.groups[i].contract, i);
        for (unsigned i = 0; i < config.guest_count; i++)
            check_guest(&config, i);
        config_free(&config);
    }
    free(text);
    return 0;
}
