// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kernel_lockdown(7), step by step: integrity forbids writing, confidentiality reading too. Runs
 * last: nothing but a new boot undoes it, and no module can be loaded after it.
 */
#include "tests/lens/bytes.h"

#define LOCKDOWN "/sys/kernel/security/lockdown"

static void assert_bytes(int reading, int writing)
{
    char *page = kind_small();
    uint64_t physical = physical_of(page);
    uint8_t value;
    assert_int_equal(read_own(page, physical, &value), reading);
    assert_int_equal(read_physical(physical, 0, &value), reading);
    assert_int_equal(write_own(page, physical, 'x', 0), writing);
    assert_int_equal(write_own(page, physical, 'x', MATRIX_LENS_FORCE), writing);
    assert_int_equal(write_physical(physical, MATRIX_LENS_FORCE, 'x'), writing);
    assert_int_equal(*page, writing ? 'f' : 'x');
}

/* What tells of memory without its content is left to capabilities. */
static void assert_rest_works(void)
{
    struct matrix_lens_footprint footprint;
    char *page = kind_small();
    assert_int_equal(device_entry(lens_fd, getpid(), page) & MATRIX_PAGE_ADDRESS,
                     physical_of(page));
    assert_int_equal(device_footprint(lens_fd, getpid(), &footprint), 0);
}

static uint32_t features(void)
{
    struct matrix_lens_info info = {.size = sizeof(info)};
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_INFO, &info), 0);
    return info.features;
}

static void lock(const char *level)
{
    int number = file_write(LOCKDOWN, level);
    if (number == ENOENT)
        SKIP_BECAUSE("this kernel has no lockdown\n");
    assert_int_equal(number, 0);
}

static void unlocked_kernel_lets_bytes_be_written(void **state)
{
    assert_bytes(0, 0);
    assert_true(features() & MATRIX_LENS_CAN_WRITE);
}

static void integrity_forbids_writing(void **state)
{
    lock("integrity");
    assert_bytes(0, EPERM);
    assert_rest_works();
    assert_false(features() & MATRIX_LENS_CAN_WRITE);
}

static void confidentiality_forbids_reading_too(void **state)
{
    lock("confidentiality");
    assert_bytes(EPERM, EPERM);
    assert_rest_works();
    assert_false(features() & MATRIX_LENS_CAN_WRITE);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(unlocked_kernel_lets_bytes_be_written),
        cmocka_unit_test(integrity_forbids_writing),
        cmocka_unit_test(confidentiality_forbids_reading_too),
    };
    return harness_run("lockdown", tests, COUNT(tests));
}
