// SPDX-License-Identifier: GPL-2.0-or-later
/* What a phase came to, from curves whose answer is known. */
#include "ksm/measure.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define S UINT64_C(1000000000)

static void check_near(double value, double expected)
{
    if (value < expected * 0.999 || value > expected * 1.001)
        fail_msg("%f instead of %f", value, expected);
}

/* 1000 pages a second from second 10 to 20, from 500 on; ksmd works half of the time. */
static void test_ramp(void **state)
{
    struct measure_point points[41];
    struct measure_phase phase;
    for (unsigned i = 0; i <= 40; i++) {
        const int64_t done = i < 10 ? 0 : i < 20 ? (i - 10) * 1000 : 10000;
        points[i] = (struct measure_point){.time_ns = (100 + i) * S,
                                           .pages = 500 + done,
                                           .full_scans = 7 + i / 4,
                                           .ksmd_cpu_ns = 1000 + (int64_t)(i * S / 2)};
    }
    measure_phase(points, 41, &phase);
    assert_int_equal(phase.start_ns, 100 * S);
    assert_int_equal(phase.end_ns, 140 * S);
    assert_int_equal(phase.pages_before, 500);
    assert_int_equal(phase.pages_after, 10500);
    assert_true(phase.has_90);
    assert_int_equal(phase.to_90_ns, 19 * S);
    check_near(phase.merges_per_second, 1000);
    check_near(phase.peak_merges_per_second, 1000);
    assert_int_equal(phase.full_scans, 10);
    assert_int_equal(phase.ksmd_cpu_ns, 20 * S);
    check_near(phase.ksmd_ns_per_page, 20e9 / 10000);
}

/* A fall has a time, too, and no price. */
static void test_fall(void **state)
{
    const struct measure_point points[] = {{.time_ns = 0, .pages = 100, .ksmd_cpu_ns = 5},
                                           {.time_ns = S, .pages = 100, .ksmd_cpu_ns = 6},
                                           {.time_ns = 2 * S, .pages = 0, .ksmd_cpu_ns = 7}};
    struct measure_phase phase;
    measure_phase(points, 3, &phase);
    assert_int_equal(phase.to_90_ns, S + S / 10 * 9);
    check_near(-phase.merges_per_second, 100);
    assert_true(phase.peak_merges_per_second == 0);
    assert_true(phase.ksmd_ns_per_page == 0);
}

static void test_nothing(void **state)
{
    const struct measure_point points[] = {
        {.time_ns = S, .pages = 3, .full_scans = MEASURE_UNKNOWN, .ksmd_cpu_ns = MEASURE_UNKNOWN},
        {.time_ns = 2 * S, .pages = 3, .full_scans = 4, .ksmd_cpu_ns = MEASURE_UNKNOWN}};
    struct measure_phase phase;
    measure_phase(points, 2, &phase);
    assert_false(phase.has_90);
    assert_true(phase.merges_per_second == 0);
    assert_int_equal(phase.full_scans, MEASURE_UNKNOWN);
    assert_int_equal(phase.ksmd_cpu_ns, MEASURE_UNKNOWN);
    measure_phase(points, 1, &phase);
    assert_int_equal(phase.end_ns, S);
    assert_false(phase.has_90);
}

/* All of it from one point to the next. */
static void test_jump(void **state)
{
    const struct measure_point points[] = {{.time_ns = 0, .pages = 0},
                                           {.time_ns = S, .pages = 1000}};
    struct measure_phase phase;
    measure_phase(points, 2, &phase);
    assert_int_equal(phase.to_90_ns, S / 10 * 9);
    check_near(phase.merges_per_second, 1000);
    check_near(phase.peak_merges_per_second, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ramp),
        cmocka_unit_test(test_fall),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_jump),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
