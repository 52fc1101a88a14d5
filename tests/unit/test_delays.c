// SPDX-License-Identifier: GPL-2.0-or-later
/* The histogram of delays against the sorted list of them. */
#include "cloud/delays.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define SAMPLES 10000

static struct delays delays;

static int clear(void **state)
{
    memset(&delays, 0, sizeof(delays));
    return 0;
}

static void test_empty(void **state)
{
    assert_int_equal(delays_quantile(&delays, 0), 0);
    assert_int_equal(delays_quantile(&delays, 0.5), 0);
    assert_int_equal(delays_quantile(&delays, 1), 0);
    assert_int_equal(delays.worst_ns, 0);
}

static void test_one_is_every_quantile(void **state)
{
    delays_add(&delays, 123456789);
    assert_int_equal(delays_quantile(&delays, 0), 123456789);
    assert_int_equal(delays_quantile(&delays, 0.5), 123456789);
    assert_int_equal(delays_quantile(&delays, 1), 123456789);
    assert_int_equal(delays.worst_ns, 123456789);
    assert_int_equal(delays.count, 1);
}

static void test_small_ones_are_exact(void **state)
{
    for (uint64_t delay = 0; delay < 32; delay++)
        delays_add(&delays, delay);
    for (uint64_t delay = 0; delay < 32; delay++)
        assert_int_equal(delays_quantile(&delays, (double)delay / 32), delay);
}

static void test_extremes_have_a_bucket(void **state)
{
    delays_add(&delays, 0);
    delays_add(&delays, UINT64_MAX);
    assert_int_equal(delays_quantile(&delays, 0), 0);
    assert_int_equal(delays_quantile(&delays, 1), UINT64_MAX);
    for (unsigned bit = 0; bit < 64; bit++) {
        clear(state);
        delays_add(&delays, 1ULL << bit);
        assert_int_equal(delays_quantile(&delays, 0.5), 1ULL << bit);
        delays_add(&delays, UINT64_MAX);
        /* Now rounded up: within 1/16, and never down. */
        uint64_t median = delays_quantile(&delays, 0.25);
        assert_in_range(median, 1ULL << bit, (1ULL << bit) + ((1ULL << bit) >> 4));
    }
}

static int ascending(const void *a, const void *b)
{
    const uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

static void test_quantiles_are_within_a_sixteenth(void **state)
{
    static uint64_t sorted[SAMPLES];
    uint64_t seed = 3;
    for (size_t i = 0; i < SAMPLES; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        sorted[i] = seed >> (seed >> 33) % 64; /* of every magnitude */
        delays_add(&delays, sorted[i]);
    }
    qsort(sorted, SAMPLES, sizeof(sorted[0]), ascending);
    for (size_t i = 0; i < SAMPLES; i += 7) {
        const uint64_t quantile = delays_quantile(&delays, ((double)i + 0.5) / SAMPLES);
        assert_true(quantile >= sorted[i] && quantile - sorted[i] <= sorted[i] / 16);
    }
    assert_int_equal(delays.worst_ns, sorted[SAMPLES - 1]);
    assert_int_equal(delays_quantile(&delays, 1), sorted[SAMPLES - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_empty, clear),
        cmocka_unit_test_setup(test_one_is_every_quantile, clear),
        cmocka_unit_test_setup(test_small_ones_are_exact, clear),
        cmocka_unit_test_setup(test_extremes_have_a_bucket, clear),
        cmocka_unit_test_setup(test_quantiles_are_within_a_sixteenth, clear),
    };
    return cmocka_run_group_tests_name("delays", tests, NULL, NULL);
}
