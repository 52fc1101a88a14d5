/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fluid model of contracts with floors, ceilings and groups that test_policy_contract.c holds the
 * policy against. Like policy_world.h it knows no virtual time: each member of each group has a lag in
 * nanoseconds against what its group got. Shares come from a bisection for lambda. It believes the policy
 * in two things only, which it checks or which other tests check: on which side somebody is whose share
 * is exactly its floor or ceiling, and who is at a ceiling by wall time. Included by that file only.
 */
#ifndef TESTS_UNIT_POLICY_TREE_H
#define TESTS_UNIT_POLICY_TREE_H

#define NODES_MAX 64
#define ROOT      0

struct node {
    struct policy_entity own, *entity; /* own: a guest's */
    struct policy_contract contract;
    int parent; /* of the root: -1 */
    bool is_group, joined, queued;
    bool by_limit;                  /* its share is its floor or ceiling; kept while away */
    long double lag, share, weight; /* weight: by which time on its axis counts */

    /* As a queue of members: */
    long double owed, lambda, unbound, normal;
    uint64_t overrun;
};

struct tree {
    struct policy *policy;
    struct node nodes[NODES_MAX];
    int count;
    uint64_t seed, first_seed, steps, now; /* now: wall time */
    bool changed;                          /* shares are to be found anew */
    /* What the two may differ by. Small errors grow where somebody of weight 1 stands for a time, and
     * thousands of others for as much by weight. */
    long double rounding;
    long double worst, limit; /* lag in slices (with overruns): the worst, what is allowed */
};

static void tree_expect(const struct tree *tree, bool condition, const char *what, int index)
{
    const struct node *node = &tree->nodes[index];
    if (!condition)
        fail_msg("%s: node %d in %d, weight %u floor %u ceiling %u, lag %.1Lf ns, share %Lf, step "
                 "%llu, seed %llu",
                 what, index, node->parent, node->contract.weight, node->contract.floor_ppm,
                 node->contract.ceiling_ppm, node->lag, node->share,
                 (unsigned long long)tree->steps, (unsigned long long)tree->first_seed);
}

static void tree_create(struct tree *tree, uint64_t seed, const char *policy)
{
    *tree = (struct tree){
        .seed = seed, .first_seed = seed, .count = 1, .limit = 1, .rounding = SLICE / 1000.0L};
    tree->nodes[ROOT] = (struct node){.parent = -1, .is_group = true, .share = 1};
    assert_null(policy_create(SLICE, policy, &tree->policy));
}

static void tree_destroy(struct tree *tree)
{
    policy_destroy(tree->policy);
}

/* Adds a member; -1 if the policy refuses its contract. */
static int tree_add(struct tree *tree, int parent, bool is_group,
                    const struct policy_contract *contract)
{
    assert_in_range(tree->count, 1, NODES_MAX - 1);
    struct node *node = &tree->nodes[tree->count];
    *node = (struct node){.parent = parent, .is_group = is_group, .contract = *contract};
    node->weight = contract->weight;
    node->entity = &node->own;
    struct policy_entity *group = tree->nodes[parent].entity;
    struct matrix_error *error =
        is_group ? policy_add_group(tree->policy, group, "group", contract, &node->entity)
                 : policy_add(tree->policy, group, &node->own, "guest", contract);
    if (error) {
        matrix_error_free(error);
        return -1;
    }
    return tree->count++;
}

/* --- shares ----------------------------------------------------------------------------------- */

static long double floor_share(const struct tree *tree, const struct node *node)
{
    const struct node *group = &tree->nodes[node->parent];
    const uint32_t whole =
        group->contract.floor_ppm ? group->contract.floor_ppm : (uint32_t)POLICY_WHOLE;
    return (long double)node->contract.floor_ppm / whole;
}

