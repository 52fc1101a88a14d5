// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The door of /dev/matrix: numbers, sizes, flags, pointers, programs of 32 bits. What stands
 * in include/matrix/uapi/matrix_lens.h of all requests.
 */
#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include "tests/lens/kinds.h"
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
    unsigned long number;
    uint32_t size;
} requests[] = {
    {MATRIX_LENS_INFO, sizeof(struct matrix_lens_info)},
    {MATRIX_LENS_TRANSLATE, sizeof(struct matrix_lens_translate)},
    {MATRIX_LENS_FOOTPRINT, sizeof(struct matrix_lens_footprint)},
    {MATRIX_LENS_READ_BYTE, sizeof(struct matrix_lens_byte)},
    {MATRIX_LENS_WRITE_BYTE, sizeof(struct matrix_lens_byte)},
    {MATRIX_LENS_RUNNING, sizeof(struct matrix_lens_tasks)},
    {MATRIX_LENS_CHILDREN, sizeof(struct matrix_lens_tasks)},
    {MATRIX_LENS_REPARENT, sizeof(struct matrix_lens_reparent)},
};

/* An argument with room for what a newer program might know. */
union argument {
    uint32_t size;
    struct matrix_lens_info info;
    struct matrix_lens_translate translate;
    struct matrix_lens_footprint footprint;
    struct matrix_lens_byte byte;
    struct matrix_lens_tasks tasks;
    uint8_t bytes[2 * PAGE];
};

static union argument argument;

/* For TRANSLATE: no pages of ourselves, which every caller may ask for. */
static void make_good(uint32_t size)
{
    memset(&argument, 0, sizeof(argument));
    argument.translate.size = size;
    argument.translate.pid = getpid();
}

/* --- numbers ------------------------------------------------------------------------------ */

static void unknown_numbers_are_not_for_this_device(void **state)
{
    static const unsigned long unknown[] = {
        0,
        ~0U,
        0x5401 /* TCGETS */,
        MATRIX_LENS_INFO & 0xff,
        _IOWR(MATRIX_LENS_IOCTL, 8, struct matrix_lens_info),
        _IOWR(MATRIX_LENS_IOCTL, 255, struct matrix_lens_info),
        _IOWR(MATRIX_LENS_IOCTL + 1, 0, struct matrix_lens_info),
        _IOR(MATRIX_LENS_IOCTL, 0, struct matrix_lens_info),
        _IOW(MATRIX_LENS_IOCTL, 1, struct matrix_lens_translate),
        _IO(MATRIX_LENS_IOCTL, 0),
    };
    make_good(sizeof(argument.translate));
    for (size_t i = 0; i < COUNT(unknown); i++)
        assert_int_equal(device_request(lens_fd, unknown[i], &argument), ENOTTY);
}

/* A newer header's structure is larger, and with it the number. */
static void size_in_the_number_does_not_matter(void **state)
{
    unsigned long number = _IOC(_IOC_READ | _IOC_WRITE, MATRIX_LENS_IOCTL, 1, 200);
    make_good(sizeof(argument.translate));
    assert_int_equal(device_request(lens_fd, number, &argument), 0);
}

static void info_tells_what_there_is(void **state)
{
    struct matrix_lens_info info = {.size = sizeof(info)};
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_INFO, &info), 0);
    assert_int_equal(info.size, sizeof(info));
    assert_int_equal(info.version, MATRIX_LENS_VERSION);
    assert_int_equal(info.page_size, sysconf(_SC_PAGESIZE));
    assert_int_equal(info.features, MATRIX_LENS_CAN_REPARENT | MATRIX_LENS_CAN_WRITE);
}

/* --- sizes -------------------------------------------------------------------------------- */

static void sizes_too_small_are_invalid(void **state)
{
    const uint32_t sizes[] = {0, 1, 4};
    for (size_t i = 0; i < COUNT(requests); i++) {
        for (size_t j = 0; j < COUNT(sizes); j++) {
            make_good(sizes[j]);
            assert_int_equal(device_request(lens_fd, requests[i].number, &argument), EINVAL);
        }
        make_good(requests[i].size - 1);
        assert_int_equal(device_request(lens_fd, requests[i].number, &argument), EINVAL);
    }
}

static void larger_arguments_are_taken_if_the_rest_is_zero(void **state)
{
    const uint32_t sizes[] = {sizeof(argument.translate) + 1, 64, 128, 1000, PAGE};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        make_good(sizes[i]);
        argument.bytes[sizes[i]] = 1; /* beyond what is said to be there */
        assert_int_equal(device_request(lens_fd, MATRIX_LENS_TRANSLATE, &argument), 0);
        assert_int_equal(argument.size, sizes[i]);
        argument.bytes[sizes[i] - 1] = 1;
        assert_int_equal(device_request(lens_fd, MATRIX_LENS_TRANSLATE, &argument), E2BIG);
    }
    make_good(PAGE + 1);
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_TRANSLATE, &argument), E2BIG);
    make_good(UINT32_MAX);
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_TRANSLATE, &argument), E2BIG);
}

