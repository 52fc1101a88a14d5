// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests and groups of a machine come, change and go. Called by strangers; letters do the rest. */
#include "cloud/machine.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct matrix_error *make_policy(const struct matrix_machine *machine,
                                        struct policy **policy)
{
    const uint64_t slice = machine->options.slice_ns;
    return policy_create(slice ? slice : MATRIX_SLICE_DEFAULT_NS, NULL, policy);
}

/* What a core would say about the contract by itself: others there do not matter to that, but for their
 * floors, which the placement looks after. */
struct matrix_error *machine_check_alone(const struct matrix_machine *machine, const char *name,
                                         const struct matrix_machine_contract *contract)
{
    const struct policy_contract for_it = machine_contract(contract);
    struct policy_entity entity;
    struct policy *policy;
    RETURN_IF_ERROR(make_policy(machine, &policy));
    struct matrix_error *error = policy_add(policy, NULL, &entity, name, &for_it);
    policy_destroy(policy);
    return error;
}

struct matrix_error *machine_check_pin(const char *name,
                                       const struct matrix_machine_contract *contract)
{
    if (!contract->group || !contract->pinned)
        return NULL;
    return error_usage("pin the group", "%s is pinned to core %u by itself, and in group %s", name,
                       contract->core, contract->group->lot->name);
}

void machine_look_for_end(struct matrix_machine *machine)
{
    if (!machine->running || machine->alive || machine->options.persistent)
        return;
    matrix_machine_stop(machine);
    machine->all_ended = true;
}

/* --- groups ------------------------------------------------------------------------------------ */

static struct matrix_machine_group *group_create(const char *name,
                                                 const struct matrix_machine_contract *contract)
{
    struct matrix_machine_group *group = calloc(1, sizeof(*group));
    if (group)
        group->lot = calloc(1, sizeof(*group->lot) + strlen(name) + 1);
    if (!group || !group->lot) {
        free(group);
        return NULL;
    }
    memcpy(group->lot->name, name, strlen(name) + 1);
    group->lot->contract = contract->contract;
    group->lot->contract.group = NULL;
    group->parent = contract->group;
    group->lot->parent = contract->group ? contract->group->lot : NULL;
    return group;
}

void machine_group_forget(struct matrix_machine *machine, struct matrix_machine_group *group)
{
    struct unit *unit = group->unit;
    struct matrix_machine_group **link = &unit->groups;
    while (*link != group)
        link = &(*link)->next;
    *link = group->next;
    free(group->lot);
    free(group);
    if (!unit->groups && unit->placed)
        unit_destroy(machine, unit);
}

/* The root of a tree of groups: a unit of its own. */
static struct matrix_error *place_group(struct matrix_machine *machine,
                                        struct matrix_machine_group *group,
                                        const struct matrix_machine_contract *contract)
{
    const char *name = group->lot->name;
    const struct policy_contract for_it = machine_contract(contract);
    struct unit *unit = unit_create(machine);
    if (!unit)
        return error_host(ENOMEM, "make group %s", name);
    struct matrix_error *error = make_policy(machine, &unit->contracts);
    if (!error)
        error = policy_add_group(unit->contracts, NULL, name, &for_it, &group->entity);
    if (!error)
        error = unit_place(machine, unit, name, contract);
    if (error)
        unit_destroy(machine, unit);
    else
        group->unit = unit;
    return error;
}

static struct matrix_error *add_group(struct matrix_machine *machine,
                                      struct matrix_machine_group *group,
                                      const struct matrix_machine_contract *contract,
                                      struct letter *letter)
{
    const struct policy_contract for_it = machine_contract(contract);
    if (!group->parent)
        RETURN_IF_ERROR(place_group(machine, group, contract));
    else
        RETURN_IF_ERROR(policy_add_group(group->parent->unit->contracts, group->parent->entity,
                                         group->lot->name, &for_it, &group->entity));
    if (group->parent)
        group->unit = group->parent->unit;
    group->next = group->unit->groups;
    group->unit->groups = group;
    if (!group->parent) {
        group->unit->party->lots = group->lot;
        unit_come(machine, group->unit, letter);
        return NULL;
    }
    group->parent->members++;
    letter->kind = LETTER_CHANGE;
    letter->act = act_add_lot;
    letter->lot = group->lot;
    unit_ask(machine, group->unit, letter);
    return NULL;
}

struct matrix_error *matrix_machine_add_group(struct matrix_machine *machine, const char *name,
                                              const struct matrix_machine_contract *contract,
                                              struct matrix_machine_group **result)
{
    RETURN_IF_ERROR(machine_check_pin(name, contract));
    struct matrix_machine_group *group = group_create(name, contract);
    struct letter *letter = letter_create(LETTER_COME);
    struct matrix_error *error = group && letter ? add_group(machine, group, contract, letter)
                                                 : error_host(ENOMEM, "make group %s", name);
    if (!error) {
        *result = group;
        return NULL;
    }
    letter_free(letter);
    if (group)
        free(group->lot);
    free(group);
    return error;
}

struct matrix_error *matrix_machine_set_group(struct matrix_machine *machine,
                                              struct matrix_machine_group *group,
                                              const struct matrix_machine_contract *contract)
{
    struct matrix_machine_contract changed = *contract;
    changed.group = group->parent;
    RETURN_IF_ERROR(machine_check_pin(group->lot->name, &changed));
    const struct policy_contract before = group->entity->contract,
                                 after = machine_contract(&changed);
    struct letter *letter = letter_create(LETTER_CHANGE);
    if (!letter)
        return error_host(ENOMEM, "change group %s", group->lot->name);
    letter->act = act_set_lot;
    letter->lot = group->lot;
    letter->contract = changed.contract;
    letter->contract.group = NULL;
    struct matrix_error *error = policy_set(group->unit->contracts, group->entity, &after);
    if (!error && group->parent)
        unit_ask(machine, group->unit, letter);
    else if (!error) {
        error = unit_set(machine, group->unit, &changed, letter);
        if (error)
            matrix_error_free(policy_set(group->unit->contracts, group->entity, &before));
    }
    if (error)
        letter_free(letter);
    return error;
}