/* Ceilings bound shares of the core; inside groups they are by wall time only. */
static long double ceiling_share(const struct node *node)
{
    const uint32_t ceiling = node->parent == ROOT ? node->contract.ceiling_ppm : 0;
    return ceiling ? (long double)ceiling / POLICY_WHOLE : INFINITY;
}

static long double share_of(const struct tree *tree, const struct node *node, long double lambda)
{
    const long double share = fmaxl(lambda * node->contract.weight, floor_share(tree, node));
    return fminl(share, ceiling_share(node));
}

static long double sum_of_shares(const struct tree *tree, int queue, long double lambda)
{
    long double sum = 0;
    for (int i = 1; i < tree->count; i++)
        if (tree->nodes[i].parent == queue && tree->nodes[i].joined)
            sum += share_of(tree, &tree->nodes[i], lambda);
    return sum;
}

static void tree_shares(struct tree *tree, int queue)
{
    struct node *group = &tree->nodes[queue];
    long double low = 0, high = 2;
    for (int i = 0; i < 80; i++) {
        const long double lambda = (low + high) / 2;
        if (sum_of_shares(tree, queue, lambda) > 1)
            high = lambda;
        else
            low = lambda;
    }
    const long double sum = sum_of_shares(tree, queue, high);
    group->normal = sum < 1 - 1e-9L && sum > 0 ? 1 / sum : 1;
    group->lambda = high;
    group->unbound = 0;
    for (int i = 1; i < tree->count; i++) {
        struct node *node = &tree->nodes[i];
        if (node->parent != queue || !node->joined)
            continue;
        node->share = share_of(tree, node, high) * group->normal;
        const long double weighted = high * node->contract.weight;
        const enum policy_bound bound = node->entity->bound;
        node->by_limit = bound != POLICY_FREE;
        if (bound == POLICY_FREE)
            tree_expect(tree, fabsl(share_of(tree, node, high) - weighted) < 1e-8L, "free", i);
        else if (bound == POLICY_AT_FLOOR)
            tree_expect(tree, floor_share(tree, node) >= weighted - 1e-8L, "not at floor", i);
        else
            tree_expect(tree, ceiling_share(node) <= weighted + 1e-8L, "not at ceiling", i);
        node->weight = bound == POLICY_FREE       ? node->contract.weight
                       : bound == POLICY_AT_FLOOR ? floor_share(tree, node)
                                                  : ceiling_share(node);
        group->unbound += bound == POLICY_FREE ? node->contract.weight : 0;
    }
}

/* --- flow ------------------------------------------------------------------------------------------ */

/* Time on the axis of weights (per unit of weight) and on that of limits goes on, for all members. */
static void tree_move(struct tree *tree, int queue, long double by_weight, long double by_limit)
{
    for (int i = 1; i < tree->count; i++) {
        struct node *node = &tree->nodes[i];
        if (node->parent != queue)
            continue;
        node->lag += node->weight * (node->by_limit ? by_limit : by_weight);
        if (!node->queued && node->lag > 0)
            node->lag = 0; /* credits are forfeited */
    }
}

/* How fast lambda must at least advance while debts are made good, for the floors of the free. */
static long double tree_needed(const struct tree *tree, int queue)
{
    long double most = 0;
    for (int i = 1; i < tree->count; i++) {
        const struct node *node = &tree->nodes[i];
        if (node->parent == queue && node->joined && !node->by_limit)
            most = fmaxl(most, floor_share(tree, node) / node->contract.weight);
    }
    return most;
}

static void tree_charge(struct tree *tree, int queue, long double ran)
{
    struct node *group = &tree->nodes[queue];
    const bool any_free = group->unbound > 0;
    const long double lambda = any_free ? group->lambda : 0;
    const long double flow = any_free ? ran * lambda * group->unbound : ran;
    const long double needed = any_free ? ran * tree_needed(tree, queue) * group->unbound : 0;
    const long double good = fminl(group->owed, fmaxl(0, flow - needed));
    group->owed -= good;
    if (any_free)
        tree_move(tree, queue, (flow - good) / group->unbound, ran);
    else
        tree_move(tree, queue, 0, (ran - good) * group->normal);
}

