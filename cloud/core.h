/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A core's state, for core.c (the loop), idle.c (when nobody can run) and contract.c (what was
 * promised and given). Strangers see include/matrix/core.h. */
#ifndef CLOUD_CORE_H
#define CLOUD_CORE_H

#include "base/heap.h"
#include "cloud/board.h"
#include "cloud/delays.h"
#include "cloud/policy.h"
#include "cloud/preempt.h"
#include "vmm/vcpu.h"
#include <matrix/core.h>
#include <sched.h>

/* How often waiting guests are looked after while others run: what a key press may wait. */
#define POLL_INTERVAL_NS 2000000ULL

/* At most one watched descriptor is looked after in such a time, whatever its other end does; and that
 * takes a tenth of the time at most, unless it takes very long. */
#define WATCH_INTERVAL_NS         2000000ULL
#define WATCH_INTERVAL_LONGEST_NS 100000000ULL
#define WATCH_PAUSE_PER_WORK      9

#define WATCHES_MAX 32

struct guest;

enum task_state { TASK_READY, TASK_SLEEPING, TASK_WAITING, TASK_STOPPED };

/* Why a task left the guest: what its guest's counters say if another comes on. */
enum core_left { LEFT_BY_EVENT, LEFT_BY_IO, LEFT_BY_SLICE_END };

/* A virtual CPU as the loop sees it. */
struct task {
    struct heap_node sleeper; /* in core.sleepers while TASK_SLEEPING */
    struct guest *guest;
    struct vcpu *vcpu;
    enum task_state state;
    bool waits_for_input; /* while TASK_WAITING; else it waits for its output */
};

/* A guest under contract. The policy knows guests; the virtual CPUs of one take turns. */
struct guest {
    struct policy_entity entity;
    struct matrix_vm *vm;
    struct matrix_contract contract;
    unsigned task_count, ready_count;
    unsigned turn; /* the task whose turn it is */
    struct task tasks[MATRIX_VCPUS_MAX];
    bool paused;   /* the policy does not know it, whatever its tasks could do */
    bool end_told; /* options.ended was called for it */
    uint64_t slices, preemptions, io_switches;
    struct policy_share before; /* what other cores gave it before it came here */
    uint64_t board_id;          /* 0: the board has not seen it */
    uint32_t board_slot;
    uint64_t ready_since_ns,
        ready_ns; /* wall time: since when it can run; how long it could before */
};

/* A descriptor of matrix_core_watch. */
struct watch {
    int fd;
    short events;
    matrix_core_watcher *function;
    void *context;
};

struct matrix_core {
    struct matrix_core_options options;
    struct policy *policy;
    struct preempt preempt;
    struct heap sleepers; /* by vcpu->wake_ns */
    bool has_ceilings;    /* the policy is to know the wall time */
    struct guest **guests;
    size_t guest_count, guests_alive;
    size_t ends_untold; /* guests that have ended, and options.ended was not called yet */
    size_t tasks_ready, tasks_adopted;
    cpu_set_t cpus_before; /* the thread's affinity, restored at the end */

    struct task *current;      /* who is on the core */
    struct task *last;         /* who was before */
    uint64_t slice_end_ns;     /* CLOCK_MONOTONIC; 0: the current task has the core to itself */
    uint64_t cpu_mark_ns;      /* the thread's CPU time up to which all is accounted for */
    uint64_t wall_mark_ns;     /* CLOCK_MONOTONIC when the thread's CPU clock was last read */
    enum core_left left;       /* why the last task left the guest */
    enum vcpu_outcome outcome; /* and with what */

    uint64_t begin_ns, end_ns, next_tick_ns, next_poll_ns;
    bool stop;
    struct matrix_core_result result;

    struct watch watches[WATCHES_MAX];
    unsigned watch_count, watch_turn; /* whose turn it is if several are ready */
    bool watches_armed;               /* ready descriptors send a signal */
    uint64_t next_watch_ns;           /* while they do not: when to look; 0 while they do */

    uint64_t guests_cpu_ns, overhead_ns, idle_wall_ns, finished_ns;
    uint64_t decisions, switches;
    struct delays delays;

    struct board *board;    /* NULL: nobody has asked for it */
    uint64_t next_board_ns; /* when to publish next; 0: never */
};

/* loop.c: runs the guests until the end is due. */
void core_loop(struct matrix_core *core);

/* The earliest time at which the loop has something to do by itself; 0: never. */
uint64_t core_next_event(const struct matrix_core *core);

/* start and duration in ns; a time so far off that it wraps around never comes. */
uint64_t core_after(uint64_t start, uint64_t duration);

/* A signal was consumed that is not the timer's, and is to be looked after. */
bool core_has_signal(const struct matrix_core *core);

/* idle.c: waits until a guest may be able to run, an event is due, or a signal has come. */
void core_idle(struct matrix_core *core);

/* idle.c: lets every waiting task try again what it waits for, and flushes outputs. */
void core_poll(struct matrix_core *core, uint64_t now_ns);

/* idle.c: no guest is left; waits until readers have taken what was printed without loss, the time
 * is up, or a signal asks for the end. */
void core_drain(struct matrix_core *core);

/* watch.c: the run begins, for this thread; it ends. */
void core_watch_begin(struct matrix_core *core);
void core_watch_end(struct matrix_core *core);

/* watch.c: whether it is time to look at watched descriptors; looks, and calls for one at most. */
bool core_watch_is_due(const struct matrix_core *core, uint64_t now_ns);
void core_watch_look(struct matrix_core *core, uint64_t now_ns);

/* task.c: the task can run again; or it cannot, for the given reason. */
void task_make_ready(struct matrix_core *core, struct task *task);
void task_make_unready(struct matrix_core *core, struct task *task, enum task_state state);

/* task.c: takes on virtual CPUs that the guest has and the loop does not know yet. The second is for
 * while guests run: what the host refuses one guest ends that guest, and not the others. */
struct matrix_error *guest_adopt_tasks(struct matrix_core *core, struct guest *guest);
void guest_adopt_or_end(struct matrix_core *core, struct guest *guest);

/* task.c: the guest has ended, or is ended, in the given way. */
void guest_end(struct matrix_core *core, struct guest *guest, enum matrix_vm_state state);

/* task.c: no virtual CPU of the guest runs from now on; and they do again. */
void guest_pause(struct matrix_core *core, struct guest *guest);
void guest_resume(struct matrix_core *core, struct guest *guest);

/* task.c: the loop forgets the guest's virtual CPUs, which are left as they are. */
void guest_disown_tasks(struct matrix_core *core, struct guest *guest);

/* task.c: for how long, of the wall time, it could run. */
uint64_t guest_ready_ns(const struct guest *guest);

/* guests.c: the guest on this core; NULL: it is not here. */
struct guest *core_find_guest(const struct matrix_core *core, const struct matrix_vm *vm);

/* contract.c: what became of its contract. */
void core_describe_guest(const struct matrix_core *core, const struct guest *guest,
                         struct matrix_core_guest *result);

/* contract.c: it comes from another core, where this became of it: its figures go on. */
void core_guest_goes_on(struct guest *guest, const struct matrix_core_guest *past,
                        uint64_t ready_ns);

/* guests.c: calls options.ended for those that have ended since. */
void core_tell_ends(struct matrix_core *core);

/* task.c: the guest lets others go first. */
void guest_yield(struct matrix_core *core, struct guest *guest);

/* task.c: the next virtual CPU of a guest that can run, in turn. */
struct task *guest_next_task(struct guest *guest);

#endif
