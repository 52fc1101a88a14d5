// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each way in which /dev/kvm can be unusable has its own message and remedy. The host is made up: the
 * linker (-Wl,--wrap) hands the library's open and ioctl to the functions here.
 */
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define DEVICE "/dev/made-up-kvm"

/* What the made-up host answers; other paths are the real host's. */
static struct {
    const char *device;
    int open_error;
    int version; /* or a negative errno */
    long missing_capability;
    int missing_value;
    int run_bytes;
    int cpuid_error;
} host;

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

int __wrap_open(const char *path, int flags, ...)
{
    if (strcmp(path, host.device) != 0)
        return __real_open(path, flags);
    if (host.open_error) {
        errno = host.open_error;
        return -1;
    }
    return __real_open("/dev/null", flags);
}

int __wrap_open64(const char *path, int flags, ...)
{
    return __wrap_open(path, flags);
}

static int failed(int number)
{
    errno = number;
    return -1;
}

static int answer_capability(long capability)
{
    if (capability == host.missing_capability)
        return host.missing_value;
    return capability == KVM_CAP_SYNC_REGS ? 7 : 1024;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    switch (request) {
    case KVM_GET_API_VERSION:
        return host.version < 0 ? failed(-host.version) : host.version;
    case KVM_CHECK_EXTENSION:
        return answer_capability((long)argument);
    case KVM_GET_VCPU_MMAP_SIZE:
        return host.run_bytes < 0 ? failed(-host.run_bytes) : host.run_bytes;
    case KVM_GET_SUPPORTED_CPUID:
        return host.cpuid_error ? failed(host.cpuid_error) : 0;
    default:
        return __real_ioctl(fd, request, argument);
    }
}

static int make_good_host(void **state)
{
    memset(&host, 0, sizeof(host));
    host.device = DEVICE;
    host.version = KVM_API_VERSION;
    host.missing_capability = -1;
    host.run_bytes = 3 * 4096;
    return 0;
}

static struct matrix_error *open_path(const char *path)
{
    struct matrix_kvm *kvm;
    struct matrix_error *error = matrix_kvm_open(path, &kvm);
    if (!error)
        fail_msg("%s was opened", path);
    assert_null(kvm);
    assert_int_equal(error->kind, MATRIX_ERROR_KVM);
    return error;
}

static void assert_contains(const char *text, const char *part)
{
    if (!text || !strstr(text, part))
        fail_msg("'%s' is missing in '%s'", part, text ? text : "(nothing)");
}

static void assert_refused(const char *path, const char *message, const char *remedy)
{
    struct matrix_error *error = open_path(path);
    assert_contains(error->message, path);
    assert_contains(error->message, message);
    if (remedy)
        assert_contains(error->remedy, remedy);
    matrix_error_free(error);
}

static void open_fails(int number, const char *message, const char *remedy)
{
    host.open_error = number;
    assert_refused(DEVICE, message, remedy);
}

static void test_good_host(void **state)
{
    struct matrix_kvm *kvm;
    assert_null(matrix_kvm_open(DEVICE, &kvm));
    assert_int_equal(kvm->run_bytes, 3 * 4096);
    matrix_kvm_close(kvm);
}

static void test_missing(void **state)
{
    open_fails(ENOENT, "No such file", "load the module kvm_intel or kvm_amd");
}

static void test_really_missing(void **state)
{
    assert_refused("/dev/no-such-kvm", "No such file", "virtualisation");
}

static void test_no_driver(void **state)
{
    open_fails(ENODEV, "No such device", "no driver is behind it");
    open_fails(ENXIO, "No such device", "no driver is behind it");
}

static void test_busy(void **state)
{
    open_fails(EBUSY, "busy", "another hypervisor");
}

static void test_other_failure(void **state)
{
    open_fails(EMFILE, "Too many open files", "matrix doctor");
}

static void test_no_permission_and_no_group(void **state)
{
    open_fails(EACCES, "Permission denied", "only root may open it");
    open_fails(EPERM, "not permitted", "only root may open it");
}

