// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A core's board: its counters and its guests' published every 100 ms, and a record of each stay; see
 * board.h. What publishing costs is measured, and bounded as the watching of descriptors is: by a pause
 * that grows with the work. Many guests are published in parts, in turn.
 */
#include "cloud/board.h"

#include "base/clock.h"
#include "base/error.h"
#include "cloud/board_groups.h"
#include "cloud/board_memory.h"
#include "cloud/core.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERVAL_DEFAULT_NS 100000000ULL
#define STAYS_DEFAULT       65536 /* a minute of slices of 1 ms; 4 MiB, as they are written */
#define STAYS_MAX           (1U << 20)
#define GUEST_SLOTS         4096

/* Guests in one part; and so much more time than a part took passes until the next: 0.4 % of all. */
#define PART_GUESTS    64
#define PAUSE_PER_WORK 250
#define PAUSE_MAX_NS   2000000000ULL /* once in a while it takes long, by the host's doing */

/* So many that are gone can still be looked up: stays name guests by their numbers. */
#define GONE_KEPT 64

#define NO_SLOT UINT32_MAX

/* The stay that is under way. */
struct stay {
    bool is_open;
    const struct matrix_vm *vm;
    uint64_t cpu_before_ns;
    struct matrix_board_stay record;
};

struct board {
    struct board_memory memory;
    uint64_t interval_ns;
    uint64_t last_id;
    uint32_t slots_used, unlisted;
    uint32_t gone[GUEST_SLOTS]; /* slots whose guests are gone, a queue */
    uint32_t gone_first, gone_count;
    struct board_groups groups;
    size_t turn; /* the guest to be published next */
    uint64_t publish_cpu_ns, publish_count;
    uint64_t loop_before_ns; /* the loop's CPU time when the last stay began */
    struct stay stay;
};

_Static_assert(MATRIX_BOARD_BUCKETS == DELAYS_BUCKETS, "a board has the core's histogram");
_Static_assert(MATRIX_EXIT_KIND_COUNT <= MATRIX_BOARD_EXIT_KINDS, "a kind of exit has no room");

/* --- guests ---------------------------------------------------------------------------------- */

static uint32_t take_oldest_gone(struct board *board)
{
    const uint32_t slot = board->gone[board->gone_first];
    board->gone_first = (board->gone_first + 1) % GUEST_SLOTS;
    board->gone_count--;
    return slot;
}

static uint32_t find_slot(struct board *board)
{
    if (board->gone_count > GONE_KEPT)
        return take_oldest_gone(board);
    if (board->slots_used < GUEST_SLOTS)
        return board->slots_used++;
    return board->gone_count ? take_oldest_gone(board) : NO_SLOT;
}

/* A guest that the board sees for the first time gets a number, and a slot if there is one. */
static void introduce(struct board *board, struct guest *guest)
{
    if (guest->board_id)
        return;
    guest->board_id = ++board->last_id;
    guest->board_slot = find_slot(board);
    board->unlisted += guest->board_slot == NO_SLOT;
}

static void describe_memory(const struct matrix_vm *vm, struct matrix_board_guest *entry)
{
    struct matrix_region region;
    while (entry->region_count < MATRIX_BOARD_REGIONS &&
           matrix_vm_region(vm, entry->region_count, &region))
        entry->regions[entry->region_count++] =
            (struct matrix_board_region){region.gpa, region.hva, region.bytes};
}

static void describe_vm(const struct matrix_vm *vm, struct matrix_board_guest *entry)
{
    struct matrix_vm_info info;
    matrix_vm_info(vm, &info);
    snprintf(entry->name, sizeof(entry->name), "%s", info.name);
    memcpy(entry->exits, info.exits, sizeof(info.exits));
    entry->vcpus = info.vcpus;
    entry->exit_status = info.status;
    entry->work = info.work;
    entry->memory_bytes = info.memory_bytes;
    entry->dropped_lines = info.dropped_lines;
    entry->dropped_bytes = info.dropped_bytes;
    describe_memory(vm, entry);
}

static void publish_guest(struct matrix_core *core, struct guest *guest, uint64_t now_ns)
{
    struct matrix_core_guest contract;
    introduce(core->board, guest);
    if (guest->board_slot == NO_SLOT)
        return;
    core_describe_guest(core, guest, &contract);
    struct matrix_board_guest entry = {
        .id = guest->board_id,
        .group_id = board_groups_show(&core->board->groups, &core->board->memory,
                                      policy_group(&guest->entity)),
        .published_ns = now_ns,
        .weight = contract.weight,
        .floor_ppm = contract.contract.floor_ppm,
        .ceiling_ppm = contract.contract.ceiling_ppm,
        .latency_ns = contract.contract.latency_ns,
        .cpu_ns = contract.cpu_ns,
        .contended_cpu_ns = contract.contended_cpu_ns,
        .alone_cpu_ns = contract.alone_cpu_ns,
        .contended_total_ns = contract.contended_total_ns,
        .entitled_ns = contract.entitled_ns,
        .slices = contract.slices,
        .preemptions = contract.preemptions,
        .io_switches = contract.io_switches,
    };
    snprintf(entry.state, sizeof(entry.state), "%s", contract.state);
    snprintf(entry.group, sizeof(entry.group), "%s", contract.group ? contract.group : "");
    describe_vm(guest->vm, &entry);
    board_memory_write_guest(&core->board->memory, guest->board_slot, &entry);
}

