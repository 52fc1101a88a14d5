/* SPDX-License-Identifier: MIT */
/*
 * The contract between a guest program and the monitor: the address space at the start, the
 * start-of-day page, and the hypercalls. Both sides include this file. The manual for people
 * is docs/guest-abi.md.
 *
 * A guest is a static ELF64 program for x86-64. It runs in long mode at CPL 3. Its segments
 * are mapped where the image says; the rest is found through the start-of-day page, whose
 * address is in RDI at the entry point. RSP is 16-byte aligned minus 8, as after a call.
 *
 * A hypercall is `outb %al, $MATRIX_HYPERCALL_PORT` with
 *   RAX  the number (enum matrix_hypercall); the result afterwards
 *   RDI, RSI, RDX  the arguments
 * Every other register is preserved. A negative result is one of MATRIX_E*.
 */
#ifndef MATRIX_GUEST_ABI_H
#define MATRIX_GUEST_ABI_H

#define MATRIX_ABI_VERSION 1

/* The only port that a guest program may use; see the I/O bitmap in vmm/x86_64/system.c. */
#define MATRIX_HYPERCALL_PORT 0x4d

#define MATRIX_START_MAGIC 0x58495254414d /* "MATRIX", little endian */

/* Results below zero. The values are Linux's, so that they can be looked up. */
#define MATRIX_EIO    (-5)  /* the monitor could not read its input */
#define MATRIX_ENOMEM (-12) /* the monitor has no resources for it */
#define MATRIX_EFAULT (-14) /* an address is not mapped with the needed rights */
#define MATRIX_EINVAL (-22) /* an argument makes no sense */
#define MATRIX_ENOSYS (-38) /* no such hypercall */
#define MATRIX_E2BIG  (-7)  /* a string or buffer is longer than MATRIX_BUFFER_MAX */
#define MATRIX_EPERM  (-1)  /* the monitor was told not to allow it */

/* The longest string or buffer that one hypercall takes, in bytes. */
#define MATRIX_BUFFER_MAX 65536

#ifndef __ASSEMBLER__
#include <stdint.h>

/*
 * The start-of-day page: mapped read-only, filled by the monitor. Pointers are guest-virtual
 * addresses. Later versions only append; a guest checks magic and version.
 */
struct matrix_start {
    uint64_t magic;        /* MATRIX_START_MAGIC */
    uint32_t version;      /* MATRIX_ABI_VERSION of the monitor */
    uint32_t size;         /* of this structure, in bytes, as the monitor knows it */
    uint64_t features;     /* bits of enum matrix_feature */
    uint64_t memory_bytes; /* guest-physical memory */
    uint64_t heap;         /* memory that nothing else uses: read, write, no execute */
    uint64_t heap_bytes;
    uint64_t stack_top;
    uint64_t stack_bytes; /* below it lies a guard page */
    uint64_t work;        /* a writable uint64_t: the guest counts its work here, and whoever
                           * watches reads it without disturbing the guest */
    uint64_t name;        /* the guest's name, NUL-terminated */
    uint64_t argc;
    uint64_t argv; /* argc pointers to NUL-terminated strings, then a NULL */
    uint64_t envc;
    uint64_t envp; /* envc pointers to "NAME=value", then a NULL */
};

enum matrix_feature {
    MATRIX_FEATURE_READ = 1 << 0,           /* MATRIX_READ has an input behind it */
    MATRIX_FEATURE_VCPUS = 1 << 1,          /* MATRIX_VCPU_START may succeed */
    MATRIX_FEATURE_HOST_ADDRESSES = 1 << 2, /* MATRIX_GVA_TO_HVA tells */
};

enum matrix_hypercall {
    MATRIX_ABI = 0,            /* () -> version in bits 0-31, features in bits 32-62 */
    MATRIX_EXIT = 1,           /* (status): ends the guest; its exit status is status & 255 */
    MATRIX_YIELD = 2,          /* () -> 0: lets others run first */
    MATRIX_SLEEP = 3,          /* (ns) -> 0: at least ns nanoseconds */
    MATRIX_CLOCK = 4,          /* (enum matrix_clock) -> ns */
    MATRIX_PRINT_U8 = 5,       /* (value, base) -> 0: the low 8 bits in base 10 or 16 (0x…) */
    MATRIX_PRINT_U32 = 6,      /* (value, base) -> 0 */
    MATRIX_PRINT_U64 = 7,      /* (value, base) -> 0 */
    MATRIX_PRINT_CHAR = 8,     /* (character) -> 0 */
    MATRIX_PRINT_STRING = 9,   /* (gva) -> length: up to the NUL */
    MATRIX_WRITE = 10,         /* (gva, length) -> length */
    MATRIX_READ = 11,          /* (gva, length) -> bytes read, 0 at the end; waits for input */
    MATRIX_EXITS = 12,         /* () -> exits of this guest so far, this one included */
    MATRIX_EXITS_OF_KIND = 13, /* (enum matrix_exit_kind) -> exits of that kind */
    MATRIX_GVA_TO_HVA = 14,    /* (gva) -> the monitor's address of that byte (KVM_TRANSLATE) */
    MATRIX_GVA_TO_GPA = 15,    /* (gva) -> guest-physical address (KVM_TRANSLATE) */
    MATRIX_MEMORY_BYTES = 16,  /* () -> guest-physical memory, in bytes */
    MATRIX_VCPU_START = 17,    /* (entry, stack top, argument) -> index of the new vCPU;
                                 * it starts at entry with the argument in RDI */
    MATRIX_VCPU_STOP = 18,     /* (): ends the calling vCPU; the last one ends the guest with 0 */
    MATRIX_VCPU_INDEX = 19,    /* () -> index of the calling vCPU */
    MATRIX_HYPERCALL_COUNT,
};

enum matrix_clock {
    MATRIX_CLOCK_MONOTONIC = 0, /* since the guest was created */
    MATRIX_CLOCK_REALTIME = 1,  /* since 1970-01-01 00:00 UTC */
    MATRIX_CLOCK_CPU = 2,       /* CPU time of this guest so far */
};

/* Why a guest left KVM_RUN, as counted. New kinds are appended. */
enum matrix_exit_kind {
    MATRIX_EXIT_KIND_HYPERCALL = 0, /* port output of a hypercall */
    MATRIX_EXIT_KIND_INTERRUPTED,   /* a signal: the slice's end, or the host wants something */
    MATRIX_EXIT_KIND_FAULT,         /* an exception in the program */
    MATRIX_EXIT_KIND_MMIO,
    MATRIX_EXIT_KIND_SHUTDOWN,
    MATRIX_EXIT_KIND_OTHER,
    MATRIX_EXIT_KIND_COUNT,
};

#endif /* __ASSEMBLER__ */
#endif