/* All that are queued are ahead: time moves on to the first. */
static void tree_catch_up(struct tree *tree, int queue)
{
    struct node *group = &tree->nodes[queue];
    const long double lambda = group->unbound > 0 ? group->lambda : 0;
    long double least = INFINITY, least_free = INFINITY;
    for (int i = 1; i < tree->count; i++) {
        const struct node *node = &tree->nodes[i];
        if (node->parent != queue || !node->queued)
            continue;
        if (node->lag >= 0)
            return;
        const long double ahead = -node->lag / node->weight;
        if (node->by_limit)
            least = fminl(least, ahead / group->normal);
        else if (lambda > 1e-12L)
            least = fminl(least, ahead / lambda);
        else
            least_free = fminl(least_free, ahead);
    }
    if (least < INFINITY)
        tree_move(tree, queue, least * lambda, least * group->normal);
    else if (least_free < INFINITY)
        tree_move(tree, queue, least_free, 0);
}

/* --- who is there --------------------------------------------------------------------------------- */

static bool tree_any(const struct tree *tree, int queue, bool of_queued)
{
    for (int i = 1; i < tree->count; i++)
        if (tree->nodes[i].parent == queue &&
            (of_queued ? tree->nodes[i].queued : tree->nodes[i].joined))
            return true;
    return false;
}

/* Brings who is joined and queued up to date, from the leaves up, and what follows for debts. */
static void tree_settle(struct tree *tree)
{
    for (int i = tree->count - 1; i > 0; i--) { /* members have higher numbers than their groups */
        struct node *node = &tree->nodes[i];
        if (node->is_group)
            node->joined = tree_any(tree, i, false);
        const bool queued = node->joined && !node->entity->throttled &&
                            (!node->is_group || tree_any(tree, i, true));
        struct node *group = &tree->nodes[node->parent];
        const bool was = node->queued;
        node->queued = queued;
        if (was && !queued) {
            node->lag = fminl(node->lag, 0);
            group->owed = tree_any(tree, node->parent, true) ? group->owed - node->lag : 0;
        } else if (queued && !was) {
            group->owed -= fminl(group->owed, -node->lag);
        }
    }
    for (int i = 0; i < tree->count && tree->changed; i++)
        if (tree->nodes[i].is_group && tree_any(tree, i, false))
            tree_shares(tree, i);
    tree->changed = false;
}

static void tree_join(struct tree *tree, int guest)
{
    assert_null(policy_join(tree->policy, &tree->nodes[guest].own));
    tree->nodes[guest].joined = tree->changed = true;
    tree_settle(tree);
}

static void tree_leave(struct tree *tree, int guest)
{
    policy_leave(tree->policy, &tree->nodes[guest].own);
    tree->nodes[guest].joined = false;
    tree->changed = true;
    tree_settle(tree);
}

/* False if the policy refuses. */
static bool tree_set(struct tree *tree, int index, const struct policy_contract *contract)
{
    struct node *node = &tree->nodes[index];
    struct matrix_error *error = policy_set(tree->policy, node->entity, contract);
    if (error) {
        matrix_error_free(error);
        return false;
    }
    node->contract = *contract;
    tree->changed = true;
    tree_settle(tree);
    return true;
}

/* The promise on each level: a slice, and what runs exceeded it. */
static void tree_check(struct tree *tree)
{
    for (int i = 1; i < tree->count; i++) {
        const struct node *node = &tree->nodes[i];
        if (!node->queued)
            continue;
        const long double slice = (long double)(SLICE + tree->nodes[node->parent].overrun);
        tree->worst = fmaxl(tree->worst, fabsl(node->lag) / slice);
        tree_expect(tree, fabsl(node->lag) <= tree->limit * slice + tree->rounding, "out of bounds",
                    i);
    }
}

