// SPDX-License-Identifier: GPL-2.0-or-later
/* The VMs of an experiment: what they say, and that all of their processes end. Plain shells stand in for them. */
#include "ksm/experiment_vm.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static char directory[] = "/tmp/matrix-vm-XXXXXX";

static void start(const char *script, struct experiment_vm *vm)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    const struct experiment_start start = {.name = "vm", .argv = argv};
    assert_null(experiment_vm_start(&start, directory, vm));
    assert_true(vm->running);
}

/* Waits until it has ended, as an experiment does. */
static void wait_for_end(struct experiment_vm *vm)
{
    assert_int_equal(waitpid(vm->pid, &vm->status, 0), vm->pid);
    vm->running = false;
}

/* Looks through all that is there; *calls: how many that took. */
static bool has_said(struct experiment_vm *vm, const char *text, unsigned *calls)
{
    bool found, more;
    *calls = 0;
    do {
        assert_null(experiment_vm_says(vm, text, &found, &more));
        (*calls)++;
    } while (!found && more);
    return found;
}

/* The first text lies across the end of the first MiB, the second is the last of three. */
static void it_is_heard_to_the_end(void **state)
{
    struct experiment_vm vm;
    unsigned calls;
    start("head -c 1048573 /dev/zero; printf rabbit; head -c 2097152 /dev/zero; printf hole", &vm);
    wait_for_end(&vm);
    assert_int_equal(vm.status, 0);
    assert_true(has_said(&vm, "rabbit", &calls));
    assert_int_equal(calls, 2);
    assert_false(has_said(&vm, "rabbit", &calls));
    assert_true(has_said(&vm, "hole", &calls));
    assert_false(has_said(&vm, "hole", &calls));
    experiment_vm_end(&vm);
}

/* --- processes ------------------------------------------------------------------------------- */

/* Its child says its own pid, and ends at nothing but SIGKILL. */
#define STUBBORN "sh -c 'trap \"\" TERM; echo $$; exec sleep 1000'"

/* What such a child has said. */
static pid_t read_pid(struct experiment_vm *vm)
{
    unsigned calls;
    pid_t pid = 0;
    while (!has_said(vm, "\n", &calls))
        usleep(1000);
    FILE *log = fopen(vm->log_path, "r");
    assert_non_null(log);
    assert_int_equal(fscanf(log, "%d", &pid), 1);
    fclose(log);
    return pid;
}

static void assert_gone(pid_t pid)
{
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
}

static void assert_killed(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

static void assert_no_child(void)
{
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void all_of_it_is_killed(void **state)
{
    struct experiment_vm vm;
    start(STUBBORN " & wait", &vm);
    const pid_t leader = vm.pid, child = read_pid(&vm);
    experiment_vm_end(&vm);
    assert_false(vm.running);
    assert_gone(leader);
    assert_gone(child);
    assert_no_child();
}

/* Its own process ends when it is asked to, and has been waited for. */
static void what_it_leaves_is_killed(void **state)
{
    struct experiment_vm vm;
    start(STUBBORN " & wait", &vm);
    const pid_t child = read_pid(&vm);
    experiment_vm_signal(&vm, SIGTERM);
    wait_for_end(&vm);
    assert_true(WIFSIGNALED(vm.status));
    assert_int_equal(kill(child, 0), 0);
    experiment_vm_end(&vm);
    assert_gone(child);
    assert_no_child();
    experiment_vm_signal(&vm, SIGKILL); /* nobody, whose number it may be by now */
}

/* The number of its group is nobody else's until it is ended, though all of it, its guardian too, is dead. */
static void its_number_is_kept(void **state)
{
    struct experiment_vm vm;
    start("kill -KILL 0", &vm);
    wait_for_end(&vm);
    assert_int_equal(kill(-vm.pid, 0), 0);
    experiment_vm_end(&vm);
    assert_int_equal(kill(-vm.pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_no_child();
}

static void what_does_not_start_leaves_nothing(void **state)
{
    struct experiment_vm vm;
    const char *argv[] = {"/nonexistent/program", NULL};
    const struct experiment_start start = {.name = "vm", .argv = argv};
    struct matrix_error *error = experiment_vm_start(&start, directory, &vm);
    assert_non_null(error);
    matrix_error_free(error);
    assert_false(vm.running);
    assert_no_child();
}

/* In a process in between: starts a VM, says who is in it, and dies. */
static void start_and_die(int told_fd)
{
    struct experiment_vm vm;
    pid_t pids[3];
    start(STUBBORN " & wait", &vm);
    pids[0] = vm.pid;
    pids[1] = read_pid(&vm);
    pids[2] = vm.guardian.pid;
    if (write(told_fd, pids, sizeof(pids)) == sizeof(pids))
        raise(SIGKILL);
}

/* They are ours then, and dead. */
static void it_dies_with_the_experiment(void **state)
{
    int told[2];
    pid_t pids[3];
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    const pid_t between = fork();
    assert_true(between >= 0);
    if (between == 0) {
        start_and_die(told[1]);
        _exit(1);
    }
    close(told[1]);
    assert_int_equal(read(told[0], pids, sizeof(pids)), sizeof(pids));
    assert_killed(between);
    for (unsigned i = 0; i < 3; i++)
        assert_killed(pids[i]);
    assert_no_child();
    close(told[0]);
}

/* It keeps no file open: else the end of what others read would not come. */
static void a_guardian_keeps_no_file(void **state)
{
    struct guardian guardian;
    char byte;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(guardian_start(&guardian), 0);
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    assert_int_equal(kill(guardian.pid, SIGTERM), 0); /* which it does not take */
    /* It is in no group but ours, and kills nobody. */
    guardian_end(&guardian);
    assert_int_equal(guardian.pid, 0);
    assert_no_child();
    close(ends[0]);
}

static int make_directory(void **state)
{
    /* What has lost its parent is ours, as it is an experiment's. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1))
        return -1;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/vm.log", directory);
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_heard_to_the_end),
        cmocka_unit_test(all_of_it_is_killed),
        cmocka_unit_test(what_it_leaves_is_killed),
        cmocka_unit_test(its_number_is_kept),
        cmocka_unit_test(what_does_not_start_leaves_nothing),
        cmocka_unit_test(it_dies_with_the_experiment),
        cmocka_unit_test(a_guardian_keeps_no_file),
    };
    return cmocka_run_group_tests_name("ksm_experiment_vm", tests, make_directory,
                                       remove_directory);
}
