/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two honest guests under contract, 70 to 30, and an attacker beside them with a contract of its own. The
 * attacker is made anew whenever it ends, at once, by the thread that does so for a cloud. What the
 * neighbours had is reckoned from every stay on the core (include/matrix/board.h), as it went on.
 */
#ifndef TESTS_KVM_ATTACK_SCENE_H
#define TESTS_KVM_ATTACK_SCENE_H

#include "tests/kvm/host.h"
#include "tests/kvm/lag.h"

/* Out of 200: the attacker may have half of the core. */
#define ATTACK_WEIGHTS \
    {                  \
        70, 30, 100    \
    }
#define ATTACK_NEIGHBOUR_EXITS \
    {                          \
        17, 18                 \
    } /* the neighbours' exit statuses */

enum attack_output {
    ATTACK_UNHEARD, /* to a pipe that nobody reads; what does not fit is dropped */
    ATTACK_WAITS,   /* the same, but the guest waits for its reader */
    ATTACK_TERMINAL /* what a guest of a cloud gets: to a file, tagged, escaped, and at a rate */
};

struct attack {
    const char *name;
    const char *const *argv;
    const char *const *next; /* the first argument of each life in turn, in place of argv[1] */
    uint64_t memory_bytes;
    enum attack_output output;
    void (*tamper)(struct matrix_vm *vm); /* what a guest cannot do itself */
    /* What becomes of it. */
    bool may_end_anyhow;
    bool rests; /* it sleeps or waits: what its stays lasted says nothing of what it did */
    enum matrix_vm_state state; /* ALIVE: it goes on until it is stopped */
    const char *explanation;    /* in the report, if state is FAULTED */
    uint64_t lives_least;
    bool drops; /* output is dropped, and counted */
};

struct attack_result {
    /* The neighbours against each other: what the one has had beyond its 70 of 100, or the other of 30. */
    struct lag mutual;
    /* Against all contracts: what each has had less than its 70 or 30 of 200 of all that was charged. */
    struct lag guaranteed[2];
    double share;          /* the first's, of what both had */
    double attacker_share; /* of all */
    double loop_share;     /* what was charged to nobody, of all CPU time */
    uint64_t total_ns;     /* charged while both neighbours ran */
    uint64_t stays;        /* of the three, in that time */
    /* In stays of half a slice or more, of the neighbours and of the attacker: how long they lasted, and what
     * was charged for them. */
    uint64_t lasted_ns[2], charged_ns[2];
    uint64_t away_ns[2];            /* the longest of what one lasted and was not charged */
    uint64_t overcharges;           /* stays that were charged more than they lasted */
    uint64_t lives;                 /* of the attacker, that have ended by themselves */
    uint64_t faults;                /* of those: by a fault */
    uint64_t unexplained;           /* faults whose report does not say what it should */
    uint64_t exits;                 /* of all its lives */
    uint64_t dropped_lines;         /* likewise */
    enum matrix_vm_state state;     /* of the last life that ended by itself; ALIVE if none has */
    struct matrix_vm_info ended[2]; /* the neighbours' ends */
    bool unharmed[2];               /* they found their memory as it was, and said so */
    bool is_exact; /* the stays add up to what was charged, to the nanosecond; none was lost */
};

/* Runs it until there were enough stays, and the attacker has had enough lives, and its lines were dropped; for
 * four minutes at most. Then the neighbours are told to end. */
struct attack_result attack_run(const struct attack *attack);

#endif
