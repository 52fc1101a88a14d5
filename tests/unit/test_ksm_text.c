// SPDX-License-Identifier: GPL-2.0-or-later
/* The texts in which the kernel speaks of KSM, read: values, fields, numbers; and the profit. */
#include "ksm/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static void values(void **state)
{
    static const struct {
        const char *text;
        struct ksm_value value;
    } cases[] = {
        {"0\n", {KSM_NUMBER, 0, ""}},
        {"12", {KSM_NUMBER, 12, ""}},
        {"-12\n", {KSM_NUMBER, -12, ""}},
        {"9223372036854775807\n", {KSM_NUMBER, INT64_MAX, ""}},
        {"9223372036854775808\n", {KSM_TEXT, 0, "9223372036854775808"}},
        {"99999999999999999999999\n", {KSM_TEXT, 0, "99999999999999999999999"}},
        {"[none] scan-time\n", {KSM_TEXT, 0, "[none] scan-time"}},
        {"", {KSM_NOTHING, 0, ""}},
        {"\n", {KSM_NOTHING, 0, ""}},
        {"-", {KSM_TEXT, 0, "-"}},
        {"+1", {KSM_TEXT, 0, "+1"}},
        {"0x10", {KSM_TEXT, 0, "0x10"}},
        {"1 2", {KSM_TEXT, 0, "1 2"}},
        {"\x1b[2J\xff", {KSM_TEXT, 0, "\x1b[2J\xff"}},
        {"0123456789012345678901234567890123456789012345678901234567890123456789x",
         {KSM_TEXT, 0, "01234567890123456789012345678901234567890123456"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ksm_value value;
        ksm_text_value(cases[i].text, &value);
        if (!ksm_value_equal(&value, &cases[i].value))
            fail_msg("'%s' is read as %d %ld '%s'", cases[i].text, value.kind, (long)value.number,
                     value.text);
    }
}

static void fields(void **state)
{
    const char *text = "ksm_rmap_items 12\nnonsense\n: 5\n\nksm_merge_any: no\nx -3\ny:4\nlast 1";
    static const char *const names[] = {"ksm_rmap_items", "ksm_merge_any", "x", "last"};
    char name[KSM_NAME_BYTES];
    struct ksm_value value;
    for (size_t i = 0; i < 4; i++) {
        assert_true(ksm_text_field(&text, name, &value));
        assert_string_equal(name, names[i]);
    }
    assert_int_equal(value.number, 1);
    assert_false(ksm_text_field(&text, name, &value));
    char longest[200];
    memset(longest, 'a', sizeof(longest));
    strcpy(longest + 100, " 5\n");
    text = longest;
    assert_false(ksm_text_field(&text, name, &value));
}

static void numbers(void **state)
{
    uint64_t number;
    assert_true(ksm_text_resident("5000 300 20 1 0 40 0\n", &number));
    assert_int_equal(number, 300);
    assert_false(ksm_text_resident("5000", &number));
    assert_false(ksm_text_resident("a 300", &number));
    assert_false(ksm_text_resident("", &number));
    assert_true(ksm_text_schedstat("77 1 2\n", &number));
    assert_int_equal(number, 77);
    assert_false(ksm_text_schedstat("x", &number));
    assert_true(ksm_text_stat_ticks("37 (a) b) S 2 0 0 0 -1 1 1 1 1 1 11 22 0 0", &number));
    assert_int_equal(number, 33);
    assert_false(ksm_text_stat_ticks("37 (a) S 2 0 0 0 -1 1", &number));
    assert_false(ksm_text_stat_ticks("nothing", &number));
    assert_string_equal(ksm_text_unit("pages_shared"), "pages");
    assert_string_equal(ksm_text_unit("of the future"), "");
}

static void profit(void **state)
{
    int64_t bytes;
    assert_true(ksm_text_profit(&(struct ksm_profit_terms){10, 100, 1000, 3, 5}, 4096, &bytes));
    assert_int_equal(bytes, 105 * 4096 - 1113 * 64);
    assert_true(ksm_text_profit(&(struct ksm_profit_terms){0, 0, 1000, 0, 0}, 4096, &bytes));
    assert_int_equal(bytes, -64000);
    assert_false(ksm_text_profit(&(struct ksm_profit_terms){0, INT64_MAX, 0, 0, 1}, 4096, &bytes));
    assert_false(ksm_text_profit(&(struct ksm_profit_terms){INT64_MAX, 0, 0, 0, 0}, 4096, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(fields),
        cmocka_unit_test(numbers),
        cmocka_unit_test(profit),
    };
    return cmocka_run_group_tests_name("ksm_text", tests, NULL, NULL);
}
