/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What stub.S and system.c must agree on; no C here, the assembler reads it too. */
#ifndef VMM_X86_64_STUB_H
#define VMM_X86_64_STUB_H

#define STUB_VECTORS        32
#define STUB_ENTRY_BYTES    16
#define STUB_EXCEPTION_PORT 0x4e

/* Vectors for which the processor pushes an error code: #DF, #TS, #NP, #SS, #GP, #PF, #AC, #CP,
 * #VC, #SX. */
#define STUB_ERROR_CODES 0x60227d00

#endif
