// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a reload comes to: files compared with what runs, key by key; and random pairs of clouds, of which the
 * one becomes the other, contract by contract, under the eyes of the policy.
 */
#include "cloud/config_plan.h"

#include "cloud/policy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void parse(const char *text, struct cloud_config *config)
{
    struct matrix_error *error = config_parse(text, strlen(text), "file", config);
    if (error)
        fail_msg("%s: %s", text, error->message);
}

/* "a:kept b:changed(weight after) -g:removed": guests, then groups with a dash in front. */
static void describe(const struct cloud_config *running, const struct cloud_config *new,
                     const struct config_step *list, unsigned count, bool groups, char *text,
                     size_t bytes)
{
    static const char *const words[] = {"kept", "changed", "restarted", "added", "removed"};
    for (unsigned i = 0; i < count; i++) {
        const struct config_step *step = &list[i];
        const struct cloud_config *config = step->after == CONFIG_NOWHERE ? running : new;
        const int index = step->after == CONFIG_NOWHERE ? step->before : step->after;
        size_t length = strlen(text);
        length += (size_t)snprintf(
            text + length, bytes - length, "%s%s%s:%s", length ? " " : "", groups ? "-" : "",
            groups ? config->groups[index].name : config->guests[index].name, words[step->change]);
        for (unsigned key = 0; key < CONFIG_KEYS; key++)
            if (step->keys & 1U << key)
                length += (size_t)snprintf(text + length, bytes - length, ",%s",
                                           config_key_name(1U << key));
    }
}

static void assert_comes_to(const char *before, const char *after, const char *expected)
{
    struct cloud_config running, new;
    struct config_steps steps;
    char text[1024] = "";
    parse(before, &running);
    parse(after, &new);
    assert_null(config_carry_over(&running, &new));
    assert_null(config_compare(&running, &new, &steps));
    describe(&running, &new, steps.guests, steps.guest_count, false, text, sizeof(text));
    describe(&running, &new, steps.groups, steps.group_count, true, text, sizeof(text));
    assert_string_equal(text, expected);
    config_steps_free(&steps);
    config_free(&running);
    config_free(&new);
}

static void what_is_the_same_is_kept(void **state)
{
    static const char text[] =
        "groups: [{name: g, floor: 10%}]\n"
        "guests: [{name: a, image: neo, args: [x, y], output: o, memory: 4M, mergeable: yes},\n"
        "  {name: b, image: neo, group: g, after: [a], stop-with: [a]}]\n";
    assert_comes_to(text, text, "a:kept b:kept -g:kept");
}

static void order_and_defaults_are_no_difference(void **state)
{
    assert_comes_to(
        "guests: [{name: a, image: x}, {name: b, image: x, weight: 100},\n"
        "  {name: c, image: x, after: [a, b], restart: on-failure}]",
        "guests: [{name: c, image: x, after: [b, a], restart: on-failure, backoff: 100ms},\n"
        "  {name: b, image: x}, {name: a, image: x, mergeable: no, restart: never}]",
        "c:kept b:kept a:kept");
}

