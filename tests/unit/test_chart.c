// SPDX-License-Identifier: GPL-2.0-or-later
/* What the curves in a terminal look like, character by character. */
#include "cli/chart.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static char *drawn;
static size_t drawn_bytes;

static FILE *begin(void)
{
    free(drawn);
    drawn = NULL;
    FILE *file = open_memstream(&drawn, &drawn_bytes);
    assert_non_null(file);
    return file;
}

static void is_drawn(FILE *file, const char *expected)
{
    assert_int_equal(fclose(file), 0);
    assert_string_equal(drawn, expected);
}

static void scale(void **state)
{
    static const uint64_t round[][2] = {
        {0, 4}, {4, 4}, {5, 5}, {9, 10}, {1000, 1024}, {1025, 1280}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(round) / sizeof(round[0]); i++)
        assert_int_equal(chart_scale(round[i][0]), round[i][1]);
}

/* The axis begins at 0; the newest value is the last; what is little is still seen. */
static void from_zero(void **state)
{
    const uint64_t values[] = {9, 0, 1, 2048, 4096};
    FILE *file = begin();
    chart_draw(file, values, 5, 5, 3, false, "\n");
    is_drawn(file, "     4 KiB |    #\n"
                   "           |   ##\n"
                   "       0 B |# ###\n");
    file = begin();
    chart_draw(file, values + 3, 2, 4, 2, true, "\r\n");
    is_drawn(file, "     4 KiB │   █\r\n"
                   "       0 B │  ██\r\n");
}

/* Where values are above and below it the axis says where 0 is. */
static void around_zero(void **state)
{
    const double values[] = {-50, NAN, 0, 50};
    const struct chart_axis axis = {-50, 50, "50", "-50"}, near = {-1, 99, "99", "-1"};
    FILE *file = begin();
    chart_draw_axis(file, values, 4, &axis, 5, false, "\n");
    is_drawn(file, "        50 |   #\n"
                   "           |   #\n"
                   "         0 +  ##\n"
                   "           |  ##\n"
                   "       -50 |# ##\n");
    /* Too near to the end: that is labelled already. */
    file = begin();
    chart_draw_axis(file, values + 2, 1, &near, 3, false, "\n");
    is_drawn(file, "        99 | \n"
                   "           | \n"
                   "        -1 |#\n");
}

static void sparkline(void **state)
{
    const int64_t values[] = {-7, 0, 7}, same[] = {5, 5};
    FILE *file = begin();
    chart_sparkline(file, values, 3, 4, false);
    is_drawn(file, " _=#");
    file = begin();
    chart_sparkline(file, same, 2, 1, true);
    is_drawn(file, "█");
}

static int clean_up(void **state)
{
    free(drawn);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale),
        cmocka_unit_test(from_zero),
        cmocka_unit_test(around_zero),
        cmocka_unit_test(sparkline),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
