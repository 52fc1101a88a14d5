/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The board: memory in which a core shows its counters and its last decisions, for others to read
 * while guests run. Who reads takes nothing from who writes: no request, no lock, no signal.
 *
 * The layout is fixed: little-endian numbers of fixed width, at the offsets of these structs, version
 * MATRIX_BOARD_VERSION. Later versions may append fields to an entry; what its size in the header
 * goes beyond is skipped, and a reader that knows more fields than there are refuses the board. docs/board.md describes it for readers in other languages.
 *
 * The descriptor comes from matrix_core_board, or over the control socket. It is sealed: it cannot
 * change its size, and whoever gets it can map it for reading only.
 */
#ifndef MATRIX_BOARD_H
#define MATRIX_BOARD_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MATRIX_BOARD_MAGIC       "matrixbd" /* 8 bytes, no end */
#define MATRIX_BOARD_VERSION     1
#define MATRIX_BOARD_NAME_BYTES  64
#define MATRIX_BOARD_STATE_BYTES 16
#define MATRIX_BOARD_EXIT_KINDS  8 /* enum matrix_exit_kind; room for more */
#define MATRIX_BOARD_REGIONS     4
#define MATRIX_BOARD_BUCKETS     976

/* At offset 0. All but the last three never change. */
struct matrix_board_header {
    char magic[8];
    uint32_t version;
    uint32_t pid;       /* of the process that runs the guests */
    uint64_t bytes;     /* of the whole board */
    uint64_t opened_ns; /* CLOCK_MONOTONIC, as all times are that are no durations */
    /* Where entries begin, how large one is, and for how many there is room. In front of the core's
     * and of each guest's and group's is its sequence number, 8 bytes, which counts in the size. */
    uint64_t core_offset, guest_offset, stay_offset;
    uint32_t core_bytes, guest_bytes, stay_bytes;
    uint32_t guest_slots, stay_slots; /* the second is a power of two */
    uint32_t group_bytes, group_slots;
    uint32_t reserved[3];
    uint64_t group_offset;
    uint64_t group_slots_used, guest_slots_used; /* those behind were never used */
    uint64_t stays; /* written since the board was opened: the next one's number */
};

/* What the loop did; see struct matrix_core_statistics. */
struct matrix_board_core {
    uint64_t published_ns; /* when this was written */
    uint64_t begun_ns;     /* when the run began; 0: it has not */
    uint64_t ended_ns;     /* when it ended; 0: it has not */
    int64_t host_cpu;      /* negative: not pinned */
    uint64_t slice_ns;
    uint64_t wall_ns, guests_cpu_ns, overhead_ns, idle_wall_ns;
    uint64_t decisions, switches, timer_signals, stale_signals;
    uint64_t delay_worst_ns, delay_median_ns, delay_p99_ns;
    uint64_t guests;          /* on this core, those that have ended included */
    uint64_t guests_unlisted; /* of those: found no slot */
    uint64_t publish_cpu_ns;  /* what the board has cost, of overhead_ns; without its stays */
    uint64_t publish_count;
    uint64_t delay_count;
    uint32_t
        delay_buckets[MATRIX_BOARD_BUCKETS]; /* matrix_board_bucket_ns tells what each is for */
};

/* A group of guests, or of groups: its contract. What its members had is their sum. */
struct matrix_board_group {
    uint64_t id;     /* from 1; another group never gets it; 0: this slot is free */
    uint64_t parent; /* the id of the group that it is in, which is less than its own; 0: none */
    char name[MATRIX_BOARD_NAME_BYTES];
    uint32_t weight, floor_ppm, ceiling_ppm;
    uint32_t reserved;
    uint64_t latency_ns;
};

struct matrix_board_region {
    uint64_t gpa, hva, bytes;
};

