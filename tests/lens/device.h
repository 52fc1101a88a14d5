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

static inline int device_reparent(int device, pid_t pid, pid_t parent)
{
    struct matrix_lens_reparent reparent = {
        .size = sizeof(reparent), .pid = pid, .parent_pid = parent};
    return device_request(device, MATRIX_LENS_REPARENT, &reparent);
}

#endif
