/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each guest of the soak's cloud should be like: what was asked of it, and what it does by itself. Pure:
 * answers of the cloud are held against it. Used by soak.c.
 */
#ifndef TESTS_KVM_SOAK_MODEL_H
#define TESTS_KVM_SOAK_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#define SOAK_NAME_BYTES 16

enum soak_kind {
    SOAK_WITNESS, /* runs for ever, and nothing is asked of it: its share is what is looked at */
    SOAK_SPIN,    /* runs until it is told otherwise */
    SOAK_ONCE,    /* ends by itself, well */
    SOAK_FAILS,   /* ends badly, and is started again */
    SOAK_KINDS,
};

enum soak_wish { SOAK_DOWN, SOAK_UP, SOAK_PAUSED };

struct soak_guest {
    char name[SOAK_NAME_BYTES];
    enum soak_kind kind;
    enum soak_wish wish;
    int weight;
};

/* Whether the cloud's word for a guest's life fits what was asked of it. */
bool soak_life_fits(const struct soak_guest *guest, const char *life);

/* Whether a command may succeed, and whether it may be refused; then what was asked for has changed. */
bool soak_may_succeed(const struct soak_guest *guest, const char *command);
bool soak_may_be_refused(const struct soak_guest *guest, const char *command);
void soak_succeeded(struct soak_guest *guest, const char *command);

#endif
