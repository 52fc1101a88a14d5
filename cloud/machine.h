/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine of several cores, for cloud/machine*.c. Strangers see include/matrix/machine.h.
 *
 * Who owns what, as nothing is locked but outputs (vmm/output.c):
 *  - the first thread: the registry (struct machine_guest, unit, matrix_machine_group) and the placement;
 *  - the thread of a core: its matrix_core, and the parties that are on it. A party is what moves as one, a
 *    guest or a group with its members: its seats (guests) and lots (groups);
 *  - a letter in an inbox, and the party in it: nobody, until it is taken out.
 * The registry points to parties, seats and lots, and looks into them only when they are on the first core or
 * no other thread runs; else these are names in letters. The first thread alone frees them, when a letter
 * has come back that says they are on no core any more.
 *
 * A move: the first thread writes LETTER_GO to the core where the party is. That takes it off its loop, sums
 * up what was given to it, and hands it on (LETTER_COME) to the other core, which adds it, and tells the
 * first thread (LETTER_CAME). What is asked for meanwhile waits in unit.pending. Letters between two threads
 * arrive in the order of writing.
 *
 * Floors: at any time the books (placement.h) count for each core no less than it will have promised when it has read
 * all letters that were written; so no core has to refuse a party, or a change. For that
 *  - a floor is taken in the books before the letter is written that takes it on the core, and is free in the books
 *    when that letter is written which gives it back there: LETTER_GO, or a change to a smaller one; by who has
 *    ended or is removed, when that is answered;
 *  - a change to a smaller floor of a party that is on its way is no such letter: it waits. Until LETTER_CAME the books
 *    keep the larger floor (unit.wanted is what was asked for last); who needs that room is told to try again;
 *  - a party that has to move for a smaller floor has it before it goes, for a larger one when it has come.
 * Should a core refuse all the same, as without memory, matrix_machine_options.refused is told.
 */
#ifndef CLOUD_MACHINE_H
#define CLOUD_MACHINE_H

#include "cloud/core.h"
#include "cloud/placement.h"
#include <matrix/machine.h>
#include <pthread.h>
#include <stdatomic.h>

struct machine_core;
struct letter;
struct unit;

/* --- machine_inbox.c: how letters go from thread to thread --------------------------------------------- */

struct inbox {
    _Atomic(struct letter *) head; /* the last one that came */
    int bell[2];                   /* a pipe: readable when the inbox is no longer empty */
};

struct matrix_error *inbox_create(struct inbox *inbox) MATRIX_MUST_CHECK;
void inbox_destroy(struct inbox *inbox); /* with the letters in it */
void inbox_put(struct inbox *inbox, struct letter *letter);
struct letter *inbox_take_all(struct inbox *inbox); /* in the order of putting */

/* --- what is on a core --------------------------------------------------------------------------------- */

struct lot {
    struct lot *next; /* parents come first */
    struct lot *parent;
    struct matrix_contract contract;
    struct matrix_core_group *on_core; /* NULL: it is on none */
    char name[];
};

struct seat {
    struct seat *next;
    struct matrix_vm *vm;
    struct machine_guest *guest; /* a name in letters */
    struct lot *lot;             /* NULL: none */
    struct matrix_contract contract;
    struct guest *on_core; /* as that core knows it; NULL: it is on none */
    bool paused, ended;
    struct matrix_machine_guest past; /* what cores that it has left gave to it */
    struct letter *last;              /* made in time: it is to be sent when the guest has ended */
};

struct party {
    struct party *next, **link; /* on its core */
    struct unit *unit;          /* a name in letters */
    struct lot *lots;
    struct seat *seats;
};

enum letter_kind {
    LETTER_COME,   /* a party: take it on. Answered by LETTER_CAME */
    LETTER_GO,     /* a party: send it to the core letter.to */
    LETTER_CHANGE, /* a party: do letter.act. Answered by LETTER_CHANGED */
    LETTER_REPORT, /* say how all are. Answered by LETTER_REPORTED */
    LETTER_END,    /* stop. Not answered */
    LETTER_CAME,
    LETTER_CHANGED,
    LETTER_REPORTED,
    LETTER_ENDED,    /* a guest has ended, and is on no core */
    LETTER_FINISHED, /* the core's run is over */
};

struct report_line {
    struct machine_guest *guest;
    struct matrix_machine_guest now;
    double guaranteed, if_all_run; /* only if letter.refresh */
};

/* A call of matrix_machine_refresh, until the last core has reported. */
struct refresh {
    unsigned missing;
    void (*done)(struct matrix_machine *machine, void *context);
    void *context;
};

