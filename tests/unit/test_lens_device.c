// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The lens on a made-up /dev/matrix: each errno of the module in words that name process and address
 * and say what helps; answers that make no sense; lists that grow; and what happens without it.
 */
#include <errno.h>
#include <matrix/lens.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

/* The module that is played. */
static struct {
    int open_number; /* errno of opening the device; 0: it can be */
    int number;      /* errno of every request but INFO */
    unsigned version, calls, interrupts;
    uint64_t cut;   /* translate: entries per call; 0: nothing at all */
    uint32_t tasks; /* how many there are */
    bool lies;      /* translate: says that it gave more than was asked for */
} module;

int __wrap_open64(const char *path, int flags, ...)
{
    if (strcmp(path, MATRIX_LENS_DEVICE) != 0)
        return __real_open64(path, flags, 0);
    errno = module.open_number;
    return module.open_number ? -1 : dup(STDIN_FILENO);
}

int __wrap_open(const char *path, int flags, ...)
{
    return __wrap_open64(path, flags);
}

static int translate(struct matrix_lens_translate *argument)
{
    uint64_t *entries = (uint64_t *)(uintptr_t)argument->entries;
    if (module.lies) {
        argument->count++;
        return 0;
    }
    argument->count = argument->count < module.cut ? argument->count : module.cut;
    for (uint64_t i = 0; i < argument->count; i++)
        entries[i] = argument->address + i * MATRIX_PAGE_BYTES;
    return 0;
}

static int list(struct matrix_lens_tasks *argument)
{
    struct matrix_lens_task *tasks = (struct matrix_lens_task *)(uintptr_t)argument->tasks;
    argument->count = module.tasks;
    for (uint32_t i = 0; i < argument->count && i < argument->capacity; i++) {
        tasks[i].pid = (int)i + 1;
        memset(tasks[i].name, 'x', sizeof(tasks[i].name)); /* without an end */
    }
    return 0;
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
    struct matrix_lens_info *info = argument;
    module.calls++;
    assert_int_equal(info->size, _IOC_SIZE(request));
    if (request == MATRIX_LENS_INFO) {
        info->version = module.version;
        info->page_size = 4096;
        info->features = MATRIX_LENS_CAN_WRITE;
        return 0;
    }
    if (module.interrupts) {
        module.interrupts--;
        errno = EINTR;
        return -1;
    }
    if (module.number) {
        errno = module.number;
        return -1;
    }
    if (request == MATRIX_LENS_TRANSLATE)
        return translate(argument);
    if (request == MATRIX_LENS_RUNNING || request == MATRIX_LENS_CHILDREN)
        return list(argument);
    if (request == MATRIX_LENS_WRITE_BYTE)
        ((struct matrix_lens_byte *)argument)->value = 0x41;
    return 0;
}

static struct matrix_lens *open_lens(enum matrix_lens_source source)
{
    struct matrix_lens *lens = NULL;
    struct matrix_error *error = matrix_lens_open(source, &lens);
    if (error)
        fail_msg("%s", error->message);
    return lens;
}

static int reset(void **state)
{
    memset(&module, 0, sizeof(module));
    module.version = MATRIX_LENS_VERSION;
    return 0;
}

/* An error with this number; each part stands in its message or remedy. Frees it. */
static void expect(struct matrix_error *error, int number, const char *first, const char *second)
{
    assert_non_null(error);
    assert_int_equal(error->number, number);
    const char *parts[] = {first, second};
    for (unsigned i = 0; i < 2; i++)
        if (!strstr(error->message, parts[i]) &&
            !(error->remedy && strstr(error->remedy, parts[i])))
            fail_msg("no '%s' in '%s' (%s)", parts[i], error->message, error->remedy);
    matrix_error_free(error);
}

static void takes_the_module_if_it_can(void **state)
{
    struct matrix_lens *lens = open_lens(MATRIX_LENS_BEST);
    assert_string_equal(matrix_lens_source_name(lens), "module");
    assert_int_equal(matrix_lens_features(lens), MATRIX_LENS_CAN_WRITE);
    matrix_lens_close(lens);
    matrix_lens_close(NULL);
    lens = open_lens(MATRIX_LENS_PROC);
    assert_string_equal(matrix_lens_source_name(lens), "proc");
    assert_int_equal(matrix_lens_features(lens), 0);
    matrix_lens_close(lens);
}

