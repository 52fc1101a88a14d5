// SPDX-License-Identifier: GPL-2.0-or-later
/* The guests of a process, as one name: all of them, or as many as there is room for. */
#include "ksm/guests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static void expect(size_t count, size_t bytes, const char *wanted)
{
    char names[64];
    struct control_vm *vms = calloc(count + 1, sizeof(*vms));
    const struct ksm_guests guests = {vms, count};
    assert_non_null(vms);
    for (size_t i = 0; i < count; i++)
        snprintf(vms[i].name, sizeof(vms[i].name), "guest%zu", i);
    memset(names, 'x', sizeof(names));
    ksm_guests_names(&guests, names, bytes);
    assert_string_equal(names, wanted);
    for (size_t i = bytes; i < sizeof(names); i++)
        assert_int_equal(names[i], 'x');
    free(vms);
}

static void test_all(void **state)
{
    expect(0, 64, "");
    expect(1, 64, "guest0");
    expect(2, 64, "guest0 and guest1");
    expect(3, 64, "guest0, guest1 and guest2");
}

static void test_room(void **state)
{
    expect(1, 4, "gue");
    expect(100, 64, "guest0, guest1, guest2, guest3 and 96 more");
    expect(2, 18, "guest0 and guest1");
    expect(3, 24, "guest0 and 2 more");
    expect(100, 8, "guest0 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
