// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The order of changes; see config_plan.h. First everyone gives back what the new file does not give them,
 * members before their groups; then they take what it does, groups before their members. A target is a
 * promise only by the floors around it: while any of these is on its way, targets wait.
 */
#include "cloud/config_plan.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

struct planner {
    const struct cloud_config *running;
    const struct config_steps *steps;
    struct config_plan *plan;
    bool groups_change; /* the floors around somebody's target may be on their way */
};

static void append(struct planner *planner, enum config_act act, unsigned step)
{
    planner->plan->moves[planner->plan->count++] = (struct config_move){act, step};
}

/* Whether one that stays is on its way to another contract, or its target waits. */
static bool is_moved(const struct planner *planner, const struct config_step *step,
                     uint64_t latency_ns)
{
    if (step->change != CONFIG_KEPT && step->change != CONFIG_CHANGED)
        return false;
    return step->keys & CONFIG_KEYS_CONTRACT || (planner->groups_change && latency_ns);
}

static bool guest_moves(const struct planner *planner, unsigned index)
{
    const struct config_step *step = &planner->steps->guests[index];
    return step->before != CONFIG_NOWHERE &&
           is_moved(planner, step, planner->running->guests[step->before].contract.latency_ns);
}

static bool group_moves(const struct planner *planner, unsigned index)
{
    const struct config_step *step = &planner->steps->groups[index];
    return step->before != CONFIG_NOWHERE &&
           is_moved(planner, step, planner->running->groups[step->before].contract.latency_ns);
}

static void give_back(struct planner *planner)
{
    const struct config_steps *steps = planner->steps;
    for (unsigned i = 0; i < steps->guest_count; i++)
        if (steps->guests[i].change == CONFIG_REMOVED ||
            steps->guests[i].change == CONFIG_RESTARTED)
            append(planner, CONFIG_GUEST_LEAVES, i);
    for (unsigned i = 0; i < steps->guest_count; i++)
        if (guest_moves(planner, i))
            append(planner, CONFIG_GUEST_RELAXES, i);
    /* From the last: a group stands behind the one that it is in. */
    for (unsigned i = steps->group_count; i-- > 0;)
        if (steps->groups[i].change == CONFIG_REMOVED)
            append(planner, CONFIG_GROUP_LEAVES, i);
    for (unsigned i = steps->group_count; i-- > 0;)
        if (group_moves(planner, i))
            append(planner, CONFIG_GROUP_RELAXES, i);
}

static void take(struct planner *planner)
{
    const struct config_steps *steps = planner->steps;
    for (unsigned i = 0; i < steps->group_count; i++)
        if (steps->groups[i].change == CONFIG_ADDED)
            append(planner, CONFIG_GROUP_COMES, i);
        else if (group_moves(planner, i))
            append(planner, CONFIG_GROUP_IS_SET, i);
    for (unsigned i = 0; i < steps->guest_count; i++)
        if (guest_moves(planner, i))
            append(planner, CONFIG_GUEST_IS_SET, i);
}

struct matrix_error *config_plan_make(const struct cloud_config *running,
                                      const struct config_steps *steps, struct config_plan *plan)
{
    struct planner planner = {.running = running, .steps = steps, .plan = plan};
    for (unsigned i = 0; i < steps->group_count; i++)
        planner.groups_change |= steps->groups[i].change != CONFIG_KEPT;
    /* Each is moved twice at most. */
    const size_t room = 2 * ((size_t)steps->guest_count + steps->group_count) + 1;
    *plan = (struct config_plan){.moves = calloc(room, sizeof(*plan->moves))};
    if (!plan->moves)
        return error_host(ENOMEM, "plan the changes");
    give_back(&planner);
    take(&planner);
    return NULL;
}

void config_plan_free(struct config_plan *plan)
{
    free(plan->moves);
    *plan = (struct config_plan){0};
}
