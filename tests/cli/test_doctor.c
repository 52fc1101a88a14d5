// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The program matrix-doctor: whatever the host is like, its checklist is sound and agrees with its
 * exit status; and what is wrong with a KVM device is told apart.
 * Usage: test_doctor MATRIX-DOCTOR
 */
#include "tests/cli/program.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* After those that it needs. */
#include <cmocka.h>

static char *doctor;
static struct program_result result;

static json_t *parse_checklist(void)
{
    json_error_t error;
    json_t *root = json_loads(result.output, 0, &error);
    if (!root)
        fail_msg("%s in %s%s", error.text, result.output, result.errors);
    assert_int_equal(json_integer_value(json_object_get(root, "version")), 1);
    return root;
}

static json_t *examine(const char *path)
{
    program_run((char *const[]){doctor, (char *)"--json", (char *)"--kvm", (char *)path, NULL}, "",
                0, &result);
    return parse_checklist();
}

static const char *field(const json_t *check, const char *name)
{
    const char *text = json_string_value(json_object_get(check, name));
    return text ? text : "";
}

static const json_t *find_check(const json_t *root, const char *name)
{
    size_t index;
    const json_t *check;
    json_array_foreach(json_object_get(root, "checks"), index,
                       check) if (strcmp(field(check, "name"), name) == 0) return check;
    fail_msg("no check is called %s", name);
    return NULL;
}

static void assert_missing(const json_t *root, const char *name, const char *found)
{
    const json_t *check = find_check(root, name);
    assert_string_equal(field(check, "status"), "missing");
    assert_true(json_is_true(json_object_get(check, "required")));
    if (!strstr(field(check, "found"), found))
        fail_msg("'%s' is missing in: %s", found, field(check, "found"));
}

static void assert_unusable(const json_t *root)
{
    assert_int_equal(result.status, 1);
    assert_true(json_is_false(json_object_get(root, "usable")));
}

static void checklist_agrees_with_status(void **state)
{
    json_t *root = examine("/dev/kvm");
    size_t index, missing = 0;
    const json_t *check;
    json_array_foreach(json_object_get(root, "checks"), index, check)
    {
        const char *status = field(check, "status");
        assert_true(strcmp(status, "ok") == 0 || strcmp(status, "warning") == 0 ||
                    strcmp(status, "missing") == 0);
        assert_true(field(check, "name")[0] && field(check, "found")[0]);
        missing +=
            json_is_true(json_object_get(check, "required")) && strcmp(status, "missing") == 0;
    }
    assert_true(index > 15);
    assert_int_equal(json_is_true(json_object_get(root, "usable")), missing == 0);
    assert_int_equal(result.status, missing == 0 ? 0 : 1);
    if (access("/dev/kvm", R_OK | W_OK) == 0)
        assert_string_equal(field(find_check(root, "KVM API version"), "found"), "12");
    json_decref(root);
}

static void absent_device_is_told(void **state)
{
    json_t *root = examine("/nonexistent/kvm");
    assert_unusable(root);
    assert_missing(root, "KVM device",
                   "/nonexistent/kvm cannot be opened: No such file or directory");
    assert_missing(root, "KVM_CAP_SYNC_REGS", "could not be asked");
    assert_missing(root, "virtual machine", "not tried");
    assert_missing(root, "guest", "/nonexistent/kvm");
    assert_true(field(find_check(root, "KVM device"), "remedy")[0]);
    json_decref(root);
}

static void other_device_is_told(void **state)
{
    json_t *root = examine("/dev/null");
    assert_unusable(root);
    assert_missing(root, "KVM API version", "/dev/null is not KVM");
    json_decref(root);
}

static void hostile_path_is_harmless(void **state)
{
    json_t *root = examine("/\033[2J\xff");
    assert_unusable(root);
    json_decref(root);
    program_run((char *const[]){doctor, (char *)"--kvm", (char *)"/\033[2J\xff", NULL}, "", 0,
                &result);
    assert_null(strchr(result.output, '\033'));
}

/* Root may open everything: then somebody else tries. */
static void refused_device_is_told(void **state)
{
    char path[] = "/tmp/matrix-test-XXXXXX";
    int fd = mkstemp(path); /* of mode 0600 */
    assert_true(fd >= 0);
    fchmod(fd, geteuid() == 0 ? 0600 : 0);
    close(fd);

    char *argv[] = {(char *)"/usr/bin/setpriv",
                    (char *)"--reuid=65534",
                    (char *)"--regid=65534",
                    (char *)"--clear-groups",
                    doctor,
                    (char *)"--json",
                    (char *)"--kvm",
                    path,
                    NULL};
    program_run(geteuid() == 0 ? argv : argv + 4, "", 0, &result);
    unlink(path);
    if (result.status == 126 || result.status == 127) /* somebody else may not run it */
        skip();
    json_t *root = parse_checklist();
    assert_unusable(root);
    assert_missing(root, "KVM device", "Permission denied");
    assert_non_null(strstr(field(find_check(root, "KVM device"), "remedy"), "usermod -aG kvm "));
    json_decref(root);
}

static void text_is_for_people(void **state)
{
    program_run((char *const[]){doctor, (char *)"--kvm", (char *)"/dev/null", NULL}, "", 0,
                &result);
    assert_int_equal(result.status, 1);
    assert_non_null(strstr(result.output, "missing  KVM API version"));
    assert_non_null(strstr(result.output, "-> name the KVM device"));
    assert_non_null(strstr(result.output, "Guests cannot run here"));
    assert_null(strchr(result.output, '\033'));
}

static void bad_usage_has_its_status(void **state)
{
    program_run((char *const[]){doctor, (char *)"--no-such-option", NULL}, "", 0, &result);
    assert_int_equal(result.status, 122);
    program_run((char *const[]){doctor, (char *)"argument", NULL}, "", 0, &result);
    assert_int_equal(result.status, 122);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checklist_agrees_with_status), cmocka_unit_test(absent_device_is_told),
        cmocka_unit_test(other_device_is_told),         cmocka_unit_test(hostile_path_is_harmless),
        cmocka_unit_test(refused_device_is_told),       cmocka_unit_test(text_is_for_people),
        cmocka_unit_test(bad_usage_has_its_status),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: %s MATRIX-DOCTOR\n", argv[0]);
        return 2;
    }
    doctor = argv[1];
    return cmocka_run_group_tests_name("matrix-doctor", tests, NULL, NULL);
}
