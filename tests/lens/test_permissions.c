// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may ask what: each request against each capability that a caller lacks, user namespaces,
 * pid namespaces, and the file's mode. A child gives up what it is to lack, with the device open.
 */
#include "tests/lens/bytes.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define PTRACE (1U << 0)
#define ADMIN  (1U << 1)
#define RAWIO  (1U << 2)

static const struct {
    const char *name;
    int number;
    unsigned mask;
} rights[] = {
    {"CAP_SYS_PTRACE", CAP_SYS_PTRACE, PTRACE},
    {"CAP_SYS_ADMIN", CAP_SYS_ADMIN, ADMIN},
    {"CAP_SYS_RAWIO", CAP_SYS_RAWIO, RAWIO},
};

/* A page of the asked process that is its own; and its address in RAM. */
static char *page;
static uint64_t physical;

/* --- the requests, each on a process -------------------------------------------------------- */

static int ask_info(pid_t pid)
{
    struct matrix_lens_info info = {.size = sizeof(info)};
    return device_request(lens_fd, MATRIX_LENS_INFO, &info);
}

static int ask_translate(pid_t pid)
{
    uint64_t entry;
    return device_translate(lens_fd, pid, page, 1, &entry);
}

static int ask_translate_without_addresses(pid_t pid)
{
    uint64_t entry = 0;
    struct matrix_lens_translate translate = {
        .size = sizeof(translate),
        .flags = MATRIX_LENS_NO_ADDRESSES,
        .pid = pid,
        .address = (uintptr_t)page,
        .count = 1,
        .entries = (uintptr_t)&entry,
    };
    int number = device_request(lens_fd, MATRIX_LENS_TRANSLATE, &translate);
    return entry & MATRIX_PAGE_ADDRESS ? EILSEQ : number;
}

static int ask_footprint(pid_t pid)
{
    struct matrix_lens_footprint footprint;
    return device_footprint(lens_fd, pid, &footprint);
}

static int ask_read(pid_t pid)
{
    uint8_t value;
    return device_read_byte(lens_fd, 0, pid, page, physical, &value);
}

static int ask_write(pid_t pid)
{
    uint8_t value = 'w';
    return device_write_byte(lens_fd, MATRIX_LENS_FORCE, pid, page, physical, &value);
}

static int ask_read_physical(pid_t pid)
{
    uint8_t value;
    return read_physical(physical, 0, &value);
}

static int ask_write_physical(pid_t pid)
{
    return write_physical(physical, MATRIX_LENS_FORCE, 'w');
}

static int ask_running(pid_t pid)
{
    struct matrix_lens_tasks tasks = {.size = sizeof(tasks)};
    return device_request(lens_fd, MATRIX_LENS_RUNNING, &tasks);
}

static int ask_children(pid_t pid)
{
    struct matrix_lens_tasks tasks = {.size = sizeof(tasks), .pid = pid};
    return device_request(lens_fd, MATRIX_LENS_CHILDREN, &tasks);
}

static const struct {
    const char *name;
    int (*ask)(pid_t pid);
    unsigned needs;
} requests[] = {
    {"INFO", ask_info, 0},
    {"RUNNING", ask_running, 0},
    {"CHILDREN", ask_children, PTRACE},
    {"FOOTPRINT", ask_footprint, PTRACE},
    {"TRANSLATE without addresses", ask_translate_without_addresses, PTRACE},
    {"TRANSLATE", ask_translate, PTRACE | ADMIN},
    {"READ_BYTE", ask_read, PTRACE | ADMIN},
    {"WRITE_BYTE", ask_write, PTRACE | ADMIN | RAWIO},
    {"READ_BYTE, PHYSICAL", ask_read_physical, ADMIN | RAWIO},
    {"WRITE_BYTE, PHYSICAL", ask_write_physical, ADMIN | RAWIO},
};

/* The number of the request that is not answered as it should be, from 1 on; 0: all are. */
static int find_wrong(pid_t pid, unsigned has)
{
    for (size_t i = 0; i < COUNT(requests); i++) {
        int wanted = requests[i].needs & ~has ? EPERM : 0;
        int number = requests[i].ask(pid);
        if (number == wanted)
            continue;
        print_message("# %s: %s, not %s\n", requests[i].name, strerror(number), strerror(wanted));
        return (int)i + 1;
    }
    return 0;
}

/* --- capabilities --------------------------------------------------------------------------- */

static void give_up(int capability)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data))
        abort();
    data[capability / 32].effective &= ~(1U << (capability % 32));
    if (syscall(SYS_capset, &header, data))
        abort();
}

static int ask_without(void *right)
{
    size_t index = *(size_t *)right;
    give_up(rights[index].number);
    return find_wrong(getppid(), (PTRACE | ADMIN | RAWIO) & ~rights[index].mask);
}

static void each_right_is_needed_for_what_it_says(void **state)
{
    for (size_t i = 0; i < COUNT(rights); i++) {
        int wrong = child_do(ask_without, &i);
        if (wrong)
            fail_msg("without %s: %s", rights[i].name, requests[wrong - 1].name);
    }
}

static int ask_as_root(void *unused)
{
    return find_wrong(getppid(), PTRACE | ADMIN | RAWIO);
}

static void root_may_ask_everything(void **state)
{
    assert_int_equal(child_do(ask_as_root, NULL), 0);
}

/* No capability at all, though it is our own memory that is asked for. */
static int ask_as_nobody(void *unused)
{
    if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
        abort();
    return find_wrong(getpid(), 0);
}

