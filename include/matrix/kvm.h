/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host's KVM: opened once, shared by all guests of a process. */
#ifndef MATRIX_KVM_H
#define MATRIX_KVM_H

#include <matrix/error.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MATRIX_KVM_PATH "/dev/kvm"

struct matrix_kvm;

/*
 * Opens KVM and checks its API version and each capability that Matrix needs.
 *
 * path: the device, or NULL for MATRIX_KVM_PATH.
 * Errors are of kind MATRIX_ERROR_KVM: the file is missing, may not be opened, is not KVM, speaks
 * another version, or lacks a capability; each with its own remedy.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *matrix_kvm_open(const char *path,
                                                                  struct matrix_kvm **kvm);

/* Closes it. Guests that were made from it must be gone. NULL is allowed. */
MATRIX_API void matrix_kvm_close(struct matrix_kvm *kvm);

/* One line of the checklist that `matrix doctor` prints. */
struct matrix_kvm_capability {
    const char *name;    /* as in Documentation/virt/kvm/api.rst: "KVM_CAP_SYNC_REGS" */
    const char *purpose; /* what Matrix does with it */
    int needed;          /* the least value that will do; 0: good to have */
    int value;           /* what this host answers; negative: could not be asked */
    bool sufficient;     /* value will do */
};

/*
 * Asks an open device for the capability number index of the list; false past the list's end.
 * fd need not belong to a usable KVM: the checklist is also for hosts where matrix_kvm_open fails.
 */
MATRIX_API bool matrix_kvm_capability(int fd, unsigned index,
                                      struct matrix_kvm_capability *capability);

#ifdef __cplusplus
}
#endif
#endif
