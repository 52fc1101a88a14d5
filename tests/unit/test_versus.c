// SPDX-License-Identifier: GPL-2.0-or-later
/* How bench/versus reckons share errors, on shares that are made up. */
#include "bench/versus.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static struct versus_errors errors;

static void assert_near(double value, double expected)
{
    assert_true(fabs(value - expected) < 1e-9);
}

/* Moments of times, guests in turn. */
static void reckon(unsigned guests, unsigned count, const uint64_t *times, unsigned length)
{
    struct versus_samples samples;
    assert_null(versus_samples_create(guests, count, &samples));
    samples.heavy_share = 0.7;
    for (; samples.count < count; samples.count++)
        memcpy(versus_samples_next(&samples), times + (size_t)samples.count * guests,
               guests * sizeof(times[0]));
    memset(&errors, 0, sizeof(errors));
    assert_null(versus_errors_add(&samples, length, &errors));
    versus_samples_free(&samples);
}

static void test_exact_shares_have_no_error(void **state)
{
    const uint64_t times[] = {5, 9, 75, 39, 145, 69};
    reckon(2, 3, times, 1);
    assert_int_equal(errors.furthest.count, 2);
    assert_near(bench_quantile(&errors.furthest, 1), 0);
    assert_near(bench_quantile(&errors.relative[0], 1), 0);
}

static void test_error_of_two(void **state)
{
    const uint64_t times[] = {0, 0, 76, 24}; /* 76 % and 24 % */
    reckon(2, 2, times, 1);
    assert_near(bench_median(&errors.furthest), 6);
    assert_near(bench_median(&errors.relative[0]), 100 * 6 / 70.0);
    assert_near(bench_median(&errors.relative[1]), 100 * 6 / 30.0);
}

/* The guest that is furthest off counts, and in each half the one in the middle. */
static void test_furthest_and_middle(void **state)
{
    /* Promised are 70/3 and 10 each; given are 70/3 + 1, - 1 and exact, and 10 + 6, - 4 and - 2. */
    const uint64_t times[] = {0, 0, 0, 0, 0, 0, 73, 48, 67, 18, 70, 24};
    reckon(6, 2, times, 1);
    assert_near(bench_median(&errors.furthest), 6);
    assert_near(bench_median(&errors.relative[0]), 100 / (70 / 3.0));
    assert_near(bench_median(&errors.relative[1]), 40);
}

/* What one window has too much and the next too little is no error of both together. */
static void test_long_windows_even_out(void **state)
{
    const uint64_t times[] = {0, 0, 80, 20, 140, 60, 220, 80};
    reckon(2, 4, times, 1);
    assert_int_equal(errors.furthest.count, 3);
    assert_near(bench_median(&errors.furthest), 10);
    reckon(2, 4, times, 2);
    assert_int_equal(errors.furthest.count, 2);
    assert_near(bench_quantile(&errors.furthest, 1), 0);
}

static void test_too_few_samples_and_no_time(void **state)
{
    const uint64_t times[] = {4, 4, 4, 4};
    reckon(2, 2, times, 1);
    assert_int_equal(errors.furthest.count, 0);
    reckon(2, 2, times, 10);
    assert_int_equal(errors.furthest.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_shares_have_no_error),
        cmocka_unit_test(test_error_of_two),
        cmocka_unit_test(test_furthest_and_middle),
        cmocka_unit_test(test_long_windows_even_out),
        cmocka_unit_test(test_too_few_samples_and_no_time),
    };
    return cmocka_run_group_tests_name("versus", tests, NULL, NULL);
}
