// SPDX-License-Identifier: GPL-2.0-or-later
/* What a reload comes to: files compared with what runs, key by key. In which order: test_config_plan.c. */
#include "cloud/config_compare.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
