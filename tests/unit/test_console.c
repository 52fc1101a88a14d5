// SPDX-License-Identifier: GPL-2.0-or-later
/* What guests print, on its way to a pipe: lines, tags, limits, and readers that are slow or gone. */
#include "base/clock.h"
#include "vmm/console.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define PIPE_BYTES 4096

static int reader, writer;
static struct matrix_output *output;
static struct console console, other;
static char text[1 << 20];

static int make(void **state)
{
    int fds[2];
    signal(SIGPIPE, SIG_IGN);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return -1;
    reader = fds[0], writer = fds[1];
    fcntl(reader, F_SETFL, O_NONBLOCK);
    return matrix_output_create(writer, &output) ? -1 : 0;
}

static int release(void **state)
{
    matrix_output_destroy(output);
    close(writer);
    if (reader >= 0)
        close(reader);
    return 0;
}

static void start_console(struct console *made, const char *tag, struct matrix_vm_options options)
{
    options.output = output;
    console_init(made, &options, tag);
}

static size_t print(struct console *to, const char *string)
{
    return console_write(to, string, strlen(string));
}

/* All that has arrived since it was last asked. */
static const char *arrived(void)
{
    ssize_t bytes = read(reader, text, sizeof(text) - 1);
    text[bytes < 0 ? 0 : bytes] = '\0';
    return text;
}

static void assert_arrived(const char *expected)
{
    assert_string_equal(arrived(), expected);
}

/* --- lines ---------------------------------------------------------------------------------- */

static void test_lines_come_whole(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){0});
    assert_int_equal(print(&console, "follow the "), 11);
    assert_arrived("");
    print(&console, "white rabbit\nknock");
    assert_arrived("follow the white rabbit\n");
    print(&console, ", knock\n\n");
    assert_arrived("knock, knock\n\n");
}

static void test_tags(void **state)
{
    start_console(&console, "neo", (struct matrix_vm_options){0});
    print(&console, "one\ntwo\n\nthr");
    assert_arrived("neo: one\nneo: two\nneo: \n");
    print(&console, "ee\n");
    assert_arrived("neo: three\n");
}

static void test_two_consoles_never_mix(void **state)
{
    start_console(&console, "neo", (struct matrix_vm_options){0});
    start_console(&other, "morpheus", (struct matrix_vm_options){0});
    for (int i = 0; i < 3; i++) {
        print(&console, "wake ");
        print(&other, "he is ");
        print(&console, "up\n");
        print(&other, "the one\n");
        assert_arrived("neo: wake up\nmorpheus: he is the one\n");
    }
}

static void test_partial_lines(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){0});
    print(&console, "name? ");
    console_show_partial(&console); /* a prompt, before it reads */
    assert_arrived("name? ");
    print(&console, "Neo\n");
    assert_arrived("Neo\n");
    /* With others on the same output there is no telling who would go on with the line. */
    start_console(&other, "neo", (struct matrix_vm_options){0});
    print(&other, "name? ");
    console_show_partial(&other);
    assert_arrived("");
}

static void test_last_line_is_finished(void **state)
{
    start_console(&console, "neo", (struct matrix_vm_options){0});
    print(&console, "no end");
    console_finish(&console);
    assert_arrived("neo: no end\n");
    console_finish(&console);
    assert_arrived("");
    /* A guest alone has the output to itself: nothing is added. */
    start_console(&console, NULL, (struct matrix_vm_options){0});
    print(&console, "no end");
    console_finish(&console);
    assert_arrived("no end");
}

static void test_long_lines_lose_nothing(void **state)
{
    static char line[3 * CONSOLE_LINE_BYTES + 2];
    size_t letters = 0;
    memset(line, 'x', sizeof(line) - 2);
    strcpy(line + sizeof(line) - 2, "\n");
    start_console(&console, NULL, (struct matrix_vm_options){0});
    assert_int_equal(print(&console, line), strlen(line));
    assert_arrived(line);

    start_console(&console, "neo", (struct matrix_vm_options){0});
    assert_int_equal(print(&console, line), strlen(line));
    arrived();
    for (const char *piece = text; *piece; piece = strchr(piece, '\n') + 1) {
        assert_memory_equal(piece, "neo: ", 5);
        letters += strspn(piece + 5, "x");
    }
    assert_int_equal(letters, strlen(line) - 1);
}

