// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests that start, stop and start again by random commands, against what must be true at any time. */
#include "tests/unit/lifecycle_world.h"

static void something_happens(struct world *world)
{
    const unsigned index = (unsigned)rand() % GUESTS;
    struct body *body = &world->bodies[index];
    struct matrix_error *error = NULL;
    switch (rand() % 9) {
    case 0:
        error = life_start(&world->lives, index, world->now_ns);
        break;
    case 1:
        error = life_stop(&world->lives, index, world->now_ns);
        break;
    case 2:
        error = life_restart(&world->lives, index, world->now_ns);
        break;
    case 3:
        error = life_pause(&world->lives, index, world->now_ns);
        break;
    case 4:
        error = life_resume(&world->lives, index, world->now_ns);
        break;
    case 5:
        if (body->is_being_made)
            made(world, index, rand() % 4);
        break;
    case 6:
        if (body->runs)
            ends(world, index, rand() % 2);
        break;
    case 7:
        renew(world, index);
        break;
    default:
        world->now_ns += (uint64_t)rand() % SECOND_NS;
        lives_tick(&world->lives, world->now_ns);
    }
    matrix_error_free(error);
}

/* What is said of a guest, and what there is of it, agree. */
static void assert_consistent(const struct world *world)
{
    for (unsigned i = 0; i < GUESTS; i++) {
        const struct life *life = &world->lives.lives[i];
        const struct body *body = &world->bodies[i];
        const bool is_up = life->state == LIFE_RUNNING || life->state == LIFE_PAUSED;
        assert_int_equal(body->runs, is_up);
        assert_int_equal(body->paused, life->state == LIFE_PAUSED);
        assert_int_equal(body->exists, is_up || life->is_made);
        assert_int_equal(body->is_being_made, life->state == LIFE_STARTING || life->is_discarded);
        if (life->state == LIFE_BACKOFF)
            assert_true(life->rules.restart == LIFE_ON_FAILURE);
    }
}

static void any_order_leaves_it_consistent(void **state)
{
    static const unsigned after[GUESTS][2] = {{0}, {0}, {0, 1}, {2}, {0}, {4}};
    static const unsigned after_counts[GUESTS] = {0, 1, 2, 1, 0, 1};
    static const unsigned with[GUESTS][1] = {{1}, {0}, {3}, {2}, {0}, {5}};
    for (unsigned seed = 0; seed < 200; seed++) {
        struct world world = {0};
        srand(seed);
        for (unsigned i = 0; i < GUESTS; i++)
            add(&world, (struct life_rules){.restart = rand() % 2,
                                            .after = after[i],
                                            .after_count = after_counts[i],
                                            .stop_with = with[i],
                                            .stop_with_count = (unsigned)rand() % 2});
        lives_begin(&world.lives, 0);
        for (unsigned step = 0; step < 500; step++) {
            something_happens(&world);
            assert_consistent(&world);
        }
        lives_release(&world.lives);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(any_order_leaves_it_consistent)};
    return cmocka_run_group_tests_name("lifecycle_random", tests, NULL, NULL);
}
