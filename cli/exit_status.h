/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exit statuses of all programs. `matrix run` passes on the guest's own (0 to 255); 128 + n means
 * signal n, as in a shell. The values below 128 were chosen beside those that a shell uses, 124
 * after timeout(1).
 */
#ifndef CLI_EXIT_STATUS_H
#define CLI_EXIT_STATUS_H

enum exit_status {
    EXIT_LAB_KERNEL = 119,  /* the lab's kernel complained: panic, oops, warning */
    EXIT_GUEST_FAULT = 120, /* the guest was ended by a fault */
    EXIT_BAD_IMAGE = 121,   /* the guest image cannot be loaded */
    EXIT_BAD_USAGE = 122,   /* options or arguments make no sense */
    EXIT_NO_KVM = 123,      /* no usable KVM on this host */
    EXIT_TIMEOUT = 124,     /* the time limit was up */
    EXIT_HOST = 125,        /* the host refused: memory, files, limits, permissions */
    EXIT_SIGNAL = 128,      /* to be added to the signal's number */
};

#endif