/* --- a step ------------------------------------------------------------------------------------------ */

static int tree_index(const struct tree *tree, const struct policy_entity *entity)
{
    for (int i = 1; i < tree->count; i++)
        if (tree->nodes[i].entity == entity)
            return i;
    fail_msg("picked a stranger");
    return 0;
}

static void tree_ran(struct tree *tree, int index, const uint64_t left[], uint64_t ran)
{
    for (int i = index; i != ROOT; i = tree->nodes[i].parent) {
        struct node *node = &tree->nodes[i], *group = &tree->nodes[node->parent];
        int queued = 0;
        for (int other = 1; other < tree->count; other++)
            queued += tree->nodes[other].parent == node->parent && tree->nodes[other].queued;
        if (queued > 1 && ran > left[i] && ran - left[i] > group->overrun)
            group->overrun = ran - left[i] < SLICE ? ran - left[i] : SLICE;
        node->lag -= (long double)ran;
        tree_charge(tree, node->parent, (long double)ran);
        if (queued == 1 && node->lag < 0) { /* alone: ahead of nobody */
            group->owed = 0;
            const long double rest = -node->lag / node->weight;
            tree_move(tree, node->parent, node->by_limit ? 0 : rest, node->by_limit ? rest : 0);
        }
    }
}

/* One decision, and a run of what run() makes of the slice. Returns who it was; 0: nobody may run. */
typedef uint64_t tree_run(struct tree *tree, int guest, uint64_t slice);

static int tree_step(struct tree *tree, tree_run *run)
{
    uint64_t left[NODES_MAX];
    tree->steps++;
    struct policy_entity *picked = policy_pick(tree->policy, tree->now);
    tree_settle(tree);                                            /* some were at their ceilings */
    assert_int_equal(picked != NULL, tree_any(tree, ROOT, true)); /* work conservation */
    if (!picked) {
        const uint64_t release = policy_release_ns(tree->policy);
        assert_int_equal(release != 0, tree_any(tree, ROOT, false));
        tree->now = release ? release : tree->now + SLICE;
        return 0;
    }
    const int guest = tree_index(tree, picked);
    tree_expect(tree, !tree->nodes[guest].is_group && tree->nodes[guest].queued, "picked", guest);
    int path[POLICY_DEPTH_MAX + 2], depth = 0;
    for (int i = guest; i != ROOT; i = tree->nodes[i].parent) {
        left[i] = tree->nodes[i].entity->left_ns;
        path[depth++] = i;
    }
    while (depth--) { /* from the core down */
        tree_catch_up(tree, tree->nodes[path[depth]].parent);
        tree_expect(tree, tree->nodes[path[depth]].lag >= -tree->rounding, "ahead", path[depth]);
    }
    const uint64_t slice = policy_slice(tree->policy, picked);
    tree_expect(tree, slice > 0 && slice <= SLICE, "slice out of range", guest);
    const uint64_t ran = run(tree, guest, slice);
    tree->now += ran;
    policy_charge(tree->policy, picked, ran, tree->now);
    tree_ran(tree, guest, left, ran);
    tree_settle(tree);
    tree_check(tree);
    return guest;
}

#define PERCENT(percent) ((uint32_t)(percent) * (POLICY_WHOLE / 100))

/* --- how long whoever was picked runs, of the slice that it may ---------------------------------- */

static inline uint64_t run_all(struct tree *tree, int guest, uint64_t slice)
{
    return slice;
}

/* Exits early, or not, or the timer is late. */
static inline uint64_t run_any(struct tree *tree, int guest, uint64_t slice)
{
    switch (random_below(&tree->seed, 4)) {
    case 0:
        return random_below(&tree->seed, slice + 1);
    case 1:
        return slice + random_below(&tree->seed, SLICE / 20);
    default:
        return slice;
    }
}

#endif
