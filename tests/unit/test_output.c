// SPDX-License-Identifier: GPL-2.0-or-later
/* What guests print, and readers that are slow, gone, or full. */
#include "tests/unit/console_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_BYTES 4096

static void test_slow_reader_stops_a_patient_guest(void **state)
{
    static char sent[1 << 18], received[sizeof(sent)];
    size_t accepted = 0, seen = 0;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 23);
    assert_int_equal(fcntl(pipe_writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){0});

    accepted = console_write(&console, sent, sizeof(sent));
    assert_in_range(accepted, OUTPUT_QUEUE_BYTES / 2, OUTPUT_QUEUE_BYTES + 2 * PIPE_BYTES);
    assert_int_equal(console_write(&console, sent + accepted, 0), 0);
    assert_true(output_waiting(pipe_output));
    while (seen < sizeof(sent)) {
        ssize_t bytes = read(pipe_reader, received + seen, 1000);
        seen += bytes > 0 ? (size_t)bytes : 0;
        matrix_output_flush(pipe_output);
        accepted += console_write(&console, sent + accepted, sizeof(sent) - accepted);
    }
    assert_memory_equal(sent, received, sizeof(sent));
    assert_int_equal(console.dropped_lines, 0);
    assert_false(output_waiting(pipe_output));
}

static void test_slow_reader_costs_a_lossy_guest_lines(void **state)
{
    assert_int_equal(fcntl(pipe_writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){.output_lossy = true});
    for (int i = 0; i < 20000; i++)
        assert_int_equal(print(&console, "123456789\n"), 10);
    assert_true(console.dropped_lines > 0);
    size_t seen = 0;
    do
        seen += strlen(arrived());
    while (!matrix_output_flush(pipe_output));
    seen += strlen(arrived());
    assert_int_equal(seen / 10 + console.dropped_lines, 20000);
    assert_int_equal(seen % 10, 0); /* whole lines only */
}

static void test_reader_that_is_gone(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){0});
    print(&console, "heard\n");
    assert_int_equal(matrix_output_failed(pipe_output), 0);
    close(pipe_reader);
    pipe_reader = -1;
    assert_int_equal(print(&console, "unheard\n"), 8);
    assert_int_equal(matrix_output_failed(pipe_output), EPIPE);
    assert_int_equal(print(&console, "unheard\n"), 8); /* nobody is kept waiting for nothing */
    assert_false(output_waiting(pipe_output));
}

static void test_reader_that_goes_while_lines_wait(void **state)
{
    static char lines[20000];
    memset(lines, '\n', sizeof(lines));
    assert_int_equal(fcntl(pipe_writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){0});
    console_write(&console, lines, sizeof(lines));
    assert_true(output_waiting(pipe_output));
    close(pipe_reader);
    pipe_reader = -1;
    assert_true(matrix_output_flush(pipe_output));
    assert_int_equal(matrix_output_failed(pipe_output), EPIPE);
}

static void test_full_disk(void **state)
{
    struct matrix_output *full;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_null(matrix_output_create(fd, &full));
    console_init(&console, &(struct matrix_vm_options){.output = full}, NULL);
    assert_int_equal(print(&console, "no room\n"), 8);
    assert_int_equal(matrix_output_failed(full), ENOSPC);
    matrix_output_destroy(full);
    close(fd);
}

/* To who outlasts it, it is no failure. */
static void test_full_disk_is_outlasted(void **state)
{
    struct matrix_output *full;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_null(matrix_output_create(fd, &full));
    matrix_output_outlast(full);
    assert_int_equal(matrix_output_lost(full), 0);
    console_init(&console, &(struct matrix_vm_options){.output = full, .output_lossy = true}, NULL);
    assert_int_equal(print(&console, "kept until there is room\n"), 25);
    assert_int_equal(console.dropped_lines, 0);
    assert_int_equal(print(&console, "no room\n"), 8);
    assert_int_equal(console.dropped_lines, 1);
    assert_int_equal(matrix_output_failed(full), 0);
    assert_int_equal(matrix_output_lost(full), ENOSPC);
    assert_false(output_waiting(full)); /* nobody polls for it */
    /* Room again: by another file in its place. */
    const int file = memfd_create("room", MFD_CLOEXEC);
    assert_int_equal(dup2(file, fd), fd);
    usleep(110000);
    assert_int_equal(print(&console, "room\n"), 5);
    console_destroy(&console);
    matrix_output_destroy(full);
    close(fd);
    close(file);
}

static void test_output_is_written_out_at_the_end(void **state)
{
    static char lines[OUTPUT_QUEUE_BYTES];
    size_t seen = 0;
    memset(lines, '\n', sizeof(lines));
    assert_int_equal(fcntl(pipe_writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){0});
    const size_t accepted = console_write(&console, lines, sizeof(lines));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(pipe_reader);
        matrix_output_destroy(pipe_output);
        _exit(0);
    }
    fcntl(pipe_reader, F_SETFL, 0);
    while (seen < accepted)
        seen += (size_t)read(pipe_reader, pipe_text, sizeof(pipe_text));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status)); /* with what, valgrind may have a word in */
    assert_int_equal(seen, accepted);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pipe_make, pipe_release)
    const struct CMUnitTest tests[] = {
        TEST(test_slow_reader_stops_a_patient_guest),
        TEST(test_slow_reader_costs_a_lossy_guest_lines),
        TEST(test_reader_that_is_gone),
        TEST(test_reader_that_goes_while_lines_wait),
        TEST(test_full_disk),
        TEST(test_full_disk_is_outlasted),
        TEST(test_output_is_written_out_at_the_end),
    };
    return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