struct letter {
    struct letter *next;
    enum letter_kind kind;
    unsigned from, to; /* cores */
    struct unit *unit;
    struct party *party;
    struct seat *seat;
    struct lot *lot;
    struct machine_guest *guest;
    struct matrix_machine_group *group;
    struct matrix_contract contract;
    struct matrix_error *(*act)(struct machine_core *here, struct letter *letter);
    struct matrix_vm *vm; /* who comes, and in the answer who has gone, by matrix_machine_replace */
    bool was_told;        /* in that answer: that it had ended was told before */
    struct letter *spare; /* seat.last for who comes */
    struct refresh *refresh;                               /* of a report; NULL: it is for a tick */
    void (*function)(struct matrix_vm *vm, void *context); /* of matrix_machine_call */
    void (*visit)(struct matrix_core *core, void *context); /* of matrix_machine_visit */
    void (*done)(struct matrix_machine *machine, void *context);
    void *context;
    struct matrix_error *error;
    struct matrix_machine_guest last; /* of a guest that has ended */
    struct report_line *lines;
    size_t line_count;
    uint64_t report_ns; /* when that was */
    struct matrix_core_statistics loop;
};

struct letter *letter_create(enum letter_kind kind); /* NULL: no memory */
void letter_free(struct letter *letter);             /* NULL is allowed */

struct machine_core {
    struct matrix_machine *machine;
    unsigned number;
    int cpu;
    struct matrix_core *core;
    struct inbox inbox;
    struct party *parties;
    /* The first thread's: */
    pthread_t thread;
    bool started, finished;
    struct letter *last;                /* made in time: LETTER_FINISHED */
    struct matrix_core_statistics loop; /* as it was last told */
};

/* machine_core.c: carries out a letter on its core, in the core's thread. Answers go to the first inbox. */
void machine_core_handle(struct machine_core *here, struct letter *letter);

/* machine_core.c: callbacks of its loop. */
void machine_core_look(struct matrix_core *core, int fd, void *context);
void machine_core_ended(struct matrix_core *core, struct matrix_vm *vm, void *context);

/* machine_core.c: how a guest is, who is on that core. */
void machine_core_describe(const struct machine_core *here, const struct seat *seat,
                           struct matrix_machine_guest *now);

/* machine_core.c: a guest that has its seat comes on the core (if it cannot, that is its end); is taken off
 * it; has ended (error: because of that), which is told. */
struct matrix_error *seat_put_on(struct machine_core *here, struct seat *seat) MATRIX_MUST_CHECK;
void seat_come(struct machine_core *here, struct seat *seat);
void seat_take_off(struct machine_core *here, struct seat *seat);
void seat_end(struct machine_core *here, struct seat *seat, struct matrix_error *error);

/* machine_core.c: a group comes on the core, after the one around it; a party is on no core any more. */
struct matrix_error *lot_open(struct machine_core *here, struct lot *lot);
void party_unlink(struct party *party);

/* machine_acts.c: what LETTER_CHANGE may ask for. */
struct matrix_error *act_add_seat(struct machine_core *here, struct letter *letter);
struct matrix_error *act_remove_seat(struct machine_core *here, struct letter *letter);
struct matrix_error *act_set_seat(struct machine_core *here, struct letter *letter);
struct matrix_error *act_pause(struct machine_core *here, struct letter *letter);
struct matrix_error *act_resume(struct machine_core *here, struct letter *letter);
struct matrix_error *act_stop(struct machine_core *here, struct letter *letter);
struct matrix_error *act_replace(struct machine_core *here, struct letter *letter);
struct matrix_error *act_call(struct machine_core *here, struct letter *letter);
struct matrix_error *act_visit(struct machine_core *here, struct letter *letter);
struct matrix_error *act_add_lot(struct machine_core *here, struct letter *letter);
struct matrix_error *act_set_lot(struct machine_core *here, struct letter *letter);
struct matrix_error *act_remove_lot(struct machine_core *here, struct letter *letter);

/* --- the registry ------------------------------------------------------------------------------------------ */

/* What is placed as one. */
struct unit {
    struct placement_item item;
    struct placement_contract wanted; /* as it was set last: item's floor may be larger */
    struct unit *next, **link;
    struct party *party;
    struct policy *contracts; /* a group's: all that is in it, to see beforehand what is refused */
    struct matrix_machine_group *groups;
    unsigned at; /* the core where it is, or was before it moved */
    bool placed;
    bool moving;  /* a LETTER_COME or _GO was not answered yet: nobody knows where it is */
    bool leaving; /* asked to go for good: it is freed when that is answered, and moves no more */
    double idle;  /* the part of the last interval in which none of its guests could run */
    struct letter *pending; /* what is to be asked of it when it has come, in this order */
    struct letter **pending_end;
};

