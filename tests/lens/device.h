/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/matrix as the tests speak to it: the bare requests, without the lens library between, so
 * that what is tested is the kernel module. Each returns 0 or the errno.
 */
#ifndef TESTS_LENS_DEVICE_H
#define TESTS_LENS_DEVICE_H

#include <errno.h>
#include <fcntl.h>
#include <matrix/uapi/matrix_lens.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/types.h>

static inline int device_open(void)
{
    return open(MATRIX_LENS_DEVICE, O_RDWR | O_CLOEXEC);
}

static inline int device_request(int device, unsigned long request, void *argument)
{
    return ioctl(device, request, argument) ? errno : 0;
}

static inline int device_translate(int device, pid_t pid, const void *address, size_t count,
                                   uint64_t *entries)
{
    struct matrix_lens_translate translate = {
        .size = sizeof(translate),
        .pid = pid,
        .address = (uintptr_t)address,
        .count = count,
        .entries = (uintptr_t)entries,
    };
    int number = device_request(device, MATRIX_LENS_TRANSLATE, &translate);
    return number == 0 && translate.count != count ? ENODATA : number;
}

/* Both errors and what they come to are for tests of their own: here they end as an entry of 0. */
static inline uint64_t device_entry(int device, pid_t pid, const void *address)
{
    uint64_t entry = 0;
    const void *page = (const void *)((uintptr_t)address & ~4095UL);
    return device_translate(device, pid, page, 1, &entry) ? 0 : entry;
}

static inline int device_footprint(int device, pid_t pid, struct matrix_lens_footprint *footprint)
{
    *footprint = (struct matrix_lens_footprint){.size = sizeof(*footprint), .pid = pid};
    return device_request(device, MATRIX_LENS_FOOTPRINT, footprint);
}

/* value: the byte that was there. Flags: MATRIX_LENS_FORCE, or with pid 0 also PHYSICAL. */
static inline int device_read_byte(int device, uint32_t flags, pid_t pid, const void *address,
                                   uint64_t physical, uint8_t *value)
{
    struct matrix_lens_byte byte = {
        .size = sizeof(byte),
        .flags = flags,
        .pid = pid,
        .virtual_address = (uintptr_t)address,
        .physical_address = physical,
    };
    int number = device_request(device, MATRIX_LENS_READ_BYTE, &byte);
    *value = byte.value;
    return number;
}

static inline int device_write_byte(int device, uint32_t flags, pid_t pid, const void *address,
                                    uint64_t physical, uint8_t *value)
{
    struct matrix_lens_byte byte = {
        .size = sizeof(byte),
        .flags = flags,
        .pid = pid,
        .value = *value,
        .virtual_address = (uintptr_t)address,
        .physical_address = physical,
    };
    int number = device_request(device, MATRIX_LENS_WRITE_BYTE, &byte);
    *value = byte.value;
    return number;
}

/* RUNNING, or CHILDREN of pid. count: how many there are, though capacity may be less. */
static inline int device_tasks(int device, unsigned long request, pid_t pid,
                               struct matrix_lens_task *tasks, uint32_t capacity, uint32_t *count)
{
    struct matrix_lens_tasks argument = {
        .size = sizeof(argument),
        .pid = pid,
        .capacity = capacity,
        .tasks = (uintptr_t)tasks,
    };
    int number = device_request(device, request, &argument);
    *count = argument.count;
    return number;
}

static inline int device_children(int device, pid_t pid, struct matrix_lens_task *tasks,
                                  uint32_t capacity, uint32_t *count)
{
    return device_tasks(device, MATRIX_LENS_CHILDREN, pid, tasks, capacity, count);
}

static inline int device_reparent(int device, pid_t pid, pid_t parent)
{
    struct matrix_lens_reparent reparent = {
        .size = sizeof(reparent), .pid = pid, .parent_pid = parent};
    return device_request(device, MATRIX_LENS_REPARENT, &reparent);
}

#endif