static void test_any_bytes_pass(void **state)
{
    const char bytes[] = {'\0', 1, 27, (char)0x80, (char)0xff, '\r', '\n'};
    start_console(&console, NULL, (struct matrix_vm_options){0});
    assert_int_equal(console_write(&console, bytes, sizeof(bytes)), sizeof(bytes));
    arrived();
    assert_memory_equal(text, bytes, sizeof(bytes));
}

static void test_without_output_all_is_taken(void **state)
{
    console_init(&console, &(struct matrix_vm_options){0}, NULL);
    assert_int_equal(print(&console, "into the void\n"), 14);
    console_show_partial(&console);
    console_finish(&console);
}

/* --- terminals ------------------------------------------------------------------------------ */

static void test_control_characters_are_escaped(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){.output_escape = true});
    print(&console, "\x1b[31mred\x1b[0m \a\b\r\x7f\ttab\n");
    assert_arrived("\\x1b[31mred\\x1b[0m \\x07\\x08\\x0d\\x7f\ttab\n");
    print(&console, "Gr\xc3\xbc\xc3\x9f"
                    "e \xe2\x82\xac \xf0\x9f\x90\x87\n");
    assert_arrived("Gr\xc3\xbc\xc3\x9f"
                   "e \xe2\x82\xac \xf0\x9f\x90\x87\n");
}

/* U+009B is a terminal's CSI as much as ESC [ is. */
static void test_c1_controls_are_escaped(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){.output_escape = true});
    print(&console, "\xc2\x9b"
                    "31mred\n");
    assert_null(strstr(arrived(), "\xc2\x9b"));
}

/* Alone, it is no UTF-8; a terminal that knows nothing else takes it for CSI. */
static void test_bytes_that_are_no_characters_are_escaped(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){.output_escape = true});
    print(&console, "\x9b"
                    "31mred\n");
    assert_null(strchr(arrived(), 0x9b));
}

static void test_escapes_fit_into_long_lines(void **state)
{
    static char line[2 * CONSOLE_LINE_BYTES];
    memset(line, 1, sizeof(line) - 1);
    start_console(&console, NULL, (struct matrix_vm_options){.output_escape = true});
    assert_int_equal(print(&console, line), strlen(line));
    assert_int_equal(print(&console, "\n"), 1);
    assert_int_equal(strlen(arrived()), 4 * strlen(line) + 1);
}

/* --- limits --------------------------------------------------------------------------------- */

static void test_rate_limit_drops_and_counts(void **state)
{
    start_console(&console, NULL,
                  (struct matrix_vm_options){.output_rate = 100, .output_lossy = true});
    const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(print(&console, "123456789\n"), 10);
    const size_t passed = strlen(arrived()) / 10;
    /* A second's worth at once, and ten lines a second since, however long that took. */
    const uint64_t since = (clock_now_ns(CLOCK_MONOTONIC) - start) / 100000000;
    assert_in_range(passed, 10, 10 + since + 1);
    assert_int_equal(console.dropped_lines, 1000 - passed);
    assert_int_equal(console.dropped_bytes, 10 * (1000 - passed));
}

static void test_rate_limit_recovers(void **state)
{
    start_console(&console, NULL,
                  (struct matrix_vm_options){.output_rate = 1000, .output_lossy = true});
    for (int i = 0; i < 2000; i++)
        print(&console, "123456789\n");
    arrived();
    const uint64_t dropped = console.dropped_lines;
    assert_true(dropped > 0);
    nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL); /* worth 100 bytes, or more */
    for (int i = 0; i < 9; i++)
        print(&console, "123456789\n");
    assert_int_equal(strlen(arrived()), 90);
    assert_int_equal(console.dropped_lines, dropped);
}

static void test_no_limit_drops_nothing(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){.output_lossy = true});
    for (int i = 0; i < 1000; i++)
        print(&console, "123456789\n");
    assert_int_equal(strlen(arrived()), 10000);
    assert_int_equal(console.dropped_lines, 0);
}

/* A flood of one must not take another's lines away. */
static void test_limits_are_each_guests_own(void **state)
{
    start_console(&console, "flood",
                  (struct matrix_vm_options){.output_rate = 100, .output_lossy = true});
    start_console(&other, "quiet",
                  (struct matrix_vm_options){.output_rate = 100, .output_lossy = true});
    for (int i = 0; i < 1000; i++)
        print(&console, "123456789\n");
    print(&other, "still here\n");
    assert_non_null(strstr(arrived(), "quiet: still here\n"));
    assert_int_equal(other.dropped_lines, 0);
}

/* --- readers that are slow, gone, or full -------------------------------------------------------- */