struct matrix_machine_group {
    struct matrix_machine_group *next; /* of the unit */
    struct unit *unit;
    struct matrix_machine_group *parent;
    struct policy_entity *entity; /* in unit->contracts */
    struct lot *lot;
    size_t members; /* guests and groups */
};

struct machine_guest {
    struct matrix_vm *vm;
    struct unit *unit;
    struct matrix_machine_group *group;
    struct seat *seat;
    struct policy_entity entity;     /* in unit->contracts, if it is in a group */
    struct matrix_machine_guest now; /* as it was last told */
    uint64_t seen_ns, seen_ready_ns; /* at the last attempt to balance */
    uint64_t now_ns;                 /* when now was */
    double idle; /* between the last two attempts: the part when it could not run */
    double guaranteed, if_all_run; /* as of the last refresh */
    bool ended, leaving;
    unsigned replacing; /* calls of matrix_machine_replace that were not answered yet */
    struct matrix_error *error;
};

struct matrix_machine {
    struct matrix_machine_options options;
    struct machine_core *cores;
    struct placement *placement;
    struct machine_guest **guests;
    size_t guest_count, alive;
    struct unit *units;
    bool running, ran, all_ended;
    struct matrix_error *error; /* the first of a core that failed */
    unsigned reports_missing;
    uint64_t next_tick_ns, next_balance_ns;
};

/* machine.c: hands a letter to that core. */
void machine_post(struct matrix_machine *machine, unsigned core, struct letter *letter);

/* machine_units.c: a letter has come back. */
void machine_receive(struct matrix_machine *machine, struct letter *letter);

/* machine_units.c: carries out what the books have just moved, in their order. Without memory some stay, and so say
 * the books. */
void unit_move_all(struct matrix_machine *machine, const struct placement_move *moves,
                   size_t count);

/* machine_units.c: one that was placed comes to its first core. Takes the letter, a LETTER_COME. */
void unit_come(struct matrix_machine *machine, struct unit *unit, struct letter *letter);

/* machine_units.c: asks the core where it is, or will be, for something. Takes the letter. */
void unit_ask(struct matrix_machine *machine, struct unit *unit, struct letter *letter);

/* machine_units.c: the same, and it is the last that is asked of it. */
void unit_leave(struct matrix_machine *machine, struct unit *unit, struct letter *letter);

/* machine_units.c: a unit is made, with an empty party (NULL: no memory); and goes. */
struct unit *unit_create(struct matrix_machine *machine);
void unit_destroy(struct matrix_machine *machine, struct unit *unit);
/* machine_units.c: the books find a place for it, and others make room, if they may. */
struct matrix_error *unit_place(struct matrix_machine *machine, struct unit *unit, const char *name,
                                const struct matrix_machine_contract *contract);
/* machine_units.c: its contract becomes another in the books, it moves if it must, and its core is asked for the same.
 * Takes the letter if it succeeds. */
struct matrix_error *unit_set(struct matrix_machine *machine, struct unit *unit,
                              const struct matrix_machine_contract *contract,
                              struct letter *letter);

/* The contract as the policy has it. */
static inline struct policy_contract
machine_contract(const struct matrix_machine_contract *contract)
{
    return (struct policy_contract){.weight = contract->contract.weight,
                                    .floor_ppm = contract->contract.floor_ppm,
                                    .ceiling_ppm = contract->contract.ceiling_ppm,
                                    .latency_ns = contract->contract.latency_ns};
}

/* machine_guests.c: whether a contract could be kept if the guest were alone; and a pin. */
struct matrix_error *machine_check_alone(const struct matrix_machine *machine, const char *name,
                                         const struct matrix_machine_contract *contract);
struct matrix_error *machine_check_pin(const char *name,
                                       const struct matrix_machine_contract *contract);

/* machine_guests.c: off the registry; and a group. They are on no core any more. */
void machine_guest_forget(struct matrix_machine *machine, struct machine_guest *guest);
void machine_group_forget(struct matrix_machine *machine, struct matrix_machine_group *group);

/* machine_guests.c: if nobody is alive, and nobody may come, the run is over. */
void machine_look_for_end(struct matrix_machine *machine);

/* machine_balance.c: the tick of the first core; all have reported: guests are moved if it is time to. */
void machine_tick(struct matrix_core *core, void *context);
void machine_balance(struct matrix_machine *machine);
/* machine_look.c: a report has come. */
void machine_take_report(struct matrix_machine *machine, struct letter *letter);
/* machine_balance.c: what guests that are on no core any more have printed goes out; true: all of it has that must
 * not be lost. */
bool machine_flush(struct matrix_machine *machine);
uint64_t machine_tick_ns(const struct matrix_machine_options *options);

#endif
