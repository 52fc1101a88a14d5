// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program matrix-report: what it shows, and that nothing that comes in makes it crash.
 * Usage: test_report MATRIX-REPORT
 */
#include "tests/cli/program.h"
#include "tests/cli/report_sample.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* After those that it needs. */
#include <cmocka.h>

static char *renderer;
static struct program_result result;

static void render_bytes(const void *data, size_t size, char *option)
{
    program_run((char *const[]){renderer, option, NULL}, data, size, &result);
}

static void render(const struct matrix_report *report, char *option)
{
    render_bytes(report, sizeof(*report), option);
    assert_string_equal(result.errors, "");
    assert_int_equal(result.status, 0);
}

static void assert_shows(const char *text)
{
    if (!strstr(result.output, text))
        fail_msg("'%s' is missing in:\n%s", text, result.output);
}

static void text_shows_what_happened(void **state)
{
    struct matrix_report report = report_sample();
    render(&report, NULL);
    assert_shows("guest faulty, vCPU 1: page fault\n");
    assert_shows("  the program wrote to an address where nothing is mapped\n");
    assert_shows("  at      0x0000000000401034  break_things+0x14\n");
    assert_shows("  write   0x0000000000000008  (not mapped)\n");
    assert_shows("  vector  14, error code 0x6\n");
    assert_shows("  r15    fedcba9876543210");
    assert_shows("  cs     000000000000002b");
    assert_shows("  0x00007fffffffe008  ff00000000000000\n");
    assert_shows("  #1  0x0000000000401100  main+0x20\n");
    assert_shows("  #2  0x0000000000401000\n");
}

static void text_disassembles(void **state)
{
    struct matrix_report report = report_sample();
    render(&report, NULL);
    assert_shows("> 0x0000000000401034  c7 00 2a 00 00 00");
    assert_shows(" mov dword ptr [rax], 0x2a\n");
    assert_shows(" call 0x0000000000401050\n");
    assert_shows("(not an instruction)\n");
    assert_shows(" ret\n");
    assert_null(strstr(result.output, "jmp")); /* it is cut off */
    assert_null(strstr(result.output, "\033"));
}

static void text_tells_what_is_missing(void **state)
{
    struct matrix_report report = report_sample();
    report.code_bytes = report.stack_bytes = report.frame_count = 0;
    report.access = MATRIX_ACCESS_NONE;
    report.vector = -1;
    render(&report, NULL);
    assert_shows("nothing can be read at 0x0000000000401034");
    assert_shows("nothing can be read at 0x00007fffffffe000");
    assert_null(strstr(result.output, "vector"));
    assert_null(strstr(result.output, "mapped)"));
}

static void text_escapes_control_characters(void **state)
{
    struct matrix_report report = report_sample();
    strcpy(report.guest, "\033[2Jü\xc2\x9b\xff\n");
    strcpy(report.frames[0].symbol, "\007main");
    render(&report, NULL);
    assert_shows("guest \\x1b[2Jü\\xc2\\x9b\\xff\\x0a, vCPU 1");
    assert_shows("\\x07main+0x20");
}

static void assert_json(json_t *root, const char *path, const char *expected)
{
    json_t *value = root;
    char copy[128];
    snprintf(copy, sizeof(copy), "%s", path);
    for (char *rest = NULL, *key = strtok_r(copy, ".", &rest); key;
         key = strtok_r(NULL, ".", &rest))
        value = json_is_array(value) ? json_array_get(value, (size_t)atoi(key))
                                     : json_object_get(value, key);
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (!text || strcmp(text, expected) != 0)
        fail_msg("%s is %s, not %s", path, text ? text : "missing", expected);
    free(text);
}

static json_t *render_json(const struct matrix_report *report)
{
    json_error_t error;
    render(report, "--json");
    json_t *root = json_loads(result.output, 0, &error);
    if (!root)
        fail_msg("%s in %s", error.text, result.output);
    return root;
}

