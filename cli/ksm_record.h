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

#define KSM_RECORD_PROGRAM "matrix ksm record"

struct record_file {
    const char *path;
    bool made;     /* by this process */
    char name[64]; /* where none was given */
};

/* Makes the file; out NULL: by the date and time, whatever has that name already. With append it may be
 * there. */
struct matrix_error *ksm_record_file_make(struct record_file *file, const char *out,
                                          bool append) MATRIX_MUST_CHECK;

/* Nothing was recorded: a file that was made for it goes again. Whether it did. */
bool ksm_record_file_discard(const struct record_file *file);

/* Adds the process of a guest, under the names of all guests that it runs; says so if it is several. */
struct matrix_error *ksm_record_add_guest(struct ksm_sampler *sampler,
                                          const char *text) MATRIX_MUST_CHECK;

/* For each process that is followed, a file or two are open. */
void ksm_raise_file_limit(void);

/* An option's interval: 10ms or more. */
struct matrix_error *ksm_parse_interval(const char *text, uint64_t *ns) MATRIX_MUST_CHECK;

/* An option's duration: not 0, which would be without end. */
struct matrix_error *ksm_parse_duration(const char *text, uint64_t *ns) MATRIX_MUST_CHECK;

#endif
