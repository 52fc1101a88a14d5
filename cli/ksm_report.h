/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the report on an experiment. */
#ifndef CLI_KSM_REPORT_H
#define CLI_KSM_REPORT_H

#include <jansson.h>
#include <matrix/error.h>
#include <stdio.h>

/* Pictures in the experiment's directory. */
#define REPORT_PLOT_PAGES  "pages.svg"
#define REPORT_PLOT_PROFIT "profit.svg"
#define REPORT_PLOT_VMS    "vms.svg"
#define REPORT_MAP_PICTURE "map.png"

/* The plots, in this order. */
#define REPORT_PLOTS 3

/* ksm_report.c: the whole; directory: where the pictures are; nothing: of report_draw(). */
struct matrix_error *report_write(FILE *file, const json_t *root, const char *yaml,
                                  const char *directory,
                                  const char *const nothing[REPORT_PLOTS]) MATRIX_MUST_CHECK;

/* ksm_report_host.c */
void report_write_host(FILE *file, const json_t *root, const char *yaml);
/* ksm_report_map.c */
void report_write_map(FILE *file, const json_t *root, const char *directory);

/*
 * ksm_report_draw.c: draws what can be drawn of the recording. Without gnuplot there is nothing. nothing:
 * a sentence for each plot of which nothing was recorded, else NULL.
 */
void report_draw(const char *directory, const char *nothing[REPORT_PLOTS]);

#endif
