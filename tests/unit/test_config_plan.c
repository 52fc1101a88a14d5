// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The order of a reload's changes: random pairs of clouds, of which the one becomes the other, contract by contract,
 * under the eyes of the policy, which refuses what a core could not keep.
 */
#include "cloud/config_plan.h"

#include "cloud/policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUESTS 12
#define GROUPS 5
#define PAIRS  3000

static uint64_t seed = 1;

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(seed >> 33) % below;
}

static const char *const guest_names[] = {"a", "b", "c", "d", "e", "f",
                                          "g", "h", "i", "j", "k", "l"};
static const char *const group_names[] = {"A", "B", "C", "D", "E"};
static const char *arguments[] = {"x", NULL};

static void draw_contract(struct config_contract *contract, int group)
{
    *contract = (struct config_contract){.weight = 1 + draw(100), .group = group};
    if (draw(2))
        contract->floor_ppm = draw(300000);
    if (draw(3) == 0)
        contract->ceiling_ppm = 200000 + draw(800000);
    if (draw(3) == 0)
        contract->latency_ns = 1000000ULL * (1 + draw(200));
}

/* Who is in the cloud, in entities of a policy: what the cores of a cloud would say. */
struct world {
    struct policy *policy;
    struct policy_entity guests[GUESTS], *groups[GROUPS];
    bool guest_is_there[GUESTS];
};

static int number(const char *const *names, const char *name)
{
    int i = 0;
    while (strcmp(names[i], name) != 0)
        i++;
    return i;
}

static struct policy_contract for_policy(const struct config_contract *contract)
{
    return (struct policy_contract){.weight = contract->weight,
                                    .floor_ppm = contract->floor_ppm,
                                    .ceiling_ppm = contract->ceiling_ppm,
                                    .latency_ns = contract->latency_ns};
}

static struct policy_entity *group_of(const struct world *world, const struct cloud_config *config,
                                      const struct config_contract *contract)
{
    return contract->group == CONFIG_NO_GROUP
               ? NULL
               : world->groups[number(group_names, config->groups[contract->group].name)];
}

static struct matrix_error *enter_group(struct world *world, const struct cloud_config *config,
                                        const struct config_group *group)
{
    const struct policy_contract contract = for_policy(&group->contract);
    return policy_add_group(world->policy, group_of(world, config, &group->contract), group->name,
                            &contract, &world->groups[number(group_names, group->name)]);
}

static struct matrix_error *enter_guest(struct world *world, const struct cloud_config *config,
                                        const struct config_guest *guest)
{
    const int index = number(guest_names, guest->name);
    const struct policy_contract contract = for_policy(&guest->contract);
    struct matrix_error *error =
        policy_add(world->policy, group_of(world, config, &guest->contract), &world->guests[index],
                   guest->name, &contract);
    world->guest_is_there[index] = !error;
    return error;
}

/* A cloud whose contracts the policy admits: what it refuses is not in it. Each group is always in the same. */
static void draw_cloud(struct cloud_config *config, struct world *world)
{
    static const int parents[GROUPS] = {-1, 0, -1, 2, 1};
    assert_null(policy_create(1000000, NULL, &world->policy));
    config->guests = calloc(GUESTS, sizeof(*config->guests));
    config->groups = calloc(GROUPS, sizeof(*config->groups));
    for (unsigned i = 0; i < GROUPS; i++) {
        const char *around = parents[i] < 0 ? "" : group_names[parents[i]];
        int parent = CONFIG_NO_GROUP;
        for (unsigned j = 0; j < config->group_count; j++)
            if (strcmp(config->groups[j].name, around) == 0)
                parent = (int)j;
        if (draw(4) == 0 || (parents[i] >= 0 && parent == CONFIG_NO_GROUP))
            continue;
        struct config_group *group = &config->groups[config->group_count];
        group->name = group_names[i];
        draw_contract(&group->contract, parent);
        struct matrix_error *error = enter_group(world, config, group);
        config->group_count += !error;
        matrix_error_free(error);
    }
    for (unsigned i = 0; i < GUESTS; i++) {
        if (draw(4) == 0)
            continue;
        struct config_guest *guest = &config->guests[config->guest_count];
        guest->name = guest_names[i];
        guest->image = draw(8) ? "x" : "y";
        guest->argv = arguments;
        draw_contract(&guest->contract, (int)draw(config->group_count + 1) - 1);
        struct matrix_error *error = enter_guest(world, config, guest);
        config->guest_count += !error;
        matrix_error_free(error);
    }
}

static void leave_cloud(struct cloud_config *config, struct world *world)
{
    policy_destroy(world->policy);
    free(config->guests);
    free(config->groups);
    *world = (struct world){0};
    *config = (struct cloud_config){0};
}

