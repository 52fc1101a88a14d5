/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When guests start, stop and start again: what their file and the commands of its owner say, as a state
 * machine. Pure: it knows no clock, no KVM and no core; what is to be done it asks of its owner, and what
 * became of it it is told. Called by `matrix cloud`, and by tests with a simulated clock.
 *
 * A guest starts when all those that it comes after have come to run. One that ends badly (a fault, a
 * status other than 0, or it could not be made) starts again if its policy says so: after a pause that
 * doubles with each failure in a row, and is forgotten once it has run for long enough. A guest that is
 * down for good takes those with it that stop with it.
 */
#ifndef CLOUD_LIFECYCLE_H
#define CLOUD_LIFECYCLE_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIFE_BACKOFF_DEFAULT_NS 100000000ULL   /* the first pause */
#define LIFE_BACKOFF_MAX_NS     60000000000ULL /* the longest */
#define LIFE_GOOD_RUN_NS        10000000000ULL /* after so long a run the pause is the first again */

enum life_state {
    LIFE_WAITING,  /* for those that it comes after */
    LIFE_STARTING, /* it is being made */
    LIFE_RUNNING,
    LIFE_PAUSED,
    LIFE_BACKOFF, /* it ended badly, and will start again */
    LIFE_ENDED,   /* by itself, for good */
    LIFE_STOPPED, /* by command, or with another */
};

enum life_restart { LIFE_NEVER, LIFE_ON_FAILURE };

/* What the file says of one guest. */
struct life_rules {
    enum life_restart restart;
    uint64_t backoff_ns;   /* the first pause; 0: LIFE_BACKOFF_DEFAULT_NS */
    const unsigned *after; /* guests that run before it does; the caller's */
    unsigned after_count;
    const unsigned *stop_with; /* guests whose end is its own; the caller's */
    unsigned stop_with_count;
};

struct life {
    struct life_rules rules;
    enum life_state state;
    bool is_made;      /* there is a guest that has not run yet */
    bool is_discarded; /* what is being made is not wanted any more */
    bool is_stale;     /* what is being made is of a description that does not hold any more */
    bool has_run; /* it has come to run at least once since it was started by file or command */
    bool failed;  /* while LIFE_ENDED: it ended badly */
    unsigned restarts; /* by its policy, in all */
    unsigned failures; /* in a row */
    uint64_t since_ns; /* in this state */
    uint64_t retry_ns; /* while LIFE_BACKOFF */
};

/* What is to be done; index is the guest's. None of these may call back. */
struct life_actions {
    void (*run)(void *context, unsigned index);  /* let the guest that is made run */
    void (*make)(void *context, unsigned index); /* make it anew; lives_made() tells */
    void (*stop)(void *context,
                 unsigned index); /* end it; lives_ended() is not to be called for it */
    void (*pause)(void *context, unsigned index);
    void (*resume)(void *context, unsigned index);
};

struct lives {
    struct life *lives;
    unsigned count;
    const struct life_actions *actions;
    void *context;
};

/* "pending", "starting", "running", …: fewer than 16 bytes. */
const char *life_state_name(enum life_state state);

void lives_init(struct lives *lives, const struct life_actions *actions, void *context);
void lives_release(struct lives *lives);

/* One more, the last index; is_made: there is a guest that has not run yet. It does nothing until
 * lives_begin() or life_start(). */
struct matrix_error *lives_add(struct lives *lives, const struct life_rules *rules,
                               bool is_made) MATRIX_MUST_CHECK;

/* The cloud begins: everyone starts, or waits. */
void lives_begin(struct lives *lives, uint64_t now_ns);

/* Whether what is being made will be used when it is there; else it is to be destroyed. */
bool life_wants(const struct lives *lives, unsigned index);

/* What was being made is there, or could not be made. False: it was not wanted any more. */
bool lives_made(struct lives *lives, unsigned index, bool success, uint64_t now_ns);

/* A guest has ended by itself; failed: badly. */
void lives_ended(struct lives *lives, unsigned index, bool failed, uint64_t now_ns);

/* Pauses that are over end. To be called now and then: lives_next_ns() says when; UINT64_MAX: never. */
void lives_tick(struct lives *lives, uint64_t now_ns);
uint64_t lives_next_ns(const struct lives *lives);

/* Commands. MATRIX_ERROR_USAGE: not in this state; the message says which. */
struct matrix_error *life_start(struct lives *lives, unsigned index,
                                uint64_t now_ns) MATRIX_MUST_CHECK;
struct matrix_error *life_stop(struct lives *lives, unsigned index,
                               uint64_t now_ns) MATRIX_MUST_CHECK;
struct matrix_error *life_restart(struct lives *lives, unsigned index,
                                  uint64_t now_ns) MATRIX_MUST_CHECK;
struct matrix_error *life_pause(struct lives *lives, unsigned index,
                                uint64_t now_ns) MATRIX_MUST_CHECK;
struct matrix_error *life_resume(struct lives *lives, unsigned index,
                                 uint64_t now_ns) MATRIX_MUST_CHECK;

/* Other rules hold from now on; their lists are the caller's, as in lives_add(). */
void life_set_rules(struct lives *lives, unsigned index, const struct life_rules *rules);

/* What it is made from has changed: it ends, and starts again, unless it was stopped. Those that stop with it
 * go on. */
void life_renew(struct lives *lives, unsigned index, uint64_t now_ns);

/* Nothing runs, and nothing will by itself. */
bool lives_are_over(const struct lives *lives);

#endif
