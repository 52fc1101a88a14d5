// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes that do what a test asks of them. Used by the tests of processes and reparenting. */
#include "tests/lens/actor.h"

#include "tests/lens/device.h"
#include <linux/close_range.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ACTOR_SOCKET 200
#define ACTORS_MAX   64
#define TEST_SECONDS 600 /* for one test, which takes a few at most; then something hangs */

struct question {
    deed *what;
    long arguments[3];
};

static struct actor actors[ACTORS_MAX];
static size_t actor_count;
static int listener;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

/* --- In an actor -------------------------------------------------------------------------- */

void actor_answer(const struct reply *reply)
{
    if (write(ACTOR_SOCKET, reply, sizeof(*reply)) != sizeof(*reply))
        _exit(97);
}

void actor_await_test_end(void)
{
    char byte;
    (void)!read(ACTOR_SOCKET, &byte, 1);
}

_Noreturn void actor_serve(void)
{
    struct question question;
    while (read(ACTOR_SOCKET, &question, sizeof(question)) == sizeof(question)) {
        struct reply reply = {0};
        question.what(question.arguments, &reply);
        actor_answer(&reply);
    }
    _exit(0);
}

/*
 * Closes what it has inherited, other actors' sockets above all: they end when the last does.
 * SIGCHLD waits for sigwaitinfo(), SIGPIPE would end who answers a test that has failed.
 */
static _Noreturn void act(void)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGUSR1);
    sigaddset(&blocked, SIGPIPE);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    alarm(0);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
        dup3(fd, ACTOR_SOCKET, O_CLOEXEC) < 0)
        _exit(99);
    syscall(SYS_close_range, 3, ACTOR_SOCKET - 1, 0);
    syscall(SYS_close_range, ACTOR_DEVICE + 1, ~0U, 0);
    actor_serve();
}

/* The C library's fork() where it will do: it leaves the child's threads usable. */
static long clone_actor(unsigned long flags)
{
    long pid = flags == SIGCHLD ? fork() : syscall(SYS_clone, flags, NULL, NULL, NULL, 0);
    if (pid == 0)
        act();
    return pid;
}

static void deed_clone(const long *arguments, struct reply *reply)
{
    reply->value = clone_actor((unsigned long)arguments[0]);
    reply->error = errno;
}

static void *clone_in_thread(void *thread_ends)
{
    clone_actor(SIGCHLD);
    while (!thread_ends)
        pause();
    return NULL;
}

static void deed_clone_in_thread(const long *arguments, struct reply *reply)
{
    pthread_t thread;
    reply->error = pthread_create(&thread, NULL, clone_in_thread, arguments[0] ? reply : NULL);
    if (arguments[0] && reply->error == 0)
        pthread_join(thread, NULL);
}

static void deed_exit(const long *arguments, struct reply *reply)
{
    (void)reply;
    _exit((int)arguments[0]);
}

/* --- In the test -------------------------------------------------------------------------- */

int actors_run(const char *group, const struct CMUnitTest *tests, size_t count)
{
    if (!getenv("MATRIX_LAB")) {
        printf("1..0 # SKIP %s: runs inside the lab (tests/lab/modules.sh)\n", group);
        return 0;
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}

int actors_set_up(void **state)
{
    (void)state;
    alarm(TEST_SECONDS);
    signal(SIGPIPE, SIG_IGN);
    int device = device_open();
    if (device < 0)
        fail_msg("cannot open " MATRIX_LENS_DEVICE ": %s", strerror(errno));
    assert_int_equal(dup3(device, ACTOR_DEVICE, O_CLOEXEC), ACTOR_DEVICE);
    close(device);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    /* Abstract: the name is gone with the socket. */
    snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "matrix-lens-%d", getpid());
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(listener, ACTORS_MAX), 0);
    return 0;
}

int actors_tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < actor_count; i++) {
        syscall(SYS_pidfd_send_signal, actors[i].pidfd, SIGKILL, NULL, 0);
        close(actors[i].socket);
        close(actors[i].pidfd);
    }
    actor_count = 0;
    close(listener);
    close(ACTOR_DEVICE);
    while (waitpid(-1, NULL, 0) > 0)
        continue;
    return 0;
}

static struct actor meet(void)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);
    struct actor actor = {.socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC)};
    assert_true(actor.socket >= 0);
    /* In this process's pid namespace, whatever the other's is. */
    assert_int_equal(getsockopt(actor.socket, SOL_SOCKET, SO_PEERCRED, &peer, &size), 0);
    actor.pid = peer.pid;
    actor.pidfd = (int)syscall(SYS_pidfd_open, actor.pid, 0);
    assert_true(actor.pidfd >= 0);
    assert_true(actor_count < ACTORS_MAX);
    actors[actor_count++] = actor;
    return actor;
}

struct actor actor_start(void)
{
    if (clone_actor(SIGCHLD) < 0)
        fail_msg("fork: %s", strerror(errno));
    return meet();
}

struct actor actor_start_cloned(struct actor parent, unsigned long flags)
{
    struct reply reply = actor_ask(parent, deed_clone, (long)flags, 0, 0);
    if (reply.value < 0)
        fail_msg("clone: %s", strerror(reply.error));
    return meet();
}

struct actor actor_start_below(struct actor parent)
{
    return actor_start_cloned(parent, SIGCHLD);
}

struct actor actor_start_below_thread(struct actor parent, bool thread_ends)
{
    assert_int_equal(actor_ask(parent, deed_clone_in_thread, thread_ends, 0, 0).error, 0);
    return meet();
}

void actor_tell(struct actor actor, deed *what, long a, long b, long c)
{
    struct question question = {what, {a, b, c}};
    assert_int_equal(write(actor.socket, &question, sizeof(question)), sizeof(question));
}

struct reply actor_hear(struct actor actor)
{
    struct reply reply = {0};
    ssize_t got = read(actor.socket, &reply, sizeof(reply));
    if (got != sizeof(reply))
        fail_msg("process %d has ended instead of answering", actor.pid);
    return reply;
}

struct reply actor_ask(struct actor actor, deed *what, long a, long b, long c)
{
    actor_tell(actor, what, a, b, c);
    return actor_hear(actor);
}

void actor_await_end(struct actor actor)
{
    struct pollfd ended = {.fd = actor.pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, -1), 1);
}

void actor_await_state(struct actor actor, char state)
{
    struct stat_line line = {0};
    do {
        sched_yield();
        assert_true(read_stat_line(actor.pid, actor.pid, &line));
    } while (line.state != state);
}

void actor_exit(struct actor actor, int status)
{
    actor_tell(actor, deed_exit, status, 0, 0);
    actor_await_end(actor);
}

bool read_stat_line(pid_t pid, pid_t tid, struct stat_line *line)
{
    char path[64], text[1024] = "";
    snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    /* The name may contain anything, also brackets: it ends with the last one. */
    char *begin = strchr(text, '('), *end = strrchr(text, ')');
    if (size <= 0 || !begin || !end)
        return false;
    snprintf(line->name, sizeof(line->name), "%.*s", (int)(end - begin - 1), begin + 1);
    return sscanf(end + 1,
                  " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                  &line->state, &line->parent_pid, &line->start_ticks) == 3;
}
