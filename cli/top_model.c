// SPDX-License-Identifier: GPL-2.0-or-later
/* Rows of `matrix top`, in order: groups and guests; see top.h. */
#include "base/error.h"
#include "cli/top.h"
#include "cloud/policy.h"
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
                          .weight = guest->weight,
                          .floor_ppm = guest->floor_ppm,
                          .ceiling_ppm = guest->ceiling_ppm,
                          .share = status_share(core, guest),
                          .due = status_due(core, guest),
                          .all_exits_per_s = status_exits_per_s(core, guest),
                          .cpu_ns = guest->cpu_ns,
                          .memory_bytes = guest->memory_bytes};
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        row.exits_per_s[kind] = status_exits_of_kind_per_s(core, guest, kind);
    return row;
}

static struct top_row group_row(const struct status_core *core,
                                const struct matrix_board_group *group)
{
    return (struct top_row){.core = core,
                            .group = group,
                            .name = group->name,
                            .weight = group->weight,
                            .floor_ppm = group->floor_ppm,
                            .ceiling_ppm = group->ceiling_ppm,
                            .share = NAN,
                            .due = NAN};
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

/* The row of that group, where those of the core's groups begin at groups; NULL: it is not there. */
static struct top_row *find_group(struct top_row *groups, const struct status_core *core,
                                  uint64_t id)
{
    const struct matrix_board_group *group = id ? status_group(core, id) : NULL;
    return group ? &groups[group - core->groups] : NULL;
}

/* Those of one core: its groups in the order of their numbers, each behind the one that it is in, and its guests. */
static size_t gather(const struct status_core *core, bool flat, struct top_row *rows)
{
    const size_t groups = flat ? 0 : core->group_count;
    for (size_t i = 0; i < groups; i++) {
        rows[i] = group_row(core, &core->groups[i]);
        const struct top_row *around = find_group(rows, core, core->groups[i].parent);
        /* No policy nests them deeper, but a board may say anything. */
        if (around && around->depth + 1 < POLICY_DEPTH_MAX) {
            rows[i].inside = around->group->id;
            rows[i].depth = around->depth + 1;
        }
    }
    for (size_t i = 0; i < core->guest_count; i++) {
        struct top_row *row = &rows[groups + i];
        *row = guest_row(core, &core->guests[i]);
        struct top_row *group = flat ? NULL : find_group(rows, core, row->guest->group_id);
        row->inside = group ? group->group->id : 0;
        row->depth = group ? group->depth + 1 : 0;
        for (; group; group = find_group(rows, core, group->inside))
            add_to_group(group, row);
    }
    return groups + core->guest_count;
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

static int compare_by(const struct top_row *a, const struct top_row *b, enum top_sort sort)
{
    switch (sort) {
    case TOP_BY_STATE:
        return strcmp(state_of(a), state_of(b));
    case TOP_BY_WEIGHT:
        return numbers(a->weight, b->weight);
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
    if (!a->guest != !b->guest)
        return !b->guest - !a->guest;
    const uint64_t first = a->guest ? a->guest->id : a->group->id;
    const uint64_t second = b->guest ? b->guest->id : b->group->id;
    return (first > second) - (first < second);
}

/* Who stands in one list: those in no group, of whatever core, and those in one. */
static int compare_lists(const struct top_row *a, const struct top_row *b)
{
    if (!a->inside || !b->inside)
        return !b->inside - !a->inside;
    if (a->core != b->core)
        return a->core < b->core ? -1 : 1;
    return (a->inside > b->inside) - (a->inside < b->inside);
}

static int compare(const void *first, const void *second, void *context)
{
    const struct top_row *a = first, *b = second;
    const struct top_order *order = context;
    const int by_list = compare_lists(a, b);
    if (by_list)
        return by_list;
    const int by_sort = compare_by(a, b, order->sort);
    if (by_sort)
        return order->reverse ? -by_sort : by_sort;
    return compare_alike(a, b);
}

/* --- the model ------------------------------------------------------------------------------- */

static size_t count_rows(const struct status *status)
{
    size_t count = 0;
    for (size_t i = 0; i < status->count; i++)
        count += status->cores[i].guest_count + status->cores[i].group_count;
    return count;
}

static size_t first_of(const struct top_row *rows, size_t count, const struct top_row *list)
{
    size_t low = 0, high = count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (compare_lists(&rows[middle], list) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* A list, each group followed by its own; a group without guests is none to look at. */
static void append(struct top_model *model, const struct top_row *rows, size_t count,
                   const struct top_row *list)
{
    for (size_t i = first_of(rows, count, list); i < count && compare_lists(&rows[i], list) == 0;
         i++) {
        if (rows[i].group && rows[i].members == 0)
            continue;
        model->rows[model->count++] = rows[i];
        if (rows[i].group)
            append(model, rows, count,
                   &(struct top_row){.core = rows[i].core, .inside = rows[i].group->id});
    }
}

struct matrix_error *top_model_make(struct top_model *model, const struct status *status,
                                    const struct top_order *order)
{
    const size_t most = count_rows(status);
    struct top_order by = *order;
    size_t count = 0;
    *model = (struct top_model){.rows = calloc(most + 1, sizeof(*model->rows))};
    struct top_row *rows = calloc(most + 1, sizeof(*rows));
    if (!model->rows || !rows) {
        free(rows);
        top_model_free(model);
        return error_host(ENOMEM, "list the guests");
    }
    for (size_t i = 0; i < status->count; i++)
        count += gather(&status->cores[i], order->flat, rows + count);
    qsort_r(rows, count, sizeof(*rows), compare, &by);
    append(model, rows, count, &(struct top_row){.inside = 0});
    free(rows);
    return NULL;
}

void top_model_free(struct top_model *model)
{
    free(model->rows);
    *model = (struct top_model){0};
}
