// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_RUNNING and CHILDREN while processes and threads come and go as fast as they can:
 * each entry is whole, and nobody is listed twice.
 */
#include "tests/lens/deeds.h"
#include "tests/lens/device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define STORMS 3
#define LISTS  1000
#define NAME   "a storm of tasks"

static struct matrix_lens_task tasks[4096];

static void *do_little(void *unused)
{
    return unused;
}

/* Processes, processes with threads that end after the first one, and such that call exec(). */
static _Noreturn void live_shortly(int how)
{
    pthread_t thread;
    switch (how % 4) {
    case 0:
        pthread_create(&thread, NULL, do_little, NULL);
        pthread_create(&thread, NULL, do_little, NULL);
        pthread_exit(NULL);
    case 1:
        execl("/proc/self/exe", NAME, "storm", NULL);
        _exit(1);
    case 2:
        if (fork() == 0)
            _exit(0); /* an orphan */
        _exit(0);
    default:
        _exit(0);
    }
}

static void deed_storm(const long *arguments, struct reply *reply)
{
    (void)arguments;
    prctl(PR_SET_NAME, NAME);
    actor_answer(reply);
    for (int i = 0;; i++) {
        pid_t child = fork();
        if (child == 0)
            live_shortly(i);
        waitpid(child, NULL, 0);
    }
}

/* Of the family: by name, or what exec() makes of it until it ends. */
static bool is_known(const struct matrix_lens_task *task)
{
    /* 15 characters and a 0, as prctl(2) and exec() cut them off. */
    static const char *const names[] = {"a storm of task", "exe", "test_processes_"};
    for (size_t i = 0; i < COUNT(names); i++)
        if (strncmp(task->name, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static bool is_of_storm(const struct matrix_lens_task *task, const struct actor *storms)
{
    for (int i = 0; i < STORMS; i++)
        if (task->pid == storms[i].pid || task->parent_pid == storms[i].pid)
            return true;
    return false;
}

static void check_entry(const struct matrix_lens_task *task, const char *states)
{
    if (task->pid <= 0 || task->tid <= 0 || task->parent_pid < 0 || task->state == 0 ||
        !strchr(states, task->state) || task->on_cpu > 1 || task->kernel_thread > 1 ||
        task->start_time_ns == 0 || !memchr(task->name, 0, sizeof(task->name)))
        fail_msg("pid %d, tid %d, parent %d, state '%c', on_cpu %d, start %llu", task->pid,
                 task->tid, task->parent_pid, task->state, task->on_cpu,
                 (unsigned long long)task->start_time_ns);
}

static int compare_tasks(const void *left, const void *right)
{
    const struct matrix_lens_task *a = left, *b = right;
    if (a->tid != b->tid)
        return a->tid < b->tid ? -1 : 1;
    return a->start_time_ns < b->start_time_ns ? -1 : a->start_time_ns > b->start_time_ns;
}

static void check_list(uint32_t count, const char *states)
{
    for (uint32_t i = 0; i < count; i++)
        check_entry(&tasks[i], states);
    qsort(tasks, count, sizeof(tasks[0]), compare_tasks);
    for (uint32_t i = 1; i < count; i++)
        if (compare_tasks(&tasks[i - 1], &tasks[i]) == 0)
            fail_msg("tid %d is listed twice", tasks[i].tid);
}

static void who_runs_in_a_storm(void **state)
{
    (void)state;
    struct actor storms[STORMS];
    uint64_t seen = 0;
    for (int i = 0; i < STORMS; i++) {
        storms[i] = actor_start();
        actor_ask(storms[i], deed_storm, 0, 0, 0);
    }
    for (int list = 0; list < LISTS || seen < LISTS; list++) {
        uint32_t count;
        assert_int_equal(
            device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 0, tasks, COUNT(tasks), &count), 0);
        assert_true(count <= COUNT(tasks));
        check_list(count, "R");
        for (uint32_t i = 0; i < count; i++) {
            if (!is_of_storm(&tasks[i], storms))
                continue;
            seen++;
            if (!is_known(&tasks[i]))
                fail_msg("pid %d has the name '%s'", tasks[i].pid, tasks[i].name);
        }
    }
    print_message("# %llu tasks of the storm seen\n", (unsigned long long)seen);
}

static void children_in_a_storm(void **state)
{
    (void)state;
    struct actor storms[STORMS];
    uint64_t seen = 0;
    for (int i = 0; i < STORMS; i++) {
        storms[i] = actor_start();
        actor_ask(storms[i], deed_storm, 0, 0, 0);
    }
    for (int list = 0; list < LISTS || seen < LISTS; list++) {
        uint32_t count;
        struct actor storm = storms[list % STORMS];
        assert_int_equal(device_children(ACTOR_DEVICE, storm.pid, tasks, COUNT(tasks), &count), 0);
        /* One at a time, but the next may come while the list is walked. */
        assert_true(count <= 16);
        check_list(count, "RSDZXI");
        seen += count;
        for (uint32_t i = 0; i < count; i++)
            assert_true(is_known(&tasks[i]));
    }
    print_message("# %llu children seen\n", (unsigned long long)seen);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(who_runs_in_a_storm),
        ACTORS_TEST(children_in_a_storm),
    };
    if (argc > 1 && strcmp(argv[1], "storm") == 0)
        return 0;
    return actors_run("processes_storm", tests, COUNT(tests));
}
