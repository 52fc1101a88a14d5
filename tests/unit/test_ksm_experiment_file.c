// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of experiments: what is read, and that each mistake is refused where it stands. */
#include "ksm/experiment_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define S UINT64_C(1000000000)

static const char whole[] =
    "name: two\n"
    "knobs: {run: 1, pages_to_scan: 500, use_zero_pages: 0}\n"
    "record: {interval: 500ms, curve: vms}\n"
    "lab: {memory: 4G, timeout: 20min}\n"
    "steps:\n"
    "  - start: {name: neo, guest: memory, memory: 64M, args: [\"32\", seed, \"7\", --hold]}\n"
    "  - wait: {says: MiB, name: neo, ceiling: 1min}\n"
    "  - mark: one is there\n"
    "  - start: {name: b, command: [sh, -c, cat], merge: all}\n"
    "  - wait: {flat: 10s, slope: 5, window: 4s, scans: 3, ceiling: 2min}\n"
    "  - wait: {for: 3s}\n"
    "  - tell: {name: b, text: go on}\n"
    "  - run: {command: [\"true\"], timeout: 5s}\n"
    "  - set: {advisor_mode: scan-time}\n"
    "  - expect: {what: merging_pages, of: neo, exactly: 100}\n"
    "  - expect: {what: shared_pages, of: neo, with: b, at_most: 9}\n"
    "  - stop: neo\n";

static void test_whole(void **state)
{
    struct experiment_file file;
    struct matrix_error *error = experiment_file_parse(whole, strlen(whole), "f", &file);
    if (error)
        fail_msg("%s", error->message);
    assert_int_equal(file.step_count, 12);
    assert_string_equal(file.knobs.text[KSM_KNOB_PAGES_TO_SCAN], "500");
    assert_string_equal(file.knobs.text[KSM_KNOB_SLEEP_MILLISECS], "");
    assert_int_equal(file.interval_ns, S / 2);
    assert_int_equal(file.curve, CURVE_VMS);
    assert_int_equal(file.lab_memory_bytes, UINT64_C(4) << 30);
    const struct experiment_step *s = file.steps;
    assert_true(s[0].start.is_guest);
    assert_int_equal(s[0].start.memory_bytes, 64 << 20);
    assert_string_equal(s[0].start.argv[0], "memory");
    assert_string_equal(s[0].start.argv[4], "--hold");
    assert_null(s[0].start.argv[5]);
    assert_int_equal(s[1].wait.kind, WAIT_SAYS);
    assert_true(s[3].start.merge_all);
    assert_int_equal(s[4].wait.flat.window_ns, 4 * S);
    assert_int_equal(s[4].wait.flat.scans, 3);
    assert_int_equal(s[4].wait.ceiling_ns, 120 * S);
    assert_int_equal(s[5].wait.for_ns, 3 * S);
    assert_string_equal(s[7].command[0], "true");
    assert_string_equal(s[8].knobs.text[KSM_KNOB_ADVISOR_MODE], "scan-time");
    assert_int_equal(s[9].expect.minimum, 100);
    assert_int_equal(s[9].expect.maximum, 100);
    assert_int_equal(s[10].expect.minimum, 0);
    assert_int_equal(s[10].expect.maximum, 9);
    assert_string_equal(file.text, whole);
    experiment_file_free(&file);
}

