// SPDX-License-Identifier: GPL-2.0-or-later
/* One guest, and many: made, run, counted and ended, on a real /dev/kvm. Usage: see host.h. */
#include "tests/kvm/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#define GUESTS_AT_ONCE 200

/* The linker hands the library's ioctls to us (-Wl,--wrap=ioctl), so that they can be counted. */
static uint64_t ioctls_run, ioctls_other;

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    if (request == KVM_RUN)
        ioctls_run++;
    else
        ioctls_other++;
    return __real_ioctl(fd, request, argument);
}

static void hello_says_hello(void **state)
{
    struct test_guest guest = test_guest("hello", "red pill");
    test_guest_run(&guest);
    assert_contains(test_guest_text(&guest), "Hello from hello, with 16384 KiB of memory.\n");
    assert_contains(test_guest_text(&guest), "argument 1: red pill\n");
    assert_exits(guest, 0);
}

static void exit_status_is_the_low_byte(void **state)
{
    assert_exits(test_guest("status", "0"), 0);
    assert_exits(test_guest("status", "7"), 7);
    assert_exits(test_guest("status", "255"), 255);
}

static void programs_verify_their_own_results(void **state)
{
    assert_exits(test_guest("primes", "100000"), 0);
    assert_exits(test_guest("neo", "--units", "2000"), 0);
    assert_exits(test_guest("morpheus", "--units", "2000"), 0);
    assert_exits(test_guest("memory", "4", "unique"), 0);
}

static void environment_arrives(void **state)
{
    /* talk checks that it agrees with itself; here: that a large one fits, a larger one not. */
    static char text[2][600000];
    for (int i = 0; i < 2; i++)
        memset(text[i], 'x', sizeof(text[i]) - 1);
    struct matrix_vm_options options = {.argv = ARGUMENTS("hello", text[0]),
                                        .envp = ARGUMENTS("A=1", "B=2")};
    assert_exits(test_guest_create(options), 0);

    struct matrix_vm *vm;
    options = (struct matrix_vm_options){.argv = ARGUMENTS("hello", text[0], text[1])};
    assert_refused(matrix_vm_create(host_kvm, test_guest_path("hello"), &options, &vm),
                   MATRIX_ERROR_USAGE, "arguments and environment");
}

/* --- exits ------------------------------------------------------------------------------- */

static void hypercall_is_one_exit_and_one_ioctl(void **state)
{
    const uint64_t calls = 1000;
    struct test_guest guest = test_guest("count", "1000");
    struct matrix_core_options options = {.cpu = -1, .duration_ns = 60 * SECOND_NS};
    struct matrix_core *core = test_core_create(options, &guest, NULL, 1);
    ioctls_run = ioctls_other = 0;
    test_core_run(core);

    struct matrix_vm_info info = test_guest_info(&guest);
    assert_int_equal(info.work, calls);
    assert_int_equal(info.exits[MATRIX_EXIT_KIND_HYPERCALL], calls + 1); /* and the exit */
    assert_int_equal(info.exits_total - info.exits[MATRIX_EXIT_KIND_INTERRUPTED], calls + 1);
    assert_int_equal(ioctls_run, info.exits_total);
    assert_int_equal(ioctls_other, 1); /* KVM_SET_SIGNAL_MASK, before the first entry */
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void exits_are_told_by_kind(void **state)
{
    struct test_guest guest = test_guest("faulty", "null");
    test_guest_run(&guest);
    struct matrix_vm_info info = test_guest_info(&guest);
    assert_int_equal(info.exits[MATRIX_EXIT_KIND_FAULT], 1);
    assert_int_equal(info.exits[MATRIX_EXIT_KIND_HYPERCALL], 0);
    uint64_t sum = 0;
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        sum += info.exits[kind];
    assert_int_equal(sum, info.exits_total);
    test_guest_destroy(&guest);
}

/* --- many guests, many vCPUs --------------------------------------------------------------- */

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)); text += strlen(part))
        count++;
    return count;
}

