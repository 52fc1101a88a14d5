// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tests of reparenting ask of their actors, and what they then find. */
#include "tests/lens/deeds.h"

#include "tests/lens/device.h"
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void keep(struct reply *reply, long value)
{
    reply->error = value < 0 ? errno : 0;
    reply->value = value;
}

void deed_getpid(const long *arguments, struct reply *reply)
{
    (void)arguments;
    keep(reply, syscall(SYS_getpid));
}

void deed_getppid(const long *arguments, struct reply *reply)
{
    (void)arguments;
    keep(reply, syscall(SYS_getppid));
}

void deed_prctl(const long *arguments, struct reply *reply)
{
    keep(reply, prctl((int)arguments[0], arguments[1], 0, 0, 0));
}

void deed_setpgid(const long *arguments, struct reply *reply)
{
    (void)arguments;
    keep(reply, setpgid(0, 0));
}

static void handle_nothing(int number)
{
    (void)number;
}

void deed_ignore(const long *arguments, struct reply *reply)
{
    struct sigaction action = {.sa_handler = arguments[1] ? handle_nothing : SIG_IGN,
                               .sa_flags = (int)arguments[1]};
    keep(reply, sigaction((int)arguments[0], &action, NULL));
}

void deed_waitpid(const long *arguments, struct reply *reply)
{
    keep(reply, waitpid((pid_t)arguments[0], &reply->status, (int)arguments[1]));
}

static void keep_signal(struct reply *reply, const siginfo_t *signal)
{
    reply->pid = signal->si_pid;
    reply->code = signal->si_code;
    reply->status = signal->si_status;
}

void deed_waitid(const long *arguments, struct reply *reply)
{
    siginfo_t signal = {0};
    long id = arguments[1];
    if (arguments[0] == P_PIDFD)
        id = syscall(SYS_pidfd_open, id, 0);
    /* The C library does not let __WNOTHREAD and the like through. */
    keep(reply, syscall(SYS_waitid, arguments[0], id, &signal, arguments[2], NULL));
    keep_signal(reply, &signal);
    if (arguments[0] == P_PIDFD)
        close((int)id);
}

static void take_signal(int number, const struct timespec *patience, struct reply *reply)
{
    siginfo_t signal = {0};
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    keep(reply, sigtimedwait(&set, &signal, patience));
    keep_signal(reply, &signal);
}

void deed_signal(const long *arguments, struct reply *reply)
{
    take_signal((int)arguments[0], &(struct timespec){0}, reply);
}

void deed_await_signal(const long *arguments, struct reply *reply)
{
    take_signal((int)arguments[0], NULL, reply);
}

void deed_ptrace(const long *arguments, struct reply *reply)
{
    keep(reply, ptrace((enum __ptrace_request)arguments[0], (pid_t)arguments[1], NULL,
                       (void *)arguments[2]));
}

static pthread_t first_thread;

static void *serve_on(void *unused)
{
    (void)unused;
    pthread_join(first_thread, NULL);
    actor_answer(&(struct reply){0});
    actor_serve();
}

void deed_serve_in_thread(const long *arguments, struct reply *reply)
{
    (void)arguments;
    pthread_t thread;
    first_thread = pthread_self();
    reply->error = pthread_create(&thread, NULL, serve_on, NULL);
    if (reply->error == 0)
        pthread_exit(NULL);
}

void deed_setns(const long *arguments, struct reply *reply)
{
    int pidfd = (int)syscall(SYS_pidfd_open, arguments[0], 0);
    keep(reply, setns(pidfd, CLONE_NEWPID));
    close(pidfd);
}

void deed_reparent(const long *arguments, struct reply *reply)
{
    struct matrix_lens_reparent reparent = {
        .size = sizeof(reparent), .pid = (pid_t)arguments[0], .parent_pid = (pid_t)arguments[1]};
    reply->error = device_request(ACTOR_DEVICE, MATRIX_LENS_REPARENT, &reparent);
    reply->value = reparent.old_parent_pid;
}

void deed_drop_ptrace(const long *arguments, struct reply *reply)
{
    (void)arguments;
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    keep(reply, syscall(SYS_capget, &header, data));
    data[0].effective &= ~(1U << CAP_SYS_PTRACE);
    keep(reply, syscall(SYS_capset, &header, data));
}

static void *exec_sleep(void *unused)
{
    (void)unused;
    execl("/bin/sleep", "sleep", "infinity", NULL);
    _exit(98);
}

void deed_exec_in_thread(const long *arguments, struct reply *reply)
{
    (void)arguments;
    (void)reply;
    pthread_t thread;
    if (pthread_create(&thread, NULL, exec_sleep, NULL))
        _exit(97);
}

static pid_t threads[8];
static atomic_int thread_count;

static _Noreturn void *spin_or_sleep(void *spins)
{
    threads[thread_count] = (pid_t)syscall(SYS_gettid);
    thread_count++;
    while (spins)
        continue;
    for (;;)
        pause();
}

