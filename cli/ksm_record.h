/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands around recordings have in common: record, mark, export, top, plot. */
#ifndef CLI_KSM_RECORD_H
#define CLI_KSM_RECORD_H

#include "cli/ksm.h"
#include "ksm/sampler.h"
#include <matrix/error.h>

ksm_command ksm_record_main, ksm_mark_main, ksm_export_main, ksm_top_main, ksm_plot_main;

/* The names that recordings get by themselves; the newest in the directory is meant by `mark`. */
#define KSM_RECORD_PREFIX "ksm-"
#define KSM_RECORD_SUFFIX ".sqlite"

/* For each process that is followed, a file or two are open. */
void ksm_raise_file_limit(void);

/* An option's interval: 10ms or more. */
struct matrix_error *ksm_parse_interval(const char *text, uint64_t *ns) MATRIX_MUST_CHECK;

#endif
