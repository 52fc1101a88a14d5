/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * In which order the contracts of a running cloud become those of its file, so that what is admitted in the
 * end is admitted at every step on the way. Pure; called when a running cloud reloads its file.
 */
#ifndef CLOUD_CONFIG_PLAN_H
#define CLOUD_CONFIG_PLAN_H

#include "cloud/config_compare.h"

enum config_act {
    CONFIG_GUEST_LEAVES,  /* the core: for good, or because it is made anew */
    CONFIG_GUEST_RELAXES, /* to config_contract_between() */
    CONFIG_GROUP_LEAVES,  /* it has no members any more */
    CONFIG_GROUP_RELAXES,
    CONFIG_GROUP_COMES,
    CONFIG_GROUP_IS_SET, /* to the new contract */
    CONFIG_GUEST_IS_SET,
};

struct config_move {
    enum config_act act;
    unsigned step; /* index in steps.guests, or .groups */
};

struct config_plan {
    struct config_move *moves;
    unsigned count;
};

struct matrix_error *config_plan_make(const struct cloud_config *running,
                                      const struct config_steps *steps,
                                      struct config_plan *plan) MATRIX_MUST_CHECK;

void config_plan_free(struct config_plan *plan);

#endif
