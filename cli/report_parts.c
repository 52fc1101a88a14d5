// SPDX-License-Identifier: GPL-2.0-or-later
/* What report_text.c and report_json.c have in common: names, registers, and disassembly. */
#include "cli/report.h"

#include <Zydis/Zydis.h>
#include <string.h>

const char *const report_access_names[] = {
    [MATRIX_ACCESS_NONE] = "none",
    [MATRIX_ACCESS_READ] = "read",
    [MATRIX_ACCESS_WRITE] = "write",
    [MATRIX_ACCESS_EXECUTE] = "execute",
};

#define REGISTER(field)                                         \
    {                                                           \
#field, offsetof(struct matrix_report, field),          \
            sizeof(((const struct matrix_report *)NULL)->field) \
    }
const struct report_register report_registers[REPORT_REGISTERS] = {
    REGISTER(rax), REGISTER(rbx), REGISTER(rcx),    REGISTER(rdx), REGISTER(rsi),
    REGISTER(rdi), REGISTER(rbp), REGISTER(rsp),    REGISTER(r8),  REGISTER(r9),
    REGISTER(r10), REGISTER(r11), REGISTER(r12),    REGISTER(r13), REGISTER(r14),
    REGISTER(r15), REGISTER(rip), REGISTER(rflags), REGISTER(cs),  REGISTER(ss),
    REGISTER(cr0), REGISTER(cr2), REGISTER(cr3),    REGISTER(cr4), REGISTER(efer),
};

uint64_t report_register_value(const struct matrix_report *report,
                               const struct report_register *reg)
{
    uint64_t value = 0; /* a shorter register fills the low bytes: x86 is little-endian */
    memcpy(&value, (const char *)report + reg->offset, reg->bytes);
    return value;
}

static bool format(const ZydisDecodedInstruction *decoded, const ZydisDecodedOperand *operands,
                   struct report_instruction *instruction)
{
    ZydisFormatter formatter;

    return ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)) &&
           ZYAN_SUCCESS(ZydisFormatterSetProperty(&formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE,
                                                  ZYAN_FALSE)) &&
           ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
               &formatter, decoded, operands, decoded->operand_count_visible, instruction->text,
               sizeof(instruction->text), instruction->address, ZYAN_NULL));
}

bool report_instruction_at(const struct matrix_report *report, unsigned offset,
                           struct report_instruction *instruction)
{
    if (offset >= report->code_bytes)
        return false;

    *instruction = (struct report_instruction){
        .address = report->rip + offset,
        .bytes = report->code + offset,
        .length = 1,
        .text = "(not an instruction)",
    };
    ZydisDecoder decoder;
    ZydisDecodedInstruction decoded;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    if (!ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)))
        return true;
    ZyanStatus status = ZydisDecoderDecodeFull(&decoder, instruction->bytes,
                                               report->code_bytes - offset, &decoded, operands);
    /* Cut off by the end of what was recorded, which says nothing; except at rip itself. */
    if (status == ZYDIS_STATUS_NO_MORE_DATA && offset > 0)
        return false;
    if (ZYAN_SUCCESS(status) && format(&decoded, operands, instruction))
        instruction->length = decoded.length;
    return true;
}