static void says_why_not_the_module(void **state)
{
    struct matrix_lens *lens;
    module.open_number = ENOENT;
    expect(matrix_lens_open(MATRIX_LENS_MODULE, &lens), ENOENT, "not loaded",
           "matrix modules load");
    module.open_number = EACCES;
    expect(matrix_lens_open(MATRIX_LENS_MODULE, &lens), EACCES, "is loaded", "as root");
    module.open_number = EMFILE; /* not even /proc would do */
    expect(matrix_lens_open(MATRIX_LENS_BEST, &lens), EMFILE, "open", "/dev/matrix");
    module.open_number = 0;
    module.version = 0;
    expect(matrix_lens_open(MATRIX_LENS_MODULE, &lens), EPROTO, "version 0", "anew");

    module.open_number = EACCES;
    lens = open_lens(MATRIX_LENS_BEST);
    const struct matrix_place place = {.pid = getpid(), .virtual_address = 0x1234};
    expect(matrix_lens_write_byte(lens, &place, 1, NULL), EOPNOTSUPP, "write 0x1234 of process",
           "/dev/matrix");
    expect(matrix_lens_reparent(lens, 4, 5, NULL), EOPNOTSUPP, "only the kernel module", "as root");
    matrix_lens_close(lens);
}

static void explains_each_errno(void **state)
{
    static const struct {
        int number;
        bool write;
        const char *why, *remedy;
    } bytes[] = {
        {EBUSY, true, "the page is shared", "--force"},
        {EROFS, true, "file on disk", "private copy"},
        {ESTALE, true, "not any more", "translate it again"},
        {ESTALE, false, "not any more", "translate it again"},
        {EACCES, true, "zero page", "--physical"},
        {EACCES, false, "cannot be reached", "--force"},
        {EFAULT, false, "no RAM", "no RAM"},
        {EPERM, true, "CAP_SYS_RAWIO", "as root"},
        {ESRCH, true, "no such process", "matrix proc list --all"},
        {ENXIO, false, "kernel thread", "zombie"},
        {ENOTTY, true, "does not know", "module anew"},
        {E2BIG, true, "older", "module anew"},
    };
    struct matrix_lens *lens = open_lens(MATRIX_LENS_MODULE);
    const struct matrix_place place = {
        .pid = 7, .virtual_address = 0x7000, .physical_address = 0xabc000};
    for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
        uint8_t value = 0;
        module.number = bytes[i].number;
        struct matrix_error *error = bytes[i].write
                                         ? matrix_lens_write_byte(lens, &place, 1, &value)
                                         : matrix_lens_read_byte(lens, &place, &value);
        assert_non_null(error);
        assert_non_null(strstr(error->message, "0x7000 of process 7"));
        assert_non_null(strstr(error->message, "0xabc000"));
        expect(error, bytes[i].number, bytes[i].why, bytes[i].remedy);
    }
    module.number = ELOOP;
    expect(matrix_lens_reparent(lens, 7, 8, NULL), ELOOP, "make process 7", "descends");
    module.number = EXDEV;
    expect(matrix_lens_reparent(lens, 7, 8, NULL), EXDEV, "child of process 8", "namespaces");
    module.number = EPERM;
    uint64_t entry;
    expect(matrix_lens_translate(lens, 7, 0x5000, 1, 0, &entry), EPERM, "translate 0x5000",
           "CAP_SYS_ADMIN");
    matrix_lens_close(lens);
}