void deed_add_thread(const long *arguments, struct reply *reply)
{
    pthread_t thread;
    int count = thread_count;
    reply->error = pthread_create(&thread, NULL, spin_or_sleep, arguments[0] ? threads : NULL);
    while (reply->error == 0 && thread_count == count)
        sched_yield();
    reply->value = threads[count];
}

void deed_thread(const long *arguments, struct reply *reply)
{
    reply->value = threads[arguments[0]];
}

static struct {
    long arguments[3];
    struct reply reply;
    pthread_t thread;
    atomic_int tid;
} waiter;

static void deed_wait(const long *arguments, struct reply *reply)
{
    long shifted[3] = {arguments[0] - BY_WAITID, arguments[1], arguments[2]};
    if (arguments[0] == BY_WAITPID)
        deed_waitpid(arguments + 1, reply);
    else
        deed_waitid(shifted, reply);
}

static void *wait_in_thread(void *unused)
{
    (void)unused;
    waiter.tid = (pid_t)syscall(SYS_gettid);
    deed_wait(waiter.arguments, &waiter.reply);
    return NULL;
}

void deed_wait_in_thread(const long *arguments, struct reply *reply)
{
    memcpy(waiter.arguments, arguments, sizeof(waiter.arguments));
    waiter.reply = (struct reply){0};
    waiter.tid = 0;
    reply->error = pthread_create(&waiter.thread, NULL, wait_in_thread, NULL);
    while (reply->error == 0 && waiter.tid == 0)
        sched_yield();
    reply->value = waiter.tid;
}

void deed_waited_in_thread(const long *arguments, struct reply *reply)
{
    (void)arguments;
    pthread_join(waiter.thread, NULL);
    *reply = waiter.reply;
}

/* --- In the test -------------------------------------------------------------------------- */

/* /proc/PID/task/TID/syscall has the number of the system call that a thread is blocked in. */
static bool is_blocked_in_wait(pid_t pid, pid_t tid)
{
    char path[64];
    long number = -1;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
    FILE *file = fopen(path, "re");
    assert_non_null(file);
    if (fscanf(file, "%ld", &number) != 1)
        number = -1;
    fclose(file);
    struct stat_line line;
    return (number == SYS_wait4 || number == SYS_waitid) && read_stat_line(pid, tid, &line) &&
           line.state == 'S';
}

void actor_wait_begin(struct actor actor, long by, long id, long options)
{
    actor_tell(actor, deed_wait, by, id, options);
    while (!is_blocked_in_wait(actor.pid, actor.pid))
        sched_yield();
}

void actor_wait_begin_in_thread(struct actor actor, long by, long id, long options)
{
    struct reply begun = actor_ask(actor, deed_wait_in_thread, by, id, options);
    assert_int_equal(begun.error, 0);
    while (!is_blocked_in_wait(actor.pid, (pid_t)begun.value))
        sched_yield();
}

int move(struct actor child, struct actor parent)
{
    return device_reparent(ACTOR_DEVICE, child.pid, parent.pid);
}

struct cast cast_start(void)
{
    struct cast cast = {.old = actor_start(), .new = actor_start()};
    cast.child = actor_start_below(cast.old);
    return cast;
}

struct cast cast_move(void)
{
    struct cast cast = cast_start();
    assert_int_equal(move(cast.child, cast.new), 0);
    return cast;
}

pid_t getppid_of(struct actor child)
{
    return (pid_t)actor_ask(child, deed_getppid, 0, 0, 0).value;
}

void assert_waits(struct actor parent, struct actor child, int status)
{
    struct reply reply = actor_ask(parent, deed_waitpid, child.pid, 0, 0);
    assert_int_equal(reply.value, child.pid);
    assert_int_equal(reply.status, status);
}

void assert_has_no_child(struct actor parent)
{
    struct reply reply = actor_ask(parent, deed_waitpid, -1, WNOHANG | __WALL, 0);
    assert_int_equal(reply.value, -1);
    assert_int_equal(reply.error, ECHILD);
}

void assert_signal(struct actor parent, struct actor child, int code, int status)
{
    struct reply reply = actor_ask(parent, deed_await_signal, SIGCHLD, 0, 0);
    assert_int_equal(reply.value, SIGCHLD);
    assert_int_equal(reply.pid, child.pid);
    assert_int_equal(reply.code, code);
    assert_int_equal(reply.status, status);
}

/* The child ends, and the new parent is told of it, not the old one. */
void assert_ends_as_child_of_new(struct cast cast)
{
    actor_exit(cast.child, 42);
    assert_signal(cast.new, cast.child, CLD_EXITED, 42);
    assert_waits(cast.new, cast.child, 42 << 8);
    assert_has_no_child(cast.new);
    assert_has_no_child(cast.old);
    assert_int_equal(actor_ask(cast.old, deed_signal, SIGCHLD, 0, 0).error, EAGAIN);
}
