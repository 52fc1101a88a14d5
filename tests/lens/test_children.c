// SPDX-License-Identifier: GPL-2.0-or-later
/* MATRIX_LENS_CHILDREN: who is whose child, in which state. The oracle is /proc/PID/stat. */
#include "tests/lens/deeds.h"
#include "tests/lens/device.h"

#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct matrix_lens_task tasks[256];

static uint32_t list_children(struct actor parent)
{
    uint32_t count;
    assert_int_equal(device_children(ACTOR_DEVICE, parent.pid, tasks, COUNT(tasks), &count), 0);
    assert_true(count <= COUNT(tasks));
    return count;
}

/* Its entry among the parent's children, which agrees with /proc in all that both tell. */
static const struct matrix_lens_task *find_child(struct actor parent, struct actor child)
{
    uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
    uint32_t count = list_children(parent);
    for (uint32_t i = 0; i < count; i++) {
        struct stat_line line;
        assert_true(read_stat_line(tasks[i].pid, tasks[i].tid, &line));
        assert_int_equal(tasks[i].tid, tasks[i].pid);
        assert_int_equal(tasks[i].parent_pid, line.parent_pid);
        assert_int_equal(tasks[i].start_time_ns / tick_ns, line.start_ticks);
        assert_int_equal(tasks[i].kernel_thread, 0);
        assert_string_equal(tasks[i].name, line.name);
    }
    for (uint32_t i = 0; i < count; i++)
        if (tasks[i].pid == child.pid)
            return &tasks[i];
    fail_msg("pid %d is not among the %u children of pid %d", child.pid, count, parent.pid);
    return NULL;
}

static void assert_state(struct actor parent, struct actor child, char state)
{
    actor_await_state(child, state);
    assert_int_equal(find_child(parent, child)->state, state);
}

static void deed_spin(const long *arguments, struct reply *reply)
{
    (void)arguments;
    actor_answer(reply);
    for (;;)
        continue;
}

/*
 * CLONE_VFORK leaves the parent asleep until its child ends or execs, and no signal but SIGKILL wakes
 * it. That child ends with the test.
 */
static void deed_vfork(const long *arguments, struct reply *reply)
{
    (void)arguments;
    actor_answer(reply);
    /* As vfork(2), but with memory of its own. */
    if (syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0) == 0) {
        actor_await_test_end();
        _exit(0);
    }
}

static void states_are_the_letters_of_ps(void **state)
{
    (void)state;
    struct actor parent = actor_start();
    struct actor sleeping = actor_start_below(parent), stopped = actor_start_below(parent);
    struct actor traced = actor_start_below(parent), zombie = actor_start_below(parent);
    struct actor spinning = actor_start_below(parent), busy = actor_start_below(parent);
    assert_int_equal(kill(stopped.pid, SIGSTOP), 0);
    assert_int_equal(ptrace(PTRACE_SEIZE, traced.pid, NULL, NULL), 0);
    assert_int_equal(ptrace(PTRACE_INTERRUPT, traced.pid, NULL, NULL), 0);
    actor_exit(zombie, 0);
    actor_ask(spinning, deed_spin, 0, 0, 0);
    actor_ask(busy, deed_vfork, 0, 0, 0);
    assert_state(parent, sleeping, 'S');
    assert_state(parent, stopped, 'T');
    assert_state(parent, traced, 't');
    assert_state(parent, zombie, 'Z');
    assert_state(parent, spinning, 'R');
    assert_state(parent, busy, 'D');
    assert_int_equal(list_children(parent), 6);
}

static void a_reaped_child_is_gone(void **state)
{
    (void)state;
    struct actor parent = actor_start(), child = actor_start_below(parent);
    assert_int_equal(list_children(parent), 1);
    actor_exit(child, 0);
    assert_int_equal(find_child(parent, child)->state, 'Z');
    assert_waits(parent, child, 0);
    assert_int_equal(list_children(parent), 0);
}

