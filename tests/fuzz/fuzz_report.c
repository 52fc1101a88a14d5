// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for matrix-report: whatever comes in is refused or rendered; what is rendered
 * sends no commands to a terminal, and is sound JSON. Random bytes hardly ever pass report_check, so
 * each input is also given what it must have to pass.
 */
#include "cli/report.h"

#include "tests/fuzz/fuzz.h"
#include <jansson.h>

/* What a guest has a say in comes out escaped: colours are the only control sequences. */
static void check_text(const char *text, bool colour)
{
    for (const char *at = text; *at; at++)
        FUZZ_CHECK((unsigned char)*at >= ' ' || *at == '\n' || *at == '\t' ||
                       (colour && *at == '\033' && at[1] == '['),
                   "control character %#x at %zu: %s", (unsigned char)*at, (size_t)(at - text),
                   text);
    json_t *utf8 = json_string(text);
    FUZZ_CHECK(utf8, "not UTF-8: %s", text);
    json_decref(utf8);
}

static void check_json(const char *text, size_t bytes)
{
    json_error_t problem;
    json_t *object = json_loadb(text, bytes, 0, &problem);
    FUZZ_CHECK(json_is_object(object), "%s: %s", problem.text, text);
    FUZZ_CHECK(strchr(text, '\n') == text + bytes - 1, "not one line: %s", text);
    json_decref(object);
}

enum verdict { EITHER, PASSES, REFUSED };

static void render(const void *data, size_t size, enum verdict expected)
{
    struct matrix_report report;
    struct matrix_error *error = report_check(data, size, &report);
    if (error) {
        FUZZ_CHECK(expected != PASSES, "%s", error->message);
        fuzz_check_message(error);
        matrix_error_free(error);
        return;
    }
    FUZZ_CHECK(expected != REFUSED, "an unsound report passes");
    for (int form = 0; form < 3; form++) {
        char *text = NULL;
        size_t bytes = 0;
        FILE *file = open_memstream(&text, &bytes);
        if (form < 2)
            report_write_text(file, &report, form == 1);
        else
            FUZZ_NO_ERROR(report_write_json(file, &report));
        fclose(file);
        if (form < 2)
            check_text(text, form == 1);
        else
            check_json(text, bytes);
        free(text);
    }
}

/* Brings everything near to what report_check lets pass, or one beyond; returns whether it must. */
static bool mend(struct matrix_report *report)
{
    report->magic = MATRIX_REPORT_MAGIC;
    report->version = MATRIX_REPORT_VERSION;
    report->size = sizeof(*report);
    report->vector = report->vector % 512 / 2 - 1;
    report->access %= MATRIX_ACCESS_EXECUTE + 2;
    report->access_mapped %= 3;
    report->code_bytes %= MATRIX_REPORT_CODE + 2;
    report->stack_bytes %= MATRIX_REPORT_STACK + 2;
    report->frame_count %= MATRIX_REPORT_FRAMES + 2;
    report->guest[sizeof(report->guest) - 1] = '\0';
    report->reason[sizeof(report->reason) - 1] = '\0';
    report->explanation[sizeof(report->explanation) - 1] = '\0';
    report->access_place.symbol[MATRIX_REPORT_NAME - 1] = '\0';
    report->rip_place.symbol[MATRIX_REPORT_NAME - 1] = '\0';
    for (unsigned i = 0; i < MATRIX_REPORT_FRAMES; i++)
        report->frames[i].symbol[MATRIX_REPORT_NAME - 1] = '\0';
    return report->vector >= -1 && report->access <= MATRIX_ACCESS_EXECUTE &&
           report->access_mapped <= 1 && report->code_bytes <= MATRIX_REPORT_CODE &&
           report->stack_bytes <= MATRIX_REPORT_STACK &&
           report->frame_count <= MATRIX_REPORT_FRAMES;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    render(data, size, EITHER);

    struct matrix_report report = {0};
    memcpy(&report, data, size < sizeof(report) ? size : sizeof(report));
    const bool sound = mend(&report);
    render(&report, sizeof(report), sound ? PASSES : REFUSED);
    return 0;
}
