// SPDX-License-Identifier: GPL-2.0-or-later
/* What an experiment's merge map says of VMs, also of those that are not in it. */
#include "ksm/experiment_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

/* Two VMs are in the map, a third runs and has nothing that KSM could merge. */
static struct experiment_map_vm vms[] = {
    {.name = "one", .pages = {[KSM_WITHIN] = 3, [KSM_SHARED] = 5}},
    {.name = "two", .pages = {[KSM_SHARED] = 6}},
};
static uint64_t shared_pages[] = {3, 5, 6, 0};
static const struct experiment_map map = {.running = 3,
                                          .vms = vms,
                                          .vm_count = 2,
                                          .shared_pages = shared_pages,
                                          .frames = 4,
                                          .mappings = 14};

static int64_t value_in(const struct experiment_map *of_whom, const char *what, const char *of,
                        const char *with)
{
    struct experiment_expectation expectation = {
        .what = experiment_quantities, .of = of, .with = with};
    while (strcmp(expectation.what->name, what) != 0)
        expectation.what++;
    return experiment_map_value(of_whom, &expectation);
}

static int64_t value(const char *what, const char *of, const char *with)
{
    return value_in(&map, what, of, with);
}

static void test_values(void **state)
{
    assert_int_equal(value("frames", NULL, NULL), 4);
    assert_int_equal(value("mappings", NULL, NULL), 14);
    assert_int_equal(value("saved_pages", NULL, NULL), 10);
    assert_int_equal(value("merged_pages", "one", NULL), 8);
    assert_int_equal(value("merged_pages", "two", NULL), 6);
    assert_int_equal(value("shared_pages", "one", "one"), 3);
    assert_int_equal(value("shared_pages", "one", "two"), 5);
    assert_int_equal(value("shared_pages", "two", "one"), 6);
    assert_int_equal(value("shared_pages", "two", "two"), 0);
}

static void test_not_in_the_map(void **state)
{
    assert_int_equal(value("merged_pages", "three", NULL), 0);
    assert_int_equal(value("shared_pages", "one", "three"), 0);
    assert_int_equal(value("shared_pages", "three", "two"), 0);
    assert_int_equal(value("shared_pages", "three", "three"), 0);
}

static void test_empty_map(void **state)
{
    static const struct experiment_map empty = {.running = 1};
    assert_int_equal(value_in(&empty, "saved_pages", NULL, NULL), 0);
    assert_int_equal(value_in(&empty, "merged_pages", "one", NULL), 0);
    assert_int_equal(value_in(&empty, "shared_pages", "one", "two"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_not_in_the_map),
        cmocka_unit_test(test_empty_map),
    };
    return cmocka_run_group_tests_name("ksm_experiment_map", tests, NULL, NULL);
}