static void json_has_its_fields(void **state)
{
    static const struct {
        const char *path, *value;
    } fields[] = {
        {"version", "1"},
        {"guest", "\"faulty\""},
        {"vcpu", "1"},
        {"reason", "\"page fault\""},
        {"explanation", "\"the program wrote to an address where nothing is mapped\""},
        {"vector", "14"},
        {"error_code", "\"0x6\""},
        {"rip.address", "\"0x401034\""},
        {"rip.symbol", "\"break_things\""},
        {"rip.offset", "\"0x14\""},
        {"access.kind", "\"write\""},
        {"access.address", "\"0x8\""},
        {"access.symbol", "null"},
        {"access.mapped", "false"},
        {"registers.r15", "\"0xfedcba9876543210\""},
        {"registers.ss", "\"0x23\""},
        {"code.0.address", "\"0x401034\""},
        {"code.0.bytes", "\"c7002a000000\""},
        {"code.0.text", "\"mov dword ptr [rax], 0x2a\""},
        {"stack.1.value", "\"0xff00000000000000\""},
        {"stack_trace.0.symbol", "\"main\""},
        {"stack_trace.1.symbol", "null"},
    };
    struct matrix_report report = report_sample();
    json_t *root = render_json(&report);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        assert_json(root, fields[i].path, fields[i].value);
    json_decref(root);
}

static void json_survives_hostile_strings(void **state)
{
    struct matrix_report report = report_sample();
    strcpy(report.guest, "\"\\\n\xff");
    memset(report.rip_place.symbol, 0x80, sizeof(report.rip_place.symbol) - 1);
    report.vector = -1;
    report.access = MATRIX_ACCESS_NONE;
    json_t *root = render_json(&report);
    assert_json(root, "guest", "\"\\\"\\\\\\\\x0a\\\\xff\"");
    assert_json(root, "vector", "null");
    assert_json(root, "access", "null");
    json_decref(root);
}

static void assert_refused(const void *data, size_t size, const char *why)
{
    render_bytes(data, size, NULL);
    assert_int_equal(result.status, 1);
    assert_string_equal(result.output, "");
    if (!strstr(result.errors, why))
        fail_msg("'%s' is missing in: %s", why, result.errors);
}

/* Each overwrites some bytes of a sound report. */
static void damaged_reports_are_refused(void **state)
{
#define AT(field) offsetof(struct matrix_report, field)
    static const struct {
        size_t offset, bytes;
        int value;
        const char *why;
    } damages[] = {
        {AT(magic), 1, 0, "not a fault report"},
        {AT(version), 1, 9, "version 9"},
        {AT(size), 4, 0xff, "4294967295 bytes"},
        {AT(guest), 64, 'x', "guest"},
        {AT(reason), 64, 'x', "reason"},
        {AT(explanation), 160, 'x', "explanation"},
        {AT(access_place.symbol), 64, 'x', "access_place.symbol"},
        {AT(rip_place.symbol), 64, 'x', "rip_place.symbol"},
        {AT(frames[1].symbol), 64, 'x', "frame 1"},
        {AT(access), 1, 4, "access"},
        {AT(access_mapped), 1, 2, "access_mapped"},
        {AT(code_bytes), 1, 65, "code_bytes"},
        {AT(stack_bytes), 4, 0xff, "stack_bytes"},
        {AT(frame_count), 1, 33, "frame_count"},
        {AT(vector), 2, 0xff, "vector"},
        {AT(vector), 1, 0, NULL}, /* this one is sound */
    };
    for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        struct matrix_report report = report_sample();
        memset((char *)&report + damages[i].offset, damages[i].value, damages[i].bytes);
        if (damages[i].why)
            assert_refused(&report, sizeof(report), damages[i].why);
        else
            render(&report, NULL);
    }
}

static void short_and_long_reports_are_refused(void **state)
{
    struct {
        struct matrix_report report;
        char more[100000];
    } input = {.report = report_sample()};

    assert_refused("", 0, "empty");
    assert_refused(&input, 6, "not a fault report");
    assert_refused(&input, 7, "cut off");
    for (size_t size = 16; size < sizeof(input.report); size += 61)
        assert_refused(&input, size, "cut off");
    assert_refused(&input, sizeof(input.report) - 1, "cut off");
    assert_refused(&input, sizeof(input.report) + 1, "followed by something else");
    assert_refused(&input, sizeof(input), "followed by something else");
}

static void bad_usage_has_its_status(void **state)
{
    render_bytes("", 0, "--no-such-option");
    assert_int_equal(result.status, 122);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_shows_what_happened),
        cmocka_unit_test(text_disassembles),
        cmocka_unit_test(text_tells_what_is_missing),
        cmocka_unit_test(text_escapes_control_characters),
        cmocka_unit_test(json_has_its_fields),
        cmocka_unit_test(json_survives_hostile_strings),
        cmocka_unit_test(damaged_reports_are_refused),
        cmocka_unit_test(short_and_long_reports_are_refused),
        cmocka_unit_test(bad_usage_has_its_status),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s MATRIX-REPORT\n", argv[0]);
        return 2;
    }
    renderer = argv[1];
    return cmocka_run_group_tests_name("matrix-report", tests, NULL, NULL);
}
