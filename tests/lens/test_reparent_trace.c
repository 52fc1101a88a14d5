// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_REPARENT of a child that is being traced: by the old parent, the new one, or a third
 * process. The trace goes on as before; when it ends, the child is the new parent's.
 */
#include "tests/lens/deeds.h"

#include <errno.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum tracer { OLD, NEW, THIRD, TRACERS };

struct traced {
    struct cast cast;
    struct actor tracer;
};

static struct traced start(enum tracer who)
{
    struct traced traced = {.cast = cast_start()};
    if (who == THIRD)
        traced.tracer = actor_start();
    else
        traced.tracer = who == OLD ? traced.cast.old : traced.cast.new;
    struct reply reply =
        actor_ask(traced.tracer, deed_ptrace, PTRACE_SEIZE, traced.cast.child.pid, 0);
    assert_int_equal(reply.error, 0);
    return traced;
}

static void await_stop(struct traced traced, int signal)
{
    struct reply reply = actor_ask(traced.tracer, deed_waitpid, traced.cast.child.pid, __WALL, 0);
    assert_int_equal(reply.value, traced.cast.child.pid);
    if (!WIFSTOPPED(reply.status) || WSTOPSIG(reply.status) != signal)
        fail_msg("status %#x", (unsigned int)reply.status);
}

static void trace(struct traced traced, int request, long data)
{
    struct reply reply =
        actor_ask(traced.tracer, deed_ptrace, request, traced.cast.child.pid, data);
    assert_int_equal(reply.error, 0);
}

/* The parent has a child that may be waited for, but nothing has happened to it. */
static void assert_nothing_to_tell(struct actor parent, struct actor child)
{
    struct reply reply = actor_ask(parent, deed_waitpid, child.pid, WNOHANG | WUNTRACED, 0);
    assert_int_equal(reply.value, 0);
}

static void the_trace_goes_on(void **state)
{
    (void)state;
    for (int who = 0; who < TRACERS; who++) {
        struct traced traced = start(who);
        assert_int_equal(move(traced.cast.child, traced.cast.new), 0);
        assert_int_equal(getppid_of(traced.cast.child), traced.cast.new.pid);
        assert_int_equal(kill(traced.cast.child.pid, SIGUSR2), 0);
        await_stop(traced, SIGUSR2);
        if (who != NEW)
            assert_nothing_to_tell(traced.cast.new, traced.cast.child);
        trace(traced, PTRACE_CONT, 0);
        trace(traced, PTRACE_INTERRUPT, 0);
        await_stop(traced, SIGTRAP);
        trace(traced, PTRACE_DETACH, 0);
        assert_int_equal(getppid_of(traced.cast.child), traced.cast.new.pid);
        /* Tracers are told of stops by SIGCHLD, too. */
        for (int i = 0; i < 2; i++)
            actor_ask(traced.tracer, deed_signal, SIGCHLD, 0, 0);
        assert_ends_as_child_of_new(traced.cast);
    }
}

/* In a stop of the trace while it is moved: the least quiet state of a child. */
static void a_child_in_a_stop_of_the_trace_moves(void **state)
{
    (void)state;
    for (int who = 0; who < TRACERS; who++) {
        struct traced traced = start(who);
        assert_int_equal(kill(traced.cast.child.pid, SIGUSR2), 0);
        await_stop(traced, SIGUSR2);
        actor_await_state(traced.cast.child, 't');
        assert_int_equal(move(traced.cast.child, traced.cast.new), 0);
        actor_await_state(traced.cast.child, 't');
        trace(traced, PTRACE_DETACH, 0);
        for (int i = 0; i < 2; i++)
            actor_ask(traced.tracer, deed_signal, SIGCHLD, 0, 0);
        assert_ends_as_child_of_new(traced.cast);
    }
}

/* ptrace(2): the tracer is told of the end first, the parent when the tracer has been. */
static void the_end_is_told_to_the_tracer_and_then_to_the_new_parent(void **state)
{
    (void)state;
    for (int who = 0; who < TRACERS; who++) {
        struct traced traced = start(who);
        struct cast cast = traced.cast;
        assert_int_equal(move(cast.child, cast.new), 0);
        actor_exit(cast.child, 42);
        if (who != NEW) {
            assert_nothing_to_tell(cast.new, cast.child);
            assert_int_equal(actor_ask(cast.new, deed_signal, SIGCHLD, 0, 0).error, EAGAIN);
            assert_waits(traced.tracer, cast.child, 42 << 8);
        }
        assert_signal(cast.new, cast.child, CLD_EXITED, 42);
        assert_waits(cast.new, cast.child, 42 << 8);
        assert_has_no_child(cast.new);
        assert_has_no_child(cast.old);
        assert_has_no_child(traced.tracer);
    }
}

