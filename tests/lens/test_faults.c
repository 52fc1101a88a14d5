// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each request and each module's load, with each allocation and each copy from or to the caller
 * failing once (Documentation/fault-injection/fault-injection.rst, /proc/self/fail-nth): an errno
 * comes back, the next try works, and nothing leaks. Needs a kernel that can fail on purpose.
 */
#include "tests/lens/deeds.h"
#include "tests/lens/device.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAIL_NTH "/proc/thread-self/fail-nth"
/* More than any request or load has. */
#define POINTS_MAX 1000000

static struct actor one, two, mover;
static char *page;

/* --- Failing ------------------------------------------------------------------------------------ */

static int fail_nth;

static void write_number(const char *path, const char *number)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, number, strlen(number)) < 0)
        print_message("# %s: %s\n", path, strerror(errno));
    if (file >= 0)
        close(file);
}

/* Which failures are meant: also of allocations that may sleep, of any size, and silently. */
static void prepare_failures(void)
{
    write_number("/sys/kernel/debug/failslab/ignore-gfp-wait", "0");
    write_number("/sys/kernel/debug/failslab/verbose", "0");
    write_number("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "0");
    write_number("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "0");
    write_number("/sys/kernel/debug/fail_page_alloc/min-order", "0");
    write_number("/sys/kernel/debug/fail_page_alloc/verbose", "0");
    write_number("/sys/kernel/debug/fail_usercopy/verbose", "0");
    fail_nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
    assert_true(fail_nth >= 0);
}

static void fail_at(int point)
{
    char text[16];
    int size = snprintf(text, sizeof(text), "%d", point);
    /* This write is itself subject to an earlier wish. */
    while (pwrite(fail_nth, text, (size_t)size, 0) != size)
        continue;
}

/* How many points before the failure, after a call; 0: it has failed. And forgets the wish. */
static int points_left(int before)
{
    char text[16] = "";
    /* Where the read is what fails, the call was not. */
    int left = pread(fail_nth, text, sizeof(text) - 1, 0) > 0 ? atoi(text) : before;
    fail_at(0);
    return left;
}

/* --- Requests ----------------------------------------------------------------------------------- */

static int ask_info(void)
{
    struct matrix_lens_info info = {.size = sizeof(info)};
    return device_request(ACTOR_DEVICE, MATRIX_LENS_INFO, &info);
}

static int ask_translate(void)
{
    static uint64_t entries[3000];
    return device_translate(ACTOR_DEVICE, getpid(), page, COUNT(entries), entries);
}

static int ask_footprint(void)
{
    struct matrix_lens_footprint footprint;
    return device_footprint(ACTOR_DEVICE, getpid(), &footprint);
}

static uint64_t physical;

static int ask_read_byte(void)
{
    uint8_t value;
    return device_read_byte(ACTOR_DEVICE, 0, getpid(), page, physical, &value);
}

static int ask_write_byte(void)
{
    uint8_t value = 'w';
    return device_write_byte(ACTOR_DEVICE, 0, getpid(), page, physical, &value);
}

static int ask_running(void)
{
    static struct matrix_lens_task tasks[1000];
    uint32_t count;
    return device_tasks(ACTOR_DEVICE, MATRIX_LENS_RUNNING, 0, tasks, COUNT(tasks), &count);
}

static int ask_children(void)
{
    static struct matrix_lens_task tasks[1000];
    uint32_t count;
    return device_children(ACTOR_DEVICE, one.pid, tasks, COUNT(tasks), &count);
}

/* There and back by turns; a failure may come before the move or, at the last copy, after. */
static int ask_reparent(void)
{
    static bool to_two;
    to_two = !to_two;
    return move(mover, to_two ? two : one);
}

static int ask_open(void)
{
    int device = device_open();
    int number = device < 0 ? errno : 0;
    if (device >= 0)
        close(device);
    return number;
}

static const struct {
    const char *name;
    int (*ask)(void);
} requests[] = {
    {"open", ask_open},           {"INFO", ask_info},           {"TRANSLATE", ask_translate},
    {"FOOTPRINT", ask_footprint}, {"READ_BYTE", ask_read_byte}, {"WRITE_BYTE", ask_write_byte},
    {"RUNNING", ask_running},     {"CHILDREN", ask_children},   {"REPARENT", ask_reparent},
};

static void start_family(void)
{
    one = actor_start();
    two = actor_start();
    mover = actor_start_below(one);
    page = mmap(NULL, 3000 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(page != MAP_FAILED);
    madvise(page, 3000 * 4096, MADV_NOHUGEPAGE);
    page[0] = 1;
    physical = device_entry(ACTOR_DEVICE, getpid(), page) & MATRIX_PAGE_ADDRESS;
}

static void every_request_survives_every_failure(void **state)
{
    (void)state;
    prepare_failures();
    start_family();
    for (size_t i = 0; i < COUNT(requests); i++) {
        int point = 1, failed = 0;
        for (;; point++) {
            assert_true(point < 10000);
            fail_at(point);
            int number = requests[i].ask();
            if (points_left(point) > 0) {
                if (number != 0)
                    fail_msg("%s: %s without a failure", requests[i].name, strerror(number));
                break;
            }
            failed += number != 0;
            if (number != 0 && number != ENOMEM && number != EFAULT)
                fail_msg("%s, failure %d: %s", requests[i].name, point, strerror(number));
            if (requests[i].ask() != 0)
                fail_msg("%s does not work after failure %d", requests[i].name, point);
        }
        print_message("# %s: %d points, %d failed\n", requests[i].name, point - 1, failed);
        /* Each reads the caller's argument at the least. */
        assert_true(failed >= 1);
    }
    munmap(page, 3000 * 4096);
    close(fail_nth);
}

/* --- Modules ------------------------------------------------------------------------------------ */

static const char *const modules[] = {"helloworld", "hello_procfs", "get_pgfaults", "lkm1",
                                      "lkm2",       "lkm3",         "lkm4"};

static const char *parameters(const char *module)
{
    static char text[64];
    snprintf(text, sizeof(text), "pid=%d%s", getpid(),
             strcmp(module, "lkm3") == 0 ? " address=4096" : "");
    return strncmp(module, "lkm", 3) == 0 && strcmp(module, "lkm1") != 0 ? text : "";
}

/* Copied into memory, lest each of a thousand loads reads the host's. */
static int load(int file, const char *module, int point, int *left)
{
    const char *text = parameters(module);
    fail_at(point);
    int number = syscall(SYS_finit_module, file, text, 0) ? errno : 0;
    *left = points_left(point);
    if (number == 0)
        assert_int_equal(syscall(SYS_delete_module, module, O_NONBLOCK), 0);
    return number;
}

static int copy_to_memory(const char *module)
{
    char path[PATH_MAX], bytes[65536], name[64];
    snprintf(path, sizeof(path), "%s/%s.ko", getenv("MATRIX_MODULES"), module);
    /* finit_module() does not take a memfd that is open for writing. */
    snprintf(name, sizeof(name), "/tmp/%s.ko", module);
    int from = open(path, O_RDONLY | O_CLOEXEC);
    int to = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(from >= 0 && to >= 0);
    for (ssize_t got; (got = read(from, bytes, sizeof(bytes))) > 0;)
        assert_int_equal(write(to, bytes, (size_t)got), got);
    close(from);
    close(to);
    return open(name, O_RDONLY | O_CLOEXEC);
}

/*
 * A load has hundreds of points, nearly all of them the kernel's own. At the first ones kmemleak
 * complains of itself, which the lab takes for a fault.
 */
#define POINTS_SKIPPED 64

static void every_module_survives_every_failure(void **state)
{
    (void)state;
    if (!getenv("MATRIX_MODULES"))
        SKIP_BECAUSE("MATRIX_MODULES does not say where the modules are\n");
    prepare_failures();
    alarm(0); /* two thousand loads */
    for (size_t i = 0; i < COUNT(modules); i++) {
        int file = copy_to_memory(modules[i]), left, failed = 0;
        /* Twice: the second time all that is only made once is there. */
        load(file, modules[i], POINTS_MAX, &left);
        assert_int_equal(load(file, modules[i], POINTS_MAX, &left), 0);
        int points = POINTS_MAX - left;
        for (int point = POINTS_SKIPPED; point <= points + 3; point++)
            failed += load(file, modules[i], point, &left) != 0;
        print_message("# %s: %d points, %d failed\n", modules[i], points, failed);
        assert_true(failed >= 1);
        assert_int_equal(load(file, modules[i], POINTS_MAX, &left), 0);
        close(file);
    }
    close(fail_nth);
}

static void nothing_has_leaked(void **state)
{
    (void)state;
    static char text[65536];
    int file = open("/sys/kernel/debug/kmemleak", O_RDWR | O_CLOEXEC);
    if (file < 0)
        SKIP_BECAUSE("this kernel has no kmemleak\n");
    alarm(0); /* a scan takes as long as there is memory */
    assert_int_equal(write(file, "scan", 4), 4);
    /* It tells only of what is older than 5 seconds; and what is seen once may be on its way. */
    sleep(6);
    assert_int_equal(write(file, "scan", 4), 4);
    ssize_t size = 0;
    for (ssize_t got; (got = read(file, text + size, sizeof(text) - 1 - (size_t)size)) > 0;)
        size += got;
    close(file);
    print_message("# kmemleak: %zd bytes\n%s", size, text);
    static const char *const ours[] = {"[matrix_lens]", "[lkm", "[helloworld]", "[hello_procfs]",
                                       "[get_pgfaults]"};
    for (size_t i = 0; i < COUNT(ours); i++)
        assert_null(strstr(text, ours[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ACTORS_TEST(every_request_survives_every_failure),
        ACTORS_TEST(every_module_survives_every_failure),
        ACTORS_TEST(nothing_has_leaked),
    };
    if (getenv("MATRIX_LAB") && access(FAIL_NTH, F_OK)) {
        printf("1..0 # SKIP faults: this kernel cannot fail on purpose (no " FAIL_NTH ")\n");
        return 0;
    }
    return actors_run("faults", tests, COUNT(tests));
}
