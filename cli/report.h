/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of matrix-report, which renders a fault report (matrix/report.h): check what came
 * in, then write it as text or as JSON. A guest has a say in every byte of a report.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <matrix/report.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Copies the report that stands in the first size bytes of data, if it is a sound one: all that
 * the other functions here rely on (counts, enumerations, terminated strings) is checked.
 */
MATRIX_MUST_CHECK struct matrix_error *report_check(const void *data, size_t size,
                                                    struct matrix_report *report);

/* For people. */
void report_write_text(FILE *file, const struct matrix_report *report, bool colour);

/* One JSON object on one line. */
MATRIX_MUST_CHECK struct matrix_error *report_write_json(FILE *file,
                                                         const struct matrix_report *report);

/* "read", "write", …; indexed by enum matrix_report_access. */
extern const char *const report_access_names[];

struct report_register {
    const char *name;
    size_t offset; /* of its value in struct matrix_report */
    unsigned bytes;
};

/* In the order in which people expect them. */
#define REPORT_REGISTERS 25
extern const struct report_register report_registers[REPORT_REGISTERS];

uint64_t report_register_value(const struct matrix_report *report,
                               const struct report_register *reg);

struct report_instruction {
    uint64_t address;
    const uint8_t *bytes; /* in the report */
    unsigned length;
    char text[96]; /* Intel syntax */
};

/*
 * Disassembles the instruction at offset in report->code. False at the end of the bytes, and
 * where the last instruction is cut off by it.
 */
bool report_instruction_at(const struct matrix_report *report, unsigned offset,
                           struct report_instruction *instruction);

#endif
