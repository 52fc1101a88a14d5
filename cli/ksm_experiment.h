/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `matrix ksm experiment`: what its files show each other. */
#ifndef CLI_KSM_EXPERIMENT_H
#define CLI_KSM_EXPERIMENT_H

#include "ksm/experiment.h"
#include "ksm/facts.h"
#include <jansson.h>

#define EXPERIMENT_PROGRAM "matrix ksm experiment"

/* Files of the output directory. */
#define EXPERIMENT_YAML    "experiment.yaml"
#define EXPERIMENT_RESULTS "results.json"
#define EXPERIMENT_REPORT  "report.html"

struct experiment_arguments {
    const char *file, *out, *report, *kernel;
    bool check, lab, json, quiet, no_report;
};

/* ksm_experiment_json.c: all of it. error: what ended it, or NULL. NULL without memory. */
json_t *experiment_to_json(const struct experiment_file *file,
                           const struct experiment_results *results,
                           const struct matrix_error *error);

/* ksm_experiment_text.c: a summary for people, on standard output. */
struct matrix_error *experiment_print(const struct experiment_file *file,
                                      const struct experiment_results *results) MATRIX_MUST_CHECK;
/* The limits of an expectation: "exactly 5", "3 to 7". */
const char *experiment_bounds(const struct experiment_expectation *expect, char text[96]);

/* ksm_experiment_lab.c: the same in the lab; its exit status. */
int experiment_in_lab(const struct experiment_arguments *arguments,
                      const struct experiment_file *file, const char *directory);

/* ksm_report.c: writes directory/report.html from what else is there. */
struct matrix_error *experiment_report(const char *directory) MATRIX_MUST_CHECK;

#endif
