// SPDX-License-Identifier: GPL-2.0-or-later
/* The stays of a core, gathered from its board; see trace.h. */
#include "base/clock.h"
#include "base/error.h"
#include "cli/look.h"
#include "cli/trace.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A board remembers 65536 stays; even guests that do nothing but I/O need longer for them. */
#define INTERVAL_NS 20000000ULL

/* 256 MiB of stays: more makes a file that no viewer opens. */
#define STAYS_MAX (4U << 20)
#define STAYS_ADD 4096

static struct matrix_error *make_room(struct trace *trace)
{
    if (trace->stay_room - trace->stay_count >= STAYS_ADD)
        return NULL;
    const size_t room = 2 * trace->stay_room + STAYS_ADD;
    struct matrix_board_stay *stays = realloc(trace->stays, room * sizeof(*stays));
    if (!stays)
        return error_host(ENOMEM, "keep %zu stays", room);
    trace->stays = stays;
    trace->stay_room = room;
    return NULL;
}

/* Within one reading the board's reader has seen to it; whoever wrote it may be anybody. */
static struct matrix_error *check_order(const struct trace *trace, size_t count)
{
    const size_t first = trace->stay_count;
    if (first && count && trace->stays[first].start_ns < trace->stays[first - 1].end_ns)
        return error_host(EPROTO, "read the board: stays out of order");
    return NULL;
}

/* All that have ended since; the last ones may have begun after the time was up. */
static struct matrix_error *read_stays(const struct matrix_board *board, uint64_t *next,
                                       struct trace *trace)
{
    size_t count;
    do {
        RETURN_IF_ERROR(make_room(trace));
        RETURN_IF_ERROR(matrix_board_stays(board, next, trace->stays + trace->stay_count, STAYS_ADD,
                                           &count, &trace->lost));
        RETURN_IF_ERROR(check_order(trace, count));
        trace->stay_count += count;
        trace->is_full = trace->stay_count >= STAYS_MAX;
    } while (count && !trace->is_full);
    return NULL;
}

/* --- guests ---------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct trace_guest *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

static struct trace_guest *find(const struct trace *trace, uint64_t id)
{
    const struct trace_guest key = {.id = id};
    if (!trace->guest_count)
        return NULL;
    return bsearch(&key, trace->guests, trace->guest_count, sizeof(key), by_id);
}

static struct matrix_error *add_guest(struct trace *trace, uint64_t id, const char *name)
{
    struct trace_guest *guests = realloc(trace->guests, (trace->guest_count + 1) * sizeof(*guests));
    if (!guests)
        return error_host(ENOMEM, "list the guests");
    trace->guests = guests;
    struct trace_guest *guest = &guests[trace->guest_count++];
    *guest = (struct trace_guest){.id = id};
    if (name)
        snprintf(guest->name, sizeof(guest->name), "%s", name);
    else
        snprintf(guest->name, sizeof(guest->name), "guest %lu", id);
    return NULL;
}

/* Slots are used again: who is there now may be gone at the end. */
static struct matrix_error *read_guests(const struct matrix_board *board, struct trace *trace)
{
    const size_t slots = matrix_board_slots(board), known = trace->guest_count;
    for (size_t slot = 0; slot < slots; slot++) {
        struct matrix_board_guest guest;
        RETURN_IF_ERROR(matrix_board_guest(board, slot, &guest));
        const struct trace_guest key = {.id = guest.id};
        /* Those of this round stand unsorted behind the others, one for each slot. */
        if (guest.id && (!known || !bsearch(&key, trace->guests, known, sizeof(key), by_id)))
            RETURN_IF_ERROR(add_guest(trace, guest.id, guest.name));
    }
    if (trace->guest_count > known)
        qsort(trace->guests, trace->guest_count, sizeof(*trace->guests), by_id);
    return NULL;
}

size_t trace_guest_of(const struct trace *trace, const struct matrix_board_stay *stay)
{
    return (size_t)(find(trace, stay->guest) - trace->guests);
}

double trace_share(const struct trace *trace, size_t guest)
{
    uint64_t all_ns = 0;
    for (size_t i = 0; i < trace->guest_count; i++)
        all_ns += trace->guests[i].cpu_ns;
    return all_ns ? (double)trace->guests[guest].cpu_ns / (double)all_ns : 0;
}

/* Only those who were on, with what they had. */
static struct matrix_error *sum_up(struct trace *trace)
{
    for (size_t i = 0; i < trace->stay_count; i++) {
        const struct matrix_board_stay *stay = &trace->stays[i];
        struct trace_guest *guest = find(trace, stay->guest);
        if (!guest) {
            RETURN_IF_ERROR(add_guest(trace, stay->guest, NULL));
            qsort(trace->guests, trace->guest_count, sizeof(*trace->guests), by_id);
            guest = find(trace, stay->guest);
        }
        guest->stays++;
        guest->cpu_ns += stay->cpu_ns;
    }
    size_t kept = 0;
    for (size_t i = 0; i < trace->guest_count; i++)
        if (trace->guests[i].stays)
            trace->guests[kept++] = trace->guests[i];
    trace->guest_count = kept;
    return NULL;
}

/* --- all of it ------------------------------------------------------------------------------- */

static struct matrix_error *watch(const struct cli_board *from, uint64_t end_ns,
                                  struct trace *trace, int *number)
{
    const struct matrix_board *board = from->board;
    uint64_t next = matrix_board_stays_now(board);
    bool goes_on = true;
    while (goes_on) {
        RETURN_IF_ERROR(matrix_board_core(board, &trace->core));
        RETURN_IF_ERROR(read_guests(board, trace));
        const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
        goes_on = now_ns < end_ns && !trace->is_full && !*number &&
                  !cli_board_has_ended(from, &trace->core);
        /* Last, so that nothing is left behind that was written before the end was seen. */
        RETURN_IF_ERROR(read_stays(board, &next, trace));
        trace->end_ns = now_ns < end_ns ? now_ns : end_ns;
        if (goes_on)
            *number =
                look_wait_until(end_ns - now_ns < INTERVAL_NS ? end_ns : now_ns + INTERVAL_NS);
    }
    return NULL;
}

struct matrix_error *trace_read(const struct cli_board *board, uint64_t duration_ns,
                                struct trace *trace, int *number)
{
    *trace = (struct trace){.pid = board->pid, .begin_ns = clock_now_ns(CLOCK_MONOTONIC)};
    const uint64_t end_ns =
        duration_ns > UINT64_MAX - trace->begin_ns ? UINT64_MAX : trace->begin_ns + duration_ns;
    look_block_ends();
    RETURN_IF_ERROR(watch(board, end_ns, trace, number));
    /* The first began before: what it was charged then is no part of this. */
    size_t before = 0, last = trace->stay_count;
    while (before < last && trace->stays[before].start_ns < trace->begin_ns)
        before++;
    while (last > before && trace->stays[last - 1].start_ns >= trace->end_ns)
        last--;
    trace->stay_count = last - before;
    if (before)
        memmove(trace->stays, trace->stays + before, trace->stay_count * sizeof(*trace->stays));
    return sum_up(trace);
}

void trace_free(struct trace *trace)
{
    free(trace->stays);
    free(trace->guests);
}
