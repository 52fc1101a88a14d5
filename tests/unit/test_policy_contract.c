// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The policy with floors, ceilings and groups: against the fluid model of policy_tree.h, through
 * random histories. Each promise by itself is in test_policy_promises.c.
 */
#include "cloud/policy.h"

#include <math.h>
#include <matrix/error.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>
/* and these need cmocka.h */
#include "policy_random.h"

#include "policy_tree.h"

static struct policy_contract random_contract(uint64_t *seed, uint32_t floor_most, bool ceilings)
{
    struct policy_contract contract = {.weight = 1 + (uint32_t)random_below(seed, 100)};
    if (floor_most && random_below(seed, 2))
        contract.floor_ppm = (uint32_t)random_below(seed, floor_most);
    if (ceilings && random_below(seed, 3) == 0)
        contract.ceiling_ppm = contract.floor_ppm + 1 +
                               (uint32_t)random_below(seed, POLICY_WHOLE - contract.floor_ppm);
    return contract;
}

/* --- against the model ------------------------------------------------------------------------- */

struct history {
    bool floors, ceilings, groups, churn, changes;
    long double limit; /* of the lag, in slices per level */
};

static void fill(struct tree *tree, const struct history *history, int queue, int depth)
{
    const uint32_t most = tree->nodes[queue].contract.floor_ppm;
    for (uint64_t n = 2 + random_below(&tree->seed, 6); n && tree->count < NODES_MAX - 1; n--) {
        const bool group = history->groups && depth < 3 && random_below(&tree->seed, 3) == 0;
        const uint32_t floor = !history->floors ? 0 : queue == ROOT ? 400000 : most / 2;
        struct policy_contract contract = random_contract(&tree->seed, floor, history->ceilings);
        const int index = tree_add(tree, queue, group, &contract);
        if (index > 0 && group)
            fill(tree, history, index, depth + 1);
    }
}

static void disturb(struct tree *tree, const struct history *history)
{
    const int index = 1 + (int)random_below(&tree->seed, (uint64_t)tree->count - 1);
    struct node *node = &tree->nodes[index];
    if (history->churn && !node->is_group && random_below(&tree->seed, 3) == 0) {
        if (node->joined)
            tree_leave(tree, index);
        else
            tree_join(tree, index);
    }
    if (history->changes && random_below(&tree->seed, 20) == 0) {
        const struct policy_contract contract =
            random_contract(&tree->seed, history->floors ? 300000 : 0, history->ceilings);
        tree_set(tree, index, &contract);
    }
    tree_check(tree);
}

static void run_histories(const struct history *history, unsigned count, const char *what)
{
    long double worst = 0;
    for (uint64_t seed = 1; seed <= count; seed++) {
        struct tree tree;
        tree_create(&tree, seed, NULL);
        tree.limit = history->limit;
        fill(&tree, history, ROOT, 0);
        for (int i = 1; i < tree.count; i++)
            if (!tree.nodes[i].is_group)
                tree_join(&tree, i);
        for (unsigned step = 0; step < 3000; step++) {
            tree_step(&tree, seed % 2 ? run_all : run_any);
            if (history->churn || history->changes)
                disturb(&tree, history);
        }
        worst = fmaxl(worst, tree.worst);
        tree_destroy(&tree);
    }
    print_message("# %s: the worst lag is %.3Lf of a slice\n", what, worst);
}

static void test_model_weights(void **state)
{
    run_histories(&(struct history){.churn = true, .limit = 1}, 20, "weights");
    run_histories(&(struct history){.churn = true, .groups = true, .limit = 1}, 20, "groups");
}

static void test_model_floors(void **state)
{
    run_histories(&(struct history){.floors = true, .limit = 1}, 40, "floors");
    run_histories(&(struct history){.floors = true, .groups = true, .limit = 1}, 40,
                  "floors, groups");
    run_histories(&(struct history){.floors = true, .churn = true, .limit = 1}, 60,
                  "floors, joins and leaves");
    run_histories(&(struct history){.floors = true, .groups = true, .churn = true, .limit = 1}, 60,
                  "floors, groups, joins and leaves");
}

static void test_model_ceilings(void **state)
{
    run_histories(&(struct history){.ceilings = true, .limit = 1}, 40, "ceilings");
    run_histories(&(struct history){.ceilings = true, .floors = true, .churn = true, .limit = 1},
                  60, "ceilings, floors, joins and leaves");
}

static void test_model_everything(void **state)
{
    run_histories(&(struct history){.floors = true,
                                    .ceilings = true,
                                    .groups = true,
                                    .churn = true,
                                    .changes = true,
                                    .limit = 2},
                  150, "everything");
}

/* Whoever comes and goes: in any window a floor is kept but for two slices (and what runs exceed). */
static void test_floors_are_kept(void **state)
{
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct tree tree;
        tree_create(&tree, seed, NULL);
        tree.limit = 2;
        tree.rounding = SLICE / 50.0L; /* it is of weight 1 */
        const uint32_t floor = PERCENT(5 + 3 * seed % 60);
        const int guest = tree_add(&tree, ROOT, false,
                                   &(struct policy_contract){.weight = 1, .floor_ppm = floor});
        for (int i = 0; i < 30; i++)
            tree_add(&tree, ROOT, false, &(struct policy_contract){.weight = 1 + 7 * (uint32_t)i});
        tree_join(&tree, guest);
        long double most_ahead = 0; /* of floor * time less what it got, at its least so far */
        long double short_of = 0;
        for (unsigned step = 0; step < 5000; step++) {
            tree_step(&tree, run_any);
            disturb(&tree, &(struct history){0});
            const int other = 2 + (int)random_below(&tree.seed, 30);
            if (tree.nodes[other].joined)
                tree_leave(&tree, other);
            else
                tree_join(&tree, other);
            short_of = (long double)tree.now * floor / POLICY_WHOLE -
                       (long double)tree.nodes[guest].own.cpu_ns;
            most_ahead = fminl(most_ahead, short_of);
            tree_expect(&tree, short_of - most_ahead <= 2.0L * (SLICE + SLICE / 20), "floor",
                        guest);
        }
        tree_destroy(&tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_weights),   cmocka_unit_test(test_model_floors),
        cmocka_unit_test(test_model_ceilings),  cmocka_unit_test(test_model_everything),
        cmocka_unit_test(test_floors_are_kept),
    };
    return cmocka_run_group_tests_name("policy_contract", tests, NULL, NULL);
}