void core_board_guest(struct matrix_core *core, struct guest *guest)
{
    if (core->board)
        publish_guest(core, guest, clock_now_ns(CLOCK_MONOTONIC));
}

void core_board_group(struct matrix_core *core, const struct policy_entity *group)
{
    if (core->board)
        board_groups_change(&core->board->groups, &core->board->memory, group);
}

void core_board_forget_group(struct matrix_core *core, uint64_t label)
{
    if (core->board)
        board_groups_forget(&core->board->groups, &core->board->memory, label);
}

/* --- the core -------------------------------------------------------------------------------- */

static void publish_core(struct matrix_core *core, uint64_t now_ns)
{
    struct board *board = core->board;
    struct matrix_core_statistics loop;
    matrix_core_statistics(core, &loop);
    struct matrix_board_core entry = {
        .published_ns = now_ns,
        .begun_ns = core->begin_ns,
        .ended_ns = core->finished_ns,
        .host_cpu = core->options.cpu,
        .slice_ns = core->options.slice_ns,
        .wall_ns = loop.wall_ns,
        .guests_cpu_ns = loop.guests_cpu_ns,
        .overhead_ns = loop.overhead_ns,
        .idle_wall_ns = loop.idle_wall_ns,
        .decisions = loop.decisions,
        .switches = loop.switches,
        .timer_signals = loop.timer_signals,
        .stale_signals = loop.stale_signals,
        .delay_worst_ns = loop.delay_worst_ns,
        .delay_median_ns = loop.delay_median_ns,
        .delay_p99_ns = loop.delay_p99_ns,
        .guests = loop.guests,
        .guests_unlisted = board->unlisted,
        .publish_cpu_ns = board->publish_cpu_ns,
        .publish_count = board->publish_count,
        .delay_count = core->delays.count,
    };
    memcpy(entry.delay_buckets, core->delays.buckets, sizeof(entry.delay_buckets));
    board_memory_write_core(&board->memory, &entry);
}

/* The next guests in turn, as many as are published at once; all of them come in one interval unless
 * that takes too much. */
static void publish_part(struct matrix_core *core, uint64_t now_ns)
{
    struct board *board = core->board;
    const uint64_t began_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
    const size_t guests = core->guest_count;
    const size_t parts = guests > PART_GUESTS ? (guests + PART_GUESTS - 1) / PART_GUESTS : 1;
    for (size_t i = 0; i < guests && i < PART_GUESTS; i++) {
        board->turn = board->turn < guests ? board->turn : 0;
        publish_guest(core, core->guests[board->turn++], now_ns);
    }
    publish_core(core, now_ns);
    const uint64_t spent_ns = clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - began_ns;
    board->publish_cpu_ns += spent_ns;
    board->publish_count++;
    const uint64_t wanted_ns = board->interval_ns / parts, pause_ns = spent_ns * PAUSE_PER_WORK;
    const uint64_t least_ns = pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS;
    core->next_board_ns = now_ns + (wanted_ns > least_ns ? wanted_ns : least_ns);
}

static void publish_all(struct matrix_core *core)
{
    const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < core->guest_count; i++)
        publish_guest(core, core->guests[i], now_ns);
    publish_core(core, now_ns);
}

/* --- stays ----------------------------------------------------------------------------------- */

static uint8_t why_left(const struct matrix_core *core)
{
    static const uint8_t reasons[] = {
        [VCPU_HANDLED] = MATRIX_BOARD_LEFT_IO,       [VCPU_INTERRUPTED] = MATRIX_BOARD_LEFT_EVENT,
        [VCPU_YIELDED] = MATRIX_BOARD_LEFT_YIELD,    [VCPU_SLEEPING] = MATRIX_BOARD_LEFT_SLEEP,
        [VCPU_WAITS_INPUT] = MATRIX_BOARD_LEFT_WAIT, [VCPU_WAITS_OUTPUT] = MATRIX_BOARD_LEFT_WAIT,
        [VCPU_OUTPUT_LOST] = MATRIX_BOARD_LEFT_END,  [VCPU_STOPPED] = MATRIX_BOARD_LEFT_END,
        [VCPU_VM_ENDED] = MATRIX_BOARD_LEFT_END,
    };
    return core->left == LEFT_BY_SLICE_END ? MATRIX_BOARD_LEFT_SLICE : reasons[core->outcome];
}

