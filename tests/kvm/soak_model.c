// SPDX-License-Identifier: GPL-2.0-or-later
/* What each guest should be like; see soak_model.h. The rules are those of docs/cloud.md. */
#include "tests/kvm/soak_model.h"

#include <string.h>

static bool is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

#define ONE_OF(word, ...) is_one_of(word, (const char *const[]){__VA_ARGS__, NULL})

bool soak_life_fits(const struct soak_guest *guest, const char *life)
{
    if (guest->wish == SOAK_DOWN)
        return ONE_OF(life, "stopped");
    if (guest->wish == SOAK_PAUSED)
        return ONE_OF(life, "paused");
    switch (guest->kind) {
    case SOAK_ONCE:
        return ONE_OF(life, "starting", "running", "ended");
    case SOAK_FAILS:
        return ONE_OF(life, "starting", "running", "backoff");
    default:
        return ONE_OF(life, "starting", "running");
    }
}

/* Who is up may be starting still, and others may have ended meanwhile, or back off. */
bool soak_may_succeed(const struct soak_guest *guest, const char *command)
{
    if (strcmp(command, "start") == 0)
        return guest->wish == SOAK_DOWN || (guest->wish == SOAK_UP && guest->kind != SOAK_SPIN);
    if (ONE_OF(command, "stop"))
        return guest->wish != SOAK_DOWN;
    if (strcmp(command, "pause") == 0)
        return guest->wish == SOAK_UP;
    if (strcmp(command, "resume") == 0)
        return guest->wish == SOAK_PAUSED;
    return true;
}

bool soak_may_be_refused(const struct soak_guest *guest, const char *command)
{
    if (strcmp(command, "set") == 0)
        return false;
    if (strcmp(command, "restart") == 0) /* while it is starting */
        return guest->wish == SOAK_UP;
    if (strcmp(command, "pause") == 0)
        return true;
    if (strcmp(command, "stop") == 0)
        return guest->wish == SOAK_DOWN || (guest->wish == SOAK_UP && guest->kind == SOAK_ONCE);
    if (strcmp(command, "start") == 0)
        return guest->wish != SOAK_DOWN;
    return guest->wish != SOAK_PAUSED;
}

void soak_succeeded(struct soak_guest *guest, const char *command)
{
    if (ONE_OF(command, "start", "restart", "resume"))
        guest->wish = SOAK_UP;
    else if (strcmp(command, "stop") == 0)
        guest->wish = SOAK_DOWN;
    else if (strcmp(command, "pause") == 0)
        guest->wish = SOAK_PAUSED;
}
