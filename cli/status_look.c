// SPDX-License-Identifier: GPL-2.0-or-later
/* Looks at boards again and again, and what follows from two looks; see status.h. Used by `matrix status` and
 * `matrix top`. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/status.h"
#include <errno.h>
#include <math.h>
#include <string.h>

/* --- figures --------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct matrix_board_guest *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

const struct matrix_board_guest *status_before(const struct status_core *core,
                                               const struct matrix_board_guest *guest)
{
    if (!core->before)
        return NULL;
    return bsearch(guest, core->before, core->before_count, sizeof(*core->before), by_id);
}

static int by_group_id(const void *a, const void *b)
{
    const struct matrix_board_group *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

const struct matrix_board_group *status_group(const struct status_core *core, uint64_t id)
{
    const struct matrix_board_group wanted = {.id = id};
    if (!core->group_count)
        return NULL;
    return bsearch(&wanted, core->groups, core->group_count, sizeof(wanted), by_group_id);
}

static uint64_t exits_of(const struct matrix_board_guest *guest)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < MATRIX_BOARD_EXIT_KINDS; i++)
        sum += guest->exits[i];
    return sum;
}

/* One that was started again counts anew. */
static double per_second(uint64_t now, uint64_t before, uint64_t ns)
{
    const uint64_t count = now >= before ? now - before : now;
    return ns ? (double)count * 1e9 / (double)ns : 0;
}

/* How long the exits of a guest were counted since the look before, or since the run began; 0: unknown. */
static uint64_t counted_ns(const struct status_core *core, const struct matrix_board_guest *guest,
                           const struct matrix_board_guest *last)
{
    const uint64_t since_ns = last ? last->published_ns : core->core.begun_ns;
    return since_ns && guest->published_ns > since_ns ? guest->published_ns - since_ns : 0;
}

double status_exits_per_s(const struct status_core *core, const struct matrix_board_guest *guest)
{
    const struct matrix_board_guest *last = status_before(core, guest);
    return per_second(exits_of(guest), last ? exits_of(last) : 0, counted_ns(core, guest, last));
}

double status_exits_of_kind_per_s(const struct status_core *core,
                                  const struct matrix_board_guest *guest, unsigned kind)
{
    const struct matrix_board_guest *last = status_before(core, guest);
    return per_second(guest->exits[kind], last ? last->exits[kind] : 0,
                      counted_ns(core, guest, last));
}

/*
 * A time of a guest as a part of all guests' since the look before. The two are not published in the same moment
 * where there are many guests, so each is taken by its own time.
 */
static double part_of_all(const struct status_core *core, const struct matrix_board_guest *guest,
                          const struct matrix_board_guest *last, uint64_t ns)
{
    const uint64_t all_ns = core->core.guests_cpu_ns - core->before_core.guests_cpu_ns;
    const double core_ns = (double)core->core.published_ns - (double)core->before_core.published_ns;
    const double guest_ns =
        last ? (double)guest->published_ns - (double)last->published_ns : core_ns;
    if (!core->before || core->core.guests_cpu_ns <= core->before_core.guests_cpu_ns ||
        core_ns <= 0 || guest_ns <= 0)
        return NAN;
    /* It came from another core, with figures from there. */
    if (!last && (double)ns > core_ns)
        return NAN;
    return (double)ns / guest_ns * core_ns / (double)all_ns;
}

static uint64_t grown(uint64_t now, uint64_t before)
{
    return now > before ? now - before : 0;
}

double status_share(const struct status_core *core, const struct matrix_board_guest *guest)
{
    const struct matrix_board_guest *last = status_before(core, guest);
    return part_of_all(core, guest, last, grown(guest->cpu_ns, last ? last->cpu_ns : 0));
}