static void each_key_is_seen(void **state)
{
    static const struct {
        const char *before, *after, *expected;
    } cases[] = {
        {"", "weight: 3", "changed,weight"},
        {"floor: 10%", "floor: 20%", "changed,floor"},
        {"ceiling: 50%", "", "changed,ceiling"},
        {"", "latency: 1s", "changed,latency"},
        {"", "restart: on-failure", "changed,restart"},
        {"restart: on-failure", "restart: on-failure, backoff: 1s", "changed,backoff"},
        {"", "after: [o]", "changed,after"},
        {"stop-with: [o]", "", "changed,stop-with"},
        {"", "pin: 0", "changed,pin"},
        {"pin: 0", "pin: 1", "changed,pin"},
        {"pin: 1, weight: 3", "", "changed,weight,pin"},
        {"args: [a]", "args: [a, b]", "restarted,args"},
        {"args: [a, b]", "args: [a]", "restarted,args"},
        {"args: [a]", "args: [b]", "restarted,args"},
        {"", "memory: 4M", "restarted,memory"},
        {"", "output: x", "restarted,output"},
        {"output: x", "output: y", "restarted,output"},
        {"mergeable: yes", "", "restarted,mergeable"},
        {"", "console: yes", "restarted,console"},
        {"", "group: g", "restarted,group"},
        {"group: g", "group: h, weight: 3", "restarted,weight,group"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static const char format[] = "groups: [{name: g}, {name: h}]\n"
                                     "guests: [{name: o, image: x}, {name: a, image: x, %s}]";
        char before[256], after[256], expected[256];
        snprintf(before, sizeof(before), format, cases[i].before);
        snprintf(after, sizeof(after), format, cases[i].after);
        snprintf(expected, sizeof(expected), "o:kept a:%s -g:kept -h:kept", cases[i].expected);
        assert_comes_to(before, after, expected);
    }
    assert_comes_to("guests: [{name: a, image: x}]", "guests: [{name: a, image: y}]",
                    "a:restarted,image");
}

static void guests_and_groups_come_and_go(void **state)
{
    assert_comes_to("groups: [{name: g}, {name: h, group: g}]\n"
                    "guests: [{name: a, image: x, group: h}, {name: b, image: x, group: g}]",
                    "groups: [{name: g, weight: 3}, {name: k, group: g}]\n"
                    "guests: [{name: c, image: x, group: k}, {name: b, image: x, group: g}]",
                    "c:added b:kept a:removed -g:changed,weight -k:added -h:removed");
}

static void a_group_stays_in_its_group(void **state)
{
    struct cloud_config running, new;
    struct config_steps steps;
    parse("groups: [{name: g}, {name: h, group: g}]\nguests: [{name: a, image: x}]", &running);
    parse("groups: [{name: g}, {name: h}]\nguests: [{name: a, image: x}]", &new);
    struct matrix_error *error = config_compare(&running, &new, &steps);
    assert_non_null(error);
    assert_non_null(strstr(error->message, "group h"));
    matrix_error_free(error);
    config_free(&running);
    config_free(&new);
}

static void what_cannot_change_is_for_later(void **state)
{
    struct cloud_config running, new;
    struct config_steps steps;
    parse("slice: 1ms\nguests: [{name: a, image: x}]", &running);
    parse("slice: 2ms\nduration: 3s\nkeep: yes\nguests: [{name: a, image: x}]", &new);
    assert_null(config_compare(&running, &new, &steps));
    assert_int_equal(steps.later, CONFIG_KEY_SLICE | CONFIG_KEY_DURATION);
    config_steps_free(&steps);
    config_free(&running);
    config_free(&new);
}

static void assert_is_for_later(const char *before, const char *after, unsigned keys)
{
    struct cloud_config running, new;
    struct config_steps steps;
    char text[256];
    snprintf(text, sizeof(text), "%sguests: [{name: a, image: x}]", before);
    parse(text, &running);
    snprintf(text, sizeof(text), "%sguests: [{name: a, image: x}]", after);
    parse(text, &new);
    assert_null(config_compare(&running, &new, &steps));
    assert_int_equal(steps.later, keys);
    assert_int_equal(steps.guests[0].change, CONFIG_KEPT);
    config_steps_free(&steps);
    config_free(&running);
    config_free(&new);
}

static void cores_are_for_later(void **state)
{
    assert_is_for_later("cores: 2\n", "cores: 2\n", 0);
    assert_is_for_later("cores: 2\n", "cores: 3\n", CONFIG_KEY_CORES);
    assert_is_for_later("cpus: [1, 2]\n", "cpus: [1, 2]\n", 0);
    assert_is_for_later("cpus: [1, 2]\n", "cpus: [2, 1]\n", CONFIG_KEY_CPUS);
    assert_is_for_later("cpus: [1, 2]\n", "cpus: [1]\n", CONFIG_KEY_CORES | CONFIG_KEY_CPUS);
    assert_is_for_later("cores: 2\n", "cpus: [1, 2]\n", CONFIG_KEY_CPUS);
    assert_is_for_later("", "rebalance: 1s\nmoves: 2\n", CONFIG_KEY_REBALANCE | CONFIG_KEY_MOVES);
    assert_is_for_later("core: 1\n", "core: any\n", CONFIG_KEY_CORE);
}

/* On the way it may be anywhere, unless both say where. */
static void a_pin_is_let_go_first(void **state)
{
    const struct config_contract nowhere = {.weight = 1}, on_1 = {.is_pinned = true, .pin = 1},
                                 on_2 = {.is_pinned = true, .pin = 2};
    assert_false(config_contract_between(&nowhere, &on_1).is_pinned);
    assert_false(config_contract_between(&on_1, &nowhere).is_pinned);
    assert_false(config_contract_between(&on_1, &on_2).is_pinned);
    const struct config_contract same = config_contract_between(&on_2, &on_2);
    assert_true(same.is_pinned);
    assert_int_equal(same.pin, 2);
}

/* What a command has added stays, with its group; what has left is as good as not there. */
static void what_commands_added_stays(void **state)
{
    struct cloud_config running, new;
    struct config_steps steps;
    char text[256] = "";
    parse("groups: [{name: g}, {name: h, group: g, floor: 0.5%}, {name: i}]\n"
          "guests: [{name: a, image: x}, {name: b, image: x, group: h, weight: 7},\n"
          "  {name: c, image: x}, {name: d, image: x}]",
          &running);
    running.guests[1].added = running.guests[3].added = true;
    running.guests[2].removed = true;
    parse("guests: [{name: a, image: x}, {name: c, image: y}, {name: d, image: x}]", &new);
    assert_null(config_carry_over(&running, &new));
    assert_null(config_compare(&running, &new, &steps));
    describe(&running, &new, steps.guests, steps.guest_count, false, text, sizeof(text));
    describe(&running, &new, steps.groups, steps.group_count, true, text, sizeof(text));
    assert_string_equal(text, "a:kept c:added d:kept b:kept -g:kept -h:kept -i:removed");
    assert_int_equal(new.guests[3].contract.weight, 7);
    assert_string_equal(new.groups[new.guests[3].contract.group].name, "h");
    assert_int_equal(new.groups[1].contract.group, 0);
    assert_int_equal(new.groups[1].contract.floor_ppm, 5000);
    config_steps_free(&steps);
    config_free(&running);
    config_free(&new);
}

/* What could not be made is made by the next reload, and its members with it. */
static void a_group_that_is_missing_comes(void **state)
{
    static const char file[] =
        "groups: [{name: g}, {name: h}]\n"
        "guests: [{name: a, image: x, group: g}, {name: b, image: x, group: h}]";
    struct cloud_config running, new;
    struct config_steps steps;
    char text[256] = "";
    parse(file, &running);
    running.groups[0].missing = true;
    parse(file, &new);
    assert_null(config_carry_over(&running, &new));
    assert_null(config_compare(&running, &new, &steps));
    describe(&running, &new, steps.guests, steps.guest_count, false, text, sizeof(text));
    describe(&running, &new, steps.groups, steps.group_count, true, text, sizeof(text));
    assert_string_equal(text, "a:restarted,group b:kept -g:added -h:kept");
    config_steps_free(&steps);
    config_free(&running);
    config_free(&new);
}

/* --- random pairs ------------------------------------------------------------------------------ */

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
    print_message("%u pairs, %u moves, none refused\n", PAIRS, moves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_the_same_is_kept),
        cmocka_unit_test(order_and_defaults_are_no_difference),
        cmocka_unit_test(each_key_is_seen),
        cmocka_unit_test(guests_and_groups_come_and_go),
        cmocka_unit_test(a_group_stays_in_its_group),
        cmocka_unit_test(what_cannot_change_is_for_later),
        cmocka_unit_test(cores_are_for_later),
        cmocka_unit_test(a_pin_is_let_go_first),
        cmocka_unit_test(what_commands_added_stays),
        cmocka_unit_test(a_group_that_is_missing_comes),
        cmocka_unit_test(one_cloud_becomes_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
