// SPDX-License-Identifier: GPL-2.0-or-later
/* From which kernel on a command can be made to offer all its memory. */
#include "ksm/merge_all.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static void exec_keeps_it_since_6_7(void **state)
{
    static const char *const old[] = {
        "2.6.32-754.el6.x86_64", "5.10.0-28-amd64", "6.1.0-18-amd64", "6.4.0", "6.6.99-rc1", "6.6"};
    static const char *const new[] = {"6.7.0-rc1", "6.7",   "6.12.95+deb12-amd64",
                                      "6.70",      "7.0.0", "10.1"};
    for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++)
        if (merge_all_outlives_exec(old[i]))
            fail_msg("taken for new: %s", old[i]);
    for (size_t i = 0; i < sizeof(new) / sizeof(new[0]); i++)
        if (!merge_all_outlives_exec(new[i]))
            fail_msg("taken for old: %s", new[i]);
}

static void what_is_no_version_is_let_pass(void **state)
{
    static const char *const odd[] = {"", "6", "x", "6.", ".7", "6-rc1"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        assert_true(merge_all_outlives_exec(odd[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exec_keeps_it_since_6_7),
        cmocka_unit_test(what_is_no_version_is_let_pass),
    };
    return cmocka_run_group_tests_name("ksm_merge_all", tests, NULL, NULL);
}
