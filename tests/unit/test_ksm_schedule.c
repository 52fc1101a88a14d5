// SPDX-License-Identifier: GPL-2.0-or-later
/* When samples are taken: a simulated day of a clock that is late, early, and sleeps through some. */
#include "ksm/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define S  1000000000ULL
#define MS 1000000ULL

static uint64_t random_below(uint64_t limit)
{
    static uint64_t state = 88172645463325252ULL; /* xorshift64 */
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state % limit;
}

/* Every wake-up is up to 50 ms late: it must not add up. */
static void a_day_does_not_drift(void **state)
{
    const uint64_t start = 12345 * S + 678, interval = 5 * S;
    struct ksm_schedule schedule = ksm_schedule_start(start, interval);
    for (uint64_t i = 0; i < 17280; i++) {
        assert_int_equal(ksm_schedule_due(&schedule), start + i * interval);
        const uint64_t now = ksm_schedule_due(&schedule) + random_below(50 * MS);
        assert_int_equal(ksm_schedule_take(&schedule, now), 0);
    }
    assert_int_equal(ksm_schedule_due(&schedule), start + 24 * 3600 * S);
    assert_int_equal(schedule.missed, 0);
}

/* Some samples take several intervals: what falls out is counted, the rest stays on time. */
static void missed_samples_are_counted(void **state)
{
    const uint64_t start = 7, interval = S;
    struct ksm_schedule schedule = ksm_schedule_start(start, interval);
    uint64_t taken = 0, missed = 0, now = start;
    while (now < start + 24 * 3600 * S) {
        const uint64_t due = ksm_schedule_due(&schedule);
        now = due > now ? due : now;
        now += random_below(100) == 0 ? random_below(10 * S) : random_below(20 * MS);
        missed += ksm_schedule_take(&schedule, now);
        taken++;
        assert_int_equal((ksm_schedule_due(&schedule) - start) % interval, 0);
        assert_true(ksm_schedule_due(&schedule) > now);
        assert_true(ksm_schedule_due(&schedule) <= now + interval);
    }
    assert_true(missed > 100);
    assert_int_equal(schedule.missed, missed);
    assert_int_equal(taken + missed, (now - start) / interval + 1);
}

static void the_bounds_of_an_interval(void **state)
{
    struct ksm_schedule schedule = ksm_schedule_start(0, 10);
    assert_int_equal(ksm_schedule_due(&schedule), 0);
    assert_int_equal(ksm_schedule_take(&schedule, 9), 0); /* late, and still in its interval */
    assert_int_equal(ksm_schedule_due(&schedule), 10);
    assert_int_equal(ksm_schedule_take(&schedule, 20), 1);
    assert_int_equal(ksm_schedule_due(&schedule), 30);
    assert_int_equal(ksm_schedule_take(&schedule, 29), 0); /* early: it is the one of 30 */
    assert_int_equal(ksm_schedule_due(&schedule), 40);
    assert_int_equal(ksm_schedule_take(&schedule, 40), 0);
}

static void the_end_of_the_clock(void **state)
{
    struct ksm_schedule schedule = ksm_schedule_start(UINT64_MAX - 5, 10);
    assert_int_equal(ksm_schedule_due(&schedule), UINT64_MAX - 5);
    assert_int_equal(ksm_schedule_take(&schedule, UINT64_MAX - 5), 0);
    assert_int_equal(ksm_schedule_due(&schedule), UINT64_MAX);
    schedule = ksm_schedule_start(1, UINT64_MAX);
    assert_int_equal(ksm_schedule_take(&schedule, 2), 0);
    assert_int_equal(ksm_schedule_due(&schedule), UINT64_MAX);
    schedule = ksm_schedule_start(100, 10);
    assert_int_equal(ksm_schedule_take(&schedule, 50), 0); /* a clock that goes back */
    assert_int_equal(ksm_schedule_due(&schedule), 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_day_does_not_drift),
        cmocka_unit_test(missed_samples_are_counted),
        cmocka_unit_test(the_bounds_of_an_interval),
        cmocka_unit_test(the_end_of_the_clock),
    };
    return cmocka_run_group_tests_name("ksm_schedule", tests, NULL, NULL);
}
