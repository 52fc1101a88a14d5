// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_REPARENT and who adopts orphans: init, or the nearest ancestor that has asked for it
 * (prctl(PR_SET_CHILD_SUBREAPER)), also if it became an ancestor by a move. The oracle is what the
 * kernel does without a move.
 */
#include "tests/lens/deeds.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct actor reaper_start(void)
{
    struct actor reaper = actor_start();
    assert_int_equal(actor_ask(reaper, deed_prctl, PR_SET_CHILD_SUBREAPER, 1, 0).error, 0);
    return reaper;
}

/* Who adopts the orphans of the test's own children. */
static pid_t usual_reaper(void)
{
    struct actor parent = actor_start(), orphan = actor_start_below(parent);
    actor_exit(parent, 0);
    return getppid_of(orphan);
}

static void orphans_of_the_new_parent_go_to_the_usual_reaper(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    actor_exit(cast.new, 0);
    assert_int_equal(getppid_of(cast.child), usual_reaper());
    assert_has_no_child(cast.old);
    actor_exit(cast.child, 0);
}

/* reaper - new parent: the child is moved below the new parent, which ends. */
static void orphans_of_the_new_parent_go_to_its_reaper(void **state)
{
    (void)state;
    struct cast cast = {.old = actor_start()};
    struct actor reaper = reaper_start();
    cast.new = actor_start_below(reaper);
    cast.child = actor_start_below(cast.old);
    assert_int_equal(move(cast.child, cast.new), 0);
    actor_exit(cast.new, 0);
    assert_int_equal(getppid_of(cast.child), reaper.pid);
    actor_exit(cast.child, 8);
    assert_waits(reaper, cast.child, 8 << 8);
}

/* The child has descendants already; any of them, and any born later, may become an orphan. */
static void later_orphans_below_the_child_go_to_the_new_reaper(void **state)
{
    (void)state;
    struct cast cast = {.old = actor_start()};
    struct actor reaper = reaper_start();
    cast.new = actor_start_below(reaper);
    cast.child = actor_start_below(cast.old);
    struct actor grandchild = actor_start_below_thread(cast.child, false);
    struct actor great = actor_start_below(grandchild);
    assert_int_equal(move(cast.child, cast.new), 0);
    struct actor late = actor_start_below(great);
    actor_exit(great, 0);
    assert_int_equal(getppid_of(late), reaper.pid);
    actor_exit(cast.child, 0);
    assert_int_equal(getppid_of(grandchild), reaper.pid);
    actor_exit(late, 6);
    assert_waits(reaper, late, 6 << 8);
}

static void a_new_parent_that_is_a_reaper_gets_orphans(void **state)
{
    (void)state;
    struct cast cast = {.old = actor_start(), .new = reaper_start()};
    cast.child = actor_start_below(cast.old);
    struct actor grandchild = actor_start_below(cast.child);
    assert_int_equal(move(cast.child, cast.new), 0);
    actor_exit(cast.child, 0);
    assert_int_equal(getppid_of(grandchild), cast.new.pid);
}

/* Others of the old parent's are not touched: they have no such ancestor. */
static void siblings_of_the_child_keep_their_reaper(void **state)
{
    (void)state;
    struct cast cast = {.old = actor_start(), .new = reaper_start()};
    cast.child = actor_start_below(cast.old);
    struct actor sibling = actor_start_below(cast.old);
    assert_int_equal(move(cast.child, cast.new), 0);
    actor_exit(cast.old, 0);
    assert_int_equal(getppid_of(sibling), usual_reaper());
    assert_int_equal(getppid_of(cast.child), cast.new.pid);
}

/* And the other way: what leaves the reaper's family is not the reaper's any more. */
static void who_leaves_a_reapers_family_is_not_adopted_by_it(void **state)
{
    (void)state;
    struct cast cast = {.old = reaper_start(), .new = actor_start()};
    cast.child = actor_start_below(cast.old);
    struct actor grandchild = actor_start_below(cast.child);
    assert_int_equal(move(cast.child, cast.new), 0);
    actor_exit(cast.child, 0);
    assert_int_equal(getppid_of(grandchild), usual_reaper());
    assert_waits(cast.new, cast.child, 0);
}

/* The thread that has got the child ends, another one of the new parent lives on. */
static void another_thread_of_the_new_parent_takes_over(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    actor_ask(cast.new, deed_serve_in_thread, 0, 0, 0);
    actor_await_state(cast.new, 'Z');
    assert_int_equal(getppid_of(cast.child), cast.new.pid);
    assert_ends_as_child_of_new(cast);
}

/* A first thread that has ended hands nobody on any more: it must not be given the child. */
static void a_parent_whose_first_thread_has_ended_hands_the_child_on(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_ask(cast.new, deed_serve_in_thread, 0, 0, 0);
    actor_await_state(cast.new, 'Z');
    assert_int_equal(move(cast.child, cast.new), 0);
    actor_exit(cast.new, 0);
    assert_int_equal(getppid_of(cast.child), usual_reaper());
    assert_int_equal(waitpid(cast.new.pid, NULL, 0), cast.new.pid);
    assert_int_equal(getppid_of(cast.child), usual_reaper());
}

static void the_old_parents_end_does_not_touch_the_child(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    actor_exit(cast.old, 0);
    assert_int_equal(waitpid(cast.old.pid, NULL, 0), cast.old.pid);
    assert_int_equal(getppid_of(cast.child), cast.new.pid);
    actor_exit(cast.child, 42);
    assert_signal(cast.new, cast.child, CLD_EXITED, 42);
    assert_waits(cast.new, cast.child, 42 << 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(orphans_of_the_new_parent_go_to_the_usual_reaper),
        ACTORS_TEST(orphans_of_the_new_parent_go_to_its_reaper),
        ACTORS_TEST(later_orphans_below_the_child_go_to_the_new_reaper),
        ACTORS_TEST(a_new_parent_that_is_a_reaper_gets_orphans),
        ACTORS_TEST(siblings_of_the_child_keep_their_reaper),
        ACTORS_TEST(who_leaves_a_reapers_family_is_not_adopted_by_it),
        ACTORS_TEST(another_thread_of_the_new_parent_takes_over),
        ACTORS_TEST(a_parent_whose_first_thread_has_ended_hands_the_child_on),
        ACTORS_TEST(the_old_parents_end_does_not_touch_the_child),
    };
    return actors_run("reparent_orphans", tests, COUNT(tests));
}
