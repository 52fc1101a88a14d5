// SPDX-License-Identifier: GPL-2.0-or-later
/* The state machine of lifecycle.h. */
#include "cloud/lifecycle.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

const char *life_state_name(enum life_state state)
{
    static const char *const names[] = {
        [LIFE_WAITING] = "pending", [LIFE_STARTING] = "starting", [LIFE_RUNNING] = "running",
        [LIFE_PAUSED] = "paused",   [LIFE_BACKOFF] = "backoff",   [LIFE_ENDED] = "ended",
        [LIFE_STOPPED] = "stopped",
    };
    return names[state];
}

void lives_init(struct lives *lives, const struct life_actions *actions, void *context)
{
    *lives = (struct lives){.actions = actions, .context = context};
}

void lives_release(struct lives *lives)
{
    free(lives->lives);
    *lives = (struct lives){0};
}

struct matrix_error *lives_add(struct lives *lives, const struct life_rules *rules, bool is_made)
{
    struct life *more = reallocarray(lives->lives, lives->count + 1, sizeof(*more));
    if (!more)
        return error_host(ENOMEM, "add a guest");
    lives->lives = more;
    more[lives->count++] =
        (struct life){.rules = *rules, .state = LIFE_STOPPED, .is_made = is_made};
    return NULL;
}

static void enter(struct life *life, enum life_state state, uint64_t now_ns)
{
    life->state = state;
    life->since_ns = now_ns;
}

static bool is_up(const struct life *life)
{
    return life->state == LIFE_RUNNING || life->state == LIFE_PAUSED;
}

/* Those that come after it need not wait for it any more. */
static bool has_come_to_run(const struct life *life)
{
    return is_up(life) || (life->has_run && (life->state == LIFE_BACKOFF ||
                                             (life->state == LIFE_ENDED && !life->failed)));
}

static bool may_start(const struct lives *lives, const struct life *life)
{
    for (unsigned i = 0; i < life->rules.after_count; i++)
        if (!has_come_to_run(&lives->lives[life->rules.after[i]]))
            return false;
    return true;
}

/* --- up -------------------------------------------------------------------------------------- */

static void run(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    life->is_made = false;
    life->has_run = true;
    enter(life, LIFE_RUNNING, now_ns);
    lives->actions->run(lives->context, index);
}

static void start_or_make(struct lives *lives, unsigned index, uint64_t now_ns)
{
    if (lives->lives[index].is_made) {
        run(lives, index, now_ns);
        return;
    }
    /* What was started before, and not wanted for a while, will do. */
    const bool is_under_way = lives->lives[index].is_discarded;
    lives->lives[index].is_discarded = false;
    enter(&lives->lives[index], LIFE_STARTING, now_ns);
    if (!is_under_way)
        lives->actions->make(lives->context, index);
}

/* Whoever waited and need not any more starts; that may be what others wait for. */
static void start_waiting(struct lives *lives, uint64_t now_ns)
{
    for (unsigned i = 0; i < lives->count; i++) {
        if (lives->lives[i].state != LIFE_WAITING || !may_start(lives, &lives->lives[i]))
            continue;
        start_or_make(lives, i, now_ns);
        i = (unsigned)-1;
    }
}

static void begin(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    life->has_run = life->failed = false;
    life->failures = 0;
    enter(life, LIFE_WAITING, now_ns);
}

void lives_begin(struct lives *lives, uint64_t now_ns)
{
    for (unsigned i = 0; i < lives->count; i++)
        begin(lives, i, now_ns);
    start_waiting(lives, now_ns);
}

/* --- down ------------------------------------------------------------------------------------ */

static void stop(struct lives *lives, unsigned index, uint64_t now_ns);

/* It is down for good: so are those that stop with it. */
static void stop_others_with(struct lives *lives, unsigned index, uint64_t now_ns)
{
    for (unsigned i = 0; i < lives->count; i++) {
        const struct life_rules *rules = &lives->lives[i].rules;
        for (unsigned other = 0; other < rules->stop_with_count; other++)
            if (rules->stop_with[other] == index)
                stop(lives, i, now_ns);
    }
}

static bool is_down(const struct life *life)
{
    return life->state == LIFE_ENDED || life->state == LIFE_STOPPED;
}

static void stop(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (is_down(life))
        return;
    const bool exists = is_up(life) || life->is_made;
    life->is_discarded |= life->state == LIFE_STARTING;
    life->is_made = false;
    enter(life, LIFE_STOPPED, now_ns);
    if (exists)
        lives->actions->stop(lives->context, index);
    stop_others_with(lives, index, now_ns);
}

