// SPDX-License-Identifier: GPL-2.0-or-later
/* When guests start, stop and start again: scenes with a clock that is set. */
#include "tests/unit/lifecycle_world.h"

/* What was asked for since the last look. */
static void assert_log(struct world *world, const char *expected)
{
    assert_string_equal(world->log, expected);
    world->log[0] = '\0';
}

static enum life_state state_of(const struct world *world, unsigned index)
{
    return world->lives.lives[index].state;
}

static void assert_refused(struct matrix_error *error, const char *text)
{
    assert_non_null(error);
    assert_int_equal(error->kind, MATRIX_ERROR_USAGE);
    assert_non_null(strstr(error->message, text));
    matrix_error_free(error);
}

/* --- order ------------------------------------------------------------------------------------ */

static void guests_start_after_others(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){.after = (unsigned[]){1, 2}, .after_count = 2});
    add(&world, (struct life_rules){.after = (unsigned[]){2}, .after_count = 1});
    add(&world, (struct life_rules){0});
    lives_begin(&world.lives, 0);
    assert_log(&world, "r2 r1 r0");
    lives_release(&world.lives);
}

static void a_failed_guest_is_waited_for(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){0});
    add(&world, (struct life_rules){.after = (unsigned[]){0}, .after_count = 1});
    add(&world, (struct life_rules){.after = (unsigned[]){1}, .after_count = 1});
    lives_begin(&world.lives, 0);
    assert_log(&world, "r0 r1 r2");
    assert_null(life_stop(&world.lives, 0, 1));
    assert_log(&world, "s0");
    /* It is made anew, and in vain: its second follower is stopped meanwhile, and waits for it. */
    assert_null(life_start(&world.lives, 0, 2));
    assert_log(&world, "m0");
    assert_null(life_restart(&world.lives, 1, 3));
    assert_log(&world, "s1");
    assert_int_equal(state_of(&world, 1), LIFE_WAITING);
    made(&world, 0, false);
    assert_int_equal(state_of(&world, 0), LIFE_ENDED);
    assert_int_equal(state_of(&world, 1), LIFE_WAITING);
    assert_false(lives_are_over(&world.lives)); /* there is the third */
    ends(&world, 2, false);
    assert_true(lives_are_over(&world.lives));
    assert_null(life_start(&world.lives, 0, 4));
    made(&world, 0, true);
    assert_log(&world, "m0 r0 m1");
    lives_release(&world.lives);
}

static void guests_stop_with_others(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){.restart = LIFE_ON_FAILURE});
    add(&world, (struct life_rules){.stop_with = (unsigned[]){0}, .stop_with_count = 1});
    add(&world, (struct life_rules){.stop_with = (unsigned[]){1, 2}, .stop_with_count = 2});
    lives_begin(&world.lives, 0);
    assert_log(&world, "r0 r1 r2");
    /* One that will start again takes nobody with it. */
    ends(&world, 0, true);
    assert_int_equal(state_of(&world, 0), LIFE_BACKOFF);
    assert_log(&world, "");
    lives_tick(&world.lives, FIRST_NS);
    made(&world, 0, true);
    assert_log(&world, "m0 r0");
    ends(&world, 0, false);
    assert_log(&world, "s1 s2");
    assert_true(lives_are_over(&world.lives));
    lives_release(&world.lives);
}

/* --- failures --------------------------------------------------------------------------------- */

static void pauses_double_and_are_forgotten(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){.restart = LIFE_ON_FAILURE});
    lives_begin(&world.lives, 0);
    uint64_t pause = FIRST_NS;
    for (unsigned i = 0; i < 20; i++) {
        ends(&world, 0, true);
        assert_int_equal(lives_next_ns(&world.lives), world.now_ns + pause);
        lives_tick(&world.lives, world.now_ns + pause - 1);
        assert_int_equal(state_of(&world, 0), LIFE_BACKOFF);
        lives_tick(&world.lives, world.now_ns += pause);
        assert_int_equal(state_of(&world, 0), LIFE_STARTING);
        assert_int_equal(lives_next_ns(&world.lives), UINT64_MAX);
        made(&world, 0, true);
        pause = 2 * pause < LIFE_BACKOFF_MAX_NS ? 2 * pause : LIFE_BACKOFF_MAX_NS;
    }
    assert_int_equal(pause, LIFE_BACKOFF_MAX_NS);
    assert_int_equal(world.lives.lives[0].restarts, 20);
    world.now_ns += LIFE_GOOD_RUN_NS;
    ends(&world, 0, true);
    assert_int_equal(lives_next_ns(&world.lives), world.now_ns + FIRST_NS);
    /* It cannot even be made: the same. */
    lives_tick(&world.lives, world.now_ns += FIRST_NS);
    made(&world, 0, false);
    assert_int_equal(lives_next_ns(&world.lives), world.now_ns + 2 * FIRST_NS);
    assert_false(lives_are_over(&world.lives));
    /* Who is started by hand has a clean record. */
    assert_null(life_start(&world.lives, 0, world.now_ns));
    made(&world, 0, false);
    assert_int_equal(lives_next_ns(&world.lives), world.now_ns + FIRST_NS);
    lives_release(&world.lives);
}

