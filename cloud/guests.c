// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests and groups come under contract, change, pause and go. Called by strangers. */
#include "cloud/core.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct policy_contract for_policy(const struct matrix_contract *contract)
{
    return (struct policy_contract){.weight = contract->weight,
                                    .floor_ppm = contract->floor_ppm,
                                    .ceiling_ppm = contract->ceiling_ppm,
                                    .latency_ns = contract->latency_ns};
}

/* For strangers a group is what it is for the policy. */
static struct policy_entity *group_entity(struct matrix_core_group *group)
{
    return (struct policy_entity *)(void *)group;
}

struct guest *core_find_guest(const struct matrix_core *core, const struct matrix_vm *vm)
{
    for (size_t i = 0; i < core->guest_count; i++)
        if (core->guests[i]->vm == vm)
            return core->guests[i];
    return NULL;
}

static struct matrix_error *not_here(const struct matrix_vm *vm)
{
    return error_usage(NULL, "guest %s is not on this core", vm->name);
}

static struct matrix_error *check_alive(const struct matrix_vm *vm)
{
    if (vm->state == MATRIX_VM_ALIVE)
        return NULL;
    return error_usage("make a new one", "guest %s has ended already", vm->name);
}

static bool is_running(const struct matrix_core *core)
{
    return core->begin_ns && !core->finished_ns;
}

/* Off the lists of core and policy. */
static void take_off(struct matrix_core *core, struct guest *guest)
{
    core_board_forget(core, guest);
    guest_disown_tasks(core, guest);
    policy_remove(core->policy, &guest->entity);
    size_t i = 0;
    while (core->guests[i] != guest)
        i++;
    core->guest_count--;
    memmove(&core->guests[i], &core->guests[i + 1],
            (core->guest_count - i) * sizeof(struct guest *));
}

static struct matrix_error *add(struct matrix_core *core, struct guest *guest)
{
    const struct policy_contract contract = for_policy(&guest->contract);
    RETURN_IF_ERROR(policy_add(core->policy, group_entity(guest->contract.group), &guest->entity,
                               guest->vm->name, &contract));
    core->has_ceilings |= contract.ceiling_ppm != 0;
    core->guests[core->guest_count++] = guest;
    struct matrix_error *error = is_running(core) ? guest_adopt_tasks(core, guest) : NULL;
    if (error) {
        take_off(core, guest);
        return error;
    }
    core->guests_alive += is_running(core);
    core_board_guest(core, guest);
    return NULL;
}

struct matrix_error *matrix_core_add_contract(struct matrix_core *core, struct matrix_vm *vm,
                                              const struct matrix_contract *contract)
{
    if (contract->weight == 0 || contract->weight > MATRIX_WEIGHT_MAX)
        return error_usage("use 1 to 10000", "weight %u of guest %s", contract->weight, vm->name);
    RETURN_IF_ERROR(check_alive(vm));
    struct guest **guests = realloc(core->guests, (core->guest_count + 1) * sizeof(*core->guests));
    if (guests)
        core->guests = guests;
    struct guest *guest = guests ? calloc(1, sizeof(*guest)) : NULL;
    if (!guest)
        return error_host(ENOMEM, "add guest %s", vm->name);
    guest->vm = vm;
    guest->contract = *contract;
    struct matrix_error *error = add(core, guest);
    if (error)
        free(guest);
    return error;
}

struct matrix_error *matrix_core_add(struct matrix_core *core, struct matrix_vm *vm,
                                     unsigned weight)
{
    return matrix_core_add_contract(core, vm, &(struct matrix_contract){.weight = weight});
}

struct matrix_error *matrix_core_add_group(struct matrix_core *core, const char *name,
                                           const struct matrix_contract *contract,
                                           struct matrix_core_group **group)
{
    const struct policy_contract for_group = for_policy(contract);
    struct policy_entity *entity;
    RETURN_IF_ERROR(
        policy_add_group(core->policy, group_entity(contract->group), name, &for_group, &entity));
    core->has_ceilings |= contract->ceiling_ppm != 0;
    *group = (struct matrix_core_group *)(void *)entity;
    return NULL;
}

struct matrix_error *matrix_core_set_contract(struct matrix_core *core, struct matrix_vm *vm,
                                              const struct matrix_contract *contract)
{
    const struct policy_contract changed = for_policy(contract);
    struct guest *guest = core_find_guest(core, vm);
    if (!guest)
        return not_here(vm);
    RETURN_IF_ERROR(policy_set(core->policy, &guest->entity, &changed));
    core->has_ceilings |= contract->ceiling_ppm != 0;
    struct matrix_core_group *group = guest->contract.group;
    guest->contract = *contract;
    guest->contract.group = group;
    core_board_guest(core, guest);
    return NULL;
}