static void children_of_every_thread_are_listed(void **state)
{
    (void)state;
    struct actor parent = actor_start();
    struct actor first = actor_start_below(parent);
    struct actor second = actor_start_below_thread(parent, false);
    struct actor third = actor_start_below_thread(parent, true);
    assert_int_equal(list_children(parent), 3);
    find_child(parent, first);
    find_child(parent, second);
    find_child(parent, third);
}

/* Any thread's number names the process whose children are meant. */
static void a_thread_stands_for_its_process(void **state)
{
    (void)state;
    struct actor parent = actor_start(), child = actor_start_below(parent), thread = parent;
    thread.pid = (pid_t)actor_ask(parent, deed_add_thread, 0, 0, 0).value;
    assert_int_equal(find_child(thread, child)->parent_pid, parent.pid);
    /* A child's threads are no children. */
    assert_int_equal(actor_ask(child, deed_add_thread, 0, 0, 0).error, 0);
    assert_int_equal(list_children(parent), 1);
}

static void children_of_a_process_whose_first_thread_has_ended(void **state)
{
    (void)state;
    struct actor parent = actor_start(), child = actor_start_below(parent);
    actor_ask(parent, deed_serve_in_thread, 0, 0, 0);
    actor_await_state(parent, 'Z');
    find_child(parent, child);
    actor_ask(child, deed_serve_in_thread, 0, 0, 0);
    assert_state(parent, child, 'Z');
    assert_int_equal(list_children(parent), 1);
}

static void grandchildren_and_siblings_are_not_listed(void **state)
{
    (void)state;
    struct actor parent = actor_start(), child = actor_start_below(parent);
    struct actor grandchild = actor_start_below(child);
    actor_start();
    assert_int_equal(list_children(parent), 1);
    find_child(child, grandchild);
    assert_int_equal(list_children(grandchild), 0);
}

static void the_kernels_threads_are_children_of_kthreadd(void **state)
{
    (void)state;
    static struct matrix_lens_task threads[4096];
    uint32_t count;
    assert_int_equal(device_children(ACTOR_DEVICE, 2, threads, COUNT(threads), &count), 0);
    assert_true(count > 10 && count <= COUNT(threads));
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(threads[i].kernel_thread, 1);
        assert_int_equal(threads[i].parent_pid, 2);
        assert_non_null(strchr("SIDRPXZ", threads[i].state));
    }
}

static void dead_pids_and_wrong_ones(void **state)
{
    (void)state;
    uint32_t count;
    struct actor dead = actor_start();
    actor_exit(dead, 0);
    /* A zombie has no children, but it is there. */
    assert_int_equal(list_children(dead), 0);
    assert_int_equal(waitpid(dead.pid, NULL, 0), dead.pid);
    assert_int_equal(device_children(ACTOR_DEVICE, dead.pid, tasks, 1, &count), ESRCH);
    assert_int_equal(device_children(ACTOR_DEVICE, INT_MAX, tasks, 1, &count), ESRCH);
    static const int numbers[] = {0, -1, INT_MIN};
    for (size_t i = 0; i < COUNT(numbers); i++)
        assert_int_equal(device_children(ACTOR_DEVICE, numbers[i], tasks, 1, &count), EINVAL);
}

static void capacity_bounds_what_is_written_and_not_the_count(void **state)
{
    (void)state;
    struct actor parent = actor_start();
    for (int i = 0; i < 3; i++)
        actor_start_below(parent);
    for (uint32_t capacity = 0; capacity < 6; capacity++) {
        uint32_t count;
        memset(tasks, 0xaa, sizeof(tasks));
        assert_int_equal(device_children(ACTOR_DEVICE, parent.pid, tasks, capacity, &count), 0);
        assert_int_equal(count, 3);
        for (uint32_t i = 0; i < 6; i++)
            assert_int_equal(tasks[i].state == 0xaa, i >= capacity || i >= 3);
    }
}

