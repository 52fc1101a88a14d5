/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The readers of an experiment's steps, by action. Between experiment_file.c and _steps.c only. */
#ifndef KSM_EXPERIMENT_STEPS_H
#define KSM_EXPERIMENT_STEPS_H

#include "ksm/experiment_file.h"
#include "ksm/experiment_schema.h"

/* How far the reading is: the steps before the one that is read say which VMs run. */
struct step_reader {
    const struct experiment_file *file;
};

typedef struct matrix_error *step_reader_function(const struct step_text *text,
                                                  const struct step_reader *reader,
                                                  struct experiment_step *step);

extern step_reader_function *const experiment_step_read[EXPERIMENT_ACTIONS];

/* text may be NULL: no knobs. */
struct matrix_error *experiment_knobs_read(const struct knobs_text *text,
                                           struct ksm_knobs *knobs) MATRIX_MUST_CHECK;

#endif