/* A larger argument gets back what this kernel knows; what is behind that is left alone. */
static void nothing_is_written_behind_an_argument(void **state)
{
    for (size_t i = 0; i < COUNT(requests); i++) {
        uint32_t size = requests[i].size;
        make_good(size);
        memset(argument.bytes + size, 0xa5, sizeof(argument) - size);
        device_request(lens_fd, requests[i].number, &argument);
        for (size_t at = size; at < sizeof(argument); at++)
            assert_int_equal(argument.bytes[at], 0xa5);
    }
}

static void failed_request_changes_nothing(void **state)
{
    union argument before;
    for (size_t i = 1; i < COUNT(requests); i++) {
        make_good(requests[i].size);
        argument.translate.pid = INT32_MIN;
        argument.translate.address = 3;
        before = argument;
        assert_int_not_equal(device_request(lens_fd, requests[i].number, &argument), 0);
        assert_memory_equal(&argument, &before, sizeof(before));
    }
}

/* --- fields ------------------------------------------------------------------------------- */

static void assert_field_is_refused(unsigned long number, uint32_t size, size_t offset,
                                    uint8_t value)
{
    make_good(size);
    argument.bytes[offset] |= value;
    int result = device_request(lens_fd, number, &argument);
    if (result != EINVAL)
        fail_msg("request %lu: byte %zu |= %#x gives %d, not EINVAL", number & 0xff, offset, value,
                 result);
}

static void unknown_flags_and_reserved_fields_are_invalid(void **state)
{
    for (size_t i = 1; i < COUNT(requests); i++) {
        size_t flags = offsetof(struct matrix_lens_translate, flags);
        assert_field_is_refused(requests[i].number, requests[i].size, flags, 0x80);
        assert_field_is_refused(requests[i].number, requests[i].size, flags + 3, 0x80);
    }
    for (size_t i = 0; i < 4; i++)
        assert_field_is_refused(MATRIX_LENS_TRANSLATE, sizeof(struct matrix_lens_translate),
                                offsetof(struct matrix_lens_translate, reserved) + i, 1);
    for (size_t i = 0; i < 3; i++) {
        size_t at = offsetof(struct matrix_lens_byte, reserved) + i;
        assert_field_is_refused(MATRIX_LENS_READ_BYTE, sizeof(struct matrix_lens_byte), at, 1);
        assert_field_is_refused(MATRIX_LENS_WRITE_BYTE, sizeof(struct matrix_lens_byte), at, 1);
    }
    for (size_t i = 0; i < 4; i++) {
        size_t at = offsetof(struct matrix_lens_tasks, reserved) + i;
        assert_field_is_refused(MATRIX_LENS_CHILDREN, sizeof(struct matrix_lens_tasks), at, 1);
    }
    assert_field_is_refused(MATRIX_LENS_REPARENT, sizeof(struct matrix_lens_reparent),
                            offsetof(struct matrix_lens_reparent, reserved), 1);
    /* PHYSICAL takes no process. */
    assert_field_is_refused(MATRIX_LENS_READ_BYTE, sizeof(struct matrix_lens_byte),
                            offsetof(struct matrix_lens_byte, flags), MATRIX_LENS_PHYSICAL);
}

static void bad_pointers_are_faults(void **state)
{
    char *edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(edge + PAGE, PAGE);
    void *bad[] = {NULL,
                   (void *)1,
                   edge + PAGE - 2,
                   edge + PAGE,
                   (void *)-1L,
                   (void *)0xffffffff81000000,
                   (void *)0x800000000000};
    for (size_t i = 0; i < COUNT(requests); i++)
        for (size_t j = 0; j < COUNT(bad); j++)
            assert_int_equal(device_request(lens_fd, requests[i].number, bad[j]), EFAULT);
    /* Its size is readable, the rest is not. */
    uint32_t *size = (uint32_t *)(edge + PAGE - 8);
    *size = sizeof(struct matrix_lens_translate);
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_TRANSLATE, size), EFAULT);
    *size = PAGE;
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_TRANSLATE, size), EFAULT);
    /* What is asked can be read, and the answer not written. */
    struct matrix_lens_info *info = (void *)edge;
    info->size = sizeof(*info);
    mprotect(edge, PAGE, PROT_READ);
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_INFO, info), EFAULT);
}

/* --- a program of 32 bits ------------------------------------------------------------------ */

/* The 32-bit system call ioctl, which this program of 64 bits may make as well. */
static long ioctl_32(int fd, unsigned long request, void *address)
{
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(54L), "b"((long)fd), "c"(request), "d"(address)
                     : "memory", "cc", "r8", "r9", "r10", "r11");
    return (int)result;
}

static int has_32_bits(void *unused)
{
    long result;
    signal(SIGSEGV, SIG_DFL);
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "r8", "r9", "r10", "r11");
    return result == getpid();
}

static bool kernel_runs_32_bits(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(has_32_bits(NULL) ? 0 : 1);
    int status;
    waitpid(child, &status, 0);
    return status == 0;
}

