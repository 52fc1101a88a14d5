// SPDX-License-Identifier: GPL-2.0-or-later
/* MATRIX_LENS_REPARENT: what is refused, by which errno, and that nothing has changed then. */
#include "tests/lens/deeds.h"
#include "tests/lens/device.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int move_numbers(pid_t pid, pid_t parent)
{
    return device_reparent(ACTOR_DEVICE, pid, parent);
}

/* The old parent still is the parent in every sense. */
static void assert_ends_as_child_of_old(struct cast cast)
{
    assert_int_equal(getppid_of(cast.child), cast.old.pid);
    assert_ends_as_child_of_new((struct cast){cast.new, cast.child, cast.old});
}

static void numbers_that_are_no_pid(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    static const int numbers[] = {0, -1, INT_MIN};
    for (size_t i = 0; i < COUNT(numbers); i++) {
        assert_int_equal(move_numbers(numbers[i], cast.new.pid), EINVAL);
        assert_int_equal(move_numbers(cast.child.pid, numbers[i]), EINVAL);
    }
    assert_int_equal(move_numbers(INT_MAX, cast.new.pid), ESRCH);
    assert_int_equal(move_numbers(cast.child.pid, INT_MAX), ESRCH);
    assert_ends_as_child_of_old(cast);
}

static int request(const struct matrix_lens_reparent *reparent, uint32_t size, uint8_t beyond)
{
    uint8_t bytes[sizeof(*reparent) + 8] = {0};
    memcpy(bytes, reparent, sizeof(*reparent));
    memcpy(bytes, &size, sizeof(size));
    bytes[sizeof(*reparent)] = beyond;
    return device_request(ACTOR_DEVICE, MATRIX_LENS_REPARENT, bytes);
}

static void arguments_of_another_shape(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct matrix_lens_reparent good = {.pid = cast.child.pid, .parent_pid = cast.new.pid}, bad;
    uint32_t size = sizeof(good);
    bad = good, bad.flags = 1;
    assert_int_equal(request(&bad, size, 0), EINVAL);
    bad = good, bad.reserved = 1;
    assert_int_equal(request(&bad, size, 0), EINVAL);
    assert_int_equal(request(&good, 0, 0), EINVAL);
    assert_int_equal(request(&good, size - 1, 0), EINVAL);
    assert_int_equal(request(&good, size + 8, 1), E2BIG);
    assert_int_equal(request(&good, UINT_MAX, 0), E2BIG);
    assert_int_equal(device_request(ACTOR_DEVICE, MATRIX_LENS_REPARENT, NULL), EFAULT);
    assert_int_equal(getppid_of(cast.child), cast.old.pid);
    assert_int_equal(request(&good, size + 8, 0), 0);
    assert_ends_as_child_of_new(cast);
}

static void a_zombie_stays(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_exit(cast.child, 42);
    assert_int_equal(move(cast.child, cast.new), ESRCH);
    assert_signal(cast.old, cast.child, CLD_EXITED, 42);
    assert_waits(cast.old, cast.child, 42 << 8);
    assert_has_no_child(cast.new);
    assert_int_equal(move(cast.child, cast.new), ESRCH);
}

static void a_zombie_adopts_nobody(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    actor_exit(cast.new, 0);
    assert_int_equal(move(cast.child, cast.new), ESRCH);
    assert_int_equal(waitpid(cast.new.pid, NULL, 0), cast.new.pid);
    assert_int_equal(move(cast.child, cast.new), ESRCH);
    assert_int_equal(getppid_of(cast.child), cast.old.pid);
}

static void a_thread_is_no_child(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(actor_ask(cast.child, deed_add_thread, 0, 0, 0).error, 0);
    pid_t tid = (pid_t)actor_ask(cast.child, deed_thread, 0, 0, 0).value;
    assert_int_equal(move_numbers(tid, cast.new.pid), EINVAL);
    assert_ends_as_child_of_old(cast);
}

/* The new parent is a process, whichever of its threads is named. */
static void a_thread_stands_for_its_process_as_parent(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(actor_ask(cast.new, deed_add_thread, 0, 0, 0).error, 0);
    pid_t tid = (pid_t)actor_ask(cast.new, deed_thread, 0, 0, 0).value;
    assert_int_equal(move_numbers(cast.child.pid, tid), 0);
    assert_int_equal(getppid_of(cast.child), cast.new.pid);
    assert_ends_as_child_of_new(cast);
}

static void nobody_is_its_own_parent(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(move(cast.child, cast.child), EINVAL);
    assert_int_equal(actor_ask(cast.child, deed_add_thread, 0, 0, 0).error, 0);
    pid_t tid = (pid_t)actor_ask(cast.child, deed_thread, 0, 0, 0).value;
    assert_int_equal(move_numbers(cast.child.pid, tid), EINVAL);
    assert_ends_as_child_of_old(cast);
}

static void nobody_is_a_child_of_its_descendants(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct actor grandchild = actor_start_below_thread(cast.child, false);
    struct actor great_grandchild = actor_start_below_thread(grandchild, true);
    assert_int_equal(move(cast.child, grandchild), ELOOP);
    assert_int_equal(move(cast.child, great_grandchild), ELOOP);
    assert_int_equal(move(cast.old, grandchild), ELOOP);
    assert_int_equal(move_numbers(getpid(), great_grandchild.pid), ELOOP);
    /* Upwards is no loop. */
    assert_int_equal(move(great_grandchild, cast.child), 0);
    assert_int_equal(getppid_of(great_grandchild), cast.child.pid);
    assert_ends_as_child_of_old(cast);
}

