// SPDX-License-Identifier: GPL-2.0-or-later
/* MATRIX_LENS_RUNNING: who runs or could run. The oracle is /proc/PID/task/TID/stat. */
#include "tests/lens/deeds.h"
#include "tests/lens/device.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static struct matrix_lens_task tasks[4096];

static uint32_t list_running(void)
{
    uint32_t count;
    int result = device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 0, tasks, COUNT(tasks), &count);
    assert_int_equal(result, 0);
    assert_true(count <= COUNT(tasks));
    return count;
}

static const struct matrix_lens_task *find(uint32_t count, pid_t tid)
{
    for (uint32_t i = 0; i < count; i++)
        if (tasks[i].tid == tid)
            return &tasks[i];
    return NULL;
}

/* Like an actor's wish, but it never comes back. */
static void deed_spin(const long *arguments, struct reply *reply)
{
    (void)arguments;
    actor_answer(reply);
    for (;;)
        continue;
}

static void who_spins_is_listed_and_who_sleeps_is_not(void **state)
{
    (void)state;
    struct actor spinner = actor_start(), sleeper = actor_start();
    actor_ask(spinner, deed_prctl, PR_SET_NAME, (long)"spin\n) \x01", 0);
    actor_ask(spinner, deed_spin, 0, 0, 0);
    actor_await_state(sleeper, 'S');
    uint32_t count = list_running();
    assert_null(find(count, sleeper.pid));
    const struct matrix_lens_task *task = find(count, spinner.pid);
    assert_non_null(task);
    assert_int_equal(task->pid, spinner.pid);
    assert_int_equal(task->parent_pid, getpid());
    assert_int_equal(task->state, 'R');
    assert_int_equal(task->kernel_thread, 0);
    assert_true(task->cpu < (uint32_t)sysconf(_SC_NPROCESSORS_CONF));
    assert_string_equal(task->name, "spin\n) \x01");
    static const uint8_t zero[sizeof(task->reserved)];
    assert_memory_equal(task->reserved, zero, sizeof(zero));
}

static void the_caller_runs_on_its_cpu(void **state)
{
    (void)state;
    const struct matrix_lens_task *task = find(list_running(), getpid());
    assert_non_null(task);
    assert_int_equal(task->on_cpu, 1);
    assert_int_equal(task->parent_pid, getppid());
}

/* More spinners than processors: some of them wait. */
static void who_waits_for_a_cpu_is_told_from_who_has_one(void **state)
{
    (void)state;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    for (long i = 0; i < cpus + 2; i++)
        actor_ask(actor_start(), deed_spin, 0, 0, 0);
    uint32_t count = list_running();
    long on_cpu = 0, waiting = 0;
    for (uint32_t i = 0; i < count; i++) {
        on_cpu += tasks[i].on_cpu == 1;
        waiting += tasks[i].on_cpu == 0;
        assert_true(tasks[i].on_cpu <= 1);
    }
    assert_true(on_cpu >= 1);
    assert_true(waiting >= 2);
}

static void threads_are_told_from_processes(void **state)
{
    (void)state;
    struct actor actor = actor_start();
    pid_t tid = (pid_t)actor_ask(actor, deed_add_thread, true, 0, 0).value;
    actor_await_state(actor, 'S');
    uint32_t count = list_running();
    assert_null(find(count, actor.pid));
    const struct matrix_lens_task *task = find(count, tid);
    assert_non_null(task);
    assert_int_equal(task->pid, actor.pid);
    assert_int_equal(task->tid, tid);
    assert_int_equal(task->parent_pid, getpid());
}

/* The first thread has ended, and is a zombie; the process goes on. */
static void a_thread_whose_first_thread_has_ended_is_listed(void **state)
{
    (void)state;
    struct actor actor = actor_start();
    pid_t tid = (pid_t)actor_ask(actor, deed_add_thread, true, 0, 0).value;
    actor_ask(actor, deed_serve_in_thread, 0, 0, 0);
    actor_await_state(actor, 'Z');
    uint32_t count = list_running();
    const struct matrix_lens_task *task = find(count, tid);
    assert_non_null(task);
    assert_int_equal(task->pid, actor.pid);
    assert_null(find(count, actor.pid));
}

