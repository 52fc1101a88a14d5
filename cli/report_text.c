// SPDX-License-Identifier: GPL-2.0-or-later
/* A fault report for people, at most 80 columns wide. */
#include "cli/common.h"
#include "cli/report.h"
#include <inttypes.h>
#include <string.h>

#define INSTRUCTIONS_SHOWN 8
#define REGISTERS_IN_A_ROW 3
#define BYTES_COLUMN       31 /* ten bytes; few instructions have more */

#define BOLD  "\033[1m"
#define RED   "\033[1;31m"
#define PLAIN "\033[0m"

struct page {
    FILE *file;
    bool colour;
};

static const char *colour(const struct page *page, const char *sequence)
{
    return page->colour ? sequence : "";
}

static void heading(const struct page *page, const char *text)
{
    fprintf(page->file, "\n%s%s%s\n", colour(page, BOLD), text, colour(page, PLAIN));
}

static void write_place(const struct page *page, const struct matrix_report_place *place)
{
    fprintf(page->file, "0x%016" PRIx64, place->address);
    if (!place->symbol[0])
        return;
    fputs("  ", page->file);
    cli_print_escaped(page->file, place->symbol);
    if (place->offset)
        fprintf(page->file, "+0x%" PRIx64, place->offset);
}

static void write_headline(const struct page *page, const struct matrix_report *report)
{
    fputs(colour(page, RED), page->file);
    fputs("guest ", page->file);
    cli_print_escaped(page->file, report->guest);
    fprintf(page->file, ", vCPU %" PRIu32 ": ", report->vcpu);
    cli_print_escaped(page->file, report->reason);
    fprintf(page->file, "%s\n", colour(page, PLAIN));
    if (report->explanation[0]) {
        fputs("  ", page->file);
        cli_print_escaped(page->file, report->explanation);
        fputc('\n', page->file);
    }

    fputs("\n  at      ", page->file);
    write_place(page, &report->rip_place);
    if (report->access != MATRIX_ACCESS_NONE) {
        fprintf(page->file, "\n  %-7s ", report_access_names[report->access]);
        write_place(page, &report->access_place);
        fputs(report->access_mapped ? "  (mapped, but not for that)" : "  (not mapped)",
              page->file);
    }
    if (report->vector >= 0)
        fprintf(page->file, "\n  vector  %" PRId32 ", error code 0x%" PRIx64, report->vector,
                report->error_code);
    fputc('\n', page->file);
}

static void write_registers(const struct page *page, const struct matrix_report *report)
{
    heading(page, "registers");
    for (unsigned i = 0; i < REPORT_REGISTERS; i++) {
        bool ends_row = (i + 1) % REGISTERS_IN_A_ROW == 0 || i + 1 == REPORT_REGISTERS;
        fprintf(page->file, "  %-6s %016" PRIx64 "%s", report_registers[i].name,
                report_register_value(report, &report_registers[i]), ends_row ? "\n" : "");
    }
}

static void write_code(const struct page *page, const struct matrix_report *report)
{
    heading(page, "code");
    if (report->code_bytes == 0)
        fprintf(page->file, "  nothing can be read at 0x%016" PRIx64 "\n", report->rip);

    struct report_instruction instruction;
    unsigned offset = 0;
    for (unsigned i = 0;
         i < INSTRUCTIONS_SHOWN && report_instruction_at(report, offset, &instruction); i++) {
        bool at_rip = offset == 0;
        fprintf(page->file, "%s%s 0x%016" PRIx64 " ", colour(page, at_rip ? BOLD : ""),
                at_rip ? ">" : " ", instruction.address);
        for (unsigned byte = 0; byte < instruction.length; byte++)
            fprintf(page->file, " %02x", instruction.bytes[byte]);
        int padding = BYTES_COLUMN - 3 * (int)instruction.length;
        fprintf(page->file, "%*s%s%s\n", padding > 2 ? padding : 2, "", instruction.text,
                colour(page, at_rip ? PLAIN : ""));
        offset += instruction.length;
    }
}

static void write_stack(const struct page *page, const struct matrix_report *report)
{
    heading(page, "stack");
    if (report->stack_bytes < sizeof(uint64_t))
        fprintf(page->file, "  nothing can be read at 0x%016" PRIx64 "\n", report->rsp);
    for (unsigned offset = 0; offset + sizeof(uint64_t) <= report->stack_bytes;
         offset += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, report->stack + offset, sizeof(word));
        fprintf(page->file, "  0x%016" PRIx64 "  %016" PRIx64 "\n", report->rsp + offset, word);
    }
}

static void write_trace(const struct page *page, const struct matrix_report *report)
{
    heading(page, "called from");
    if (report->frame_count == 0)
        fputs("  nowhere that the frame pointers tell\n", page->file);
    for (uint32_t i = 0; i < report->frame_count; i++) {
        fprintf(page->file, "  #%-2" PRIu32 " ", i + 1);
        write_place(page, &report->frames[i]);
        fputc('\n', page->file);
    }
}

void report_write_text(FILE *file, const struct matrix_report *report, bool use_colour)
{
    const struct page page = {.file = file, .colour = use_colour};

    write_headline(&page, report);
    write_registers(&page, report);
    write_code(&page, report);
    write_stack(&page, report);
    write_trace(&page, report);
}