static void program_of_32_bits_is_served_alike(void **state)
{
    if (!kernel_runs_32_bits())
        SKIP_BECAUSE("this kernel runs no programs of 32 bits\n");
    union argument *low = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_POPULATE, -1, 0);
    assert_true(low != MAP_FAILED);
    uint64_t *entry = (uint64_t *)((char *)low + 3 * PAGE);
    low->translate = (struct matrix_lens_translate){
        .size = sizeof(low->translate),
        .pid = getpid(),
        .address = (uintptr_t)low,
        .count = 1,
        .entries = (uintptr_t)entry,
    };
    assert_int_equal(ioctl_32(lens_fd, MATRIX_LENS_TRANSLATE, low), 0);
    assert_int_equal(*entry, device_entry(lens_fd, getpid(), low));
    assert_true(*entry & MATRIX_PAGE_PRESENT);

    struct matrix_lens_footprint footprint;
    low->footprint = (struct matrix_lens_footprint){.size = sizeof(footprint), .pid = getpid()};
    assert_int_equal(ioctl_32(lens_fd, MATRIX_LENS_FOOTPRINT, low), 0);
    assert_int_equal(device_footprint(lens_fd, getpid(), &footprint), 0);
    assert_int_equal(low->footprint.virtual_bytes, footprint.virtual_bytes);

    low->info = (struct matrix_lens_info){.size = sizeof(low->info)};
    assert_int_equal(ioctl_32(lens_fd, MATRIX_LENS_INFO, low), 0);
    assert_int_equal(low->info.version, MATRIX_LENS_VERSION);
    low->size = 3;
    assert_int_equal(ioctl_32(lens_fd, MATRIX_LENS_INFO, low), -EINVAL);
    assert_int_equal(ioctl_32(lens_fd, MATRIX_LENS_INFO, NULL), -EFAULT);
    assert_int_equal(ioctl_32(lens_fd, 0x5401, low), -ENOTTY);
    munmap(low, 4 * PAGE);
}

/* --- the file ----------------------------------------------------------------------------- */

static void device_is_for_root_alone(void **state)
{
    struct stat status;
    assert_int_equal(stat(MATRIX_LENS_DEVICE, &status), 0);
    assert_true(S_ISCHR(status.st_mode));
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(status.st_uid, 0);
}

static void device_has_nothing_to_read_or_map(void **state)
{
    char byte = 0;
    assert_int_equal(read(lens_fd, &byte, 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(write(lens_fd, &byte, 1), -1);
    assert_int_equal(errno, EINVAL);
    assert_true(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, lens_fd, 0) == MAP_FAILED);
    assert_int_equal(errno, ENODEV);
}

/* Whether the device was opened for reading or writing is no right: capabilities are. */
static void opened_any_way_it_answers(void **state)
{
    static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR | O_NONBLOCK};
    for (size_t i = 0; i < COUNT(modes); i++) {
        struct matrix_lens_info info = {.size = sizeof(info)};
        int fd = open(MATRIX_LENS_DEVICE, modes[i] | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_int_equal(device_request(fd, MATRIX_LENS_INFO, &info), 0);
        close(fd);
    }
    int path = open(MATRIX_LENS_DEVICE, O_PATH | O_CLOEXEC);
    struct matrix_lens_info info = {.size = sizeof(info)};
    assert_int_equal(device_request(path, MATRIX_LENS_INFO, &info), EBADF);
    close(path);
}

static int keep_asking(void *unused)
{
    struct matrix_lens_footprint footprint;
    int fd = device_open();
    for (int i = 0; i < 50; i++)
        device_footprint(fd, getpid(), &footprint);
    return 0;
}

/* Ended by SIGKILL in the middle of requests, with the device open; the machine lives on. */
static void asker_may_be_killed_at_any_time(void **state)
{
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                keep_asking(NULL);
        for (int turn = 0; turn < i; turn++)
            sched_yield();
        child_end(child);
    }
    struct matrix_lens_info info = {.size = sizeof(info)};
    assert_int_equal(device_request(lens_fd, MATRIX_LENS_INFO, &info), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_tells_what_there_is),
        cmocka_unit_test(unknown_numbers_are_not_for_this_device),
        cmocka_unit_test(size_in_the_number_does_not_matter),
        cmocka_unit_test(sizes_too_small_are_invalid),
        cmocka_unit_test(larger_arguments_are_taken_if_the_rest_is_zero),
        cmocka_unit_test(nothing_is_written_behind_an_argument),
        cmocka_unit_test(failed_request_changes_nothing),
        cmocka_unit_test(unknown_flags_and_reserved_fields_are_invalid),
        cmocka_unit_test(bad_pointers_are_faults),
        cmocka_unit_test(program_of_32_bits_is_served_alike),
        cmocka_unit_test(device_is_for_root_alone),
        cmocka_unit_test(device_has_nothing_to_read_or_map),
        cmocka_unit_test(opened_any_way_it_answers),
        cmocka_unit_test(asker_may_be_killed_at_any_time),
    };
    return harness_run("interface", tests, COUNT(tests));
}
