// SPDX-License-Identifier: GPL-2.0-or-later
/* The stays of cores, gathered from their boards; see trace.h. */
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
static struct matrix_error *read_stays(const struct matrix_board *board, size_t stays_max,
                                       struct trace *trace)
{
    size_t count;
    do {
        RETURN_IF_ERROR(make_room(trace));
        RETURN_IF_ERROR(matrix_board_stays(board, &trace->next, trace->stays + trace->stay_count,
                                           STAYS_ADD, &count, &trace->lost));
        RETURN_IF_ERROR(check_order(trace, count));
        trace->stay_count += count;
        trace->is_full = trace->stay_count >= stays_max;
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

double trace_share(const struct traces *traces, size_t guest)
{
    uint64_t all_ns = 0;
    for (size_t i = 0; i < traces->guest_count; i++)
        all_ns += traces->guests[i].cpu_ns;
    return all_ns ? (double)traces->guests[guest].cpu_ns / (double)all_ns : 0;
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

/* The track of a guest among those of all cores. */
static size_t track_of(struct traces *traces, const struct trace_guest *guest)
{
    for (size_t i = 0; traces->count > 1 && i < traces->guest_count; i++)
        if (strcmp(traces->guests[i].name, guest->name) == 0)
            return i;
    traces->guests[traces->guest_count] = *guest;
    traces->guests[traces->guest_count].stays = traces->guests[traces->guest_count].cpu_ns = 0;
    return traces->guest_count++;
}

static struct matrix_error *lay_tracks(struct traces *traces)
{
    size_t most = 0;
    for (size_t k = 0; k < traces->count; k++)
        most += traces->cores[k].guest_count;
    traces->guests = calloc(most + 1, sizeof(*traces->guests));
    if (!traces->guests)
        return error_host(ENOMEM, "list the guests");
    for (size_t k = 0; k < traces->count; k++) {
        struct trace *trace = &traces->cores[k];
        trace->tracks = calloc(trace->guest_count + 1, sizeof(*trace->tracks));
        if (!trace->tracks)
            return error_host(ENOMEM, "list the guests");
        for (size_t i = 0; i < trace->guest_count; i++) {
            const size_t track = trace->tracks[i] = track_of(traces, &trace->guests[i]);
            traces->guests[track].stays += trace->guests[i].stays;
            traces->guests[track].cpu_ns += trace->guests[i].cpu_ns;
        }
    }
    return NULL;
}

/* --- all of it ------------------------------------------------------------------------------- */

/* What has come to a board since; goes_on: whether there may be more. */
static struct matrix_error *look(const struct cli_board *from, uint64_t end_ns, size_t stays_max,
                                 struct trace *trace, bool *goes_on)
{
    RETURN_IF_ERROR(matrix_board_core(from->board, &trace->core));
    RETURN_IF_ERROR(read_guests(from->board, trace));
    const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    *goes_on &= now_ns < end_ns && !trace->is_full && !cli_board_has_ended(from, &trace->core);
    /* Last, so that nothing is left behind that was written before the end was seen. */
    RETURN_IF_ERROR(read_stays(from->board, stays_max, trace));
    trace->end_ns = now_ns < end_ns ? now_ns : end_ns;
    return NULL;
}

static struct matrix_error *watch(const struct cli_board *boards, uint64_t end_ns,
                                  struct traces *traces, int *number)
{
    for (bool goes_on = true; goes_on;) {
        for (size_t k = 0; k < traces->count; k++)
            RETURN_IF_ERROR(
                look(&boards[k], end_ns, STAYS_MAX / traces->count, &traces->cores[k], &goes_on));
        goes_on &= !*number;
        const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
        if (goes_on && now_ns < end_ns)
            *number =
                look_wait_until(end_ns - now_ns < INTERVAL_NS ? end_ns : now_ns + INTERVAL_NS);
    }
    return NULL;
}

/* The first began before: what it was charged then is no part of this. */
static void cut(struct trace *trace)
{
    size_t before = 0, last = trace->stay_count;
    while (before < last && trace->stays[before].start_ns < trace->begin_ns)
        before++;
    while (last > before && trace->stays[last - 1].start_ns >= trace->end_ns)
        last--;
    trace->stay_count = last - before;
    if (before)
        memmove(trace->stays, trace->stays + before, trace->stay_count * sizeof(*trace->stays));
}

struct matrix_error *trace_read(const struct cli_board *boards, size_t count, uint64_t duration_ns,
                                struct traces *traces, int *number)
{
    const uint64_t begin_ns = clock_now_ns(CLOCK_MONOTONIC);
    const uint64_t end_ns =
        duration_ns > UINT64_MAX - begin_ns ? UINT64_MAX : begin_ns + duration_ns;
    traces->cores = calloc(count, sizeof(*traces->cores));
    if (!traces->cores)
        return error_host(ENOMEM, "trace %zu cores", count);
    for (traces->count = 0; traces->count < count; traces->count++) {
        const struct cli_board *board = &boards[traces->count];
        traces->cores[traces->count] = (struct trace){.pid = board->pid,
                                                      .number = board->core,
                                                      .begin_ns = begin_ns,
                                                      .next = matrix_board_stays_now(board->board)};
    }
    look_block_ends();
    RETURN_IF_ERROR(watch(boards, end_ns, traces, number));
    for (size_t k = 0; k < count; k++) {
        traces->cores[k].end_ns = traces->cores[0].end_ns;
        cut(&traces->cores[k]);
        RETURN_IF_ERROR(sum_up(&traces->cores[k]));
    }
    return lay_tracks(traces);
}

void trace_free(struct traces *traces)
{
    for (size_t k = 0; k < traces->count; k++) {
        free(traces->cores[k].stays);
        free(traces->cores[k].guests);
        free(traces->cores[k].tracks);
    }
    free(traces->cores);
    free(traces->guests);
}
