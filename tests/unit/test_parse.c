// SPDX-License-Identifier: GPL-2.0-or-later
/* Sizes, durations, numbers and names: what is read, what is refused and why, what is printed. */
#include "base/parse.h"
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

typedef struct matrix_error *parser(const char *text, uint64_t *value);

static void check_value(parser *parse, const char *text, uint64_t expected)
{
    uint64_t value = 0;
    struct matrix_error *error = parse(text, &value);
    if (error)
        fail_msg("'%s': %s", text, error->message);
    if (value != expected)
        fail_msg("'%s': %llu instead of %llu", text, (unsigned long long)value,
                 (unsigned long long)expected);
}

/* Refused, in a message that quotes the text; part must occur in message or remedy. */
static void check_refusal(parser *parse, const char *text, const char *part)
{
    uint64_t value = 0;
    struct matrix_error *error = parse(text, &value);
    if (!error)
        fail_msg("'%s' was read as %llu", text, (unsigned long long)value);
    assert_int_equal(error->kind, MATRIX_ERROR_USAGE);
    assert_non_null(strstr(error->message, text));
    if (!strstr(error->message, part) && !(error->remedy && strstr(error->remedy, part)))
        fail_msg("'%s': no '%s' in '%s'", text, part, error->message);
    matrix_error_free(error);
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"0", 0},           {"4096", 4096},
        {"4096B", 4096},    {"512K", 512 * KIB},
        {"64M", 64 * MIB},  {"64m", 64 * MIB},
        {"64MB", 64 * MIB}, {"2MiB", 2 * MIB},
        {"2Mi", 2 * MIB},   {"1G", GIB},
        {"4GiB", 4 * GIB},  {"1.5G", GIB + GIB / 2},
        {"1T", 1024 * GIB}, {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        check_value(parse_size, good[i].text, good[i].bytes);

    static const char *const bad[] = {"",    " ",    " 1",  "1 ",   "+1",     "-1",   "-0",
                                      "M",   "1X",   "1MM", "1iB",  "1Bi",    "1M ",  "1.M",
                                      ".5M", "0x10", "1e3", "1,5G", "1.5.5G", "64 M", "1P"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_refusal(parse_size, bad[i], "64M");
    check_refusal(parse_size, "1.5", "whole number");
    check_refusal(parse_size, "0.3K", "whole number");
    check_refusal(parse_size, "16777216T", "2^64"); /* 2^64 exactly */
    check_value(parse_size, "16777215T", UINT64_MAX - (UINT64_C(1) << 40) + 1);
    check_refusal(parse_size, "18446744073709551616", "size");
    check_refusal(parse_size, "1.0000000000000000000G", "size"); /* 19 decimals */
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t nanoseconds;
    } good[] = {
        {"0s", 0},
        {"100ns", 100},
        {"250us", 250000},
        {"10ms", 10000000},
        {"5s", UINT64_C(5000000000)},
        {"1.5s", UINT64_C(1500000000)},
        {"0.25us", 250},
        {"2m", UINT64_C(120000000000)},
        {"2min", UINT64_C(120000000000)},
        {"1h", UINT64_C(3600000000000)},
        {"18446744073709551615ns", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        check_value(parse_duration, good[i].text, good[i].nanoseconds);

    static const char *const bad[] = {"",   "s",    "-5s", "+5s", " 5s", "5 s", "5s ",
                                      "5S", "5sec", "1d",  "5.s", ".5s", "0x5s"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_refusal(parse_duration, bad[i], "10ms");
    check_refusal(parse_duration, "5", "10ms");
    check_refusal(parse_duration, "5", "no unit");
    check_refusal(parse_duration, "0.5ns", "whole number");
    check_refusal(parse_duration, "18446744073709551616ns", "duration");
    check_refusal(parse_duration, "5124096h", "2^64");
}

static struct matrix_error *parse_any(const char *text, uint64_t *value)
{
    return parse_u64(text, 0, UINT64_MAX, value);
}

static struct matrix_error *parse_weight(const char *text, uint64_t *value)
{
    return parse_u64(text, 1, 10000, value);
}

static void test_numbers(void **state)
{
    check_value(parse_any, "0", 0);
    check_value(parse_any, "007", 7);
    check_value(parse_any, "0x1fF", 0x1ff);
    check_value(parse_any, "0XFFFFFFFFFFFFFFFF", UINT64_MAX);
    check_value(parse_any, "18446744073709551615", UINT64_MAX);
    check_value(parse_weight, "1", 1);
    check_value(parse_weight, "10000", 10000);

    static const char *const bad[] = {"",  " 1", "1 ",  "+1",  "-1",  "1.5",
                                      "x", "0x", "0x ", "12a", "0xg", "1M"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_refusal(parse_any, bad[i], "digits");
    check_refusal(parse_any, "18446744073709551616", "out of range");
    check_refusal(parse_any, "0x10000000000000000", "out of range");
    check_refusal(parse_weight, "0", "from 1 to 10000");
    check_refusal(parse_weight, "10001", "from 1 to 10000");
}

static void test_names(void **state)
{
    static const char *const good[] = {"a", "-", "Neo_2.0-rc", "0123456789abcdef0123456789abcdef"};
    static const struct {
        const char *name, *complaint;
    } bad[] = {
        {"", "0 characters"},
        {"0123456789abcdef0123456789abcdefg", "33 characters"},
        {"a b", "\"a b\" has a character"},
        {"../neo", "must not have"},
        {"a\n", "must not have"},
        {"n\xc3\xa9o", "must not have"},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_null(parse_check_name(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct matrix_error *error = parse_check_name(bad[i].name);
        assert_non_null(error);
        assert_int_equal(error->kind, MATRIX_ERROR_USAGE);
        if (strncmp(error->message, "name: ", 6) != 0 || !strstr(error->message, bad[i].complaint))
            fail_msg("no '%s' in '%s'", bad[i].complaint, error->message);
        matrix_error_free(error);
    }
}

static void test_formats(void **state)
{
    char b[FORMAT_BYTES];
    assert_string_equal(format_size(b, 0), "0 B");
    assert_string_equal(format_size(b, 1023), "1023 B");
    assert_string_equal(format_size(b, 64 * MIB), "64 MiB");
    assert_string_equal(format_size(b, GIB + GIB / 2), "1.5 GiB");
    assert_string_equal(format_size(b, MIB - 1), "1.0 MiB");
    assert_string_equal(format_size(b, UINT64_MAX), "16.0 EiB");
    assert_string_equal(format_duration(b, 0), "0 ns");
    assert_string_equal(format_duration(b, 9400), "9400 ns");
    assert_string_equal(format_duration(b, 31000), "31 us");
    assert_string_equal(format_duration(b, 999600), "1.00 ms");
    assert_string_equal(format_duration(b, 1000000), "1.00 ms");
    assert_string_equal(format_duration(b, 999996000), "1.0 s");
    assert_string_equal(format_duration(b, UINT64_C(5000000000)), "5.0 s");
    assert_string_equal(format_duration(b, UINT64_C(150000000000)), "2.5 min");
    assert_string_equal(format_duration(b, UINT64_C(9000000000000)), "2.5 h");
    assert_true(strlen(format_duration(b, UINT64_MAX)) < FORMAT_BYTES - 1);
    assert_string_equal(format_count(b, 0), "0");
    assert_string_equal(format_count(b, 999), "999");
    assert_string_equal(format_count(b, 1234567), "1,234,567");
    assert_string_equal(format_count(b, UINT64_MAX), "18,446,744,073,709,551,615");
}

static void test_table(void **state)
{
    static const struct table_column columns[] = {{"guest", TABLE_LEFT}, {"share", TABLE_RIGHT}};
    struct table *table;
    assert_null(table_create(columns, 2, &table));
    for (int i = 0; i < 40; i++) {
        table_cell(table, "n\xc3\xa9o%d", i);
        table_cell(table, "%d.0", i * i);
    }
    table_cell(table, "last");

    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_non_null(file);
    assert_null(table_print(table, file));
    fclose(file);
    assert_true(strncmp(text, "guest   share\nn\xc3\xa9o0      0.0\n", 28) == 0);
    assert_non_null(strstr(text, "n\xc3\xa9o39  1521.0\nlast "));
    free(text);
    table_destroy(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),   cmocka_unit_test(test_durations),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_names),
        cmocka_unit_test(test_formats), cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests_name("parse", tests, NULL, NULL);
}
