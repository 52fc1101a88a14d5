// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs as children: what they are given, and what is known of those that cannot start. */
#include "base/child.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define ARGUMENTS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* Starts a shell's script, with our streams but for those that are given; the status of its end. */
static int run(const char *script, struct child child)
{
    int status;
    pid_t pid;
    child.argv = ARGUMENTS("sh", "-c", script);
    assert_int_equal(child_start(&child, &pid), 0);
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* Nothing may be left of a child that did not become a program. */
static void assert_cannot_start(const struct child *child, int number)
{
    pid_t pid = 1;
    assert_int_equal(child_start(child, &pid), number);
    assert_int_equal(pid, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void it_runs(void **state)
{
    const int status = run("exit 7", (struct child){.input_fd = -1, .output_fd = -1});
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
}

static void it_has_its_streams(void **state)
{
    int input[2], output[2];
    char text[64] = "";
    assert_int_equal(pipe2(input, O_CLOEXEC), 0);
    assert_int_equal(pipe2(output, O_CLOEXEC), 0);
    assert_int_equal(write(input[1], "rabbit\n", 7), 7);
    const int status = run("read word; echo \"white $word\"; echo hole >&2",
                           (struct child){.input_fd = input[0], .output_fd = output[1]});
    assert_int_equal(status, 0);
    assert_int_equal(read(output[0], text, sizeof(text) - 1), 18);
    assert_string_equal(text, "white rabbit\nhole\n");
    for (int i = 0; i < 2; i++) {
        close(input[i]);
        close(output[i]);
    }
}

static void it_has_no_signal_blocked(void **state)
{
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_BLOCK, &blocked, &before);
    const int status = run("kill -TERM $$", (struct child){.input_fd = -1, .output_fd = -1});
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGTERM);
}

static int lead_a_group(const void *context)
{
    return setpgid(0, 0) ? errno : 0;
}

static void it_is_prepared(void **state)
{
    /* Its process group is the fifth field. */
    const char *script = "read -r _ _ _ _ group _ </proc/$$/stat; test \"$group\" = $$";
    const struct child child = {.input_fd = -1, .output_fd = -1, .prepare = lead_a_group};
    assert_int_equal(run(script, child), 0);
}

static int refuse(const void *context)
{
    return *(const int *)context;
}

static void what_fails_is_known(void **state)
{
    const int number = EOPNOTSUPP;
    assert_cannot_start(
        &(struct child){.argv = ARGUMENTS("/nonexistent/program"), .input_fd = -1, .output_fd = -1},
        ENOENT);
    assert_cannot_start(
        &(struct child){.argv = ARGUMENTS("/dev/null"), .input_fd = -1, .output_fd = -1}, EACCES);
    assert_cannot_start(&(struct child){.argv = (const char *const[]){NULL}}, EINVAL);
    assert_cannot_start(
        &(struct child){.argv = ARGUMENTS("true"), .prepare = refuse, .context = &number},
        EOPNOTSUPP);
}

/* And no pipe can be made. */
static void without_descriptors(void **state)
{
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_cannot_start(&(struct child){.argv = ARGUMENTS("true")}, EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* A process in between starts it, says its pid, and is killed: then it is ours, and is dead. */
static void it_dies_with_its_parent(void **state)
{
    int told[2], status;
    pid_t pid = 0;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe2(told, O_CLOEXEC), 0);
    const pid_t between = fork();
    assert_true(between >= 0);
    if (between == 0) {
        const struct child child = {.argv = ARGUMENTS("sleep", "1000"),
                                    .input_fd = -1,
                                    .output_fd = -1,
                                    .dies_with_us = true};
        if (child_start(&child, &pid) || write(told[1], &pid, sizeof(pid)) != sizeof(pid))
            _exit(1);
        raise(SIGKILL);
    }
    assert_int_equal(read(told[0], &pid, sizeof(pid)), sizeof(pid));
    assert_int_equal(waitpid(between, NULL, 0), between);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    close(told[0]);
    close(told[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_runs),
        cmocka_unit_test(it_has_its_streams),
        cmocka_unit_test(it_has_no_signal_blocked),
        cmocka_unit_test(it_is_prepared),
        cmocka_unit_test(what_fails_is_known),
        cmocka_unit_test(without_descriptors),
        cmocka_unit_test(it_dies_with_its_parent),
    };
    return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