/* Steps behind the head, and what is said of them. */
static void test_mistakes(void **state)
{
    static const struct {
        const char *steps, *part;
    } bad[] = {
        {"", "steps"},
        {"  - {}\n", "nothing to do"},
        {"  - mark: a\n    stop: b\n", "more than one"},
        {"  - mark: \"\"\n", "empty"},
        {"  - dance: now\n", "Invalid key"},
        {"  - stop: neo\n", "no VM called neo"},
        {"  - start: {name: neo}\n", "a guest or a command"},
        {"  - start: {name: neo, guest: hello, command: [a]}\n", "not both"},
        {"  - start: {name: \"../neo\", guest: hello}\n", "must not have"},
        {"  - start: {name: .neo, guest: hello}\n", "letter or a digit"},
        {"  - start: {name: neo, guest: --help}\n", "no guest"},
        {"  - start: {name: neo, guest: hello, memory: 5000}\n", "memory"},
        {"  - start: {name: neo, guest: hello, memory: much}\n", "not a size"},
        {"  - start: {name: neo, guest: hello, merge: all}\n", "merge"},
        {"  - start: {name: neo, command: [a], memory: 2M}\n", "memory is for guests"},
        {"  - start: {name: neo, command: [\"\"]}\n", "empty"},
        {"  - start: {name: neo, command: []}\n", "command"},
        {"  - start: {name: neo, command: [a], merge: some}\n", "no such value"},
        {"  - start: {name: neo, guest: a}\n  - start: {name: neo, guest: a}\n", "runs already"},
        {"  - start: {name: a, guest: a}\n  - stop: a\n  - tell: {name: a, text: x}\n",
         "step 3: tell: no VM called a"},
        {"  - wait: {}\n", "one thing to wait for"},
        {"  - wait: {for: 1s, flat: 1s}\n", "one thing to wait for"},
        {"  - wait: {for: 1}\n", "no unit"},
        {"  - wait: {for: 0s}\n", "out of range"},
        {"  - wait: {for: 30000h}\n", "out of range"},
        {"  - wait: {flat: 1s, slope: -1}\n", "slope"},
        {"  - wait: {says: a}\n", "who says what"},
        {"  - wait: {says: a, name: neo}\n", "no VM called neo"},
        {"  - run: {}\n", "command"},
        {"  - set: {run: 3}\n", "out of range"},
        {"  - set: {speed: 3}\n", "Invalid key"},
        {"  - set: {advisor_mode: scan-time, pages_to_scan: 5}\n", "the advisor sets it"},
        {"  - expect: {what: frames}\n", "how much"},
        {"  - expect: {what: frames, exactly: 1, at_least: 1}\n", "how much"},
        {"  - expect: {what: frames, at_least: 2, at_most: 1}\n", "more than at_most"},
        {"  - expect: {what: frames, of: neo, exactly: 1}\n", "of whom"},
        {"  - expect: {what: merging_pages, exactly: 1}\n", "of whom"},
        {"  - expect: {what: luck, exactly: 1}\n", "nothing is called luck"},
        {"  - expect: {what: merging_pages, of: neo, exactly: 1}\n", "no VM called neo"},
        {"  - expect: {what: frames, exactly: 9223372036854775808}\n", "out of range"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[512];
        struct experiment_file file;
        snprintf(text, sizeof(text), "steps:\n%s", bad[i].steps);
        struct matrix_error *error = experiment_file_parse(text, strlen(text), "the-file", &file);
        if (!error)
            fail_msg("was read: %s", bad[i].steps);
        assert_int_equal(error->kind, MATRIX_ERROR_USAGE);
        assert_non_null(strstr(error->message, "the-file"));
        if (!strstr(error->message, bad[i].part) &&
            !(error->remedy && strstr(error->remedy, bad[i].part)))
            fail_msg("no '%s' in '%s'", bad[i].part, error->message);
        matrix_error_free(error);
    }
}

static void test_head(void **state)
{
    static const struct {
        const char *text, *part;
    } bad[] = {
        {"record: {interval: 1ms}\n", "out of range"},
        {"record: {curve: tea}\n", "no such curve"},
        {"lab: {memory: some}\n", "lab: memory"},
        {"knobs: {run: maybe}\n", "knobs: run"},
        {"teapot: 1\n", "Invalid key"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[256];
        struct experiment_file file;
        snprintf(text, sizeof(text), "%ssteps:\n  - mark: a\n", bad[i].text);
        struct matrix_error *error = experiment_file_parse(text, strlen(text), "f", &file);
        assert_non_null(error);
        if (!strstr(error->message, bad[i].part))
            fail_msg("no '%s' in '%s'", bad[i].part, error->message);
        matrix_error_free(error);
    }
}

/* A file that is cut off is refused or a smaller one: never more. */
static void test_cut(void **state)
{
    for (size_t length = 0; length < strlen(whole); length++) {
        struct experiment_file file;
        struct matrix_error *error = experiment_file_parse(whole, length, "f", &file);
        if (error)
            matrix_error_free(error);
        else
            assert_true(file.step_count <= 12);
        experiment_file_free(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
