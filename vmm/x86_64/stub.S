/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ring-0 stub: position-independent code that vmm/x86_64/system.c copies into page 0 of
 * a guest's system area. Each of the 32 exceptions has an entry of 16 bytes that makes the
 * stack look alike, whether the processor pushed an error code or not (SDM vol. 3, table 6-1).
 */
#include "vmm/x86_64/stub.h"

        .section .rodata.stub, "a", @progbits
        .balign 16
        .global stub_start, stub_end
        .hidden stub_start, stub_end
stub_start:
        .set    vector, 0
        .rept   STUB_VECTORS
        .balign STUB_ENTRY_BYTES
        .if     !((STUB_ERROR_CODES >> vector) & 1)
        push    $0
        .endif
        push    $vector
        jmp     report
        .set    vector, vector + 1
        .endr

        .balign 16
report:
        /* The monitor ends the guest here. Registers are still the program's, but for RSP. */
        outb    %al, $STUB_EXCEPTION_PORT
1:      hlt
        jmp     1b
stub_end:

        .section .note.GNU-stack, "", @progbits
