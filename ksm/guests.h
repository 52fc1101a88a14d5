/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests of `matrix run` and `matrix cloud`, found by asking those who run them (control/client.h).
 * Called by subject. */
#ifndef KSM_GUESTS_H
#define KSM_GUESTS_H

#include "control/client.h"
#include "ksm/subject.h"

/* Guests that were found, each with the process that runs it. */
struct ksm_guests {
    struct control_vm *vms; /* to be freed with free() */
    size_t count;
};

/* Every guest of this user; for root, of everybody. */
struct matrix_error *ksm_guests_all(struct ksm_guests *guests) MATRIX_MUST_CHECK;

/* Those that one process runs; mostly none. */
struct matrix_error *ksm_guests_of(pid_t pid, struct ksm_guests *guests) MATRIX_MUST_CHECK;

/* The one that NAME, PID:NAME or (with a slash) the path of a control socket stands for; of a socket
 * there may be several. */
struct matrix_error *ksm_guests_named(const char *text,
                                      struct ksm_guests *guests) MATRIX_MUST_CHECK;

/* "neo, morpheus and trinity"; what does not fit is counted: "neo and 11 more". */
void ksm_guests_names(const struct ksm_guests *guests, char *names, size_t bytes);

/* Asks where the memory of a guest is. start_time_ns is not filled. */
struct matrix_error *ksm_guest_subject(const struct control_vm *vm,
                                       struct ksm_subject *subject) MATRIX_MUST_CHECK;

#endif