struct matrix_error *matrix_core_set_group(struct matrix_core *core,
                                           struct matrix_core_group *group,
                                           const struct matrix_contract *contract)
{
    const struct policy_contract changed = for_policy(contract);
    RETURN_IF_ERROR(policy_set(core->policy, group_entity(group), &changed));
    core->has_ceilings |= contract->ceiling_ppm != 0;
    core_board_group(core, group_entity(group));
    return NULL;
}

struct matrix_error *matrix_core_remove_group(struct matrix_core *core,
                                              struct matrix_core_group *group)
{
    const uint64_t label = group_entity(group)->label;
    RETURN_IF_ERROR(policy_remove_group(core->policy, group_entity(group)));
    core_board_forget_group(core, label);
    return NULL;
}

/* --- they stop and go ----------------------------------------------------------------------- */

static struct matrix_error *find_alive(const struct matrix_core *core, const struct matrix_vm *vm,
                                       struct guest **guest)
{
    *guest = core_find_guest(core, vm);
    if (!*guest)
        return not_here(vm);
    if (vm->state != MATRIX_VM_ALIVE)
        return error_usage("start it anew", "guest %s has ended", vm->name);
    return NULL;
}

struct matrix_error *matrix_core_pause(struct matrix_core *core, struct matrix_vm *vm)
{
    struct guest *guest;
    RETURN_IF_ERROR(find_alive(core, vm, &guest));
    guest_pause(core, guest);
    return NULL;
}

struct matrix_error *matrix_core_resume(struct matrix_core *core, struct matrix_vm *vm)
{
    struct guest *guest;
    RETURN_IF_ERROR(find_alive(core, vm, &guest));
    guest_resume(core, guest);
    return NULL;
}

struct matrix_error *matrix_core_stop_guest(struct matrix_core *core, struct matrix_vm *vm)
{
    struct guest *guest = core_find_guest(core, vm);
    if (!guest)
        return not_here(vm);
    if (vm->state != MATRIX_VM_ALIVE)
        return NULL;
    if (is_running(core))
        guest_end(core, guest, MATRIX_VM_STOPPED);
    else
        vm_end(vm, MATRIX_VM_STOPPED, 0);
    return NULL;
}

struct matrix_error *matrix_core_remove(struct matrix_core *core, struct matrix_vm *vm)
{
    struct guest *guest = core_find_guest(core, vm);
    if (!guest)
        return not_here(vm);
    take_off(core, guest);
    if (is_running(core) && vm->state == MATRIX_VM_ALIVE)
        core->guests_alive--;
    else if (is_running(core) && !guest->end_told)
        core->ends_untold--;
    free(guest);
    return NULL;
}

static void put_in(struct guest *guest, struct matrix_vm *vm)
{
    guest->vm = vm;
    guest->entity.name = vm->name;
}

struct matrix_error *matrix_core_replace(struct matrix_core *core, struct matrix_vm *ended,
                                         struct matrix_vm *vm)
{
    struct guest *guest = core_find_guest(core, ended);
    if (!guest)
        return not_here(ended);
    if (ended->state == MATRIX_VM_ALIVE)
        return error_usage("stop it first", "guest %s has not ended", ended->name);
    RETURN_IF_ERROR(check_alive(vm));
    core_board_leave(core, guest);
    guest_disown_tasks(core, guest);
    guest->paused = false;
    put_in(guest, vm);
    if (!is_running(core))
        return NULL;
    struct matrix_error *error = guest_adopt_tasks(core, guest);
    if (error) {
        guest_disown_tasks(core, guest);
        put_in(guest, ended);
        return error;
    }
    core->guests_alive++;
    if (!guest->end_told)
        core->ends_untold--;
    guest->end_told = false;
    return NULL;
}

void core_tell_ends(struct matrix_core *core)
{
    /* From the start each time: whoever is told may add and remove. */
    for (size_t i = 0; i < core->guest_count && core->ends_untold; i++) {
        struct guest *guest = core->guests[i];
        if (guest->vm->state == MATRIX_VM_ALIVE || guest->end_told)
            continue;
        guest->end_told = true;
        core->ends_untold--;
        if (core->options.ended)
            core->options.ended(core, guest->vm, core->options.context);
        i = (size_t)-1;
    }
}
