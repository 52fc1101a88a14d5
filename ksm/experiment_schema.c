// SPDX-License-Identifier: GPL-2.0-or-later
/* The keys of an experiment's file, for libcyaml; see experiment_schema.h. */
#include "ksm/experiment_schema.h"

#include "ksm/experiment_file.h"

#define ARGUMENTS_MAX 256

#define OPTIONAL(structure, key) YAML_TEXT(#key, CYAML_FLAG_OPTIONAL, struct structure, key)
#define REQUIRED(structure, key) YAML_TEXT(#key, CYAML_FLAG_DEFAULT, struct structure, key)

static const cyaml_schema_value_t word_schema = {
    CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 0, CYAML_UNLIMITED),
};

#define WORDS(structure, key, flags, minimum)                                                     \
    CYAML_FIELD_SEQUENCE(#key, CYAML_FLAG_POINTER | (flags), struct structure, key, &word_schema, \
                         (minimum), ARGUMENTS_MAX)

#define KNOB(key, knob) YAML_TEXT(#key, CYAML_FLAG_OPTIONAL, struct knobs_text, value[knob])

static const cyaml_schema_field_t knobs_fields[] = {
    KNOB(max_page_sharing, KSM_KNOB_MAX_PAGE_SHARING),
    KNOB(merge_across_nodes, KSM_KNOB_MERGE_ACROSS_NODES),
    KNOB(advisor_max_cpu, KSM_KNOB_ADVISOR_MAX_CPU),
    KNOB(advisor_min_pages_to_scan, KSM_KNOB_ADVISOR_MIN_PAGES_TO_SCAN),
    KNOB(advisor_max_pages_to_scan, KSM_KNOB_ADVISOR_MAX_PAGES_TO_SCAN),
    KNOB(advisor_target_scan_time, KSM_KNOB_ADVISOR_TARGET_SCAN_TIME),
    KNOB(advisor_mode, KSM_KNOB_ADVISOR_MODE),
    KNOB(pages_to_scan, KSM_KNOB_PAGES_TO_SCAN),
    KNOB(sleep_millisecs, KSM_KNOB_SLEEP_MILLISECS),
    KNOB(use_zero_pages, KSM_KNOB_USE_ZERO_PAGES),
    KNOB(smart_scan, KSM_KNOB_SMART_SCAN),
    KNOB(run, KSM_KNOB_RUN),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t start_fields[] = {
    REQUIRED(start_text, name),
    OPTIONAL(start_text, guest),
    OPTIONAL(start_text, memory),
    OPTIONAL(start_text, merge),
    WORDS(start_text, command, CYAML_FLAG_OPTIONAL, 1),
    WORDS(start_text, args, CYAML_FLAG_OPTIONAL, 0),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t wait_fields[] = {
    YAML_TEXT("for", CYAML_FLAG_OPTIONAL, struct wait_text, time),
    OPTIONAL(wait_text, flat),
    OPTIONAL(wait_text, slope),
    OPTIONAL(wait_text, window),
    OPTIONAL(wait_text, scans),
    OPTIONAL(wait_text, says),
    OPTIONAL(wait_text, name),
    OPTIONAL(wait_text, ceiling),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t tell_fields[] = {
    REQUIRED(tell_text, name),
    REQUIRED(tell_text, text),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t run_fields[] = {
    WORDS(run_text, command, CYAML_FLAG_DEFAULT, 1),
    OPTIONAL(run_text, timeout),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t expect_fields[] = {
    REQUIRED(expect_text, what),
    OPTIONAL(expect_text, of),
    OPTIONAL(expect_text, with),
    OPTIONAL(expect_text, exactly),
    OPTIONAL(expect_text, at_least),
    OPTIONAL(expect_text, at_most),
    CYAML_FIELD_END,
};

#define STEP(key, fields)                                                                          \
    CYAML_FIELD_MAPPING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct step_text, key, \
                            fields)

static const cyaml_schema_field_t step_fields[] = {
    STEP(start, start_fields), STEP(wait, wait_fields),     OPTIONAL(step_text, mark),
    STEP(tell, tell_fields),   STEP(run, run_fields),       OPTIONAL(step_text, stop),
    STEP(set, knobs_fields),   STEP(expect, expect_fields), CYAML_FIELD_END,
};

static const cyaml_schema_value_t step_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct step_text, step_fields),
};

static const cyaml_schema_field_t record_fields[] = {
    OPTIONAL(record_text, interval),
    OPTIONAL(record_text, curve),
    CYAML_FIELD_END,
};

static const cyaml_schema_field_t lab_fields[] = {
    OPTIONAL(lab_text, memory),
    OPTIONAL(lab_text, timeout),
    CYAML_FIELD_END,
};

#define PART(key, fields)                                                   \
    CYAML_FIELD_MAPPING_PTR(#key, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, \
                            struct experiment_text, key, fields)

static const cyaml_schema_field_t experiment_fields[] = {
    OPTIONAL(experiment_text, name),
    OPTIONAL(experiment_text, description),
    PART(knobs, knobs_fields),
    PART(record, record_fields),
    PART(lab, lab_fields),
    CYAML_FIELD_SEQUENCE("steps", CYAML_FLAG_POINTER, struct experiment_text, steps, &step_schema,
                         1, EXPERIMENT_STEPS_MAX),
    CYAML_FIELD_END,
};

const cyaml_schema_value_t experiment_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct experiment_text, experiment_fields),
};
