/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of reading and writing bytes share. Include once, in a test program. */
#ifndef TESTS_LENS_BYTES_H
#define TESTS_LENS_BYTES_H

#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include "tests/lens/kinds.h"
#include "tests/lens/oracle.h"
#include <unistd.h>

/* Where in RAM a byte of the calling process is, as the kernel says; the test fails if nowhere. */
static inline uint64_t physical_of(const volatile void *address)
{
    uint64_t frame = oracle_frame(getpid(), (const void *)address);
    assert_int_not_equal(frame, 0);
    return frame * PAGE + (uintptr_t)address % PAGE;
}

/* The errno of reading; *value is what was read. */
static inline int read_own(const volatile char *address, uint64_t physical, uint8_t *value)
{
    return device_read_byte(lens_fd, 0, getpid(), (const void *)address, physical, value);
}

static inline int write_own(const volatile char *address, uint64_t physical, uint8_t value,
                            uint32_t flags)
{
    return device_write_byte(lens_fd, flags, getpid(), (const void *)address, physical, &value);
}

/* Reading is refused with number, and so is writing, forced or not, and changes nothing. */
static inline void assert_refuses(const volatile char *address, uint64_t physical, int number)
{
    uint8_t value;
    assert_int_equal(read_own(address, physical, &value), number);
    assert_int_equal(write_own(address, physical, 1, 0), number);
    assert_int_equal(write_own(address, physical, 1, MATRIX_LENS_FORCE), number);
}

static inline int read_physical(uint64_t physical, uint32_t flags, uint8_t *value)
{
    return device_read_byte(lens_fd, flags | MATRIX_LENS_PHYSICAL, 0, NULL, physical, value);
}

static inline int write_physical(uint64_t physical, uint32_t flags, uint8_t value)
{
    return device_write_byte(lens_fd, flags | MATRIX_LENS_PHYSICAL, 0, NULL, physical, &value);
}

#endif