static void when_the_tracer_ends_the_new_parent_has_the_child(void **state)
{
    (void)state;
    for (int who = 0; who < TRACERS; who++) {
        if (who == NEW)
            continue;
        struct traced traced = start(who);
        assert_int_equal(move(traced.cast.child, traced.cast.new), 0);
        actor_exit(traced.tracer, 0);
        actor_exit(traced.cast.child, 42);
        assert_signal(traced.cast.new, traced.cast.child, CLD_EXITED, 42);
        assert_waits(traced.cast.new, traced.cast.child, 42 << 8);
        assert_has_no_child(traced.cast.new);
    }
}

static void the_old_parent_that_traces_goes_on_waiting(void **state)
{
    (void)state;
    struct traced traced = start(OLD);
    actor_wait_begin(traced.cast.old, BY_WAITPID, -1, 0);
    assert_int_equal(move(traced.cast.child, traced.cast.new), 0);
    assert_int_equal(kill(traced.cast.child.pid, SIGUSR2), 0);
    struct reply reply = actor_hear(traced.cast.old);
    assert_int_equal(reply.value, traced.cast.child.pid);
    assert_true(WIFSTOPPED(reply.status) && WSTOPSIG(reply.status) == SIGUSR2);
}

static void who_asks_to_be_traced_is_traced_by_the_parent_of_the_time(void **state)
{
    (void)state;
    struct cast cast = cast_move();
    assert_int_equal(actor_ask(cast.child, deed_ptrace, PTRACE_TRACEME, 0, 0).error, 0);
    struct traced traced = {.cast = cast, .tracer = cast.new};
    assert_int_equal(kill(cast.child.pid, SIGUSR2), 0);
    await_stop(traced, SIGUSR2);
    trace(traced, PTRACE_DETACH, 0);
    actor_ask(cast.new, deed_signal, SIGCHLD, 0, 0);
    assert_ends_as_child_of_new(cast);

    cast = cast_start();
    assert_int_equal(actor_ask(cast.child, deed_ptrace, PTRACE_TRACEME, 0, 0).error, 0);
    assert_int_equal(move(cast.child, cast.new), 0);
    traced = (struct traced){.cast = cast, .tracer = cast.old};
    assert_int_equal(kill(cast.child.pid, SIGUSR2), 0);
    await_stop(traced, SIGUSR2);
    trace(traced, PTRACE_DETACH, 0);
    actor_ask(cast.old, deed_signal, SIGCHLD, 0, 0);
    assert_ends_as_child_of_new(cast);
}

/* One of the child's threads is traced, the first one is not. */
static void a_traced_second_thread_stays_traced(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct actor tracer = actor_start();
    assert_int_equal(actor_ask(cast.child, deed_add_thread, 0, 0, 0).error, 0);
    pid_t tid = (pid_t)actor_ask(cast.child, deed_thread, 0, 0, 0).value;
    assert_int_equal(actor_ask(tracer, deed_ptrace, PTRACE_SEIZE, tid, 0).error, 0);
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_int_equal(actor_ask(tracer, deed_ptrace, PTRACE_INTERRUPT, tid, 0).error, 0);
    struct reply reply = actor_ask(tracer, deed_waitpid, tid, __WALL, 0);
    assert_int_equal(reply.value, tid);
    assert_true(WIFSTOPPED(reply.status));
    assert_int_equal(actor_ask(tracer, deed_ptrace, PTRACE_DETACH, tid, 0).error, 0);
    assert_ends_as_child_of_new(cast);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(the_trace_goes_on),
        ACTORS_TEST(a_child_in_a_stop_of_the_trace_moves),
        ACTORS_TEST(the_end_is_told_to_the_tracer_and_then_to_the_new_parent),
        ACTORS_TEST(when_the_tracer_ends_the_new_parent_has_the_child),
        ACTORS_TEST(the_old_parent_that_traces_goes_on_waiting),
        ACTORS_TEST(who_asks_to_be_traced_is_traced_by_the_parent_of_the_time),
        ACTORS_TEST(a_traced_second_thread_stays_traced),
    };
    return actors_run("reparent_trace", tests, COUNT(tests));
}
