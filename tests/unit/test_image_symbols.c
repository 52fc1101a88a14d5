// SPDX-License-Identifier: GPL-2.0-or-later
/* An image's symbols: whatever is wrong with them means no names, and no harm. */
#include "tests/unit/made_image.h"

static void test_symbols(void **state)
{
    struct image image;
    uint64_t offset;
    assert_accepted(&image);
    assert_string_equal(image_symbol(&image, TEXT_GVA + 8, &offset), "start");
    assert_int_equal(offset, 0);
    assert_string_equal(image_symbol(&image, TEXT_GVA + 23, &offset), "start");
    assert_int_equal(offset, 15);
    assert_null(image_symbol(&image, TEXT_GVA + 24, &offset));                   /* past its end */
    assert_string_equal(image_symbol(&image, TEXT_GVA + 40, &offset), "middle"); /* no size */
    assert_string_equal(image_symbol(&image, DATA_GVA + 7, &offset), "datum");
    assert_null(image_symbol(&image, DATA_GVA + 8 + 4096, &offset));
    assert_null(image_symbol(&image, 0, &offset));
    assert_null(image_symbol(&image, UINT64_MAX, &offset));
    image_close(&image);
}

static void no_symbol_and_no_harm(void)
{
    struct image image;
    uint64_t offset;
    assert_accepted(&image);
    assert_null(image_symbol(&image, TEXT_GVA + 8, &offset));
    image_close(&image);
}

static void test_bad_symbol_tables(void **state)
{
    made.header.e_shoff = UINT64_MAX - 32;
    no_symbol_and_no_harm();
    made_reset(state);
    made.header.e_shentsize = 1;
    no_symbol_and_no_harm();
    made_reset(state);
    made.sections[1].sh_link = UINT32_MAX;
    no_symbol_and_no_harm();
    made_reset(state);
    made.sections[1].sh_offset = UINT64_MAX;
    no_symbol_and_no_harm();
    made_reset(state);
    made.sections[2].sh_size = UINT64_MAX;
    no_symbol_and_no_harm();
    made_reset(state);
    made.sections[2].sh_size = 0;
    no_symbol_and_no_harm();
    made_reset(state);
    for (unsigned i = 1; i < 4; i++)
        made.symbols[i].st_name = UINT32_MAX;
    no_symbol_and_no_harm();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, made_reset)
    const struct CMUnitTest tests[] = {
        TEST(test_symbols),
        TEST(test_bad_symbol_tables),
    };
    return cmocka_run_group_tests_name("image_symbols", tests, NULL, NULL);
}
