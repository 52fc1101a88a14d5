/* SPDX-License-Identifier: GPL-2.0-or-later */
/* On which cores a cloud's guests run, as its file says it. Called by config. */
#ifndef CLOUD_CONFIG_CORES_H
#define CLOUD_CONFIG_CORES_H

#include "cloud/config.h"

/* As it is written; NULL: it is not there. */
struct config_cores_text {
    char *core, *cores, *rebalance, *moves;
    char **cpus;
    unsigned cpus_count;
};

struct matrix_error *config_cores_read(const struct config_cores_text *text,
                                       struct cloud_config *config) MATRIX_MUST_CHECK;

/* Reads numbers of host CPUs, each once; *cpus is to be freed. Also for the command line. */
struct matrix_error *config_cpus_read(char *const *texts, unsigned count,
                                      int **cpus) MATRIX_MUST_CHECK;

struct matrix_error *config_core_read(const char *text, int *core) MATRIX_MUST_CHECK;
struct matrix_error *config_rebalance_read(const char *text, uint64_t *ns) MATRIX_MUST_CHECK;

/* The pin of a contract whose group has been read. */
struct matrix_error *config_pin_read(const char *text,
                                     struct config_contract *contract) MATRIX_MUST_CHECK;

#endif
