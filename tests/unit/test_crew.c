// SPDX-License-Identifier: GPL-2.0-or-later
/* A crew does every part once, stops at an error, and leaves signals to the caller. */
#include "base/crew.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define PARTS 10000

struct world {
    atomic_int done[PARTS];
    atomic_int all;
    size_t fails_at;
};

static int part(void *context, size_t index)
{
    struct world *world = context;
    atomic_fetch_add(&world->done[index], 1);
    atomic_fetch_add(&world->all, 1);
    return index == world->fails_at ? ENXIO : 0;
}

static void test_each_part_once(void **state)
{
    static const size_t counts[] = {0, 1, 2, 3, CREW_MAX, 17, PARTS};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        static struct world world;
        world = (struct world){.fails_at = SIZE_MAX};
        assert_int_equal(crew_do(counts[i], 1 + i % 3, part, &world), 0);
        assert_int_equal(world.all, counts[i]);
        for (size_t j = 0; j < PARTS; j++)
            assert_int_equal(world.done[j], j < counts[i]);
    }
}

static void test_an_error_ends_it(void **state)
{
    static struct world world;
    for (size_t round = 0; round < 200; round++) {
        world = (struct world){.fails_at = round};
        assert_int_equal(crew_do(PARTS, 1, part, &world), ENXIO);
        assert_int_equal(world.done[round], 1);
    }
    /* Alone, nothing comes after it. */
    world = (struct world){.fails_at = 5};
    assert_int_equal(crew_do(PARTS, PARTS, part, &world), ENXIO);
    assert_int_equal(world.all, 6);
}

static void test_signals_are_as_before(void **state)
{
    static struct world world;
    sigset_t before, after;
    world = (struct world){.fails_at = SIZE_MAX};
    sigemptyset(&before);
    sigaddset(&before, SIGUSR1);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(crew_do(PARTS, 1, part, &world), 0);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_true(sigismember(&after, SIGUSR1));
    assert_false(sigismember(&after, SIGUSR2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_part_once),
        cmocka_unit_test(test_an_error_ends_it),
        cmocka_unit_test(test_signals_are_as_before),
    };
    return cmocka_run_group_tests_name("crew", tests, NULL, NULL);
}
