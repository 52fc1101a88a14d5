/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A cloud as it runs, and its file as it is now: what is to be done so that the one becomes the other. Pure:
 * it reads two descriptions and says what differs. Called when a running cloud reloads its file.
 *
 * What runs is what counts, and not what the file once said: a contract that was changed by command goes
 * back to that of the file. Guests that were added by command are in no file, and stay.
 */
#ifndef CLOUD_CONFIG_COMPARE_H
#define CLOUD_CONFIG_COMPARE_H

#include "cloud/config.h"

enum config_change {
    CONFIG_KEPT,
    CONFIG_CHANGED,   /* by contract or lifecycle: it goes on */
    CONFIG_RESTARTED, /* it is to be made anew */
    CONFIG_ADDED,
    CONFIG_REMOVED,
};

/* Keys of the file, as bits. */
enum config_key {
    CONFIG_KEY_WEIGHT = 1 << 0,
    CONFIG_KEY_FLOOR = 1 << 1,
    CONFIG_KEY_CEILING = 1 << 2,
    CONFIG_KEY_LATENCY = 1 << 3,
    CONFIG_KEY_RESTART = 1 << 4,
    CONFIG_KEY_BACKOFF = 1 << 5,
    CONFIG_KEY_AFTER = 1 << 6,
    CONFIG_KEY_STOP_WITH = 1 << 7,
    CONFIG_KEY_IMAGE = 1 << 8,
    CONFIG_KEY_ARGS = 1 << 9,
    CONFIG_KEY_MEMORY = 1 << 10,
    CONFIG_KEY_OUTPUT = 1 << 11,
    CONFIG_KEY_MERGEABLE = 1 << 12,
    CONFIG_KEY_GROUP = 1 << 13,
    CONFIG_KEY_CORE = 1 << 14,
    CONFIG_KEY_SLICE = 1 << 15,
    CONFIG_KEY_DURATION = 1 << 16,
    CONFIG_KEY_POLICY = 1 << 17,
    CONFIG_KEY_PIN = 1 << 18,
    CONFIG_KEY_CORES = 1 << 19,
    CONFIG_KEY_CPUS = 1 << 20,
    CONFIG_KEY_REBALANCE = 1 << 21,
    CONFIG_KEY_MOVES = 1 << 22,
    CONFIG_KEY_CONSOLE = 1 << 23,
};

#define CONFIG_KEYS 24

/* What makes a contract. */
#define CONFIG_KEYS_CONTRACT                                                          \
    (CONFIG_KEY_WEIGHT | CONFIG_KEY_FLOOR | CONFIG_KEY_CEILING | CONFIG_KEY_LATENCY | \
     CONFIG_KEY_PIN)

/* A guest that differs in one of these cannot go on as it is. */
#define CONFIG_KEYS_RESTART                                                       \
    (CONFIG_KEY_IMAGE | CONFIG_KEY_ARGS | CONFIG_KEY_MEMORY | CONFIG_KEY_OUTPUT | \
     CONFIG_KEY_MERGEABLE | CONFIG_KEY_CONSOLE | CONFIG_KEY_GROUP)

/* The name of the one key that is set, as it is written in the file. */
const char *config_key_name(unsigned key);

#define CONFIG_NOWHERE (-1)

/* What is to be done about one guest, or group. */
struct config_step {
    enum config_change change;
    unsigned keys;     /* that differ; none if it comes or goes */
    int before, after; /* its index in either; CONFIG_NOWHERE */
};

/* Of each, first what is in the new description, in its order, then what is not. */
struct config_steps {
    struct config_step *guests, *groups;
    unsigned guest_count, group_count;
    unsigned later; /* keys of the cloud that differ, and hold when it starts again */
};

/*
 * Puts those guests of a running cloud into the new description that were added by command and that it does
 * not name, with the groups that they are in: only name and contract of each. MATRIX_ERROR_USAGE: too many.
 */
struct matrix_error *config_carry_over(const struct cloud_config *running,
                                       struct cloud_config *new) MATRIX_MUST_CHECK;

/*
 * Compares; the new description has been through config_carry_over(). Guests that are marked as removed, and groups
 * that are missing, are as good as not there. MATRIX_ERROR_USAGE: a group is in another group than before, which no change comes to.
 */
struct matrix_error *config_compare(const struct cloud_config *running,
                                    const struct cloud_config *new,
                                    struct config_steps *steps) MATRIX_MUST_CHECK;

void config_steps_free(struct config_steps *steps);

/*
 * The contract on the way from one to the other: no floor is above either, no ceiling below, there is no
 * target, and no pin that is not in both. If all go there first, the members before their group, and then to the
 * new one, the group before its members, nothing on the way asks for more than there is. On several cores that
 * holds for each group; whether floors find a core depends on who is where.
 */
struct config_contract config_contract_between(const struct config_contract *before,
                                               const struct config_contract *after);

#endif
