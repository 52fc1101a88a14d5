/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that do what a test asks of them: old parents, new parents, children, tracers. An
 * actor serves its questions one by one, in whatever thread was the last to be told to; it ends
 * when its socket does. Everything here fails the running test where the host fails.
 */
#ifndef TESTS_LENS_ACTOR_H
#define TESTS_LENS_ACTOR_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* After those that it needs. */
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Ends the running test as skipped; the script tests/tap adds the reason to its line. */
#define SKIP_BECAUSE(...)                              \
    do {                                               \
        print_message("# skip: " __VA_ARGS__), skip(); \
    } while (0)

/* /dev/matrix, in the test and in all its actors. */
#define ACTOR_DEVICE 201

struct actor {
    pid_t pid; /* in the test's pid namespace */
    int socket;
    int pidfd;
};

/* What came of a deed: the call's value, its errno where it failed, and what it told. */
struct reply {
    long value;
    int error;
    int pid;    /* si_pid */
    int code;   /* si_code */
    int status; /* si_status, or that of waitpid() */
};

/* Runs in the actor; the program is the same, so that a function's address means the same. */
typedef void deed(const long *arguments, struct reply *reply);

/* For deeds that end otherwise than by returning: answers, and goes on to serve. */
void actor_answer(const struct reply *reply);
_Noreturn void actor_serve(void);
void actor_await_test_end(void);

/*
 * Runs the tests of one program, to be returned from main. Outside the lab the whole program is
 * skipped. Each test opens the device anew, and ends all its actors, whatever they do.
 */
int actors_run(const char *group, const struct CMUnitTest *tests, size_t count);
int actors_set_up(void **state);
int actors_tear_down(void **state);
#define ACTORS_TEST(function) \
    cmocka_unit_test_setup_teardown(function, actors_set_up, actors_tear_down)

/* A child of the test itself; of another actor; of a thread of an actor, which ends then or not. */
struct actor actor_start(void);
struct actor actor_start_below(struct actor parent);
struct actor actor_start_below_thread(struct actor parent, bool thread_ends);
/* By clone(2) with these flags, of which the lowest byte is the exit signal. */
struct actor actor_start_cloned(struct actor parent, unsigned long flags);

/* Does something and tells what came of it; up to three arguments, the others are 0. */
struct reply actor_ask(struct actor actor, deed *what, long a, long b, long c);
/* The two halves of it, where the answer comes later or never. */
void actor_tell(struct actor actor, deed *what, long a, long b, long c);
struct reply actor_hear(struct actor actor);

/* Waits until it has ended, though it may be a zombie. */
void actor_await_end(struct actor actor);
/* Until /proc/PID/stat says that state. */
void actor_await_state(struct actor actor, char state);
/* Ends it by exit(status), or as its socket closes, and waits for that. */
void actor_exit(struct actor actor, int status);

/* Fields of /proc/PID/task/TID/stat, proc(5): parent_pid is field 4, start time 22. */
struct stat_line {
    char name[64];
    char state;
    int parent_pid;
    unsigned long long start_ticks;
};
bool read_stat_line(pid_t pid, pid_t tid, struct stat_line *line);

#endif