static void ordinary_user_may_ask_nothing_of_processes(void **state)
{
    assert_int_equal(child_do(ask_as_nobody, NULL), 0);
}

static int open_as_nobody(void *unused)
{
    if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
        abort();
    return device_open() < 0 ? errno : 0;
}

static void ordinary_user_cannot_open_the_device(void **state)
{
    assert_int_equal(child_do(open_as_nobody, NULL), EACCES);
}

/* The right is looked at with each request, not when the device is opened. */
static int ask_before_and_after(void *unused)
{
    uint64_t entry;
    int before = device_translate(lens_fd, getppid(), page, 1, &entry);
    give_up(CAP_SYS_ADMIN);
    return before ? before : device_translate(lens_fd, getppid(), page, 1, &entry);
}

static void rights_are_those_of_the_moment(void **state)
{
    assert_int_equal(child_do(ask_before_and_after, NULL), EPERM);
}

/* --- user namespaces ------------------------------------------------------------------------ */

static pid_t initial_child;

/* All rights in a namespace of one's own are none outside, whosever memory it is. */
static int ask_from_own_namespace(void *unused)
{
    if (unshare(CLONE_NEWUSER))
        abort();
    int wrong = find_wrong(initial_child, 0);
    if (wrong)
        return wrong;
    /* Our memory came from outside, and belongs to the namespace there. */
    if (ask_footprint(getpid()) != EPERM || ask_translate_without_addresses(getpid()) != EPERM)
        return 100;
    /* We ourselves are inside. */
    return ask_children(getpid()) == 0 ? 0 : 101;
}

static void rights_in_another_namespace_are_none_here(void **state)
{
    initial_child = child_start();
    assert_int_equal(child_do(ask_from_own_namespace, NULL), 0);
    child_end(initial_child);
}

/* After exec() the memory is the namespace's own: it may look at it, but not at frames. */
static int exec_in_own_namespace(void *unused)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", lens_fd);
    fcntl(lens_fd, F_SETFD, 0);
    /* Whoever is not root inside would lose all rights by exec(). */
    if (unshare(CLONE_NEWUSER) || file_write("/proc/self/uid_map", "0 0 1"))
        abort();
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "test_permissions", "--inside", number, (char *)NULL);
        _exit(120);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 121;
}

static void memory_of_the_own_namespace_may_be_looked_at(void **state)
{
    assert_int_equal(child_do(exec_in_own_namespace, NULL), 0);
}

static int run_inside(const char *number)
{
    lens_fd = atoi(number);
    page = kind_small();
    return find_wrong(getpid(), PTRACE);
}

/* From outside, a namespace below is within reach. */
static void process_in_a_namespace_below_may_be_asked(void **state)
{
    int line[2];
    char ready;
    assert_int_equal(pipe(line), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        *(volatile char *)page = 'c'; /* in the child's tables only once it is touched */
        if (unshare(CLONE_NEWUSER) || write(line[1], "r", 1) != 1)
            _exit(1);
        while (true)
            pause();
    }
    assert_int_equal(read(line[0], &ready, 1), 1);
    assert_int_equal(find_wrong(child, PTRACE | ADMIN | RAWIO), 0);
    child_end(child);
    close(line[0]);
    close(line[1]);
}

/* --- pid namespaces ------------------------------------------------------------------------- */

static int ask_as_pid_1(void *unused)
{
    uint64_t entry = 0;
    uint64_t own = device_entry(lens_fd, 1, &entry);
    struct matrix_lens_footprint footprint;
    if (getpid() != 1 || own != device_entry(lens_fd, getpid(), &entry))
        return 1;
    if (!(own & MATRIX_PAGE_PRESENT) || (own & MATRIX_PAGE_ADDRESS) == 0)
        return 2;
    /* kthreadd is not to be seen from here, nor who made us. */
    if (device_footprint(lens_fd, 2, &footprint) != ESRCH)
        return 3;
    return device_footprint(lens_fd, initial_child, &footprint) == ESRCH ? 0 : 4;
}

static int enter_pid_namespace(void *unused)
{
    if (unshare(CLONE_NEWPID))
        abort();
    return child_do(ask_as_pid_1, NULL);
}

static void pids_are_those_of_the_callers_namespace(void **state)
{
    initial_child = child_start();
    assert_true(initial_child > 2);
    assert_int_equal(child_do(enter_pid_namespace, NULL), 0);
    child_end(initial_child);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_may_ask_everything),
        cmocka_unit_test(each_right_is_needed_for_what_it_says),
        cmocka_unit_test(ordinary_user_may_ask_nothing_of_processes),
        cmocka_unit_test(ordinary_user_cannot_open_the_device),
        cmocka_unit_test(rights_are_those_of_the_moment),
        cmocka_unit_test(rights_in_another_namespace_are_none_here),
        cmocka_unit_test(memory_of_the_own_namespace_may_be_looked_at),
        cmocka_unit_test(process_in_a_namespace_below_may_be_asked),
        cmocka_unit_test(pids_are_those_of_the_callers_namespace),
    };
    if (argc == 3 && strcmp(argv[1], "--inside") == 0)
        return run_inside(argv[2]);
    /* Of both sides of a fork: shared memory stays where it is. */
    page = kind_memfd();
    physical = page ? oracle_frame(getpid(), page) * PAGE : 0;
    return harness_run("permissions", tests, COUNT(tests));
}
