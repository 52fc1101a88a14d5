// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for matrix-report: whatever comes in is refused or rendered. Random bytes hardly
 * ever pass report_check, so each input is also given what it must have to pass.
 */
#include "cli/report.h"
#include <matrix/error.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void render(const void *data, size_t size)
{
    static FILE *nowhere;
    if (!nowhere && !(nowhere = fopen("/dev/null", "we")))
        abort();

    struct matrix_report report;
    struct matrix_error *error = report_check(data, size, &report);
    if (!error) {
        report_write_text(nowhere, &report, size % 2);
        error = report_write_json(nowhere, &report);
    }
    matrix_error_free(error);
}

/* Keeps all but what report_check would refuse. */
static void mend(struct matrix_report *report)
{
    report->magic = MATRIX_REPORT_MAGIC;
    report->version = MATRIX_REPORT_VERSION;
    report->size = sizeof(*report);
    report->vector = report->vector & 0x1ff ? report->vector & 0xff : -1;
    report->access %= MATRIX_ACCESS_EXECUTE + 1;
    report->access_mapped %= 2;
    report->code_bytes %= MATRIX_REPORT_CODE + 1;
    report->stack_bytes %= MATRIX_REPORT_STACK + 1;
    report->frame_count %= MATRIX_REPORT_FRAMES + 1;
    report->guest[sizeof(report->guest) - 1] = '\0';
    report->reason[sizeof(report->reason) - 1] = '\0';
    report->explanation[sizeof(report->explanation) - 1] = '\0';
    report->access_place.symbol[MATRIX_REPORT_NAME - 1] = '\0';
    report->rip_place.symbol[MATRIX_REPORT_NAME - 1] = '\0';
    for (unsigned i = 0; i < MATRIX_REPORT_FRAMES; i++)
        report->frames[i].symbol[MATRIX_REPORT_NAME - 1] = '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    render(data, size);

    struct matrix_report report = {0};
    memcpy(&report, data, size < sizeof(report) ? size : sizeof(report));
    mend(&report);
    render(&report, sizeof(report));
    return 0;
}
