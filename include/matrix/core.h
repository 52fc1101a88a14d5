/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A core: one thread that runs the virtual CPUs of its guests in slices, by contract.
 *
 * The calling thread is the core: no other thread is started, nothing is locked but an output while
 * guests print to it, which those of other cores may share (matrix/vm.h). A timer
 * signal (SIGRTMIN) ends a slice; it is blocked except inside KVM_RUN. SIGINT, SIGTERM and SIGHUP
 * end matrix_core_run in the same way, and SIGIO says that a watched descriptor is ready. What they
 * were set to is restored afterwards.
 */
#ifndef MATRIX_CORE_H
#define MATRIX_CORE_H

#include <matrix/error.h>
#include <matrix/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MATRIX_SLICE_DEFAULT_NS 1000000ULL
#define MATRIX_SLICE_MINIMUM_NS 50000ULL
#define MATRIX_SLICE_MAXIMUM_NS 10000000000ULL
#define MATRIX_WEIGHT_MAX       10000
#define MATRIX_WHOLE_CORE       1000000 /* floors and ceilings are parts per million of a core */

struct matrix_core;
struct matrix_core_group;

struct matrix_core_options {
    int cpu;              /* the host CPU to be pinned to; negative: wherever the host likes */
    uint64_t slice_ns;    /* MATRIX_SLICE_MINIMUM_NS to _MAXIMUM_NS; 0: MATRIX_SLICE_DEFAULT_NS */
    uint64_t duration_ns; /* wall time after which the run ends; 0: no limit */
    uint64_t tick_ns;     /* wall time between calls of tick; 0: never */
    void (*tick)(struct matrix_core *core, void *context);
    /* A guest has ended, by itself or by matrix_core_stop_guest: called once for each, between two
     * slices. Not for those that the end of the run stops. NULL: nobody is told. */
    void (*ended)(struct matrix_core *core, struct matrix_vm *vm, void *context);
    void *context;
    const char *policy;         /* "contract", the default, or "round-robin" */
    uint64_t board_interval_ns; /* how often the board is brought up to date; 0: every 100 ms */
    unsigned board_stays; /* how many stays it remembers: a power of two, to 1048576; 0: 65536 */
    bool persistent;      /* the run goes on when no guest is left: others may be added */
    /* SIGINT, SIGTERM and SIGHUP are for another thread: block them in this one. */
    bool leaves_signals;
};

MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_create(const struct matrix_core_options *options, struct matrix_core **core);

/* Guests that were added are not destroyed with it. NULL is allowed. */
MATRIX_API void matrix_core_destroy(struct matrix_core *core);

/*
 * Guests come, change and go before the run or while it lasts: then from the tick, from a watcher or from
 * ended, and it holds from the next slice on.
 */

/* Puts a guest under contract, which must not have ended yet: weight is 1 to MATRIX_WEIGHT_MAX. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_add(struct matrix_core *core, struct matrix_vm *vm, unsigned weight);

/*
 * What a guest, or a group of guests, gets. Fields that are 0 say nothing, so that a struct that was
 * initialised by name stays right when fields are added; only weight is needed.
 */
struct matrix_contract {
    unsigned weight; /* its part of the time, against the others' weights: 1 to MATRIX_WEIGHT_MAX */
    uint32_t floor_ppm;   /* never less while it can run, in parts per million of the core */
    uint32_t ceiling_ppm; /* never more, even if nobody else runs: of the wall time */
    uint64_t latency_ns;  /* the longest wait from ready to run; a promise only with floors */
    struct matrix_core_group *group; /* whose time it shares; NULL: the core's own */
};

/*
 * Puts a guest under such a contract. MATRIX_ERROR_USAGE: floors add up to more than there is, a latency
 * target cannot be kept, a floor is above its ceiling; the message has the figures.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_add_contract(struct matrix_core *core, struct matrix_vm *vm,
                         const struct matrix_contract *contract);

/* Makes a group: its members share its time, by their contracts. It is gone with the core, or when it is
 * removed. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_add_group(struct matrix_core *core, const char *name,
                      const struct matrix_contract *contract, struct matrix_core_group **group);

/* Changes a guest's contract, but for its group. Fails as matrix_core_add_contract does, changing nothing. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_set_contract(struct matrix_core *core, struct matrix_vm *vm,
                         const struct matrix_contract *contract);

/* Changes a group's, but for the group that it is in; likewise. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_set_group(struct matrix_core *core, struct matrix_core_group *group,
                      const struct matrix_contract *contract);

/* MATRIX_ERROR_USAGE: it has members. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_remove_group(struct matrix_core *core, struct matrix_core_group *group);

/* A paused guest does not run, has no share and earns none; its clock goes on, and so do its sleeps. Paused
 * twice is paused. MATRIX_ERROR_USAGE: it is not on this core, or has ended. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_core_pause(struct matrix_core *core,
                                                                    struct matrix_vm *vm);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_core_resume(struct matrix_core *core,
                                                                     struct matrix_vm *vm);

/* Ends a guest (MATRIX_VM_STOPPED), which stays on the core for its report. Nothing if it has ended. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_core_stop_guest(struct matrix_core *core,
                                                                         struct matrix_vm *vm);

/* Puts a new guest in the place of one that has ended: under its contract, with its figures going on. The
 * old one is the caller's again. MATRIX_ERROR_USAGE: it has not ended, or the new one has. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_core_replace(struct matrix_core *core, struct matrix_vm *ended, struct matrix_vm *vm);

/*
 * Takes a guest off, whatever its state, with what the core knows of its contract. It is as it was: it can
 * be destroyed, or added to another core, where it goes on (paused guests as well as others).
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_core_remove(struct matrix_core *core,
                                                                     struct matrix_vm *vm);

enum matrix_core_end {
    MATRIX_CORE_ALL_ENDED, /* no guest is left */
    MATRIX_CORE_DURATION,  /* the time was up */
    MATRIX_CORE_STOPPED,   /* matrix_core_stop was called */
    MATRIX_CORE_SIGNAL,    /* SIGINT, SIGTERM or SIGHUP came: see signal */
};