/* It is not up any more, and nobody wanted that. */
static void fail(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (life->rules.restart == LIFE_NEVER) {
        life->failed = true;
        enter(life, LIFE_ENDED, now_ns);
        stop_others_with(lives, index, now_ns);
        return;
    }
    uint64_t pause = life->rules.backoff_ns ? life->rules.backoff_ns : LIFE_BACKOFF_DEFAULT_NS;
    for (unsigned i = 0; i < life->failures && pause < LIFE_BACKOFF_MAX_NS; i++)
        pause *= 2;
    life->failures++;
    life->retry_ns = now_ns + (pause < LIFE_BACKOFF_MAX_NS ? pause : LIFE_BACKOFF_MAX_NS);
    enter(life, LIFE_BACKOFF, now_ns);
}

void lives_ended(struct lives *lives, unsigned index, bool failed, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (!is_up(life))
        return;
    if (now_ns - life->since_ns >= LIFE_GOOD_RUN_NS)
        life->failures = 0;
    if (failed) {
        fail(lives, index, now_ns);
    } else {
        enter(life, LIFE_ENDED, now_ns);
        stop_others_with(lives, index, now_ns);
    }
    start_waiting(lives, now_ns);
}

bool life_wants(const struct lives *lives, unsigned index)
{
    return !lives->lives[index].is_discarded && !lives->lives[index].is_stale;
}

bool lives_made(struct lives *lives, unsigned index, bool success, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (!life_wants(lives, index)) {
        const bool is_to_be_made = !life->is_discarded;
        life->is_discarded = life->is_stale = false;
        if (is_to_be_made)
            lives->actions->make(lives->context, index);
        return false;
    }
    if (success)
        run(lives, index, now_ns);
    else
        fail(lives, index, now_ns);
    start_waiting(lives, now_ns);
    return true;
}

void lives_tick(struct lives *lives, uint64_t now_ns)
{
    for (unsigned i = 0; i < lives->count; i++) {
        struct life *life = &lives->lives[i];
        if (life->state != LIFE_BACKOFF || life->retry_ns > now_ns)
            continue;
        life->restarts++;
        start_or_make(lives, i, now_ns);
    }
}

uint64_t lives_next_ns(const struct lives *lives)
{
    uint64_t next = UINT64_MAX;
    for (unsigned i = 0; i < lives->count; i++)
        if (lives->lives[i].state == LIFE_BACKOFF && lives->lives[i].retry_ns < next)
            next = lives->lives[i].retry_ns;
    return next;
}

/* --- commands -------------------------------------------------------------------------------- */

static struct matrix_error *not_now(const struct life *life, const char *remedy)
{
    return error_usage(remedy, "the guest is %s", life_state_name(life->state));
}

struct matrix_error *life_start(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (life->state == LIFE_PAUSED)
        return not_now(life, "resume it");
    if (!is_down(life) && life->state != LIFE_BACKOFF)
        return not_now(life, NULL);
    begin(lives, index, now_ns);
    start_waiting(lives, now_ns);
    return NULL;
}

struct matrix_error *life_stop(struct lives *lives, unsigned index, uint64_t now_ns)
{
    if (is_down(&lives->lives[index]))
        return not_now(&lives->lives[index], NULL);
    stop(lives, index, now_ns);
    return NULL;
}

/* It is not up any more, and starts again; those that stop with it go on: it is not down for good. */
static void start_again(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (is_up(life) || life->is_made)
        lives->actions->stop(lives->context, index);
    life->is_made = false;
    begin(lives, index, now_ns);
    start_waiting(lives, now_ns);
}

struct matrix_error *life_restart(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (life->state == LIFE_STARTING)
        return not_now(life, NULL);
    start_again(lives, index, now_ns);
    return NULL;
}

void life_set_rules(struct lives *lives, unsigned index, const struct life_rules *rules)
{
    lives->lives[index].rules = *rules;
}

void life_renew(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    const bool is_under_way = life->state == LIFE_STARTING || life->is_discarded;
    life->is_stale = is_under_way;
    if (life->state == LIFE_STOPPED)
        return;
    /* What is under way comes first; then it is made again. */
    life->is_discarded = is_under_way;
    start_again(lives, index, now_ns);
}

struct matrix_error *life_pause(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (life->state != LIFE_RUNNING)
        return not_now(life, NULL);
    enter(life, LIFE_PAUSED, now_ns);
    lives->actions->pause(lives->context, index);
    return NULL;
}

struct matrix_error *life_resume(struct lives *lives, unsigned index, uint64_t now_ns)
{
    struct life *life = &lives->lives[index];
    if (life->state != LIFE_PAUSED)
        return not_now(life, NULL);
    enter(life, LIFE_RUNNING, now_ns);
    lives->actions->resume(lives->context, index);
    return NULL;
}

bool lives_are_over(const struct lives *lives)
{
    for (unsigned i = 0; i < lives->count; i++) {
        const enum life_state state = lives->lives[i].state;
        if (is_up(&lives->lives[i]) || state == LIFE_STARTING || state == LIFE_BACKOFF)
            return false;
    }
    return true;
}
