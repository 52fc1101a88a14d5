// SPDX-License-Identifier: GPL-2.0-or-later
/* The door of matrix-report: nothing behind it sees a report that is not sound. */
#include "base/error.h"
#include "cli/report.h"
#include <inttypes.h>
#include <string.h>

#define FIELD_BYTES(field) sizeof(((struct matrix_report *)NULL)->field)

/* Fields with a greatest value that makes sense; all are of type uint32_t. */
#define BOUNDED(field, maximum)                                \
    {                                                          \
#field, offsetof(struct matrix_report, field), maximum \
    }
static const struct {
    const char *name;
    size_t offset;
    uint32_t maximum;
} bounded_fields[] = {
    BOUNDED(access, MATRIX_ACCESS_EXECUTE),     BOUNDED(access_mapped, 1),
    BOUNDED(code_bytes, MATRIX_REPORT_CODE),    BOUNDED(stack_bytes, MATRIX_REPORT_STACK),
    BOUNDED(frame_count, MATRIX_REPORT_FRAMES),
};

/* Fields that must be NUL-terminated. */
#define STRING(field)                                                     \
    {                                                                     \
#field, offsetof(struct matrix_report, field), FIELD_BYTES(field) \
    }
static const struct {
    const char *name;
    size_t offset, bytes;
} string_fields[] = {
    STRING(guest),
    STRING(reason),
    STRING(explanation),
    STRING(access_place.symbol),
    STRING(rip_place.symbol),
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Magic first: "not a report" says more than "cut off", and another version may have another size. */
static struct matrix_error *check_header(const struct matrix_report *report, size_t size)
{
    const char *remedy = "install libmatrix and matrix-report of the same version";

    if (report->magic != MATRIX_REPORT_MAGIC)
        return error_usage("give it a struct matrix_report, as matrix_report_print does",
                           "not a fault report: it begins with 0x%016" PRIx64
                           ", a report with 0x%016" PRIx64,
                           report->magic, (uint64_t)MATRIX_REPORT_MAGIC);
    if (size >= offsetof(struct matrix_report, guest)) {
        if (report->version != MATRIX_REPORT_VERSION)
            return error_usage(remedy,
                               "the report has version %" PRIu32 ", this program reads version %d",
                               report->version, MATRIX_REPORT_VERSION);
        if (report->size != sizeof(*report))
            return error_usage(remedy,
                               "the report says that it has %" PRIu32 " bytes; version %d has %zu",
                               report->size, MATRIX_REPORT_VERSION, sizeof(*report));
    }
    if (size != sizeof(*report))
        return error_usage(NULL, "the report is %s: a report has %zu bytes",
                           size < sizeof(*report) ? "cut off" : "followed by something else",
                           sizeof(*report));
    return NULL;
}

static struct matrix_error *check_fields(const struct matrix_report *report)
{
    const char *base = (const char *)report;

    for (size_t i = 0; i < COUNT(bounded_fields); i++) {
        uint32_t value;
        memcpy(&value, base + bounded_fields[i].offset, sizeof(value));
        if (value > bounded_fields[i].maximum)
            return error_usage(
                NULL,
                "the report's %s, at offset %zu, is %" PRIu32 "; it may be %" PRIu32 " at most",
                bounded_fields[i].name, bounded_fields[i].offset, value, bounded_fields[i].maximum);
    }
    for (size_t i = 0; i < COUNT(string_fields); i++)
        if (!memchr(base + string_fields[i].offset, '\0', string_fields[i].bytes))
            return error_usage(NULL, "the report's %s, at offset %zu, is not terminated",
                               string_fields[i].name, string_fields[i].offset);
    for (uint32_t i = 0; i < report->frame_count; i++)
        if (!memchr(report->frames[i].symbol, '\0', sizeof(report->frames[i].symbol)))
            return error_usage(NULL,
                               "the symbol of the report's frame %" PRIu32 " is not terminated", i);
    if (report->vector < -1 || report->vector > 255)
        return error_usage(NULL, "the report's vector is %" PRId32 "; vectors go from 0 to 255",
                           report->vector);
    return NULL;
}

struct matrix_error *report_check(const void *data, size_t size, struct matrix_report *report)
{
    if (size == 0)
        return error_usage("give it a struct matrix_report, as matrix_report_print does",
                           "the report is empty");

    memset(report, 0, sizeof(*report));
    memcpy(report, data, size < sizeof(*report) ? size : sizeof(*report));
    RETURN_IF_ERROR(check_header(report, size));
    return check_fields(report);
}
