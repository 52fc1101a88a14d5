// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests and groups come under contract, and their contracts change. Called by strangers. */
#include "cloud/core.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

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

static struct matrix_error *add(struct matrix_core *core, struct guest *guest)
{
    const struct policy_contract contract = for_policy(&guest->contract);
    RETURN_IF_ERROR(policy_add(core->policy, group_entity(guest->contract.group), &guest->entity,
                               guest->vm->name, &contract));
    core->has_ceilings |= contract.ceiling_ppm != 0;
    core->guests[core->guest_count++] = guest;
    return NULL;
}

struct matrix_error *matrix_core_add_contract(struct matrix_core *core, struct matrix_vm *vm,
                                              const struct matrix_contract *contract)
{
    if (contract->weight == 0 || contract->weight > MATRIX_WEIGHT_MAX)
        return error_usage("use 1 to 10000", "weight %u of guest %s", contract->weight, vm->name);
    if (vm->state != MATRIX_VM_ALIVE)
        return error_usage("make a new one", "guest %s has ended already", vm->name);
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
    for (size_t i = 0; i < core->guest_count; i++) {
        struct guest *guest = core->guests[i];
        if (guest->vm != vm)
            continue;
        core->has_ceilings |= contract->ceiling_ppm != 0;
        RETURN_IF_ERROR(policy_set(core->policy, &guest->entity, &changed));
        struct matrix_core_group *group = guest->contract.group;
        guest->contract = *contract;
        guest->contract.group = group;
        return NULL;
    }
    return error_usage(NULL, "guest %s is not on this core", vm->name);
}
