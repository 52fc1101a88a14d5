// SPDX-License-Identifier: GPL-2.0-or-later
/* The fault report of a host where matrix-report is missing: see report_short.h. */
#include "vmm/report_short.h"

#include "base/cleanup.h"
#include "base/error.h"
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define REGISTERS_IN_A_ROW 3
#define READER_TIMEOUT_MS  1000

#define REGISTER(field)                               \
    {                                                 \
#field, offsetof(struct matrix_report, field) \
    }
static const struct {
    const char *name;
    size_t offset;
} registers[] = {
    REGISTER(rax), REGISTER(rbx), REGISTER(rcx), REGISTER(rdx), REGISTER(rsi), REGISTER(rdi),
    REGISTER(rbp), REGISTER(rsp), REGISTER(r8),  REGISTER(r9),  REGISTER(r10), REGISTER(r11),
    REGISTER(r12), REGISTER(r13), REGISTER(r14), REGISTER(r15), REGISTER(rip), REGISTER(rflags),
    REGISTER(cr0), REGISTER(cr2), REGISTER(cr3), REGISTER(cr4),
};
#define REGISTER_COUNT (sizeof(registers) / sizeof(registers[0]))

static uint64_t register_value(const struct matrix_report *report, size_t index)
{
    uint64_t value;
    memcpy(&value, (const char *)report + registers[index].offset, sizeof(value));
    return value;
}

/* A name that a guest may have chosen: ASCII stays, the rest becomes "?", for JSON's sake, too. */
static void print_name(FILE *file, const char *name, size_t size)
{
    for (size_t i = 0; i < size && name[i]; i++) {
        bool plain = name[i] >= ' ' && name[i] < 0x7f && name[i] != '"' && name[i] != '\\';
        fputc(plain ? name[i] : '?', file);
    }
}
#define PRINT_NAME(file, array) print_name(file, array, sizeof(array))

static void write_text(FILE *file, const struct matrix_report *report)
{
    fputs("guest ", file);
    PRINT_NAME(file, report->guest);
    fprintf(file, ", vCPU %" PRIu32 ": ", report->vcpu);
    PRINT_NAME(file, report->reason);
    fputs("\n  ", file);
    PRINT_NAME(file, report->explanation);
    fprintf(file, "\n  at 0x%016" PRIx64 "  ", report->rip);
    PRINT_NAME(file, report->rip_place.symbol);
    if (report->rip_place.symbol[0])
        fprintf(file, "+0x%" PRIx64, report->rip_place.offset);
    fputc('\n', file);

    for (size_t i = 0; i < REGISTER_COUNT; i++)
        fprintf(file, "  %-6s %016" PRIx64 "%s", registers[i].name, register_value(report, i),
                (i + 1) % REGISTERS_IN_A_ROW == 0 ? "\n" : "");
    fputs("\n  code  ", file);
    for (uint32_t i = 0; i < report->code_bytes && i < sizeof(report->code); i++)
        fprintf(file, " %02x", report->code[i]);
    fputs("\n  (no disassembly: the program matrix-report was not found)\n", file);
}

static void write_json(FILE *file, const struct matrix_report *report)
{
    fputs("{\"version\":1,\"guest\":\"", file);
    PRINT_NAME(file, report->guest);
    fprintf(file, "\",\"vcpu\":%" PRIu32 ",\"reason\":\"", report->vcpu);
    PRINT_NAME(file, report->reason);
    fputs("\",\"explanation\":\"", file);
    PRINT_NAME(file, report->explanation);
    fprintf(file, "\",\"rip\":{\"address\":\"0x%" PRIx64 "\",\"symbol\":", report->rip);
    if (report->rip_place.symbol[0]) {
        fputc('"', file);
        PRINT_NAME(file, report->rip_place.symbol);
        fprintf(file, "\",\"offset\":\"0x%" PRIx64 "\"", report->rip_place.offset);
    } else {
        fputs("null,\"offset\":null", file);
    }
    fputs("},\"registers\":{", file);
    for (size_t i = 0; i < REGISTER_COUNT; i++)
        fprintf(file, "%s\"%s\":\"0x%" PRIx64 "\"", i ? "," : "", registers[i].name,
                register_value(report, i));
    fputs("}}\n", file);
}

struct matrix_error *report_short_write(const struct matrix_report *report, int fd, bool json)
{
    CLEANUP_FREE char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file)
        return error_host(errno, "write a fault report");
    (json ? write_json : write_text)(file, report);
    if (fclose(file) != 0)
        return error_host(errno, "write a fault report");

    /* Less than PIPE_BUF: what polls writable takes it at once, and a core's thread does not hang
     * on a reader that sleeps. */
    struct pollfd ready = {.fd = fd, .events = POLLOUT};
    if (poll(&ready, 1, READER_TIMEOUT_MS) == 0)
        return error_host(EAGAIN, "write a fault report to file descriptor %d", fd);
    ssize_t written = write(fd, text, size);
    return written == (ssize_t)size ? NULL
                                    : error_host(written < 0 ? errno : EIO,
                                                 "write a fault report to file descriptor %d", fd);
}