double status_due(const struct status_core *core, const struct matrix_board_guest *guest)
{
    const struct matrix_board_guest *last = status_before(core, guest);
    const uint64_t entitled_ns = grown(guest->entitled_ns, last ? last->entitled_ns : 0);
    const uint64_t alone_ns = grown(guest->alone_cpu_ns, last ? last->alone_cpu_ns : 0);
    return part_of_all(core, guest, last, entitled_ns + alone_ns);
}

static double part(uint64_t some, uint64_t all)
{
    return all ? (double)some / (double)all : NAN;
}

double status_promised(const struct matrix_board_guest *guest)
{
    return part(guest->entitled_ns, guest->contended_total_ns);
}

double status_given(const struct matrix_board_guest *guest)
{
    return part(guest->contended_cpu_ns, guest->contended_total_ns);
}

/* --- a look ---------------------------------------------------------------------------------- */

static struct matrix_error *look_at_guests(struct status_core *core)
{
    const size_t slots = matrix_board_slots(core->from.board);
    core->guest_count = 0;
    core->guests = calloc(slots + 1, sizeof(*core->guests));
    if (!core->guests)
        return error_host(ENOMEM, "look at the guests");
    for (size_t slot = 0; slot < slots; slot++) {
        struct matrix_board_guest *guest = &core->guests[core->guest_count];
        RETURN_IF_ERROR(matrix_board_guest(core->from.board, slot, guest));
        core->guest_count += guest->id != 0 && strcmp(guest->state, "gone") != 0;
    }
    qsort(core->guests, core->guest_count, sizeof(*core->guests), by_id);
    return NULL;
}

static struct matrix_error *look_at_groups(struct status_core *core)
{
    const size_t slots = matrix_board_group_slots(core->from.board);
    free(core->groups);
    core->group_count = 0;
    core->groups = calloc(slots + 1, sizeof(*core->groups));
    if (!core->groups)
        return error_host(ENOMEM, "look at the groups");
    for (size_t slot = 0; slot < slots; slot++) {
        struct matrix_board_group *group = &core->groups[core->group_count];
        RETURN_IF_ERROR(matrix_board_group(core->from.board, slot, group));
        core->group_count += group->id != 0;
    }
    qsort(core->groups, core->group_count, sizeof(*core->groups), by_group_id);
    return NULL;
}

struct matrix_error *status_look_at(struct status_core *core)
{
    free(core->before);
    core->before = TAKE(core->guests);
    core->before_count = core->guest_count;
    core->before_core = core->core;
    RETURN_IF_ERROR(look_at_guests(core));
    RETURN_IF_ERROR(look_at_groups(core));
    RETURN_IF_ERROR(matrix_board_core(core->from.board, &core->core));
    core->seen_ns = clock_now_ns(CLOCK_MONOTONIC);
    core->has_ended = cli_board_has_ended(&core->from, &core->core);
    return NULL;
}

struct matrix_error *status_look(struct status *status, bool *goes_on)
{
    *goes_on = false;
    for (size_t i = 0; i < status->count; i++) {
        struct status_core *core = &status->cores[i];
        RETURN_IF_ERROR(error_prefix(status_look_at(core), "process %d", core->from.pid));
        *goes_on |= !core->has_ended;
    }
    return NULL;
}

/* --- whose ----------------------------------------------------------------------------------- */

struct matrix_error *status_take(struct status *status, struct cli_board *boards, size_t count)
{
    struct status_core *cores = calloc(count + 1, sizeof(*cores));
    if (!cores) {
        cli_boards_close(boards, count);
        return error_host(ENOMEM, "look at the cores");
    }
    for (size_t i = 0; i < count; i++)
        cores[i].from = boards[i];
    free(boards);
    *status = (struct status){.cores = cores, .count = count};
    return NULL;
}

void status_free(struct status *status)
{
    for (size_t i = 0; i < status->count; i++) {
        free(status->cores[i].guests);
        free(status->cores[i].before);
        free(status->cores[i].groups);
        matrix_board_close(status->cores[i].from.board);
    }
    free(status->cores);
    *status = (struct status){0};
}