/* The group is that of the file, whatever it is called. */
static void test_no_permission_names_the_group(void **state)
{
    char path[] = "/tmp/matrix-test-XXXXXX", remedy[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    const gid_t gid = getegid() ? getegid() : 1; /* root's own group is nobody's to join */
    assert_int_equal(fchown(fd, (uid_t)-1, gid), 0);
    assert_int_equal(fchmod(fd, 0660), 0);
    close(fd);
    const struct group *group = getgrgid(gid);
    assert_non_null(group);
    snprintf(remedy, sizeof(remedy), "add yourself to the group %s (usermod -aG %s", group->gr_name,
             group->gr_name);
    host.device = path;
    host.open_error = EACCES;
    assert_refused(path, "Permission denied", remedy);
    unlink(path);
}

static void test_not_kvm(void **state)
{
    host.version = -ENOTTY;
    assert_refused("/dev/null", "is not KVM", "name the KVM device");
}

static void test_not_a_device(void **state)
{
    host.version = -ENOTTY;
    assert_refused("/tmp", "Is a directory", NULL);
}

static void test_wrong_version(void **state)
{
    host.version = 11;
    assert_refused(DEVICE, "version 11; Matrix needs version 12", "kernel");
    host.version = 13;
    assert_refused(DEVICE, "version 13; Matrix needs version 12", NULL);
}

static long number_of(const char *name)
{
    static const struct {
        const char *name;
        long number;
    } numbers[] = {
        {"KVM_CAP_USER_MEMORY", KVM_CAP_USER_MEMORY}, {"KVM_CAP_NR_MEMSLOTS", KVM_CAP_NR_MEMSLOTS},
        {"KVM_CAP_SYNC_MMU", KVM_CAP_SYNC_MMU},       {"KVM_CAP_EXT_CPUID", KVM_CAP_EXT_CPUID},
        {"KVM_CAP_SYNC_REGS", KVM_CAP_SYNC_REGS},
    };
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(numbers[i].name, name) == 0)
            return numbers[i].number;
    fail_msg("%s: a capability that this test does not know yet", name);
    return -1;
}

static void test_each_needed_capability(void **state)
{
    struct matrix_kvm_capability capability;
    unsigned needed = 0;
    for (unsigned i = 0; matrix_kvm_capability(-1, i, &capability); i++) {
        if (!capability.needed)
            continue;
        needed++;
        host.missing_capability = number_of(capability.name);
        for (host.missing_value = 0; host.missing_value < capability.needed; host.missing_value++) {
            char message[128];
            snprintf(message, sizeof(message), "lacks %s: it answers %d", capability.name,
                     host.missing_value);
            assert_refused(DEVICE, message, "kernel");
            assert_refused(DEVICE, capability.purpose, NULL);
        }
        host.missing_value = -1;
        assert_refused(DEVICE, capability.name, NULL);
    }
    assert_true(needed >= 5);
}

static void test_optional_capabilities_may_be_missing(void **state)
{
    static const long optional[] = {KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_MAX_VCPUS, KVM_CAP_NR_VCPUS};
    for (size_t i = 0; i < sizeof(optional) / sizeof(optional[0]); i++) {
        struct matrix_kvm *kvm;
        host.missing_capability = optional[i];
        assert_null(matrix_kvm_open(DEVICE, &kvm));
        matrix_kvm_close(kvm);
    }
}

static void test_checklist_of_an_unusable_device(void **state)
{
    struct matrix_kvm_capability capability;
    host.missing_capability = KVM_CAP_SYNC_MMU;
    host.missing_value = -1;
    for (unsigned i = 0; matrix_kvm_capability(-1, i, &capability); i++) {
        const bool is_missing = strcmp(capability.name, "KVM_CAP_SYNC_MMU") == 0;
        assert_int_equal(capability.sufficient, !is_missing);
        assert_true(capability.purpose[0] != '\0');
    }
    assert_false(matrix_kvm_capability(-1, 1000, &capability));
}

static void test_state_that_is_too_small(void **state)
{
    host.run_bytes = 100;
    assert_refused(DEVICE, "KVM_GET_VCPU_MMAP_SIZE", NULL);
    host.run_bytes = -EINVAL;
    assert_refused(DEVICE, "Invalid argument", NULL);
}

static void test_no_processor_features(void **state)
{
    host.cpuid_error = ENOMEM;
    struct matrix_error *error = open_path(DEVICE);
    assert_contains(error->message, "KVM_GET_SUPPORTED_CPUID");
    matrix_error_free(error);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_good_host)
    const struct CMUnitTest tests[] = {
        TEST(test_good_host),
        TEST(test_missing),
        TEST(test_really_missing),
        TEST(test_no_driver),
        TEST(test_busy),
        TEST(test_other_failure),
        TEST(test_no_permission_and_no_group),
        TEST(test_no_permission_names_the_group),
        TEST(test_not_kvm),
        TEST(test_not_a_device),
        TEST(test_wrong_version),
        TEST(test_each_needed_capability),
        TEST(test_optional_capabilities_may_be_missing),
        TEST(test_checklist_of_an_unusable_device),
        TEST(test_state_that_is_too_small),
        TEST(test_no_processor_features),
    };
    return cmocka_run_group_tests_name("kvm_open", tests, NULL, NULL);
}