struct matrix_error *matrix_machine_remove_group(struct matrix_machine *machine,
                                                 struct matrix_machine_group *group)
{
    if (group->members)
        return error_usage("remove its members first", "group %s has %zu members", group->lot->name,
                           group->members);
    struct letter *letter = letter_create(LETTER_CHANGE);
    if (!letter)
        return error_host(ENOMEM, "remove group %s", group->lot->name);
    matrix_error_free(policy_remove_group(group->unit->contracts, group->entity));
    if (group->parent)
        group->parent->members--;
    letter->act = act_remove_lot;
    letter->lot = group->lot;
    letter->group = group;
    (group->parent ? unit_ask : unit_leave)(machine, group->unit, letter);
    return NULL;
}

/* --- guests: come -------------------------------------------------------------------------------- */

static void guest_free(struct machine_guest *guest)
{
    if (guest->seat)
        letter_free(guest->seat->last);
    free(guest->seat);
    matrix_error_free(guest->error);
    free(guest);
}

static struct machine_guest *guest_create(struct matrix_vm *vm,
                                          const struct matrix_machine_contract *contract)
{
    struct machine_guest *guest = calloc(1, sizeof(*guest));
    if (!guest)
        return NULL;
    guest->seat = calloc(1, sizeof(*guest->seat));
    if (guest->seat)
        guest->seat->last = letter_create(LETTER_ENDED);
    if (!guest->seat || !guest->seat->last) {
        guest_free(guest);
        return NULL;
    }
    guest->vm = guest->seat->vm = vm;
    guest->group = contract->group;
    guest->seat->guest = guest;
    guest->seat->contract = contract->contract;
    guest->seat->contract.group = NULL;
    guest->seat->lot = contract->group ? contract->group->lot : NULL;
    guest->seen_ns = guest->now_ns = clock_now_ns(CLOCK_MONOTONIC);
    return guest;
}

static struct matrix_error *place_guest(struct matrix_machine *machine, struct machine_guest *guest,
                                        const struct matrix_machine_contract *contract)
{
    RETURN_IF_ERROR(machine_check_alone(machine, guest->vm->name, contract));
    struct unit *unit = unit_create(machine);
    if (!unit)
        return error_host(ENOMEM, "add guest %s", guest->vm->name);
    struct matrix_error *error = unit_place(machine, unit, guest->vm->name, contract);
    if (error) {
        unit_destroy(machine, unit);
        return error;
    }
    guest->unit = unit;
    unit->party->seats = guest->seat;
    return NULL;
}

static struct matrix_error *add_guest(struct matrix_machine *machine, struct machine_guest *guest,
                                      const struct matrix_machine_contract *contract,
                                      struct letter *letter)
{
    struct matrix_machine_group *group = guest->group;
    const struct policy_contract for_it = machine_contract(contract);
    if (!group)
        RETURN_IF_ERROR(place_guest(machine, guest, contract));
    else
        RETURN_IF_ERROR(policy_add(group->unit->contracts, group->entity, &guest->entity,
                                   guest->vm->name, &for_it));
    machine_core_describe(&machine->cores[0], guest->seat, &guest->now);
    machine->guests[machine->guest_count++] = guest;
    machine->alive++;
    if (!group) {
        unit_come(machine, guest->unit, letter);
        return NULL;
    }
    guest->unit = group->unit;
    group->members++;
    letter->kind = LETTER_CHANGE;
    letter->act = act_add_seat;
    letter->seat = guest->seat;
    unit_ask(machine, guest->unit, letter);
    return NULL;
}

struct matrix_error *matrix_machine_add(struct matrix_machine *machine, struct matrix_vm *vm,
                                        const struct matrix_machine_contract *contract)
{
    RETURN_IF_ERROR(machine_check_pin(vm->name, contract));
    if (vm->state != MATRIX_VM_ALIVE)
        return error_usage("make a new one", "guest %s has ended already", vm->name);
    struct machine_guest **guests =
        realloc(machine->guests, (machine->guest_count + 1) * sizeof(struct machine_guest *));
    if (!guests)
        return error_host(ENOMEM, "add guest %s", vm->name);
    machine->guests = guests;
    struct machine_guest *guest = guest_create(vm, contract);
    struct letter *letter = letter_create(LETTER_COME);
    struct matrix_error *error = guest && letter ? add_guest(machine, guest, contract, letter)
                                                 : error_host(ENOMEM, "add guest %s", vm->name);
    if (!error)
        return NULL;
    letter_free(letter);
    if (guest)
        guest_free(guest);
    return error;
}

void machine_guest_forget(struct matrix_machine *machine, struct machine_guest *guest)
{
    size_t i = 0;
    while (machine->guests[i] != guest)
        i++;
    machine->guest_count--;
    memmove(&machine->guests[i], &machine->guests[i + 1],
            (machine->guest_count - i) * sizeof(struct machine_guest *));
    if (guest->group) {
        policy_remove(guest->unit->contracts, &guest->entity);
        guest->group->members--;
    } else {
        unit_destroy(machine, guest->unit);
    }
    guest_free(guest);
}