/* A guest: its contract, and what became of it; see struct matrix_core_guest. */
struct matrix_board_guest {
    uint64_t id;           /* from 1; another guest never gets it; 0: this slot was never used */
    uint64_t published_ns; /* when this was written */
    char name[MATRIX_BOARD_NAME_BYTES];
    char group[MATRIX_BOARD_NAME_BYTES]; /* empty: none */
    char state[MATRIX_BOARD_STATE_BYTES]; /* "running", …; "gone": no guest of this core any more */
    uint32_t weight, floor_ppm, ceiling_ppm;
    uint32_t vcpus;
    uint64_t latency_ns;
    uint64_t cpu_ns, contended_cpu_ns, alone_cpu_ns, contended_total_ns, entitled_ns;
    uint64_t slices, preemptions, io_switches;
    uint64_t exits[MATRIX_BOARD_EXIT_KINDS];
    uint64_t work;
    uint64_t memory_bytes;
    uint64_t dropped_lines, dropped_bytes;
    int32_t exit_status;
    uint32_t region_count;
    struct matrix_board_region regions[MATRIX_BOARD_REGIONS];
    uint64_t group_id; /* 0: none, or one for which the board had no slot */
};

/* Why a guest came on. */
enum matrix_board_came {
    MATRIX_BOARD_CAME_AFTER, /* after another one, or another virtual CPU of its own */
    MATRIX_BOARD_CAME_AGAIN, /* it was on, and is again the one */
    MATRIX_BOARD_CAME_IDLE,  /* nobody was on */
    MATRIX_BOARD_CAME_COUNT,
};

/* Why it left. */
enum matrix_board_left {
    MATRIX_BOARD_LEFT_SLICE, /* its slice was over */
    MATRIX_BOARD_LEFT_IO,    /* an exit, after which another was the rightful one */
    MATRIX_BOARD_LEFT_EVENT, /* the loop had something else to do, and another came on */
    MATRIX_BOARD_LEFT_YIELD,
    MATRIX_BOARD_LEFT_SLEEP,
    MATRIX_BOARD_LEFT_WAIT, /* for input, or for its reader */
    MATRIX_BOARD_LEFT_END,  /* it, or this virtual CPU of it, has ended, or was ended */
    MATRIX_BOARD_LEFT_COUNT,
};

/* A stay of a guest on the core, from one decision to the next. */
struct matrix_board_stay {
    uint64_t number; /* one more than its index among all stays, so that 0 is none */
    uint64_t guest;  /* its id */
    uint64_t start_ns, end_ns;
    uint64_t cpu_ns;      /* charged to the guest meanwhile */
    uint64_t loop_cpu_ns; /* charged to nobody since the stay before began */
    uint32_t ready;       /* virtual CPUs that could run when it came on, itself included */
    uint16_t vcpu;
    uint8_t came, left;
    uint64_t reserved;
};

/* --- reading ------------------------------------------------------------------------------- */

struct matrix_board;

/*
 * Maps a board for reading; fd stays the caller's and may be closed at once. Whoever made that memory
 * may be anybody: a file that is no board, that could shrink or lies about itself is refused
 * (MATRIX_ERROR_HOST, EPROTO), here or by the functions below.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_board_open(int fd,
                                                                    struct matrix_board **board);
MATRIX_API void matrix_board_close(struct matrix_board *board); /* NULL is allowed */

MATRIX_API uint32_t matrix_board_pid(const struct matrix_board *board);

MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_board_core(const struct matrix_board *board, struct matrix_board_core *core);

/* How many slots there are to look at, now. */
MATRIX_API size_t matrix_board_slots(const struct matrix_board *board);

/* The guest of a slot below that; its id is 0 if nobody ever had the slot. */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_board_guest(const struct matrix_board *board, size_t slot, struct matrix_board_guest *guest);

/* Groups likewise. Look at guests first: whose group is not there then has none any more. */
MATRIX_API size_t matrix_board_group_slots(const struct matrix_board *board);
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_board_group(const struct matrix_board *board, size_t slot, struct matrix_board_group *group);

/* The number of stays so far: where to begin for those that are to come. */
MATRIX_API uint64_t matrix_board_stays_now(const struct matrix_board *board);

/*
 * Copies stays, from number *next on, and moves *next behind them. Stays that were written over
 * before they could be read are added to *lost. *count: out, how many; 0: none is there yet.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_board_stays(const struct matrix_board *board, uint64_t *next,
                   struct matrix_board_stay *stays, size_t max, size_t *count, uint64_t *lost);

/* Delays in this bucket are above the end of the one before, and at most so many nanoseconds. */
MATRIX_API uint64_t matrix_board_bucket_ns(unsigned bucket);

/* "slice", "io", …: the names used in what is printed. */
MATRIX_API const char *matrix_board_came_name(uint8_t came);
MATRIX_API const char *matrix_board_left_name(uint8_t left);

#ifdef __cplusplus
}
#endif
#endif
