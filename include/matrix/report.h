/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Why a guest was ended: plain data with no pointers, so that it can be handed to another
 * process. It is rendered by the program matrix-report, which alone knows about disassembly
 * and JSON: those who run guests stay small, and a guest's bytes are decoded away from its
 * neighbours.
 */
#ifndef MATRIX_REPORT_H
#define MATRIX_REPORT_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MATRIX_REPORT_MAGIC   0x7472706572786d /* "mxreprt" */
#define MATRIX_REPORT_VERSION 1
#define MATRIX_REPORT_FRAMES  32 /* depth of the stack trace */
#define MATRIX_REPORT_CODE    64 /* bytes of code, from rip on */
#define MATRIX_REPORT_STACK   64 /* bytes of stack, from rsp on */
#define MATRIX_REPORT_NAME    64

/* An address and the symbol that it lies in; symbol is empty if there is none. */
struct matrix_report_place {
    uint64_t address;
    uint64_t offset;
    char symbol[MATRIX_REPORT_NAME];
};

enum matrix_report_access {
    MATRIX_ACCESS_NONE,
    MATRIX_ACCESS_READ,
    MATRIX_ACCESS_WRITE,
    MATRIX_ACCESS_EXECUTE,
};

struct matrix_report {
    uint64_t magic;
    uint32_t version;
    uint32_t size;
    char guest[MATRIX_REPORT_NAME];
    uint32_t vcpu;
    char reason[MATRIX_REPORT_NAME]; /* "page fault", "KVM_EXIT_SHUTDOWN" */
    char explanation[160];           /* one line for a person */
    int32_t vector;                  /* of the exception; -1: it was none */
    uint32_t exit_reason;            /* KVM_EXIT_* */
    uint64_t error_code;             /* of the exception */
    uint32_t access;                 /* enum matrix_report_access */
    uint32_t access_mapped;          /* the address is mapped, but not for that access */
    struct matrix_report_place access_place;
    struct matrix_report_place rip_place;
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rsp, rbp;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags, cr0, cr2, cr3, cr4, efer;
    uint16_t cs, ss;
    uint32_t code_bytes, stack_bytes, frame_count;
    uint8_t code[MATRIX_REPORT_CODE];
    uint8_t stack[MATRIX_REPORT_STACK];
    struct matrix_report_place frames[MATRIX_REPORT_FRAMES]; /* callers, innermost first */
};

/*
 * Renders a report on fd by starting the program matrix-report, and does not wait for it.
 * The program is looked for beside the running program, then where Matrix was installed;
 * where it is missing, a short form without disassembly is written instead.
 *
 * json: one JSON object instead of text for people.
 * pid: the process that renders, to be waited for by the caller; 0 if none was started.
 */
MATRIX_API MATRIX_MUST_CHECK struct matrix_error *
matrix_report_print(const struct matrix_report *report, int fd, bool json, pid_t *pid);

#ifdef __cplusplus
}
#endif
#endif
