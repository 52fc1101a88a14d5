// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_REPARENT: what follows a move is as if the new parent had forked the child. The
 * oracles are wait(2), signals and /proc. Waiting old parents, tracers, refusals and races have
 * files of their own.
 */
#include "tests/lens/deeds.h"
#include "tests/lens/device.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void the_child_is_the_new_parents_everywhere(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(getppid_of(cast.child), cast.old.pid);
    struct matrix_lens_reparent reparent = {
        .size = sizeof(reparent), .pid = cast.child.pid, .parent_pid = cast.new.pid};
    assert_int_equal(device_request(ACTOR_DEVICE, MATRIX_LENS_REPARENT, &reparent), 0);
    assert_int_equal(reparent.old_parent_pid, cast.old.pid);
    assert_int_equal(getppid_of(cast.child), cast.new.pid);
    struct stat_line line;
    assert_true(read_stat_line(cast.child.pid, cast.child.pid, &line));
    assert_int_equal(line.parent_pid, cast.new.pid);

    struct matrix_lens_task task;
    uint32_t count;
    assert_int_equal(device_children(ACTOR_DEVICE, cast.old.pid, &task, 1, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(device_children(ACTOR_DEVICE, cast.new.pid, &task, 1, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(task.pid, cast.child.pid);
    assert_int_equal(task.parent_pid, cast.new.pid);
}

static void exit_is_told_to_the_new_parent(void **state)
{
    (void)state;
    assert_ends_as_child_of_new(cast_move());
}

static void death_by_signal_is_told_to_the_new_parent(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    assert_int_equal(kill(cast.child.pid, SIGKILL), 0);
    assert_signal(cast.new, cast.child, CLD_KILLED, SIGKILL);
    struct reply reply = actor_ask(cast.new, deed_waitid, P_PIDFD, cast.child.pid, WEXITED);
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.pid, cast.child.pid);
    assert_int_equal(reply.code, CLD_KILLED);
    assert_int_equal(reply.status, SIGKILL);
    assert_has_no_child(cast.old);
}

static void waiting_without_reaping_works(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    actor_exit(cast.child, 7);
    for (int i = 0; i < 2; i++) {
        struct reply reply =
            actor_ask(cast.new, deed_waitid, P_PID, cast.child.pid, WEXITED | WNOWAIT);
        assert_int_equal(reply.error, 0);
        assert_int_equal(reply.pid, cast.child.pid);
        assert_int_equal(reply.status, 7);
    }
    assert_waits(cast.new, cast.child, 7 << 8);
    assert_has_no_child(cast.new);
}

static void stops_and_continues_are_told_to_the_new_parent(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    assert_int_equal(kill(cast.child.pid, SIGSTOP), 0);
    assert_signal(cast.new, cast.child, CLD_STOPPED, SIGSTOP);
    struct reply reply = actor_ask(cast.new, deed_waitpid, cast.child.pid, WUNTRACED, 0);
    assert_int_equal(reply.value, cast.child.pid);
    assert_true(WIFSTOPPED(reply.status) && WSTOPSIG(reply.status) == SIGSTOP);
    assert_int_equal(kill(cast.child.pid, SIGCONT), 0);
    assert_signal(cast.new, cast.child, CLD_CONTINUED, SIGCONT);
    reply = actor_ask(cast.new, deed_waitpid, cast.child.pid, WCONTINUED, 0);
    assert_int_equal(reply.value, cast.child.pid);
    assert_true(WIFCONTINUED(reply.status));
    assert_ends_as_child_of_new(cast);
}

/* The new parent waits for stops before the move, of a child that has stopped before it, too. */
static void a_waiting_new_parent_is_told_of_an_earlier_stop(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_start_below(cast.new);
    assert_int_equal(kill(cast.child.pid, SIGSTOP), 0);
    actor_await_state(cast.child, 'T');
    actor_wait_begin(cast.new, BY_WAITPID, -1, WUNTRACED);
    assert_int_equal(move(cast.child, cast.new), 0);
    struct reply reply = actor_hear(cast.new);
    assert_int_equal(reply.value, cast.child.pid);
    assert_true(WIFSTOPPED(reply.status) && WSTOPSIG(reply.status) == SIGSTOP);
}

static void a_waiting_new_parent_is_told_of_the_end(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_start_below(cast.new);
    actor_wait_begin(cast.new, BY_WAITPID, -1, 0);
    assert_int_equal(move(cast.child, cast.new), 0);
    actor_exit(cast.child, 9);
    struct reply reply = actor_hear(cast.new);
    assert_int_equal(reply.value, cast.child.pid);
    assert_int_equal(reply.status, 9 << 8);
}

static void grandchildren_stay_with_their_parent(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct actor grandchild = actor_start_below(cast.child);
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_int_equal(getppid_of(grandchild), cast.child.pid);
    actor_exit(grandchild, 3);
    assert_waits(cast.child, grandchild, 3 << 8);
    assert_ends_as_child_of_new(cast);
}

static void children_come_back(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct cast back = {.old = cast.new, .child = cast.child, .new = cast.old};
    for (int i = 0; i < 10; i++) {
        assert_int_equal(move(cast.child, cast.new), 0);
        assert_int_equal(getppid_of(cast.child), cast.new.pid);
        assert_int_equal(move(cast.child, cast.old), 0);
        assert_int_equal(getppid_of(cast.child), cast.old.pid);
    }
    assert_ends_as_child_of_new(back);
}

static void a_move_to_the_parent_that_is_changes_nothing(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_ends_as_child_of_new(cast);
}

static void a_child_may_move_to_its_sibling(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct actor sibling = actor_start_below(cast.old);
    assert_int_equal(move(cast.child, sibling), 0);
    assert_int_equal(getppid_of(cast.child), sibling.pid);
    actor_exit(cast.child, 5);
    assert_waits(sibling, cast.child, 5 << 8);
    actor_exit(sibling, 6);
    assert_waits(cast.old, sibling, 6 << 8);
}

/* clone(2) lets the old parent choose another signal, or none; both need __WALL or __WCLONE. */
static void any_exit_signal_becomes_sigchld(void **state)
{
    (void)state;
    static const int signals[] = {SIGUSR1, 0};
    for (size_t i = 0; i < COUNT(signals); i++) {
        struct cast cast = {.old = actor_start(), .new = actor_start()};
        cast.child = actor_start_cloned(cast.old, (unsigned long)signals[i]);
        assert_int_equal(move(cast.child, cast.new), 0);
        assert_ends_as_child_of_new(cast);
        assert_int_equal(actor_ask(cast.new, deed_signal, SIGUSR1, 0, 0).error, EAGAIN);
        assert_int_equal(actor_ask(cast.old, deed_signal, SIGUSR1, 0, 0).error, EAGAIN);
    }
}

/*
 * Which status SIGCHLD has for such a child depends on the kernel: up to 6.12 that of the first
 * thread. So a child that was not moved tells.
 */
static int status_without_first_thread(void)
{
    struct actor parent = actor_start(), child = actor_start_below(parent);
    actor_ask(child, deed_serve_in_thread, 0, 0, 0);
    actor_exit(child, 42);
    return actor_ask(parent, deed_await_signal, SIGCHLD, 0, 0).status;
}

static void a_child_whose_first_thread_has_ended_moves(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_ask(cast.child, deed_serve_in_thread, 0, 0, 0);
    actor_await_state(cast.child, 'Z');
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_int_equal(getppid_of(cast.child), cast.new.pid);
    actor_exit(cast.child, 42);
    assert_signal(cast.new, cast.child, CLD_EXITED, status_without_first_thread());
    assert_waits(cast.new, cast.child, 42 << 8);
    assert_has_no_child(cast.old);
}

static void a_parent_whose_first_thread_has_ended_adopts(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_ask(cast.new, deed_serve_in_thread, 0, 0, 0);
    actor_await_state(cast.new, 'Z');
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_int_equal(getppid_of(cast.child), cast.new.pid);
    assert_ends_as_child_of_new(cast);
}

static void a_child_of_a_second_thread_moves(void **state)
{
    (void)state;
    for (int thread_ends = 0; thread_ends < 2; thread_ends++) {
        struct cast cast = {.old = actor_start(), .new = actor_start()};
        cast.child = actor_start_below_thread(cast.old, thread_ends);
        assert_int_equal(move(cast.child, cast.new), 0);
        assert_ends_as_child_of_new(cast);
    }
}

static void a_parent_that_ignores_sigchld_reaps_unasked(void **state)
{
    (void)state;
    static const int flags[] = {0, SA_NOCLDWAIT};
    for (size_t i = 0; i < COUNT(flags); i++) {
        struct cast cast = cast_start();
        assert_int_equal(actor_ask(cast.new, deed_ignore, SIGCHLD, flags[i], 0).error, 0);
        assert_int_equal(move(cast.child, cast.new), 0);
        actor_exit(cast.child, 1);
        assert_int_equal(actor_ask(cast.new, deed_waitpid, cast.child.pid, 0, 0).error, ECHILD);
        /* For nobody's zombie this would take for ever; the child lets its number go a bit later. */
        while (kill(cast.child.pid, 0) == 0)
            sched_yield();
        assert_int_equal(errno, ESRCH);
        assert_has_no_child(cast.old);
    }
}

/* prctl(PR_SET_PDEATHSIG): the child's wish goes with it. */
static void the_parents_death_signal_is_of_the_new_parent(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(actor_ask(cast.child, deed_prctl, PR_SET_PDEATHSIG, SIGUSR1, 0).error, 0);
    assert_int_equal(move(cast.child, cast.new), 0);
    actor_exit(cast.old, 0);
    assert_int_equal(actor_ask(cast.child, deed_signal, SIGUSR1, 0, 0).error, EAGAIN);
    actor_exit(cast.new, 0);
    assert_int_equal(actor_ask(cast.child, deed_await_signal, SIGUSR1, 0, 0).value, SIGUSR1);
}

static void group_and_session_stay(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(actor_ask(cast.child, deed_setpgid, 0, 0, 0).error, 0);
    pid_t session = getsid(cast.child.pid);
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_int_equal(getpgid(cast.child.pid), cast.child.pid);
    assert_int_equal(getsid(cast.child.pid), session);
    actor_exit(cast.child, 2);
    struct reply reply = actor_ask(cast.new, deed_waitpid, -cast.child.pid, 0, 0);
    assert_int_equal(reply.value, cast.child.pid);
}

/* A process that gets threads, and so another parent field, before and after the move. */
static void every_thread_has_the_new_parent(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(actor_ask(cast.child, deed_add_thread, 0, 0, 0).error, 0);
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_int_equal(actor_ask(cast.child, deed_add_thread, 0, 0, 0).error, 0);
    struct stat_line line;
    for (int i = 0; i < 2; i++) {
        struct reply tid = actor_ask(cast.child, deed_thread, i, 0, 0);
        assert_true(read_stat_line(cast.child.pid, (pid_t)tid.value, &line));
        assert_int_equal(line.parent_pid, cast.new.pid);
    }
    assert_ends_as_child_of_new(cast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(the_child_is_the_new_parents_everywhere),
        ACTORS_TEST(exit_is_told_to_the_new_parent),
        ACTORS_TEST(death_by_signal_is_told_to_the_new_parent),
        ACTORS_TEST(waiting_without_reaping_works),
        ACTORS_TEST(stops_and_continues_are_told_to_the_new_parent),
        ACTORS_TEST(a_waiting_new_parent_is_told_of_an_earlier_stop),
        ACTORS_TEST(a_waiting_new_parent_is_told_of_the_end),
        ACTORS_TEST(grandchildren_stay_with_their_parent),
        ACTORS_TEST(children_come_back),
        ACTORS_TEST(a_move_to_the_parent_that_is_changes_nothing),
        ACTORS_TEST(a_child_may_move_to_its_sibling),
        ACTORS_TEST(any_exit_signal_becomes_sigchld),
        ACTORS_TEST(a_child_whose_first_thread_has_ended_moves),
        ACTORS_TEST(a_parent_whose_first_thread_has_ended_adopts),
        ACTORS_TEST(a_child_of_a_second_thread_moves),
        ACTORS_TEST(a_parent_that_ignores_sigchld_reaps_unasked),
        ACTORS_TEST(the_parents_death_signal_is_of_the_new_parent),
        ACTORS_TEST(group_and_session_stay),
        ACTORS_TEST(every_thread_has_the_new_parent),
    };
    return actors_run("reparent", tests, COUNT(tests));
}
