/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a cloud's file says of when a guest starts and stops. Called by config. */
#ifndef CLOUD_CONFIG_LIFE_H
#define CLOUD_CONFIG_LIFE_H

#include "cloud/config.h"

#define CONFIG_LIFE_NAMES_MAX 64

/* As it is written; NULL: it says nothing. */
struct config_life_text {
    char *restart, *backoff;
    char **after, **stop_with;
    unsigned after_count, stop_with_count;
};

/* To be called when the names of all guests are known. */
struct matrix_error *config_life_read(const struct config_life_text *text,
                                      const struct cloud_config *config, unsigned index,
                                      struct life_rules *rules) MATRIX_MUST_CHECK;

/* Refuses guests of which each comes after another, in a circle: none would ever start. */
struct matrix_error *config_life_check(const struct cloud_config *config) MATRIX_MUST_CHECK;

void config_life_free(struct life_rules *rules);

#endif