static void close_stay(struct matrix_core *core)
{
    struct board *board = core->board;
    struct stay *stay = &board->stay;
    if (!stay->is_open)
        return;
    stay->is_open = false;
    stay->record.cpu_ns = stay->vm->cpu_ns - stay->cpu_before_ns;
    stay->record.left = why_left(core);
    board_memory_write_stay(&board->memory, &stay->record);
}

void core_board_come_on(struct matrix_core *core, const struct task *task, uint64_t now_ns)
{
    struct board *board = core->board;
    if (!board)
        return;
    const struct stay *before = &board->stay;
    const bool again =
        before->record.guest == task->guest->board_id && before->record.vcpu == task->vcpu->index;
    const uint8_t came = !before->is_open ? MATRIX_BOARD_CAME_IDLE
                         : again          ? MATRIX_BOARD_CAME_AGAIN
                                          : MATRIX_BOARD_CAME_AFTER;
    close_stay(core);
    board->stay = (struct stay){
        .is_open = true,
        .vm = task->guest->vm,
        .cpu_before_ns = task->guest->vm->cpu_ns,
        .record = {.guest = task->guest->board_id,
                   .start_ns = now_ns,
                   .end_ns = now_ns,
                   .loop_cpu_ns = core->overhead_ns - board->loop_before_ns,
                   .ready = (uint32_t)core->tasks_ready,
                   .vcpu = (uint16_t)task->vcpu->index,
                   .came = came},
    };
    board->loop_before_ns = core->overhead_ns;
}

void core_board_nobody(struct matrix_core *core)
{
    if (core->board)
        close_stay(core);
}

void core_board_leave(struct matrix_core *core, const struct guest *guest)
{
    if (core->board && core->board->stay.vm == guest->vm)
        close_stay(core);
}

void core_board_forget(struct matrix_core *core, struct guest *guest)
{
    struct board *board = core->board;
    if (!board || !guest->board_id)
        return;
    core_board_leave(core, guest);
    if (guest->board_slot == NO_SLOT) {
        board->unlisted--;
        return;
    }
    struct matrix_board_guest entry = {.id = guest->board_id,
                                       .published_ns = clock_now_ns(CLOCK_MONOTONIC),
                                       .weight = guest->contract.weight,
                                       .state = "gone",
                                       .cpu_ns = guest->vm->cpu_ns};
    snprintf(entry.name, sizeof(entry.name), "%s", guest->vm->name);
    board_memory_write_guest(&board->memory, guest->board_slot, &entry);
    board->gone[(board->gone_first + board->gone_count++) % GUEST_SLOTS] = guest->board_slot;
}

/* --- the run --------------------------------------------------------------------------------- */

void core_board_look(struct matrix_core *core, uint64_t now_ns)
{
    if (!core->board)
        return;
    /* Until somebody comes on, this may have been the end of the stay. */
    core->board->stay.record.end_ns = now_ns;
    if (now_ns >= core->next_board_ns)
        publish_part(core, now_ns);
}

void core_board_begin(struct matrix_core *core)
{
    if (!core->board)
        return;
    publish_all(core);
    core->next_board_ns = core->begin_ns + core->board->interval_ns;
}

void core_board_end(struct matrix_core *core)
{
    if (!core->board)
        return;
    core->board->stay.record.end_ns = core->finished_ns;
    close_stay(core);
    publish_all(core);
    core->next_board_ns = 0;
}

static struct matrix_error *make(struct matrix_core *core)
{
    const struct matrix_core_options *options = &core->options;
    const uint32_t stays = options->board_stays ? options->board_stays : STAYS_DEFAULT;
    struct board *board = calloc(1, sizeof(*board));
    if (!board)
        return error_host(ENOMEM, "make the board");
    struct matrix_error *error =
        board_memory_make(GUEST_SLOTS, BOARD_GROUP_SLOTS, stays, &board->memory);
    if (error) {
        free(board);
        return error;
    }
    board->interval_ns =
        options->board_interval_ns ? options->board_interval_ns : INTERVAL_DEFAULT_NS;
    board->loop_before_ns = core->overhead_ns;
    core->board = board;
    publish_all(core);
    if (core->begin_ns && !core->finished_ns)
        core->next_board_ns = clock_now_ns(CLOCK_MONOTONIC) + board->interval_ns;
    return NULL;
}

struct matrix_error *core_board_check(const struct matrix_core_options *options)
{
    const unsigned stays = options->board_stays;
    if (stays > STAYS_MAX || (stays & (stays - 1)))
        return error_usage("use a power of two, at most 1048576", "a board of %u stays", stays);
    return NULL;
}

struct matrix_error *matrix_core_board(struct matrix_core *core, int *fd)
{
    if (!core->board)
        RETURN_IF_ERROR(make(core));
    *fd = core->board->memory.fd;
    return NULL;
}

void core_board_destroy(struct matrix_core *core)
{
    if (!core->board)
        return;
    board_memory_release(&core->board->memory);
    free(core->board);
    core->board = NULL;
}