static struct matrix_error *set(struct world *world, struct policy_entity *entity,
                                const struct config_contract *contract)
{
    const struct policy_contract changed = for_policy(contract);
    return policy_set(world->policy, entity, &changed);
}

static struct matrix_error *move(struct world *world, const struct cloud_config *running,
                                 const struct cloud_config *new, const struct config_steps *steps,
                                 const struct config_move *move)
{
    const bool is_guest = move->act == CONFIG_GUEST_LEAVES || move->act == CONFIG_GUEST_RELAXES ||
                          move->act == CONFIG_GUEST_IS_SET;
    const struct config_step *step =
        is_guest ? &steps->guests[move->step] : &steps->groups[move->step];
    const struct config_guest *guest_before = &running->guests[is_guest ? step->before : 0];
    const struct config_guest *guest_after = &new->guests[is_guest ? step->after : 0];
    const struct config_group *group_before = &running->groups[is_guest ? 0 : step->before];
    const struct config_group *group_after = &new->groups[is_guest ? 0 : step->after];
    struct config_contract between;
    switch (move->act) {
    case CONFIG_GUEST_LEAVES:
        policy_remove(world->policy, &world->guests[number(guest_names, guest_before->name)]);
        world->guest_is_there[number(guest_names, guest_before->name)] = false;
        return NULL;
    case CONFIG_GUEST_RELAXES:
        between = config_contract_between(&guest_before->contract, &guest_after->contract);
        return set(world, &world->guests[number(guest_names, guest_before->name)], &between);
    case CONFIG_GUEST_IS_SET:
        return set(world, &world->guests[number(guest_names, guest_after->name)],
                   &guest_after->contract);
    case CONFIG_GROUP_LEAVES:
        return policy_remove_group(world->policy,
                                   world->groups[number(group_names, group_before->name)]);
    case CONFIG_GROUP_RELAXES:
        between = config_contract_between(&group_before->contract, &group_after->contract);
        return set(world, world->groups[number(group_names, group_before->name)], &between);
    case CONFIG_GROUP_IS_SET:
        return set(world, world->groups[number(group_names, group_after->name)],
                   &group_after->contract);
    case CONFIG_GROUP_COMES:
        return enter_group(world, new, group_after);
    }
    return NULL;
}

static void assert_contract(const struct world *world, const struct cloud_config *config,
                            const struct policy_entity *entity,
                            const struct config_contract *contract)
{
    const char *group = policy_group_name(entity);
    assert_int_equal(entity->contract.weight, contract->weight);
    assert_int_equal(entity->contract.floor_ppm, contract->floor_ppm);
    assert_int_equal(entity->contract.ceiling_ppm, contract->ceiling_ppm);
    assert_int_equal(entity->contract.latency_ns, contract->latency_ns);
    assert_string_equal(group ? group : "-", contract->group == CONFIG_NO_GROUP
                                                 ? "-"
                                                 : config->groups[contract->group].name);
}

static void one_cloud_becomes_another(void **state)
{
    unsigned moves = 0;
    for (unsigned pair = 0; pair < PAIRS; pair++) {
        struct cloud_config running = {0}, new = {0};
        struct world world = {0}, other = {0};
        struct config_steps steps;
        struct config_plan plan;
        draw_cloud(&running, &world);
        draw_cloud(&new, &other);
        assert_null(config_compare(&running, &new, &steps));
        assert_null(config_plan_make(&running, &steps, &plan));
        for (unsigned i = 0; i < plan.count; i++) {
            struct matrix_error *error = move(&world, &running, &new, &steps, &plan.moves[i]);
            if (error)
                fail_msg("pair %u, move %u (act %d): %s", pair, i, plan.moves[i].act,
                         error->message);
        }
        moves += plan.count;
        /* Those that are new or made anew come in the end. */
        for (unsigned i = 0; i < steps.guest_count; i++) {
            const struct config_step *step = &steps.guests[i];
            if (step->change == CONFIG_ADDED || step->change == CONFIG_RESTARTED)
                assert_null(enter_guest(&world, &new, &new.guests[step->after]));
        }
        for (unsigned i = 0; i < new.guest_count; i++)
            assert_contract(&world, &new, &world.guests[number(guest_names, new.guests[i].name)],
                            &new.guests[i].contract);
        for (unsigned i = 0; i < new.group_count; i++)
            assert_contract(&world, &new, world.groups[number(group_names, new.groups[i].name)],
                            &new.groups[i].contract);
        unsigned there = 0;
        for (unsigned i = 0; i < GUESTS; i++)
            there += world.guest_is_there[i];
        assert_int_equal(there, new.guest_count);
        config_plan_free(&plan);
        config_steps_free(&steps);
        leave_cloud(&running, &world);
        leave_cloud(&new, &other);
    }
    print_message("# %u pairs, %u moves, none refused\n", PAIRS, moves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_cloud_becomes_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