/* Numbers are those of the caller's namespace, or 0. */
static void deed_children(const long *arguments, struct reply *reply)
{
    uint32_t count;
    reply->error = device_children(ACTOR_DEVICE, (pid_t)arguments[0], tasks, COUNT(tasks), &count);
    reply->value = count;
    reply->pid = tasks[0].pid;
    reply->code = tasks[0].tid;
    reply->status = tasks[0].parent_pid;
}

static void deed_find_running(const long *arguments, struct reply *reply)
{
    uint32_t count;
    reply->error = device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 0, tasks, COUNT(tasks), &count);
    for (uint32_t i = 0; i < count && i < COUNT(tasks); i++) {
        reply->value++;
        reply->code += tasks[i].pid <= 0 || tasks[i].tid <= 0;
        if (tasks[i].pid == (pid_t)arguments[0])
            reply->status = tasks[i].parent_pid;
    }
}

static void numbers_are_of_the_callers_namespace(void **state)
{
    (void)state;
    struct actor outside = actor_start();
    struct actor init = actor_start_cloned(outside, CLONE_NEWPID | SIGCHLD);
    struct actor child = actor_start_below(init);
    assert_int_equal(find_child(outside, init)->parent_pid, outside.pid);
    assert_int_equal(find_child(init, child)->parent_pid, init.pid);
    pid_t inner = (pid_t)actor_ask(child, deed_getpid, 0, 0, 0).value;
    struct reply reply = actor_ask(child, deed_children, 1, 0, 0);
    assert_int_equal(reply.error, 0);
    assert_int_equal(reply.value, 1);
    assert_int_equal(reply.pid, inner);
    assert_int_equal(reply.code, inner);
    assert_int_equal(reply.status, 1);
    /* Who is outside has no number inside. */
    assert_int_equal(actor_ask(child, deed_children, outside.pid, 0, 0).error, ESRCH);
    /* Only itself and init are inside, and only itself runs; its parent there is 1. */
    reply = actor_ask(child, deed_find_running, inner, 0, 0);
    assert_int_equal(reply.error, 0);
    assert_in_range(reply.value, 1, 2);
    assert_int_equal(reply.code, 0);
    assert_int_equal(reply.status, 1);
    /* And init's parent is outside. */
    reply = actor_ask(init, deed_find_running, 1, 0, 0);
    assert_int_equal(reply.status, 0);
}

static void without_the_capability(void **state)
{
    (void)state;
    struct actor parent = actor_start(), caller = actor_start();
    actor_start_below(parent);
    assert_int_equal(actor_ask(caller, deed_children, parent.pid, 0, 0).error, 0);
    assert_int_equal(actor_ask(caller, deed_drop_ptrace, 0, 0, 0).error, 0);
    assert_int_equal(actor_ask(caller, deed_children, parent.pid, 0, 0).error, EPERM);
    /* Who runs is everybody's to know who has the device open: no pid is named. */
    assert_int_equal(actor_ask(caller, deed_find_running, 0, 0, 0).error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(states_are_the_letters_of_ps),
        ACTORS_TEST(a_reaped_child_is_gone),
        ACTORS_TEST(children_of_every_thread_are_listed),
        ACTORS_TEST(a_thread_stands_for_its_process),
        ACTORS_TEST(children_of_a_process_whose_first_thread_has_ended),
        ACTORS_TEST(grandchildren_and_siblings_are_not_listed),
        ACTORS_TEST(the_kernels_threads_are_children_of_kthreadd),
        ACTORS_TEST(dead_pids_and_wrong_ones),
        ACTORS_TEST(capacity_bounds_what_is_written_and_not_the_count),
        ACTORS_TEST(numbers_are_of_the_callers_namespace),
        ACTORS_TEST(without_the_capability),
    };
    return actors_run("children", tests, COUNT(tests));
}