static void refuses_nonsense_itself(void **state)
{
    struct matrix_lens *lens = open_lens(MATRIX_LENS_MODULE);
    struct matrix_task_list tasks;
    struct matrix_footprint footprint;
    uint64_t entry;
    const unsigned calls = module.calls;
    expect(matrix_lens_translate(lens, 0, 0, 1, 0, &entry), EINVAL, "0 is not a pid", "ps(1)");
    expect(matrix_lens_translate(lens, -1, 0, 1, 0, &entry), EINVAL, "-1 is not", "ps(1)");
    expect(matrix_lens_translate(lens, 1, 1, 1, 0, &entry), EINVAL, "beginning", "4096");
    expect(matrix_lens_translate(lens, 1, 0, 1, 2, &entry), EINVAL, "flags", "0x2");
    expect(matrix_lens_translate(lens, 1, 0xfffffffffffff000, 2, 0, &entry), EINVAL, "beyond",
           "2^64");
    expect(matrix_lens_translate(lens, 1, 0, SIZE_MAX, 0, &entry), EINVAL, "beyond", "2^64");
    assert_null(matrix_lens_translate(lens, 1, 0, 0, 0, NULL));
    expect(matrix_lens_footprint(lens, 0, &footprint), EINVAL, "pid", "ps(1)");
    expect(matrix_lens_children(lens, -5, &tasks), EINVAL, "pid", "ps(1)");
    expect(matrix_lens_reparent(lens, 1, 0, NULL), EINVAL, "pid", "ps(1)");
    const struct matrix_place both = {.pid = 1, .flags = MATRIX_LENS_PHYSICAL},
                              flags = {.pid = 1, .flags = 64};
    const struct matrix_place elsewhere = {
        .pid = 1, .virtual_address = 0x7001, .physical_address = 0x5002};
    uint8_t value;
    expect(matrix_lens_read_byte(lens, &elsewhere, &value), EINVAL, "0x7001 cannot be",
           "three hexadecimal digits");
    expect(matrix_lens_read_byte(lens, &both, &value), EINVAL, "physical", "no process");
    expect(matrix_lens_read_byte(lens, &flags, &value), EINVAL, "flags", "0x40");
    assert_int_equal(module.calls, calls);
    matrix_lens_close(lens);
}

static void asks_again_for_what_was_cut(void **state)
{
    struct matrix_lens *lens = open_lens(MATRIX_LENS_MODULE);
    uint64_t entries[10] = {0};
    module.cut = 3;
    module.interrupts = 5;
    assert_null(matrix_lens_translate(lens, 1, 0x10000, 10, 0, entries));
    for (uint64_t i = 0; i < 10; i++)
        assert_int_equal(entries[i], 0x10000 + i * 4096);
    assert_null(matrix_lens_translate(lens, 1, 0xfffffffffffff000, 1, 0, entries));
    module.cut = 0; /* would go on for ever */
    expect(matrix_lens_translate(lens, 1, 0, 10, 0, entries), EPROTO, "makes no sense", "anew");
    module.lies = true;
    expect(matrix_lens_translate(lens, 1, 0, 10, 0, entries), EPROTO, "makes no sense", "anew");
    matrix_lens_close(lens);
}

static void lists_grow(void **state)
{
    static const uint32_t counts[] = {0, 1, 256, 257, 5000, 65536, 65537, 4000000000};
    struct matrix_lens *lens = open_lens(MATRIX_LENS_MODULE);
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct matrix_task_list tasks;
        module.tasks = counts[i];
        assert_null(matrix_lens_running(lens, &tasks));
        assert_int_equal(tasks.total, counts[i]);
        assert_int_equal(tasks.count, counts[i] < 65536 ? counts[i] : 65536);
        for (size_t k = 0; k < tasks.count; k++)
            assert_int_equal(strlen(tasks.tasks[k].name), 15);
        matrix_task_list_free(&tasks);
        assert_null(tasks.tasks);
    }
    module.number = ESRCH;
    struct matrix_task_list tasks;
    expect(matrix_lens_children(lens, 9, &tasks), ESRCH, "children of process 9", "list --all");
    assert_null(tasks.tasks);
    matrix_lens_close(lens);
}

static void tells_what_was_there_before(void **state)
{
    struct matrix_lens *lens = open_lens(MATRIX_LENS_MODULE);
    const struct matrix_place place = {.flags = MATRIX_LENS_PHYSICAL, .physical_address = 0x5000};
    uint8_t old = 0;
    assert_null(matrix_lens_write_byte(lens, &place, 0x42, &old));
    assert_int_equal(old, 0x41);
    assert_null(matrix_lens_write_byte(lens, &place, 0x42, NULL));
    module.number = EACCES;
    expect(matrix_lens_write_byte(lens, &place, 1, &old), EACCES, "write physical address 0x5000",
           "--force");
    matrix_lens_close(lens);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(takes_the_module_if_it_can, reset),
        cmocka_unit_test_setup(says_why_not_the_module, reset),
        cmocka_unit_test_setup(explains_each_errno, reset),
        cmocka_unit_test_setup(refuses_nonsense_itself, reset),
        cmocka_unit_test_setup(asks_again_for_what_was_cut, reset),
        cmocka_unit_test_setup(lists_grow, reset),
        cmocka_unit_test_setup(tells_what_was_there_before, reset),
    };
    return cmocka_run_group_tests_name("lens_device", tests, NULL, NULL);
}