static void two_hundred_guests_at_once(void **state)
{
    static struct test_guest guests[GUESTS_AT_ONCE];
    static char names[GUESTS_AT_ONCE][16];
    /* Each has three descriptors of its own, and one for its output here. */
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = files.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);

    for (unsigned i = 0; i < GUESTS_AT_ONCE; i++) {
        snprintf(names[i], sizeof(names[i]), "guest%03u", i);
        guests[i] =
            test_guest_create((struct matrix_vm_options){.name = names[i],
                                                         .argv = ARGUMENTS("hello", names[i]),
                                                         .memory_bytes = MATRIX_MEMORY_MINIMUM,
                                                         .stack_bytes = 16384});
    }
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1}, guests, NULL, GUESTS_AT_ONCE);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_ALL_ENDED);
    for (unsigned i = 0; i < GUESTS_AT_ONCE; i++) {
        assert_int_equal(test_guest_info(&guests[i]).state, MATRIX_VM_EXITED);
        assert_int_equal(test_guest_info(&guests[i]).status, 0);
        assert_int_equal(occurrences(test_guest_text(&guests[i]), names[i]), 2);
    }
    matrix_core_destroy(core);
    for (unsigned i = 0; i < GUESTS_AT_ONCE; i++)
        test_guest_destroy(&guests[i]);
}

static void vcpus_count_to_the_end(void **state, unsigned count)
{
    char text[8];
    snprintf(text, sizeof(text), "%u", count);
    struct test_guest guest = test_guest("vcpus", text);
    assert_int_equal(test_guest_run(&guest).end, MATRIX_CORE_ALL_ENDED);
    struct matrix_vm_info info = test_guest_info(&guest);
    assert_int_equal(info.vcpus, count);
    assert_int_equal(info.work, count * 100000);
    assert_int_equal(occurrences(test_guest_text(&guest), "counted to 100000\n"), count);
    assert_exits(guest, 0);
}

static void one_vcpu_counts(void **state)
{
    vcpus_count_to_the_end(state, 1);
}

static void two_vcpus_count(void **state)
{
    vcpus_count_to_the_end(state, 2);
}

static void sixteen_vcpus_count(void **state)
{
    vcpus_count_to_the_end(state, 16);
}

static void vcpus_stop_at_their_limit(void **state)
{
    struct test_guest guest = test_guest_create(
        (struct matrix_vm_options){.argv = ARGUMENTS("vcpus", "4"), .vcpus_max = 3});
    test_guest_run(&guest);
    assert_contains(test_guest_text(&guest), "vCPU 3 did not start");
    assert_exits(guest, 1);
}

/* --- what is left behind ------------------------------------------------------------------- */

static unsigned open_files(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static uint64_t mapped_pages(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu", &pages), 1);
    fclose(file);
    return pages;
}

static void a_thousand_guests_leave_nothing(void **state)
{
    /* The first few make the allocator's own memory. */
    uint64_t pages = 0;
    unsigned files = 0;
    for (unsigned i = 0; i < 1000; i++) {
        if (i == 10)
            pages = mapped_pages(), files = open_files();
        struct test_guest guest = test_guest("faulty", i % 2 ? "null" : "nothing-known");
        if (i % 50 == 0)
            test_guest_run(&guest); /* others are destroyed before they ran */
        test_guest_destroy(&guest);
    }
    assert_int_equal(open_files(), files);
    assert_in_range(mapped_pages(), 0, pages + 256); /* a guest has 4096 */
}

static void failed_creation_leaves_nothing(void **state)
{
    struct matrix_vm *vm;
    const unsigned files = open_files();
    struct matrix_vm_options options = {.input_fd = -1, .memory_bytes = 4097};
    assert_refused(matrix_vm_create(host_kvm, test_guest_path("hello"), &options, &vm),
                   MATRIX_ERROR_USAGE, "too small");
    assert_null(vm);
    options.memory_bytes = 0;
    options.vcpus_max = MATRIX_VCPUS_MAX + 1;
    assert_refused(matrix_vm_create(host_kvm, test_guest_path("hello"), &options, &vm),
                   MATRIX_ERROR_USAGE, "17 virtual CPUs");
    options.vcpus_max = 0;
    assert_refused(matrix_vm_create(host_kvm, "/nowhere", &options, &vm), MATRIX_ERROR_IMAGE,
                   "/nowhere");
    assert_int_equal(open_files(), files);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_says_hello),
        cmocka_unit_test(exit_status_is_the_low_byte),
        cmocka_unit_test(programs_verify_their_own_results),
        cmocka_unit_test(environment_arrives),
        cmocka_unit_test(hypercall_is_one_exit_and_one_ioctl),
        cmocka_unit_test(exits_are_told_by_kind),
        cmocka_unit_test(two_hundred_guests_at_once),
        cmocka_unit_test(one_vcpu_counts),
        cmocka_unit_test(two_vcpus_count),
        cmocka_unit_test(sixteen_vcpus_count),
        cmocka_unit_test(vcpus_stop_at_their_limit),
        cmocka_unit_test(a_thousand_guests_leave_nothing),
        cmocka_unit_test(failed_creation_leaves_nothing),
    };
    return host_run_tests(argc, argv, "guest", tests, COUNT(tests));
}
