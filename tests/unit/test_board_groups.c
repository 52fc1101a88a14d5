// SPDX-License-Identifier: GPL-2.0-or-later
/* Groups on a board: they come with those around them, change and go; and those that cannot be are refused. */
#include "board_world.h"

#include "cloud/board_groups.h"
#include <stdio.h>

static struct policy_entity *make_group(struct policy *policy, struct policy_entity *parent,
                                        const char *name, unsigned weight)
{
    struct policy_entity *group;
    const struct policy_contract contract = {.weight = weight};
    succeed(policy_add_group(policy, parent, name, &contract, &group));
    return group;
}

static struct matrix_board_group read_group(size_t slot)
{
    struct matrix_board_group group;
    succeed(matrix_board_group(board, slot, &group));
    return group;
}

static void test_groups_come_change_and_go(void **state)
{
    struct board_groups groups = {0};
    struct policy *policy;
    succeed(policy_create(1000000, NULL, &policy));
    struct policy_entity *city = make_group(policy, NULL, "city", 10);
    struct policy_entity *zion = make_group(policy, city, "zion", 20);
    assert_int_equal(board_groups_show(&groups, &memory, NULL), 0);
    assert_int_equal(matrix_board_group_slots(board), 0);
    board_groups_change(&groups, &memory, zion); /* which nobody has seen */
    assert_int_equal(matrix_board_group_slots(board), 0);
    assert_int_equal(board_groups_show(&groups, &memory, zion), 2);
    assert_int_equal(board_groups_show(&groups, &memory, zion), 2);
    assert_int_equal(board_groups_show(&groups, &memory, city), 1);
    assert_int_equal(matrix_board_group_slots(board), 2);
    assert_string_equal(read_group(0).name, "city");
    assert_int_equal(read_group(0).parent, 0);
    assert_int_equal(read_group(1).parent, 1);
    assert_int_equal(read_group(1).weight, 20);

    const struct policy_contract changed = {
        .weight = 21, .ceiling_ppm = 500000, .latency_ns = 3000000};
    succeed(policy_set(policy, zion, &changed));
    board_groups_change(&groups, &memory, zion);
    assert_int_equal(read_group(1).weight, 21);
    assert_int_equal(read_group(1).ceiling_ppm, 500000);
    assert_int_equal(read_group(1).latency_ns, 3000000);

    const uint64_t label = zion->label;
    succeed(policy_remove_group(policy, zion));
    board_groups_forget(&groups, &memory, label);
    assert_int_equal(read_group(1).id, 0);
    board_groups_forget(&groups, &memory, 0);
    struct policy_entity *trainman = make_group(policy, city, "trainman", 1);
    assert_int_equal(board_groups_show(&groups, &memory, trainman), 3);
    assert_int_equal(read_group(1).id, 3);
    policy_destroy(policy);
}

/* They have no number then, nor have those in them; and the others have theirs. */
static void test_more_groups_than_slots(void **state)
{
    static struct board_groups groups;
    static char names[BOARD_GROUP_SLOTS + 2][8];
    struct board_memory large;
    struct policy *policy;
    struct policy_entity *first = NULL, *last = NULL;
    succeed(board_memory_make(1, BOARD_GROUP_SLOTS, STAYS, &large));
    succeed(policy_create(1000000, NULL, &policy));
    for (unsigned i = 0; i < COUNT(names); i++) {
        snprintf(names[i], sizeof(names[i]), "%u", i);
        last = make_group(policy, NULL, names[i], 1);
        first = first ? first : last;
        assert_int_equal(board_groups_show(&groups, &large, last),
                         i < BOARD_GROUP_SLOTS ? i + 1 : 0);
    }
    struct policy_entity *inside = make_group(policy, last, "inside", 1);
    assert_int_equal(board_groups_show(&groups, &large, inside), 0);
    board_groups_change(&groups, &large, last);
    board_groups_forget(&groups, &large, last->label);
    assert_int_equal(large.header->group_slots_used, BOARD_GROUP_SLOTS);

    /* One that goes makes room for the next, which is the outer one. */
    succeed(policy_remove_group(policy, first));
    board_groups_forget(&groups, &large, 1);
    assert_int_equal(board_groups_show(&groups, &large, inside), 0);
    assert_int_equal(last->label, BOARD_GROUP_SLOTS + 1);
    policy_destroy(policy);
    board_memory_release(&large);
}

static void refuse_group(struct matrix_board_group group, const char *part)
{
    board_memory_write_group(&memory, 0, &group);
    refuse(matrix_board_group(board, 0, &group), part);
}

static void test_groups_that_are_none(void **state)
{
    const struct matrix_board_group good = {.id = 2, .parent = 1, .weight = 1};
    struct matrix_board_group group = good;
    memset(group.name, 'x', sizeof(group.name));
    refuse_group(group, "a name without end");
    group = good;
    group.weight = 0;
    refuse_group(group, "a group that is none");
    group = good;
    group.floor_ppm = 1000001;
    refuse_group(group, "a group that is none");
    group = good;
    group.parent = 2; /* in itself */
    refuse_group(group, "a group that is none");
    refuse(matrix_board_group(board, GROUPS, &group), "group 4 of a board for 4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(groups_come_change_and_go),
        TEST(more_groups_than_slots),
        TEST(groups_that_are_none),
    };
    return cmocka_run_group_tests_name("board groups", tests, NULL, NULL);
}
