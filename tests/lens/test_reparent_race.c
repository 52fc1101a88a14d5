// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MATRIX_LENS_REPARENT against children that end, or call exec(), at that moment. Whoever wins,
 * each child has exactly one parent that reaps it, with its own status.
 */
#include "tests/lens/deeds.h"
#include "tests/lens/device.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOVES     300 /* accepted ones */
#define REFUSED   50
#define TRIES_MAX 5000

/* How long a mortal lives, in turns of a loop; below a time slice. */
#define LIFE 100000

static volatile long sink;

static _Noreturn void live_and_exit(int status)
{
    for (long i = 0; i < LIFE; i++)
        sink = i;
    _exit(status);
}

/*
 * Waits before the move: longer if the last move came first, shorter if the end did. So both
 * happen often, on a machine of any speed, and close to the moment that matters.
 */
static void aim(long *patience_ns, bool moved)
{
    *patience_ns = moved ? *patience_ns * 10 / 9 + 1000 : *patience_ns * 9 / 10;
}

static void wait_for_moment(long patience_ns)
{
    struct timespec time = {.tv_sec = patience_ns / 1000000000,
                            .tv_nsec = patience_ns % 1000000000};
    nanosleep(&time, NULL);
}

/* Forks a child that exits soon, by this status. */
static void deed_fork_mortal(const long *arguments, struct reply *reply)
{
    reply->value = fork();
    if (reply->value == 0)
        live_and_exit((int)arguments[0]);
}

static void assert_waits_for(struct actor parent, pid_t pid, int status)
{
    struct reply reply = actor_ask(parent, deed_waitpid, pid, 0, 0);
    assert_int_equal(reply.value, pid);
    assert_int_equal(reply.status, status << 8);
}

static void moves_of_children_that_end(void **state)
{
    (void)state;
    struct actor old = actor_start(), new = actor_start();
    long patience_ns = 1000;
    int accepted = 0, refused = 0;
    for (int i = 0; i < TRIES_MAX && (accepted < MOVES || refused < REFUSED); i++) {
        pid_t pid = (pid_t)actor_ask(old, deed_fork_mortal, i % 256, 0, 0).value;
        assert_true(pid > 0);
        wait_for_moment(patience_ns);
        int result = device_reparent(ACTOR_DEVICE, pid, new.pid);
        if (result != 0)
            assert_int_equal(result, ESRCH);
        assert_waits_for(result == 0 ? new : old, pid, i % 256);
        assert_has_no_child(old);
        assert_has_no_child(new);
        accepted += result == 0;
        refused += result != 0;
        aim(&patience_ns, result == 0);
    }
    print_message("# %d moved, %d ended first\n", accepted, refused);
    assert_true(accepted >= MOVES && refused >= REFUSED);
}

/* The same where the new parent ends: the child is its child, or its orphan, or never moved. */
static void moves_to_parents_that_end(void **state)
{
    (void)state;
    struct actor old = actor_start();
    long patience_ns = 1000;
    int accepted = 0, refused = 0;
    struct actor child = actor_start_below(old);
    for (int i = 0; i < TRIES_MAX && (accepted < REFUSED || refused < REFUSED); i++) {
        pid_t parent = fork();
        if (parent == 0)
            live_and_exit(0);
        wait_for_moment(patience_ns);
        int result = device_reparent(ACTOR_DEVICE, child.pid, parent);
        if (result != 0)
            assert_int_equal(result, ESRCH);
        assert_int_equal(waitpid(parent, NULL, 0), parent);
        if (result == 0) {
            assert_has_no_child(old);
            assert_int_equal(getppid_of(child), 1);
        } else {
            assert_int_equal(getppid_of(child), old.pid);
        }
        /* Back, for the next try; init lets it go. */
        assert_int_equal(move(child, old), 0);
        accepted += result == 0;
        refused += result != 0;
        aim(&patience_ns, result == 0);
    }
    print_message("# %d moved, %d ended first\n", accepted, refused);
    assert_true(accepted >= REFUSED && refused >= REFUSED);
    actor_exit(child, 5);
    assert_waits(old, child, 5 << 8);
}

static bool has_ended_conversation(struct actor actor)
{
    struct pollfd socket = {.fd = actor.socket, .events = POLLIN};
    return poll(&socket, 1, 0) == 1 && socket.revents & POLLHUP;
}

/*
 * A thread other than the first calls exec(): it takes over the pid, and the task that had it
 * goes. The process is there all the time, so that no move may fail.
 */
static void moves_of_a_child_that_calls_exec(void **state)
{
    (void)state;
    struct actor old = actor_start(), new = actor_start();
    long moves = 0;
    for (int i = 0; i < 15; i++) {
        struct actor child = actor_start_below(old), parent = old;
        /* The new program may be there before any answer. */
        actor_tell(child, deed_exec_in_thread, 0, 0, 0);
        while (!has_ended_conversation(child) || parent.pid == old.pid) {
            parent = parent.pid == old.pid ? new : old;
            assert_int_equal(move(child, parent), 0);
            moves++;
        }
        assert_int_equal(kill(child.pid, SIGKILL), 0);
        assert_waits(new, child, SIGKILL);
        assert_has_no_child(old);
    }
    print_message("# %ld moves\n", moves);
}

/* Several movers, in a circle: nobody becomes its own ancestor, and nobody is lost. */
static void moves_at_the_same_time(void **state)
{
    (void)state;
    enum { PROCESSES = 4, MOVERS = 3, TURNS = 2000 };
    struct actor root = actor_start(), processes[PROCESSES];
    pid_t movers[MOVERS];
    for (int i = 0; i < PROCESSES; i++)
        processes[i] = actor_start_below(root);
    for (int mover = 0; mover < MOVERS; mover++) {
        movers[mover] = fork();
        unsigned int seed = (unsigned int)mover + 1;
        for (int i = 0; movers[mover] == 0 && i < TURNS; i++) {
            int result =
                move(processes[rand_r(&seed) % PROCESSES], processes[rand_r(&seed) % PROCESSES]);
            if (result != 0 && result != EINVAL && result != ELOOP)
                _exit(1);
        }
        if (movers[mover] == 0)
            _exit(0);
    }
    for (int mover = 0; mover < MOVERS; mover++) {
        int status;
        assert_int_equal(waitpid(movers[mover], &status, 0), movers[mover]);
        assert_int_equal(status, 0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        struct stat_line line = {0};
        pid_t ancestor = processes[i].pid;
        for (int steps = 0; ancestor != root.pid; steps++) {
            assert_true(steps < PROCESSES);
            assert_true(read_stat_line(ancestor, ancestor, &line));
            ancestor = line.parent_pid;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(moves_of_children_that_end),
        ACTORS_TEST(moves_to_parents_that_end),
        ACTORS_TEST(moves_of_a_child_that_calls_exec),
        ACTORS_TEST(moves_at_the_same_time),
    };
    return actors_run("reparent_race", tests, COUNT(tests));
}
