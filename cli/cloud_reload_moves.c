// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The moves of a reload's plan: guests leave, groups come and go, contracts become those of the file. Called by
 * cloud_reload_apply.c, one by one, between two slices of the first core.
 */
#include "cli/cloud_reload.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include <errno.h>

/* So often is a guest found to be on its way to another core; each time a tick passes. */
#define TRIES_MAX 50

/* It is told with the change that was to be made; all others are made. */
void cloud_reload_note(struct cloud_reload *reload, size_t entry, struct matrix_error *error)
{
    if (!error)
        return;
    json_object_set_new(json_array_get(reload->entries, entry), "error",
                        control_string(error->message));
    matrix_error_free(error);
}

static struct matrix_error *leave(struct cloud_reload *reload, const struct config_step *step)
{
    struct cloud *cloud = reload->cloud;
    const unsigned index = (unsigned)step->before;
    struct cloud_guest *guest = &cloud->guests[index];
    const bool is_removed = step->change == CONFIG_REMOVED;
    /* Whoever is down already is, and nothing is lost. */
    if (is_removed)
        matrix_error_free(life_stop(&cloud->lives, index, clock_now_ns(CLOCK_MONOTONIC)));
    struct matrix_error *error = cloud_leave_machine(cloud, index);
    if (!error && (is_removed || step->keys & CONFIG_KEY_OUTPUT))
        cloud_close_output(cloud, index);
    if (!is_removed)
        matrix_error_free(TAKE(guest->error));
    /* One that was removed may come again, by another description than what is being made now. */
    if (!is_removed || cloud->lives.lives[index].state == LIFE_STOPPED)
        life_renew(&cloud->lives, index, clock_now_ns(CLOCK_MONOTONIC));
    if (is_removed && !guest->vm && guest->past.state == MATRIX_VM_ALIVE)
        guest->past.state = MATRIX_VM_STOPPED; /* there never was one */
    return error;
}

static struct matrix_error *set_guest(struct cloud *cloud, unsigned index,
                                      const struct config_contract *config)
{
    const struct matrix_machine_contract contract = cloud_contract(cloud, config);
    const struct cloud_guest *guest = &cloud->guests[index];
    return guest->vm ? matrix_machine_set(cloud->machine, guest->vm, &contract) : NULL;
}

static struct matrix_error *set_group(struct cloud *cloud, unsigned index,
                                      const struct config_contract *config)
{
    const struct matrix_machine_contract contract = cloud_contract(cloud, config);
    return cloud->groups[index]
               ? matrix_machine_set_group(cloud->machine, cloud->groups[index], &contract)
               : NULL;
}

static struct matrix_error *add_group(struct cloud *cloud, unsigned index)
{
    const struct config_group *group = &cloud->config.groups[index];
    const struct matrix_machine_contract contract = cloud_contract(cloud, &group->contract);
    RETURN_IF_ERROR(cloud_check_group(cloud, group->contract.group));
    return matrix_machine_add_group(cloud->machine, group->name, &contract, &cloud->groups[index]);
}

static struct matrix_error *move_guest(struct cloud_reload *reload, const struct config_move *move)
{
    struct cloud *cloud = reload->cloud;
    const struct config_step *step = &reload->steps.guests[move->step];
    if (move->act == CONFIG_GUEST_LEAVES)
        return leave(reload, step);
    /* Who stays has its old place. */
    const struct config_contract *after = &cloud->config.guests[step->before].contract;
    const struct config_contract between =
        config_contract_between(&reload->old.guests[step->before].contract, after);
    return set_guest(cloud, (unsigned)step->before,
                     move->act == CONFIG_GUEST_RELAXES ? &between : after);
}

static struct matrix_error *move_group(struct cloud_reload *reload, const struct config_move *move)
{
    struct cloud *cloud = reload->cloud;
    const struct config_step *step = &reload->steps.groups[move->step];
    struct matrix_machine_group *leaving = reload->leaving[move->step];
    if (move->act == CONFIG_GROUP_LEAVES) /* one that could not be made never came */
        return leaving ? matrix_machine_remove_group(cloud->machine, leaving) : NULL;
    const unsigned index = (unsigned)step->after;
    if (move->act == CONFIG_GROUP_COMES)
        return add_group(cloud, index);
    const struct config_contract *after = &cloud->config.groups[index].contract;
    const struct config_contract between =
        config_contract_between(&reload->old.groups[step->before].contract, after);
    return set_group(cloud, index, move->act == CONFIG_GROUP_RELAXES ? &between : after);
}

/* It could not take what the file gives it. What it has since it gave back holds, or it is not there; so the next
 * reload tries again. */
static void stay_between(struct cloud_reload *reload, const struct config_move *move)
{
    struct cloud_config *config = &reload->cloud->config;
    if (move->act == CONFIG_GUEST_IS_SET) {
        const int index = reload->steps.guests[move->step].before;
        struct config_contract *contract = &config->guests[index].contract;
        *contract = config_contract_between(&reload->old.guests[index].contract, contract);
    }
    if (move->act == CONFIG_GROUP_IS_SET) {
        const struct config_step *step = &reload->steps.groups[move->step];
        struct config_contract *contract = &config->groups[step->after].contract;
        *contract = config_contract_between(&reload->old.groups[step->before].contract, contract);
    }
    if (move->act == CONFIG_GROUP_COMES)
        config->groups[reload->steps.groups[move->step].after].missing = true;
}

static bool is_about_guest(const struct config_move *move)
{
    return move->act == CONFIG_GUEST_LEAVES || move->act == CONFIG_GUEST_RELAXES ||
           move->act == CONFIG_GUEST_IS_SET;
}

bool cloud_reload_move(struct cloud_reload *reload, const struct config_move *move)
{
    const bool is_guest = is_about_guest(move);
    struct matrix_error *error = is_guest ? move_guest(reload, move) : move_group(reload, move);
    if (error && error->number == EAGAIN && ++reload->tries < TRIES_MAX) {
        matrix_error_free(error);
        return false;
    }
    reload->tries = 0;
    if (error)
        stay_between(reload, move);
    reload->removed_groups |= move->act == CONFIG_GROUP_LEAVES;
    cloud_reload_note(reload, move->step + (is_guest ? 0 : reload->steps.guest_count), error);
    return true;
}
