// SPDX-License-Identifier: GPL-2.0-or-later
/* The guest of fuzz_hypercall: makes the hypercalls that the fuzzer has put into its heap. */
#include "tests/fuzz/mailbox.h"

#include <matrix/guest/sdk.h>

static void call(volatile struct mailbox *mailbox, volatile struct mailbox_registers *registers)
{
    uint64_t rax = registers->rax, rdi = registers->rdi, rsi = registers->rsi;
    uint64_t rdx = registers->rdx, rcx = registers->rcx;
    register uint64_t r8 __asm__("r8") = registers->r8;

    mailbox->begun++;
    __asm__ volatile("outb %%al, %[port]"
                     : "+a"(rax), "+D"(rdi), "+S"(rsi), "+d"(rdx), "+c"(rcx), "+r"(r8)
                     : [port] "i"(MATRIX_HYPERCALL_PORT)
                     : "memory");
    mailbox->done++;
    registers->rax = rax;
    if (rdi != registers->rdi || rsi != registers->rsi || rdx != registers->rdx ||
        rcx != registers->rcx || r8 != registers->r8)
        mailbox->spoiled++;
}

int main(int argc, char **argv, char **envp)
{
    volatile struct mailbox *mailbox = (volatile struct mailbox *)matrix_start()->heap;

    for (uint64_t i = 0; i < mailbox->count && i < MAILBOX_CALLS; i++)
        call(mailbox, &mailbox->calls[i]);
    return MAILBOX_STATUS;
}
