/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine: several cores (matrix/core.h), each a thread of its own, and guests that are placed on them by
 * contract and moved when cores are out of balance.
 *
 * The calling thread runs the first core; each of the others is started by matrix_machine_run. They share
 * nothing but what guests on several of them print to: a matrix_output is locked while it is written to, so that
 * a regular file on a disk that stalls holds up all cores whose guests print there. Who is where, and why, and by
 * how much of its share a guest may be wrong there, is said in cloud/placement.h. A group lives on one core, with
 * all its members.
 *
 * All functions are for the thread that runs the machine: before the run or after it, or meanwhile from tick,
 * ended, removed, or a watcher of the first core. What they ask of another core happens there within
 * a few milliseconds. What can be refused is refused at once; but see matrix_machine_guest.error, and
 * matrix_machine_options.refused.
 */
#ifndef MATRIX_MACHINE_H
#define MATRIX_MACHINE_H

#include <matrix/core.h>

#ifdef __cplusplus
extern "C" {
#endif

struct matrix_machine;
struct matrix_machine_group;

struct matrix_machine_options {
    unsigned cores;        /* 1 to 1024 */
    const int *cpus;       /* for each core the host CPU to be pinned to; NULL: none is */
    uint64_t slice_ns;     /* as in matrix_core_options, as is all that is not explained here */
    uint64_t duration_ns;  /* wall time of the run; 0: no limit */
    uint64_t tick_ns;      /* wall time between calls of tick; 0: never */
    uint64_t rebalance_ns; /* wall time between attempts to balance the cores; 0: nobody is moved */
    unsigned moves;        /* at most so many guests are moved at a time; 0: 1 */
    const char *policy;    /* "contract", the default, or "round-robin" */
    bool persistent;       /* the run goes on when no guest is left */
    bool
        keeps_ended; /* who has ended keeps its place, floor included, until it is removed or replaced */
    void (*tick)(struct matrix_machine *machine, void *context);
    /* A guest has ended. Not for those that the end of the run stops. */
    void (*ended)(struct matrix_machine *machine, struct matrix_vm *vm, void *context);
    /* matrix_machine_remove or _replace is done: the guest may be destroyed, or given to somebody else. */
    void (*removed)(struct matrix_machine *machine, struct matrix_vm *vm, void *context);
    /* A core could not do what was agreed to: it has no memory, say. A contract that was set, of that guest (NULL: of
     * a group), is the old one there until it is set anew. error is the machine's. NULL: nobody is told. */
    void (*refused)(struct matrix_machine *machine, struct matrix_vm *vm,
                    const struct matrix_error *error, void *context);
    void *context;
};

/* options.cpus is copied. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_create(const struct matrix_machine_options *options,
                      struct matrix_machine **machine);

/* Guests that were added are not destroyed with it. NULL is allowed. */
MATRIX_API void matrix_machine_destroy(struct matrix_machine *machine);

struct matrix_machine_contract {
    struct matrix_contract contract;    /* but for its group, which is: */
    struct matrix_machine_group *group; /* NULL: none */
    bool pinned;                        /* to this core; not for those in a group: */
    unsigned core;                      /* counted from 0 */
};

/* Makes a group, on the core that suits it; a group in a group is on that one's. name is copied.
 * MATRIX_ERROR_USAGE: no core has room for its floor (the message shows the sums), and so on. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_add_group(struct matrix_machine *machine, const char *name,
                         const struct matrix_machine_contract *contract,
                         struct matrix_machine_group **group);

/* Places a guest. If no core has room for its floor and guests may be moved (rebalance_ns), room is made. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_add(struct matrix_machine *machine, struct matrix_vm *vm,
                   const struct matrix_machine_contract *contract);

/* Changes a contract and the pin, but for the group: it may have to move for it. Fails, changing nothing, as
 * adding does; or with MATRIX_ERROR_HOST (EAGAIN) while it is on its way to another core. That is also how a
 * floor is refused here, and by adding, for which there may be room when somebody else has come to its core. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_set(struct matrix_machine *machine, struct matrix_vm *vm,
                   const struct matrix_machine_contract *contract);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_set_group(struct matrix_machine *machine, struct matrix_machine_group *group,
                         const struct matrix_machine_contract *contract);

/* Whether a floor that was lowered is not free yet, since its guest or group is on its way to another core. */
MATRIX_API bool matrix_machine_holds_floors(const struct matrix_machine *machine);

/* As those of matrix_core. A guest is off the machine when removed is called; before the run, and
 * after it, that is before the function returns. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_pause(struct matrix_machine *machine, struct matrix_vm *vm);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_resume(struct matrix_machine *machine, struct matrix_vm *vm);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_stop_guest(struct matrix_machine *machine, struct matrix_vm *vm);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_remove(struct matrix_machine *machine, struct matrix_vm *vm);

/*
 * Puts a new guest in the place of one, which is stopped if it has not ended: under its contract, with its figures
 * going on. From now on the place is the new one's for all functions; the old one is the caller's again when
 * removed is called for it. Only with keeps_ended. MATRIX_ERROR_USAGE: the new one has ended.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_replace(struct matrix_machine *machine, struct matrix_vm *old, struct matrix_vm *vm);

/*
 * Has function called in the thread of the core where the guest is, between two slices: there alone may a guest
 * be looked into (matrix_vm_translate and the like) while others run. It must not block. Then done (NULL: none)
 * is called as tick is. Both are called exactly once if this succeeds, at the end of the run at the latest.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_call(struct matrix_machine *machine, struct matrix_vm *vm,
                    void (*function)(struct matrix_vm *vm, void *context),
                    void (*done)(struct matrix_machine *machine, void *context), void *context);

/* The same for a core, counted from 0: function may do to it what a tick of it may (matrix_core_board). */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_visit(struct matrix_machine *machine, unsigned core,
                     void (*function)(struct matrix_core *core, void *context),
                     void (*done)(struct matrix_machine *machine, void *context), void *context);

/*
 * Asks all cores how they and their guests are. When done is called, everything that was asked for before
 * this has been done, and what matrix_machine_guest, _core and _promise say is not older than this call.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_refresh(struct matrix_machine *machine,
                       void (*done)(struct matrix_machine *machine, void *context), void *context);

/* MATRIX_ERROR_USAGE: it has members, or groups. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_remove_group(struct matrix_machine *machine, struct matrix_machine_group *group);

/*
 * Runs all cores until the last guest has ended (unless persistent), the duration is over, a signal asks for
 * the end, or matrix_machine_stop was called; guests that are alive then are stopped. When all have ended by
 * themselves, what was printed without loss is waited for. SIGINT, SIGTERM and
 * SIGHUP come to the first core, whatever thread could have had them. A machine runs once.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_machine_run(struct matrix_machine *machine, struct matrix_core_result *result);

MATRIX_API void matrix_machine_stop(struct matrix_machine *machine);

/* The core of the calling thread: for matrix_core_watch, and nothing else. */
MATRIX_API struct matrix_core *matrix_machine_first_core(struct matrix_machine *machine);

/* --- what became of it ------------------------------------------------------------------------- */

/* A guest on a machine. During the run what is on other cores is as old as the last report from there, which
 * comes with each tick and each attempt to balance. */
struct matrix_machine_guest {
    struct matrix_core_guest
        guest; /* summed over all cores that it has been on; contract.group is not set */
    struct matrix_vm_info info;
    unsigned core; /* where it is, or is about to be */
    bool pinned;
    uint64_t ready_ns;                /* the wall time that it could run */
    uint64_t moves;                   /* how often it has changed cores */
    const struct matrix_error *error; /* a core could not take it, and it was ended; NULL */
};

/* index is the order of adding, without those that were removed; false past the last one. */
MATRIX_API bool matrix_machine_guest(const struct matrix_machine *machine, size_t index,
                                     struct matrix_machine_guest *guest);

/* As matrix_core_promise, for the core where the guest is; elsewhere than on the first as of the last
 * matrix_machine_refresh. */
MATRIX_API bool matrix_machine_promise(const struct matrix_machine *machine, size_t index,
                                       double *guaranteed, double *if_all_run);

struct matrix_machine_core {
    struct matrix_core_statistics loop;
    int cpu;       /* the host CPU; negative: any */
    double load;   /* the sum of ideal shares, 1 being right; see cloud/placement.h */
    double floors; /* that are promised here, as a part of the core */
};

/* core is counted from 0; false past the last one. */
MATRIX_API bool matrix_machine_core(const struct matrix_machine *machine, unsigned core,
                                    struct matrix_machine_core *result);

/* By how much of a core a guest may be short of what is ideally its share now, for being where it is. */
MATRIX_API double matrix_machine_shortfall(const struct matrix_machine *machine);

#ifdef __cplusplus
}
#endif
#endif