/* proc(5): field 22 counts clock ticks; the kernel cuts off what is below one. */
static void assert_same_as_proc(const struct matrix_lens_task *task)
{
    struct stat_line line;
    if (!read_stat_line(task->pid, task->tid, &line))
        return; /* it has ended */
    uint64_t tick_ns = 1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK);
    assert_int_equal(task->start_time_ns / tick_ns, line.start_ticks);
    assert_int_equal(task->parent_pid, line.parent_pid);
    /* The kernel adds what a worker does at the moment: "kworker/0:1-events". */
    assert_memory_equal(task->name, line.name, strlen(task->name));
}

/* Every thread of the machine that /proc says runs, before and after, was listed between. */
static void no_thread_that_runs_all_the_time_is_missing(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        actor_ask(actor_start(), deed_spin, 0, 0, 0);
    uint32_t count = list_running(), found = 0;
    for (uint32_t i = 0; i < count; i++)
        assert_same_as_proc(&tasks[i]);
    DIR *directory = opendir("/proc");
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        struct stat_line line;
        pid_t pid = atoi(entry->d_name);
        if (pid <= 0 || !read_stat_line(pid, pid, &line) || line.state != 'R')
            continue;
        /* A worker of the kernel's may have begun since; a spinner or this test may not. */
        if (line.parent_pid == getpid() || pid == getpid()) {
            assert_non_null(find(count, pid));
            found++;
        }
    }
    closedir(directory);
    assert_int_equal(found, 4);
}

static void capacity_bounds_what_is_written_and_not_the_count(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        actor_ask(actor_start(), deed_spin, 0, 0, 0);
    static const uint32_t capacities[] = {0, 1, 2, MATRIX_LENS_TASKS_MAX + 1, UINT32_MAX};
    /* As many as can be written at all; pages that nobody touches cost nothing. */
    size_t size = (MATRIX_LENS_TASKS_MAX + 1) * sizeof(tasks[0]);
    struct matrix_lens_task *room =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(room != MAP_FAILED);
    for (size_t i = 0; i < COUNT(capacities); i++) {
        uint32_t count;
        memset(room, 0xaa, 8 * sizeof(room[0]));
        assert_int_equal(
            device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 0, room, capacities[i], &count), 0);
        assert_true(count >= 4);
        for (uint32_t j = 0; j < 4 && j < capacities[i]; j++)
            assert_int_equal(room[j].state, 'R');
        if (capacities[i] < 4)
            assert_int_equal(room[capacities[i]].state, 0xaa);
    }
    munmap(room, size);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    uint32_t count;
    assert_int_equal(device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 1, tasks, 1, &count), EINVAL);
    assert_int_equal(device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 0, NULL, 1, &count), EFAULT);
    /* Nothing is written where nothing fits. */
    assert_int_equal(device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 0, NULL, 0, &count), 0);
    assert_true(count >= 1);
    struct matrix_lens_tasks bad = {.size = sizeof(bad), .flags = 1};
    assert_int_equal(device_request(ACTOR_DEVICE, MATRIX_LENS_RUNNING, &bad), EINVAL);
    bad = (struct matrix_lens_tasks){.size = sizeof(bad), .reserved = 1};
    assert_int_equal(device_request(ACTOR_DEVICE, MATRIX_LENS_RUNNING, &bad), EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(who_spins_is_listed_and_who_sleeps_is_not),
        ACTORS_TEST(the_caller_runs_on_its_cpu),
        ACTORS_TEST(who_waits_for_a_cpu_is_told_from_who_has_one),
        ACTORS_TEST(threads_are_told_from_processes),
        ACTORS_TEST(a_thread_whose_first_thread_has_ended_is_listed),
        ACTORS_TEST(no_thread_that_runs_all_the_time_is_missing),
        ACTORS_TEST(capacity_bounds_what_is_written_and_not_the_count),
        ACTORS_TEST(bad_arguments_are_refused),
    };
    return actors_run("running", tests, COUNT(tests));
}
