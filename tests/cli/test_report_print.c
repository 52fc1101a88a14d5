// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix_report_print: finds the renderer, hands it the report and nothing else, and manages
 * without it. The test copies itself to a directory where a renderer is or is not.
 * Usage: test_report_print MATRIX-REPORT
 */
#include "tests/cli/program.h"
#include "tests/cli/report_sample.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* After those that it needs. */
#include <cmocka.h>

#define OTHER_FILE 99

static char *renderer;
static char directory[] = "/tmp/matrix-test-XXXXXX";
static struct program_result result;

/* What the copy does: prints the sample as a core would, with its signals blocked and ignored. */
static int print_sample(const char *format)
{
    struct matrix_report report = report_sample();
    sigset_t all;
    pid_t pid;
    int status = 0;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_IGN);
    dup2(STDOUT_FILENO, OTHER_FILE);
    struct matrix_error *error =
        matrix_report_print(&report, OTHER_FILE, strcmp(format, "json") == 0, &pid);
    if (error) {
        fprintf(stderr, "%s\n", error->message);
        matrix_error_free(error);
        return 1;
    }
    return pid && (waitpid(pid, &status, 0) != pid || status) ? 1 : 0;
}

/* Runs a copy of this program that has renderer beside it; NULL: none. */
static void print(const char *beside, const char *format)
{
    char own[4096], program[64], link[64];

    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
    assert_true(length > 0);
    own[length] = '\0';
    snprintf(program, sizeof(program), "%s/program", directory);
    snprintf(link, sizeof(link), "%s/matrix-report", directory);
    program_run((char *const[]){(char *)"/bin/cp", own, program, NULL}, "", 0, &result);
    assert_int_equal(result.status, 0);
    if (beside)
        assert_int_equal(symlink(beside, link), 0);

    program_run((char *const[]){program, (char *)"print", (char *)format, NULL}, "", 0, &result);
    unlink(link);
    unlink(program);
    assert_string_equal(result.errors, "");
    assert_int_equal(result.status, 0);
}

static void assert_shows(const char *text)
{
    if (!strstr(result.output, text))
        fail_msg("'%s' is missing in:\n%s", text, result.output);
}

static void renderer_beside_the_program(void **state)
{
    print(renderer, "text");
    assert_shows("> 0x0000000000401034  c7 00 2a 00 00 00");
    print(renderer, "json");
    assert_shows("\"text\":\"ret\"");
}

static void short_form_without_renderer(void **state)
{
    print(NULL, "text");
    assert_shows("guest faulty, vCPU 1: page fault\n");
    assert_shows("at 0x0000000000401034  break_things+0x14\n");
    assert_shows("r15    fedcba9876543210");
    assert_shows("c7 00 2a 00");
    print(NULL, "json");
    assert_shows("\"rip\":{\"address\":\"0x401034\",\"symbol\":\"break_things\"");
}

/* A renderer that tells what it was given. */
static void renderer_is_given_nothing_else(void **state)
{
    char script[] = "/tmp/matrix-test-XXXXXX";
    int fd = mkstemp(script);
    assert_true(fd >= 0);
    dprintf(fd,
            "#!/bin/sh\n"
            "cat /proc/self/status\n"
            "test -e /proc/$$/fd/%d && echo a file was left open\n"
            "wc -c\n",
            OTHER_FILE);
    fchmod(fd, 0700);
    close(fd);

    print(script, "text");
    unlink(script);
    assert_shows("SigBlk:\t0000000000000000\n");
    assert_null(strstr(result.output, "a file was left open"));
    char size[32];
    snprintf(size, sizeof(size), "\n%zu\n", sizeof(struct matrix_report));
    assert_shows(size);

    /* Above 31 are signals that the C library keeps for itself. */
    const char *ignored = strstr(result.output, "SigIgn:\t");
    assert_non_null(ignored);
    assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & 0x7fffffff, 0);
}

static int make_directory(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    return rmdir(directory);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renderer_beside_the_program),
        cmocka_unit_test(short_form_without_renderer),
        cmocka_unit_test(renderer_is_given_nothing_else),
    };
    if (argc == 3 && strcmp(argv[1], "print") == 0)
        return print_sample(argv[2]);
    if (argc != 2) {
        fprintf(stderr, "usage: %s MATRIX-REPORT\n", argv[0]);
        return 2;
    }
    renderer = argv[1];
    return cmocka_run_group_tests_name("matrix_report_print", tests, make_directory,
                                       remove_directory);
}
