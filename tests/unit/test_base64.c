// SPDX-License-Identifier: GPL-2.0-or-later
/* Base64, against the examples of RFC 4648, and back again. */
#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static const struct {
    const char *data, *text;
} examples[] = {
    /* Section 10 */
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xff\xfe\xfb", "//77"},
};

static void test_examples(void **state)
{
    for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
        const size_t length = strlen(examples[i].text);
        char text[16], data[16];
        size_t bytes = 99;
        base64_encode(examples[i].data, strlen(examples[i].data), text);
        assert_string_equal(text, examples[i].text);
        assert_int_equal(length, BASE64_TEXT_LENGTH(strlen(examples[i].data)));
        assert_true(base64_decode(text, length, data, &bytes));
        assert_int_equal(bytes, strlen(examples[i].data));
        assert_memory_equal(data, examples[i].data, bytes);
    }
}

static void test_every_byte_survives(void **state)
{
    unsigned char data[256], copy[BASE64_BYTES_MAX(BASE64_TEXT_LENGTH(256))];
    char text[BASE64_TEXT_LENGTH(256) + 1];
    size_t bytes;
    for (unsigned i = 0; i < 256; i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t length = 0; length <= sizeof(data); length++) {
        base64_encode(data, length, text);
        assert_true(base64_decode(text, strlen(text), copy, &bytes));
        assert_int_equal(bytes, length);
        assert_memory_equal(copy, data, length);
    }
}

static void test_everything_else_is_refused(void **state)
{
    static const char *const bad[] = {"Z",    "Zg",    "Zg=",     "====",     "Z===",    "Zh==",
                                      "Zm9=", "Zg ==", "Z=g=",    "Zg==Zg==", "Zm9v\n",  "Zm-_",
                                      "=Zm9", "Zm9vA", "Zm\x80v", "Zm9v Zm9", "Zm8=Zm9v"};
    unsigned char data[64];
    size_t bytes;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(base64_decode(bad[i], strlen(bad[i]), data, &bytes));
    assert_false(base64_decode("Zm\0v", 4, data, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_every_byte_survives),
        cmocka_unit_test(test_everything_else_is_refused),
    };
    return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
