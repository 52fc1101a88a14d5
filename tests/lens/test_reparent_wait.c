// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_REPARENT while the old parent waits for the child: it must wake, and fail with
 * ECHILD, or it would sleep for ever; or go on waiting where it has another child to wait for.
 */
#include "tests/lens/deeds.h"

#include <errno.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum whom { ANY, PID, GROUP };

static const struct way {
    const char *name;
    long by;
    enum whom whom;
    long options;
} ways[] = {
    {"waitpid(-1)", BY_WAITPID, ANY, 0},
    {"waitpid(-1, __WALL)", BY_WAITPID, ANY, __WALL},
    {"waitpid(-1, __WNOTHREAD)", BY_WAITPID, ANY, __WNOTHREAD},
    {"waitpid(-1, WUNTRACED | WCONTINUED)", BY_WAITPID, ANY, WUNTRACED | WCONTINUED},
    {"waitpid(pid)", BY_WAITPID, PID, 0},
    {"waitpid(pid, __WNOTHREAD)", BY_WAITPID, PID, __WNOTHREAD},
    {"waitpid(-group)", BY_WAITPID, GROUP, 0},
    {"waitid(P_ALL)", BY_WAITID + P_ALL, ANY, WEXITED},
    {"waitid(P_ALL, WSTOPPED)", BY_WAITID + P_ALL, ANY, WSTOPPED},
    {"waitid(P_PID)", BY_WAITID + P_PID, PID, WEXITED},
    {"waitid(P_PID, WNOWAIT)", BY_WAITID + P_PID, PID, WEXITED | WNOWAIT},
    {"waitid(P_PIDFD)", BY_WAITID + P_PIDFD, PID, WEXITED},
    {"waitid(P_PGID, __WNOTHREAD)", BY_WAITID + P_PGID, GROUP, WEXITED | __WNOTHREAD},
};

/* Whom it waits for, as the system call has it. */
static long id_of(const struct way *way, struct actor child)
{
    if (way->whom == ANY)
        return -1;
    return way->whom == GROUP && way->by == BY_WAITPID ? -child.pid : child.pid;
}

static void begin(const struct way *way, struct cast cast)
{
    assert_int_equal(actor_ask(cast.child, deed_setpgid, 0, 0, 0).error, 0);
    actor_wait_begin(cast.old, way->by, id_of(way, cast.child), way->options);
}

static void assert_no_child(const struct way *way, struct reply reply)
{
    if (reply.value != -1 || reply.error != ECHILD)
        fail_msg("%s: %ld, errno %d (%s)", way->name, reply.value, reply.error,
                 strerror(reply.error));
}

static void the_old_parents_wait_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct cast cast = cast_start();
        print_message("# %s\n", ways[i].name);
        begin(&ways[i], cast);
        assert_int_equal(move(cast.child, cast.new), 0);
        assert_no_child(&ways[i], actor_hear(cast.old));
        assert_ends_as_child_of_new(cast);
    }
}

/* The tracer is then the child's parent in every sense but this one. */
static void the_old_parents_wait_for_a_traced_child_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        struct cast cast = cast_start();
        struct actor tracer = actor_start();
        assert_int_equal(actor_ask(tracer, deed_ptrace, PTRACE_SEIZE, cast.child.pid, 0).error, 0);
        print_message("# %s\n", ways[i].name);
        begin(&ways[i], cast);
        assert_int_equal(move(cast.child, cast.new), 0);
        assert_no_child(&ways[i], actor_hear(cast.old));
        actor_exit(tracer, 0);
        assert_ends_as_child_of_new(cast);
    }
}

/* A thread other than that which forked the child. */
static void a_second_threads_wait_ends(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        if (ways[i].options & __WNOTHREAD)
            continue;
        struct cast cast = cast_start();
        assert_int_equal(actor_ask(cast.child, deed_setpgid, 0, 0, 0).error, 0);
        actor_wait_begin_in_thread(cast.old, ways[i].by, id_of(&ways[i], cast.child),
                                   ways[i].options);
        assert_int_equal(move(cast.child, cast.new), 0);
        assert_no_child(&ways[i], actor_ask(cast.old, deed_waited_in_thread, 0, 0, 0));
        assert_ends_as_child_of_new(cast);
    }
}

/* Both threads wait at once, each in its own way; both wake. */
static void two_threads_waits_end(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_wait_begin_in_thread(cast.old, BY_WAITPID, -1, 0);
    actor_wait_begin(cast.old, BY_WAITID + P_PID, cast.child.pid, WEXITED);
    assert_int_equal(move(cast.child, cast.new), 0);
    assert_int_equal(actor_hear(cast.old).error, ECHILD);
    assert_int_equal(actor_ask(cast.old, deed_waited_in_thread, 0, 0, 0).error, ECHILD);
}

static void a_wait_for_any_goes_on_for_another_child(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        if (ways[i].whom != ANY || !(ways[i].options & WEXITED || ways[i].by == BY_WAITPID))
            continue;
        struct cast cast = cast_start();
        struct actor other = actor_start_below(cast.old);
        begin(&ways[i], cast);
        assert_int_equal(move(cast.child, cast.new), 0);
        /* Its end must not be taken for one of a child of the old parent. */
        actor_exit(cast.child, 42);
        assert_waits(cast.new, cast.child, 42 << 8);
        actor_exit(other, 17);
        struct reply reply = actor_hear(cast.old);
        assert_int_equal(reply.error, 0);
        if (ways[i].by == BY_WAITPID) {
            assert_int_equal(reply.value, other.pid);
            assert_int_equal(reply.status, 17 << 8);
        } else {
            assert_int_equal(reply.pid, other.pid);
            assert_int_equal(reply.status, 17);
        }
    }
}

static void a_wait_for_one_ends_though_another_child_is_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(ways); i++) {
        if (ways[i].whom == ANY)
            continue;
        struct cast cast = cast_start();
        actor_start_below(cast.old);
        begin(&ways[i], cast);
        assert_int_equal(move(cast.child, cast.new), 0);
        assert_no_child(&ways[i], actor_hear(cast.old));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(the_old_parents_wait_ends),
        ACTORS_TEST(the_old_parents_wait_for_a_traced_child_ends),
        ACTORS_TEST(a_second_threads_wait_ends),
        ACTORS_TEST(two_threads_waits_end),
        ACTORS_TEST(a_wait_for_any_goes_on_for_another_child),
        ACTORS_TEST(a_wait_for_one_ends_though_another_child_is_there),
    };
    return actors_run("reparent_wait", tests, COUNT(tests));
}