struct matrix_core_result {
    enum matrix_core_end end;
    int signal;
};

/*
 * Runs the guests until the last has ended (unless persistent), the duration is over, or a signal asks for
 * the end.
 * Guests that are still alive then are stopped. What was printed without loss is waited for. A core
 * runs once. A guest's fault is not an error here: it ends
 * that guest alone.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_core_run(struct matrix_core *core,
                                                                  struct matrix_core_result *);

/* To be called from the tick, a watcher or ended: ends the run as if the duration were over. */
MATRIX_API void matrix_core_stop(struct matrix_core *core);

typedef void matrix_core_watcher(struct matrix_core *core, int fd, void *context);

/*
 * While the core runs, has function called when one of events (poll(2): POLLIN, POLLOUT), an error
 * or a hangup is there on fd. For one descriptor at most in any 2 ms, in turn, and for a tenth of the
 * time, so that guests keep theirs whatever is at the other end, as long as function never blocks. Its
 * time is the loop's own, charged to no guest.
 *
 * Costs nothing while nothing comes: the descriptor sends SIGIO (O_ASYNC, which the open file
 * description keeps until it is unwatched). So it is a socket, a pipe or a terminal.
 *
 * To be called before matrix_core_run, or from function or the tick. The same fd again: changes what
 * was said before. MATRIX_ERROR_HOST: too many (32).
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_core_watch(struct matrix_core *core,
                                                                    int fd, short events,
                                                                    matrix_core_watcher *function,
                                                                    void *context);

/* No more of that; to be called before fd is closed. */
MATRIX_API void matrix_core_unwatch(struct matrix_core *core, int fd);

/* What the loop itself did. Times are of the thread's CPU clock unless they say wall. */
struct matrix_core_statistics {
    uint64_t wall_ns;        /* since matrix_core_run began */
    uint64_t guests_cpu_ns;  /* charged to guests */
    uint64_t overhead_ns;    /* what the loop cost; charged to nobody */
    uint64_t idle_wall_ns;   /* nobody could run */
    uint64_t decisions;      /* how often the policy was asked */
    uint64_t switches;       /* how often another virtual CPU came on */
    uint64_t timer_signals;  /* delivered: slices ended by the timer, and events */
    uint64_t stale_signals;  /* delivered after what they were armed for was over */
    uint64_t delay_worst_ns; /* wall time from a slice's end to the loop's having the core back */
    uint64_t delay_median_ns, delay_p99_ns;
    size_t guests;
};

MATRIX_API void matrix_core_statistics(const struct matrix_core *core,
                                       struct matrix_core_statistics *statistics);

/* A guest's contract and what became of it. */
struct matrix_core_guest {
    struct matrix_vm *vm;
    unsigned weight;
    const char *state; /* "running", "ready", "paused", "sleeping", "waiting", "exited", … */
    double promised;   /* its rightful share while it and others could run; NaN: never so */
    double given;      /* the share that it got in that time */
    uint64_t cpu_ns;   /* all that it was charged */
    uint64_t contended_cpu_ns;   /* of that: while others could run, too */
    uint64_t alone_cpu_ns;       /* of that: while nobody else could */
    uint64_t contended_total_ns; /* all guests' CPU time while this and others could run */
    uint64_t entitled_ns;        /* what its weight entitles it to, of contended_total_ns */
    uint64_t slices;             /* times it came on */
    uint64_t preemptions;        /* times another came on because its slice was over */
    uint64_t io_switches;        /* times another came on because of its port I/O */
    struct matrix_contract contract;
    const char *group; /* the name of its group; NULL: none */
};

/* index is the order of adding, without those that were removed; false past the last one. */
MATRIX_API bool matrix_core_guest(const struct matrix_core *core, size_t index,
                                  struct matrix_core_guest *guest);

/*
 * The board on which the core shows what it does, for others to read (include/matrix/board.h). *fd is the
 * core's, to be passed on. The first call makes it, before the run or as matrix_core_watch may be called;
 * nothing is spent on it before.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_core_board(struct matrix_core *core,
                                                                    int *fd);

/* The share of the core, 0 to 1, that a guest is guaranteed while it can run, and the one that it gets while
 * all others can, too. The same index. */
MATRIX_API bool matrix_core_promise(const struct matrix_core *core, size_t index,
                                    double *guaranteed, double *if_all_run);

#ifdef __cplusplus
}
#endif
#endif
