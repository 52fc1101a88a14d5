/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A sound fault report for the tests to render and to damage. */
#ifndef TESTS_CLI_REPORT_SAMPLE_H
#define TESTS_CLI_REPORT_SAMPLE_H

#include <matrix/report.h>
#include <string.h>

static inline struct matrix_report report_sample(void)
{
    struct matrix_report report = {
        .magic = MATRIX_REPORT_MAGIC,
        .version = MATRIX_REPORT_VERSION,
        .size = sizeof(report),
        .guest = "faulty",
        .vcpu = 1,
        .reason = "page fault",
        .explanation = "the program wrote to an address where nothing is mapped",
        .vector = 14,
        .exit_reason = 2,
        .error_code = 6,
        .access = MATRIX_ACCESS_WRITE,
        .access_place = {.address = 0x8},
        .rip_place = {.address = 0x401034, .offset = 0x14, .symbol = "break_things"},
        .rax = 0x8,
        .rsp = 0x7fffffffe000,
        .rbp = 0x7fffffffe020,
        .r15 = 0xfedcba9876543210,
        .rip = 0x401034,
        .rflags = 0x10246,
        .cr2 = 0x8,
        .cs = 0x2b,
        .ss = 0x23,
        .code_bytes = 15,
        .stack_bytes = 16,
        .frame_count = 2,
        .frames = {{.address = 0x401100, .offset = 0x20, .symbol = "main"}, {.address = 0x401000}},
    };
    /* mov dword ptr [rax], 0x2a; call 0x401050; an undefined byte; ret; the first half of a jmp */
    static const uint8_t code[] = {0xc7, 0x00, 0x2a, 0x00, 0x00, 0x00, 0xe8, 0x11,
                                   0x00, 0x00, 0x00, 0x06, 0xc3, 0xe9, 0x00};
    memcpy(report.code, code, sizeof(code));
    report.stack[0] = 0x11;
    report.stack[15] = 0xff;
    return report;
}

#endif
