// SPDX-License-Identifier: GPL-2.0-or-later
/* What guests print, on its way to a pipe: lines, tags, escapes, limits. */
#include "tests/unit/console_pipe.h"

#include "base/clock.h"
#include <string.h>
#include <time.h>

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
    for (const char *piece = pipe_text; *piece; piece = strchr(piece, '\n') + 1) {
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
    assert_memory_equal(pipe_text, bytes, sizeof(bytes));
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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pipe_make, pipe_release)
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
    };
    return cmocka_run_group_tests_name("console", tests, NULL, NULL);
}
