// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows of `matrix top`, in order: groups and guests; see top.h. */
#include "base/error.h"
#include "cli/top.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const top_sort_names[TOP_SORTS] = {
    [TOP_BY_NAME] = "name",   [TOP_BY_STATE] = "state", [TOP_BY_WEIGHT] = "weight",
    [TOP_BY_DUE] = "due",     [TOP_BY_SHARE] = "share", [TOP_BY_ERROR] = "error",
    [TOP_BY_EXITS] = "exits", [TOP_BY_CPU] = "cpu",     [TOP_BY_MEMORY] = "memory",
};

/* --- rows ------------------------------------------------------------------------------------ */

static struct top_row guest_row(const struct status_core *core,
                                const struct matrix_board_guest *guest)
{
    struct top_row row = {.core = core,
                          .guest = guest,
                          .name = guest->name,
                          .share = status_share(core, guest),
                          .due = status_due(core, guest),
                          .all_exits_per_s = status_exits_per_s(core, guest),
                          .cpu_ns = guest->cpu_ns,
                          .memory_bytes = guest->memory_bytes};
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        row.exits_per_s[kind] = status_exits_of_kind_per_s(core, guest, kind);
    return row;
}

/* What is unknown of one guest is left out of its group's sum. */
static void add_known(double *sum, double part)
{
    if (!isnan(part))
        *sum = isnan(*sum) ? part : *sum + part;
}

static void add_to_group(struct top_row *group, const struct top_row *guest)
{
    add_known(&group->share, guest->share);
    add_known(&group->due, guest->due);
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        group->exits_per_s[kind] += guest->exits_per_s[kind];
    group->all_exits_per_s += guest->all_exits_per_s;
    group->cpu_ns += guest->cpu_ns;
    group->memory_bytes += guest->memory_bytes;
    group->members++;
}

static struct top_row *find_group(struct top_row *rows, size_t count, const struct top_row *guest)
{
    for (size_t i = 0; i < count; i++)
        if (!rows[i].guest && rows[i].core == guest->core &&
            strcmp(rows[i].name, guest->guest->group) == 0)
            return &rows[i];
    return NULL;
}

/* --- order ----------------------------------------------------------------------------------- */

static int numbers(double a, double b)
{
    if (isnan(a) || isnan(b))
        return isnan(a) - isnan(b); /* what is unknown is last */
    return (a < b) - (a > b);       /* much is first */
}

static const char *state_of(const struct top_row *row)
{
    return row->guest ? row->guest->state : "";
}

static double weight_of(const struct top_row *row)
{
    return row->guest ? row->guest->weight : NAN;
}

static int compare_by(const struct top_row *a, const struct top_row *b, enum top_sort sort)
{
    switch (sort) {
    case TOP_BY_STATE:
        return strcmp(state_of(a), state_of(b));
    case TOP_BY_WEIGHT:
        return numbers(weight_of(a), weight_of(b));
    case TOP_BY_DUE:
        return numbers(a->due, b->due);
    case TOP_BY_SHARE:
        return numbers(a->share, b->share);
    case TOP_BY_ERROR: /* who is furthest from the contract, whichever way */
        return numbers(fabs(a->share - a->due), fabs(b->share - b->due));
    case TOP_BY_EXITS:
        return numbers(a->all_exits_per_s, b->all_exits_per_s);
    case TOP_BY_CPU:
        return numbers((double)a->cpu_ns, (double)b->cpu_ns);
    case TOP_BY_MEMORY:
        return numbers((double)a->memory_bytes, (double)b->memory_bytes);
    default:
        return strcmp(a->name, b->name);
    }
}

/* Who is otherwise alike stays in an order that does not change from look to look. */
static int compare_alike(const struct top_row *a, const struct top_row *b)
{
    const int by_name = strcmp(a->name, b->name);
    if (by_name)
        return by_name;
    if (a->core != b->core)
        return a->core < b->core ? -1 : 1;
    if (!a->guest || !b->guest)
        return !b->guest - !a->guest;
    return (a->guest->id > b->guest->id) - (a->guest->id < b->guest->id);
}

static int compare(const void *first, const void *second, void *context)
{
    const struct top_row *a = first, *b = second;
    const struct top_order *order = context;
    const int by_sort = compare_by(a, b, order->sort);
    if (by_sort)
        return order->reverse ? -by_sort : by_sort;
    return compare_alike(a, b);
}

/* --- the model ------------------------------------------------------------------------------- */

static size_t count_guests(const struct status *status)
{
    size_t count = 0;
    for (size_t i = 0; i < status->count; i++)
        count += status->cores[i].guest_count;
    return count;
}

/* Rows of the first level: groups, and guests without one; behind them in the same array those with one. */
static size_t gather(const struct status *status, bool flat, struct top_row *tops,
                     struct top_row *members, size_t *member_count)
{
    size_t count = 0;
    *member_count = 0;
    for (size_t i = 0; i < status->count; i++)
        for (size_t j = 0; j < status->cores[i].guest_count; j++) {
            const struct top_row row = guest_row(&status->cores[i], &status->cores[i].guests[j]);
            if (flat || !row.guest->group[0]) {
                tops[count++] = row;
                continue;
            }
            struct top_row *group = find_group(tops, count, &row);
            if (!group) {
                group = &tops[count++];
                *group = (struct top_row){
                    .core = row.core, .name = row.guest->group, .share = NAN, .due = NAN};
            }
            add_to_group(group, &row);
            members[(*member_count)++] = row;
        }
    return count;
}

static void append_members(struct top_model *model, const struct top_row *group,
                           const struct top_row *members, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (members[i].core == group->core && strcmp(members[i].guest->group, group->name) == 0)
            model->rows[model->count++] = members[i];
}

struct matrix_error *top_model_make(struct top_model *model, const struct status *status,
                                    const struct top_order *order)
{
    const size_t guests = count_guests(status);
    struct top_order by = *order;
    *model = (struct top_model){.rows = calloc(2 * guests + 1, sizeof(*model->rows))};
    struct top_row *tops = calloc(guests + 1, sizeof(*tops));
    struct top_row *members = calloc(guests + 1, sizeof(*members));
    if (!model->rows || !tops || !members) {
        free(tops);
        free(members);
        top_model_free(model);
        return error_host(ENOMEM, "list the guests");
    }
    size_t member_count;
    const size_t count = gather(status, order->flat, tops, members, &member_count);
    qsort_r(tops, count, sizeof(*tops), compare, &by);
    qsort_r(members, member_count, sizeof(*members), compare, &by);
    for (size_t i = 0; i < count; i++) {
        model->rows[model->count++] = tops[i];
        if (!tops[i].guest)
            append_members(model, &tops[i], members, member_count);
    }
    free(tops);
    free(members);
    return NULL;
}

void top_model_free(struct top_model *model)
{
    free(model->rows);
    *model = (struct top_model){0};
}