static void who_does_not_restart_stays_down(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){0});
    add(&world, (struct life_rules){.restart = LIFE_ON_FAILURE});
    lives_begin(&world.lives, 0);
    ends(&world, 0, true);
    ends(&world, 1, false);
    assert_true(world.lives.lives[0].failed);
    assert_false(world.lives.lives[1].failed);
    lives_tick(&world.lives, 1000 * SECOND_NS);
    assert_log(&world, "r0 r1");
    assert_true(lives_are_over(&world.lives));
    lives_release(&world.lives);
}

/* --- commands --------------------------------------------------------------------------------- */

static void commands_are_for_their_states(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){0});
    lives_begin(&world.lives, 0);
    assert_refused(life_start(&world.lives, 0, 1), "is running");
    assert_refused(life_resume(&world.lives, 0, 1), "is running");
    assert_null(life_pause(&world.lives, 0, 1));
    assert_refused(life_pause(&world.lives, 0, 2), "is paused");
    assert_refused(life_start(&world.lives, 0, 2), "is paused");
    assert_false(lives_are_over(&world.lives));
    assert_null(life_resume(&world.lives, 0, 3));
    assert_log(&world, "r0 p0 c0");
    assert_null(life_pause(&world.lives, 0, 4));
    assert_null(life_stop(&world.lives, 0, 5));
    assert_refused(life_stop(&world.lives, 0, 6), "is stopped");
    assert_refused(life_pause(&world.lives, 0, 6), "is stopped");
    assert_null(life_restart(&world.lives, 0, 7));
    assert_refused(life_restart(&world.lives, 0, 8), "is starting");
    made(&world, 0, true);
    assert_log(&world, "p0 s0 m0 r0");
    lives_release(&world.lives);
}

static void what_is_being_made_can_be_stopped(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){0});
    lives_begin(&world.lives, 0);
    assert_null(life_restart(&world.lives, 0, 1));
    assert_null(life_stop(&world.lives, 0, 2));
    /* Wanted again before it was there: the same will do. */
    assert_null(life_start(&world.lives, 0, 3));
    assert_null(life_stop(&world.lives, 0, 4));
    assert_log(&world, "r0 s0 m0");
    made(&world, 0, true);
    assert_false(world.bodies[0].exists);
    assert_int_equal(state_of(&world, 0), LIFE_STOPPED);
    assert_log(&world, "");
    lives_release(&world.lives);
}

static void a_new_description_starts_it_anew(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){0});
    add(&world, (struct life_rules){.stop_with = (unsigned[]){0}, .stop_with_count = 1});
    lives_begin(&world.lives, 0);
    renew(&world, 0);
    assert_log(&world, "r0 r1 s0 m0");
    /* And again, before it was there: what comes is of no use. */
    renew(&world, 0);
    renew(&world, 0);
    assert_log(&world, "");
    made(&world, 0, true);
    assert_log(&world, "m0");
    made(&world, 0, true);
    assert_log(&world, "r0");
    ends(&world, 0, false);
    assert_log(&world, "s1");
    renew(&world, 0);
    assert_log(&world, "m0");
    made(&world, 0, true);
    assert_log(&world, "r0");
    lives_release(&world.lives);
}

static void who_is_stopped_stays_so_with_a_new_description(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){0});
    lives_begin(&world.lives, 0);
    assert_null(life_restart(&world.lives, 0, 1));
    assert_null(life_stop(&world.lives, 0, 2));
    renew(&world, 0);
    assert_log(&world, "r0 s0 m0");
    assert_int_equal(state_of(&world, 0), LIFE_STOPPED);
    assert_null(life_start(&world.lives, 0, 3));
    made(&world, 0, true);
    assert_log(&world, "m0");
    made(&world, 0, true);
    assert_log(&world, "r0");
    lives_release(&world.lives);
}

static void other_rules_hold_at_once(void **state)
{
    struct world world = {0};
    add(&world, (struct life_rules){0});
    add(&world, (struct life_rules){.stop_with = (unsigned[]){0}, .stop_with_count = 1});
    lives_begin(&world.lives, 0);
    life_set_rules(&world.lives, 1, &(struct life_rules){0});
    assert_null(life_stop(&world.lives, 0, 1));
    assert_log(&world, "r0 r1 s0");
    lives_release(&world.lives);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guests_start_after_others),
        cmocka_unit_test(a_failed_guest_is_waited_for),
        cmocka_unit_test(guests_stop_with_others),
        cmocka_unit_test(pauses_double_and_are_forgotten),
        cmocka_unit_test(who_does_not_restart_stays_down),
        cmocka_unit_test(commands_are_for_their_states),
        cmocka_unit_test(what_is_being_made_can_be_stopped),
        cmocka_unit_test(a_new_description_starts_it_anew),
        cmocka_unit_test(who_is_stopped_stays_so_with_a_new_description),
        cmocka_unit_test(other_rules_hold_at_once),
    };
    return cmocka_run_group_tests_name("lifecycle", tests, NULL, NULL);
}
