// SPDX-License-Identifier: GPL-2.0-or-later
/* What guests printed lately: a ring that is written and read at the same time, and what the console
 * puts there. */
#include "tests/unit/console_pipe.h"

#include "vmm/history.h"
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct matrix_history *history;

static struct matrix_history *make(size_t size)
{
    struct matrix_error *error = matrix_history_create(size, &history);
    assert_null(error);
    return history;
}

static int release(void **state)
{
    matrix_history_destroy(history);
    history = NULL;
    return 0;
}

static void add(const char *text)
{
    history_add(history, text, strlen(text));
}

/* From there on so much is read: it begins there, and is that text. */
static void assert_read(uint64_t from, size_t size, uint64_t begins, const char *text)
{
    char copy[256];
    uint64_t at = from;
    const size_t bytes = matrix_history_read(history, &at, copy, size);
    assert_int_equal(at, begins);
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(copy, text, bytes);
}

static void test_is_empty_at_first(void **state)
{
    make(16);
    assert_int_equal(matrix_history_end(history), 0);
    assert_read(0, 100, 0, "");
    assert_read(7, 100, 7, "");
    assert_read(UINT64_MAX, 100, UINT64_MAX, "");
}

static void test_offsets_count_from_the_beginning(void **state)
{
    make(16);
    add("follow");
    add(" me");
    assert_int_equal(matrix_history_end(history), 9);
    assert_read(0, 100, 0, "follow me");
    assert_read(7, 100, 7, "me");
    assert_read(7, 1, 7, "m");
    assert_read(9, 100, 9, "");
    assert_read(0, 0, 0, "");
}

static void test_a_full_ring_forgets_the_oldest(void **state)
{
    make(16);
    add("0123456789abcdef");
    assert_read(0, 100, 0, "0123456789abcdef");
    add("gh");
    assert_int_equal(matrix_history_end(history), 18);
    assert_read(0, 100, 2, "23456789abcdefgh");
    assert_read(1, 3, 2, "234");
    assert_read(15, 100, 15, "fgh"); /* over the ring's end */
    add("a text that is longer than all");
    assert_int_equal(matrix_history_end(history), 48);
    assert_read(0, 100, 32, " longer than all");
}

static void test_any_size_will_do(void **state)
{
    for (size_t size = 1; size <= 9; size++) {
        make(size);
        for (int i = 0; i < 40; i++) {
            const char letter[] = {(char)('a' + i % 26), 0};
            add(letter);
            assert_read((uint64_t)i, 100, (uint64_t)i, letter);
        }
        char copy[16];
        uint64_t from = 0;
        assert_int_equal(matrix_history_read(history, &from, copy, sizeof(copy)), size);
        assert_int_equal(from, 40 - size);
        release(NULL);
    }
    struct matrix_error *error = matrix_history_create(0, &history);
    assert_non_null(error);
    matrix_error_free(error);
}

/* --- at the same time ------------------------------------------------------------------------ */

#define WRITTEN 30000000u

static atomic_bool written;

/* The byte at each offset follows from the offset. */
static char byte_at(uint64_t offset)
{
    return (char)(offset * 0x9e3779b97f4a7c15ULL >> 56);
}

static void *write_all(void *context)
{
    char text[100];
    for (uint64_t done = 0; done < WRITTEN;) {
        const size_t part = 1 + done % sizeof(text);
        for (size_t i = 0; i < part; i++)
            text[i] = byte_at(done + i);
        history_add(history, text, part);
        done += part;
    }
    atomic_store(&written, true);
    return NULL;
}

static void test_a_reader_never_sees_what_was_written_over(void **state)
{
    pthread_t writer;
    char text[300];
    uint64_t next = 0, seen = 0, lost = 0;
    make(256);
    atomic_store(&written, false);
    assert_int_equal(pthread_create(&writer, NULL, write_all, NULL), 0);
    for (bool is_last = false; !is_last;) {
        is_last = atomic_load(&written);
        uint64_t from = next;
        const size_t bytes = matrix_history_read(history, &from, text, sizeof(text));
        assert_true(from >= next);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(text[i], byte_at(from + i));
        lost += from - next;
        seen += bytes;
        next = from + bytes;
    }
    pthread_join(writer, NULL);
    print_message("# %llu bytes read, %llu lost\n", (unsigned long long)seen,
                  (unsigned long long)lost);
    assert_int_equal(next, matrix_history_end(history));
    assert_int_equal(seen + lost, next);
}

/* --- by the console -------------------------------------------------------------------------- */

static int release_both(void **state)
{
    pipe_release(state);
    return release(state);
}

static void test_all_that_is_printed_is_kept(void **state)
{
    make(64);
    start_console(&console, "neo",
                  (struct matrix_vm_options){.history = history, .output_escape = true});
    print(&console, "who\n\x1b[m?");
    assert_read(0, 100, 0, "who\n\x1b[m?"); /* as it was printed, and at once */
    console_finish(&console);
    assert_int_equal(matrix_history_end(history), 8);
}

static void test_what_the_output_lost_is_kept(void **state)
{
    make(64);
    start_console(
        &console, NULL,
        (struct matrix_vm_options){.history = history, .output_rate = 1, .output_lossy = true});
    print(&console, "one\ntwo\nthree\n");
    assert_true(console.dropped_lines > 0);
    assert_read(0, 100, 0, "one\ntwo\nthree\n");
}

static void test_without_an_output_all_is_kept(void **state)
{
    make(64);
    console_init(&console, &(struct matrix_vm_options){.history = history}, NULL);
    print(&console, "hello");
    assert_read(0, 100, 0, "hello");
}

/* What has to be offered again is not there twice. */
static void test_what_was_not_taken_is_not_kept(void **state)
{
    static char line[CONSOLE_LINE_BYTES / 2];
    size_t taken = 0, offered = 0;
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\n';
    make(1 << 20);
    start_console(&console, NULL, (struct matrix_vm_options){.history = history});
    while (taken == offered) {
        offered += sizeof(line);
        taken += console_write(&console, line, sizeof(line));
    }
    assert_int_equal(matrix_history_end(history), taken);
}

int main(void)
{
#define TEST(name)    cmocka_unit_test_teardown(name, release)
#define CONSOLE(name) cmocka_unit_test_setup_teardown(name, pipe_make, release_both)
    const struct CMUnitTest tests[] = {
        TEST(test_is_empty_at_first),
        TEST(test_offsets_count_from_the_beginning),
        TEST(test_a_full_ring_forgets_the_oldest),
        TEST(test_any_size_will_do),
        TEST(test_a_reader_never_sees_what_was_written_over),
        CONSOLE(test_all_that_is_printed_is_kept),
        CONSOLE(test_what_the_output_lost_is_kept),
        CONSOLE(test_without_an_output_all_is_kept),
        CONSOLE(test_what_was_not_taken_is_not_kept),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
