/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An experiment's file as it is written: all values are text, what is not there is NULL. libcyaml
 * fills it by experiment_schema; experiment_file.c checks what it means.
 */
#ifndef KSM_EXPERIMENT_SCHEMA_H
#define KSM_EXPERIMENT_SCHEMA_H

#include "base/yaml.h"
#include "ksm/knobs.h"

struct knobs_text {
    char *value[KSM_KNOB_COUNT];
};

struct start_text {
    char *name, *guest, *memory, *merge;
    char **command, **args;
    unsigned command_count, args_count;
};

struct wait_text {
    char *time, *flat, *slope, *window, *scans, *says, *name, *ceiling;
};

struct tell_text {
    char *name, *text;
};

struct run_text {
    char **command;
    unsigned command_count;
    char *timeout;
};

struct expect_text {
    char *what, *of, *with, *exactly, *at_least, *at_most;
};

/* Of the pointers exactly one is set, if the file is right. */
struct step_text {
    struct start_text *start;
    struct wait_text *wait;
    char *mark;
    struct tell_text *tell;
    struct run_text *run;
    char *stop;
    struct knobs_text *set;
    struct expect_text *expect;
};

struct record_text {
    char *interval, *curve;
};

struct lab_text {
    char *memory, *timeout;
};

struct experiment_text {
    char *name, *description;
    struct knobs_text *knobs;
    struct record_text *record;
    struct lab_text *lab;
    struct step_text *steps;
    unsigned steps_count;
};

extern const cyaml_schema_value_t experiment_schema;

#endif