static void test_slow_reader_stops_a_patient_guest(void **state)
{
    static char sent[1 << 18], received[sizeof(sent)];
    size_t accepted = 0, seen = 0;
    for (size_t i = 0; i < sizeof(sent); i++)
        sent[i] = i % 64 == 63 ? '\n' : (char)('a' + i % 23);
    assert_int_equal(fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){0});

    accepted = console_write(&console, sent, sizeof(sent));
    assert_in_range(accepted, OUTPUT_QUEUE_BYTES / 2, OUTPUT_QUEUE_BYTES + 2 * PIPE_BYTES);
    assert_int_equal(console_write(&console, sent + accepted, 0), 0);
    assert_true(output_waiting(output));
    while (seen < sizeof(sent)) {
        ssize_t bytes = read(reader, received + seen, 1000);
        seen += bytes > 0 ? (size_t)bytes : 0;
        matrix_output_flush(output);
        accepted += console_write(&console, sent + accepted, sizeof(sent) - accepted);
    }
    assert_memory_equal(sent, received, sizeof(sent));
    assert_int_equal(console.dropped_lines, 0);
    assert_false(output_waiting(output));
}

static void test_slow_reader_costs_a_lossy_guest_lines(void **state)
{
    assert_int_equal(fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){.output_lossy = true});
    for (int i = 0; i < 20000; i++)
        assert_int_equal(print(&console, "123456789\n"), 10);
    assert_true(console.dropped_lines > 0);
    size_t seen = 0;
    do
        seen += strlen(arrived());
    while (!matrix_output_flush(output));
    seen += strlen(arrived());
    assert_int_equal(seen / 10 + console.dropped_lines, 20000);
    assert_int_equal(seen % 10, 0); /* whole lines only */
}

static void test_reader_that_is_gone(void **state)
{
    start_console(&console, NULL, (struct matrix_vm_options){0});
    print(&console, "heard\n");
    assert_int_equal(matrix_output_failed(output), 0);
    close(reader);
    reader = -1;
    assert_int_equal(print(&console, "unheard\n"), 8);
    assert_int_equal(matrix_output_failed(output), EPIPE);
    assert_int_equal(print(&console, "unheard\n"), 8); /* nobody is kept waiting for nothing */
    assert_false(output_waiting(output));
}

static void test_reader_that_goes_while_lines_wait(void **state)
{
    static char lines[20000];
    memset(lines, '\n', sizeof(lines));
    assert_int_equal(fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){0});
    console_write(&console, lines, sizeof(lines));
    assert_true(output_waiting(output));
    close(reader);
    reader = -1;
    assert_true(matrix_output_flush(output));
    assert_int_equal(matrix_output_failed(output), EPIPE);
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

static void test_output_is_written_out_at_the_end(void **state)
{
    static char lines[OUTPUT_QUEUE_BYTES];
    size_t seen = 0;
    memset(lines, '\n', sizeof(lines));
    assert_int_equal(fcntl(writer, F_SETPIPE_SZ, PIPE_BYTES), PIPE_BYTES);
    start_console(&console, NULL, (struct matrix_vm_options){0});
    const size_t accepted = console_write(&console, lines, sizeof(lines));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(reader);
        matrix_output_destroy(output);
        _exit(0);
    }
    fcntl(reader, F_SETFL, 0);
    while (seen < accepted)
        seen += (size_t)read(reader, text, sizeof(text));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status)); /* with what, valgrind may have a word in */
    assert_int_equal(seen, accepted);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make, release)
    const struct CMUnitTest tests[] = {
        TEST(test_lines_come_whole),
        TEST(test_tags),
        TEST(test_two_consoles_never_mix),
        TEST(test_partial_lines),
        TEST(test_last_line_is_finished),
        TEST(test_long_lines_lose_nothing),
        TEST(test_any_bytes_pass),
        TEST(test_without_output_all_is_taken),
        TEST(test_control_characters_are_escaped),
        TEST(test_c1_controls_are_escaped),
        TEST(test_bytes_that_are_no_characters_are_escaped),
        TEST(test_escapes_fit_into_long_lines),
        TEST(test_rate_limit_drops_and_counts),
        TEST(test_rate_limit_recovers),
        TEST(test_no_limit_drops_nothing),
        TEST(test_limits_are_each_guests_own),
        TEST(test_slow_reader_stops_a_patient_guest),
        TEST(test_slow_reader_costs_a_lossy_guest_lines),
        TEST(test_reader_that_is_gone),
        TEST(test_reader_that_goes_while_lines_wait),
        TEST(test_full_disk),
        TEST(test_output_is_written_out_at_the_end),
    };
    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