/* kthreadd, and its first child; both have been there since the machine was started. */
static void kernel_threads_and_init_stay(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    for (pid_t thread = 2; thread < 4; thread++) {
        assert_int_equal(move_numbers(thread, cast.new.pid), EPERM);
        assert_int_equal(move_numbers(cast.child.pid, thread), EPERM);
    }
    assert_int_equal(move_numbers(1, cast.new.pid), EPERM);
    assert_ends_as_child_of_old(cast);
}

static void init_adopts(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    assert_int_equal(move_numbers(cast.child.pid, 1), 0);
    assert_int_equal(getppid_of(cast.child), 1);
    actor_exit(cast.child, 0);
    assert_has_no_child(cast.old);
}

/* A pid namespace with its init, two children of that, and who has entered it from outside. */
struct capsule {
    struct actor outside, init, one, two, visitor;
};

static struct capsule capsule_start(void)
{
    struct capsule capsule = {.outside = actor_start()};
    struct actor guide = actor_start();
    capsule.init = actor_start_cloned(capsule.outside, CLONE_NEWPID | SIGCHLD);
    capsule.one = actor_start_below(capsule.init);
    capsule.two = actor_start_below(capsule.init);
    assert_int_equal(actor_ask(guide, deed_setns, capsule.init.pid, 0, 0).error, 0);
    capsule.visitor = actor_start_below(guide);
    return capsule;
}

static pid_t inner_pid(struct actor actor)
{
    return (pid_t)actor_ask(actor, deed_getpid, 0, 0, 0).value;
}

static void other_pid_namespaces(void **state)
{
    (void)state;
    struct capsule capsule = capsule_start();
    struct cast cast = cast_start();
    assert_int_equal(inner_pid(capsule.init), 1);
    assert_int_equal(move(capsule.init, cast.new), EPERM);
    assert_int_equal(move(capsule.one, cast.new), EXDEV);
    assert_int_equal(move(cast.child, capsule.one), EXDEV);
    assert_int_equal(move(cast.child, capsule.init), EXDEV);
    assert_int_equal(move(capsule.visitor, cast.new), EXDEV);
    assert_int_equal(getppid_of(capsule.one), 1);
    assert_int_equal(getppid_of(capsule.visitor), 0);
    assert_ends_as_child_of_old(cast);
}

static void within_another_pid_namespace(void **state)
{
    (void)state;
    struct capsule capsule = capsule_start();
    /* By the test, outside, with its numbers. */
    assert_int_equal(move(capsule.one, capsule.two), 0);
    assert_int_equal(getppid_of(capsule.one), inner_pid(capsule.two));
    /* By one inside, with theirs; the visitor's parent is none of theirs. */
    pid_t one = inner_pid(capsule.one), two = inner_pid(capsule.two);
    struct reply reply = actor_ask(capsule.init, deed_reparent, one, 1, 0);
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.value, two);
    reply = actor_ask(capsule.init, deed_reparent, inner_pid(capsule.visitor), one, 0);
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.value, 0);
    assert_int_equal(getppid_of(capsule.visitor), one);
    actor_exit(capsule.visitor, 4);
    reply = actor_ask(capsule.one, deed_waitpid, -1, 0, 0);
    assert_true(reply.value > 0);
    assert_int_equal(reply.status, 4 << 8);
    /* Numbers that mean nothing inside. */
    assert_int_equal(actor_ask(capsule.init, deed_reparent, one, capsule.outside.pid, 0).error,
                     ESRCH);
}

static void without_the_capability(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct actor caller = actor_start();
    assert_int_equal(actor_ask(caller, deed_drop_ptrace, 0, 0, 0).error, 0);
    struct reply reply = actor_ask(caller, deed_reparent, cast.child.pid, cast.new.pid, 0);
    assert_int_equal(reply.error, EPERM);
    /* Not even its own. */
    struct actor own = actor_start_below(caller);
    reply = actor_ask(caller, deed_reparent, own.pid, caller.pid, 0);
    assert_int_equal(reply.error, EPERM);
    assert_ends_as_child_of_old(cast);
}

/* Who is root in a user namespace has the capability there, and nowhere else. */
static void with_the_capability_over_one_of_both(void **state)
{
    (void)state;
    struct cast cast = cast_start();
    struct actor caller = actor_start_cloned(cast.old, CLONE_NEWUSER | SIGCHLD);
    struct actor one = actor_start_below(caller), two = actor_start_below(caller);
    struct reply reply = actor_ask(caller, deed_reparent, one.pid, cast.new.pid, 0);
    assert_int_equal(reply.error, EPERM);
    reply = actor_ask(caller, deed_reparent, cast.child.pid, one.pid, 0);
    assert_int_equal(reply.error, EPERM);
    reply = actor_ask(caller, deed_reparent, one.pid, two.pid, 0);
    assert_int_equal(reply.error, 0);
    assert_int_equal(getppid_of(one), two.pid);
    assert_int_equal(getppid_of(cast.child), cast.old.pid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(numbers_that_are_no_pid),
        ACTORS_TEST(arguments_of_another_shape),
        ACTORS_TEST(a_zombie_stays),
        ACTORS_TEST(a_zombie_adopts_nobody),
        ACTORS_TEST(a_thread_is_no_child),
        ACTORS_TEST(a_thread_stands_for_its_process_as_parent),
        ACTORS_TEST(nobody_is_its_own_parent),
        ACTORS_TEST(nobody_is_a_child_of_its_descendants),
        ACTORS_TEST(kernel_threads_and_init_stay),
        ACTORS_TEST(init_adopts),
        ACTORS_TEST(other_pid_namespaces),
        ACTORS_TEST(within_another_pid_namespace),
        ACTORS_TEST(without_the_capability),
        ACTORS_TEST(with_the_capability_over_one_of_both),
    };
    return actors_run("reparent_refused", tests, COUNT(tests));
}
