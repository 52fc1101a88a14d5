/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What fuzz_hypercall puts at the start of its guest's heap, and guests/caller.c carries out. */
#ifndef TESTS_FUZZ_MAILBOX_H
#define TESTS_FUZZ_MAILBOX_H

#include <stdint.h>

#define MAILBOX_CALLS  64
#define MAILBOX_STATUS 77 /* the guest's exit status when all is done */

struct mailbox_registers {
    uint64_t rax, rdi, rsi, rdx, rcx, r8; /* rax: the result, afterwards */
};

struct mailbox {
    uint64_t count;
    uint64_t begun, done; /* calls, by the guest */
    uint64_t spoiled;     /* calls that changed another register than RAX */
    struct mailbox_registers calls[MAILBOX_CALLS];
};

#endif
