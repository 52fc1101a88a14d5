// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix_report_print: finds the renderer, hands it the report and nothing else, and manages
 * without it. The test copies itself to where the renderer is to be found in different ways.
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

/* Runs a copy of this program at directory/place, which may have a renderer at renderer_place. */
static void print(const char *place, const char *renderer_place, const char *format)
{
    char program[128], link[128];

    snprintf(program, sizeof(program), "%s/%s", directory, place);
    char own[4096];
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
    assert_true(length > 0);
    own[length] = '\0';
    program_run((char *const[]){(char *)"/bin/cp", own, program, NULL}, "", 0, &result);
    assert_int_equal(result.status, 0);
    snprintf(link, sizeof(link), "%s/%s", directory, renderer_place ? renderer_place : "none");
    if (renderer_place)
        assert_int_equal(symlink(renderer, link), 0);

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
    print("program", "matrix-report", "text");
    assert_shows("> 0x0000000000401034  c7 00 2a 00 00 00");
    print("program", "matrix-report", "json");
    assert_shows("\"text\":\"ret\"");
}

static void renderer_in_libexec(void **state)
{
    print("bin/program", "libexec/matrix/matrix-report", "text");
    assert_shows("mov dword ptr [rax], 0x2a");
}

static void short_form_without_renderer(void **state)
{
    print("program", NULL, "text");
    assert_shows("guest faulty, vCPU 1: page fault\n");
    assert_shows("at 0x0000000000401034  break_things+0x14\n");
    assert_shows("r15    fedcba9876543210");
    assert_shows("c7 00 2a 00");
    print("program", NULL, "json");
    assert_shows("\"rip\":{\"address\":\"0x401034\",\"symbol\":\"break_things\"");
}

/* A renderer that tells what it was given. */
static void renderer_is_given_nothing_else(void **state)
{
    char script[] = "/tmp/matrix-test-XXXXXX";
    char *real = renderer;
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

    renderer = script;
    print("program", "matrix-report", "text");
    renderer = real;
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

static int make_directories(void **state)
{
    static const char *const names[] = {"bin", "libexec", "libexec/matrix"};
    char path[128];

    if (!mkdtemp(directory))
        return -1;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        if (mkdir(path, 0700))
            return -1;
    }
    return 0;
}

static int remove_directories(void **state)
{
    static const char *const names[] = {"/bin", "/libexec/matrix", "/libexec", ""};
    char path[128];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s%s", directory, names[i]);
        if (rmdir(path))
            return -1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renderer_beside_the_program),
        cmocka_unit_test(renderer_in_libexec),
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
    return cmocka_run_group_tests_name("matrix_report_print", tests, make_directories,
                                       remove_directories);
}
