// SPDX-License-Identifier: GPL-2.0-or-later
/* When a curve is flat: not before ksmd's scans, not while it rises, not by a short rest. */
#include "ksm/flat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define S UINT64_C(1000000000)

static const struct ksm_flat_rule rule = {
    .window_ns = 5 * S, .time_ns = 10 * S, .slope_per_second = 10, .scans = 2};

/* The second at which a curve is flat, sampled each second; -1: not within 1000. */
static int flat_at(struct ksm_flat_rule with, double (*curve)(unsigned second),
                   unsigned scans_each_10s)
{
    struct ksm_flat flat;
    int found = -1;
    ksm_flat_begin(&flat, with);
    for (unsigned second = 0; second < 1000 && found < 0; second++) {
        bool reached;
        assert_null(ksm_flat_add(&flat, (second + 7) * S, curve(second),
                                 100 + second * scans_each_10s / 10, &reached));
        if (reached)
            found = (int)second;
    }
    ksm_flat_free(&flat);
    return found;
}

static double constant(unsigned second)
{
    return 1e9;
}

static double rising(unsigned second)
{
    return 11.0 * second;
}

static double slowly(unsigned second)
{
    return 9.0 * second;
}

static double falling(unsigned second)
{
    return 1e9 - 11.0 * second;
}

/* Rises by 1000 a second until second 50. */
static double step(unsigned second)
{
    return second < 50 ? 1000.0 * second : 50000;
}

/* The same, with a rest of eight seconds in the middle. */
static double rests(unsigned second)
{
    return second < 20 ? 1000.0 * second : second < 28 ? 20000 : step(second);
}

/* Goes up and down by 8 pages around a line: its ends say more than 10 a second. */
static double noisy(unsigned second)
{
    return second % 2 ? 8 : -8;
}

static void test_constant(void **state)
{
    assert_int_equal(flat_at(rule, constant, 10), 15); /* the window, and the time */
}

static void test_scans(void **state)
{
    /* Two scans are done at second 20: from there on it counts. */
    assert_int_equal(flat_at(rule, constant, 1), 30);
    assert_int_equal(flat_at(rule, constant, 0), -1);
}

static void test_slopes(void **state)
{
    assert_int_equal(flat_at(rule, rising, 10), -1);
    assert_int_equal(flat_at(rule, falling, 10), -1);
    assert_int_equal(flat_at(rule, slowly, 10), 15);
    assert_int_equal(flat_at(rule, noisy, 10), 15);
}

static void test_step(void **state)
{
    assert_int_equal(flat_at(rule, step, 10), 65);
    assert_int_equal(flat_at(rule, rests, 10), 65);
}

static void test_clock(void **state)
{
    struct ksm_flat flat;
    bool reached;
    ksm_flat_begin(&flat, rule);
    assert_null(ksm_flat_add(&flat, 10 * S, 0, 5, &reached));
    assert_null(ksm_flat_add(&flat, 9 * S, 1e6, 4, &reached)); /* of the past */
    assert_int_equal(flat.count, 1);
    assert_int_equal(flat.scans_done, 0);
    assert_null(ksm_flat_add(&flat, UINT64_MAX, 0, 9, &reached));
    assert_false(reached);
    ksm_flat_free(&flat);
}

/* An hour at ten a second: what is older than the window is forgotten. */
static void test_bounded(void **state)
{
    struct ksm_flat flat;
    bool reached;
    ksm_flat_begin(&flat, rule);
    for (unsigned i = 0; i < 36000; i++)
        assert_null(ksm_flat_add(&flat, i * (S / 10), i * 100.0, i, &reached));
    assert_true(flat.capacity <= 128);
    assert_true(flat.slope_per_second > 999 && flat.slope_per_second < 1001);
    ksm_flat_free(&flat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant), cmocka_unit_test(test_scans),
        cmocka_unit_test(test_slopes),   cmocka_unit_test(test_step),
        cmocka_unit_test(test_clock),    cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
