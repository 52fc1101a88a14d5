// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * lkm3 and lkm4: what they write into the kernel's log when they are loaded, against pagemap, smaps
 * and status; and how loading fails. MATRIX_MODULES is the directory of the .ko files.
 */
#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include "tests/lens/kinds.h"
#include "tests/lens/oracle.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- modules and the kernel's log ----------------------------------------------------------- */

static int kernel_log = -1;

/* What the module that was loaded last has said, a line each. */
static char said[4096];

static void unload(const char *name)
{
    if (syscall(SYS_delete_module, name, O_NONBLOCK) && errno != ENOENT)
        fail_msg("cannot unload %s: %s", name, strerror(errno));
}

static void open_log(void)
{
    if (kernel_log < 0)
        kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(kernel_log >= 0);
    assert_true(lseek(kernel_log, 0, SEEK_END) >= 0);
}

/* A record of /dev/kmsg: "PREFIX;TEXT\n", and lines that begin with a space. */
static void read_log(const char *name)
{
    char record[2048], prefix[64];
    ssize_t got;
    said[0] = '\0';
    snprintf(prefix, sizeof(prefix), "%s: ", name);
    while ((got = read(kernel_log, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
        record[got > 0 ? got : 0] = '\0';
        char *text = strchr(record, ';');
        if (text && strncmp(text + 1, prefix, strlen(prefix)) == 0)
            strncat(said, text + 1 + strlen(prefix), sizeof(said) - strlen(said) - 1);
    }
}

/* Loads a module; returns 0 or the errno. It is unloaded at once. */
static int load(const char *name, const char *parameters)
{
    char path[PATH_MAX];
    const char *modules = getenv("MATRIX_MODULES");
    assert_non_null(modules);
    snprintf(path, sizeof(path), "%s/%s.ko", modules, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("cannot open %s: %s", path, strerror(errno));
    open_log();
    int number = syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
    close(fd);
    read_log(name);
    if (number == 0)
        unload(name);
    snprintf(path, sizeof(path), "/sys/module/%s", name);
    assert_int_not_equal(access(path, F_OK), 0);
    return number;
}

static void assert_said(const char *part)
{
    if (!strstr(said, part))
        fail_msg("'%s' is missing in: %s", part, said);
}

/* --- lkm3: addresses ------------------------------------------------------------------------ */

static void ask_address(pid_t pid, const void *address)
{
    char parameters[96];
    snprintf(parameters, sizeof(parameters), "pid=%d address=0x%lx", pid, (uintptr_t)address);
    assert_int_equal(load("lkm3", parameters), 0);
    snprintf(parameters, sizeof(parameters), "pid %d, virtual address 0x%lx", pid,
             (uintptr_t)address);
    assert_said(parameters);
}

static void assert_physical(pid_t pid, const void *address)
{
    char text[64];
    uint64_t frame = oracle_frame(pid, address);
    ask_address(pid, address);
    if (frame == 0)
        return;
    snprintf(text, sizeof(text), ", physical address 0x%lx,",
             frame * PAGE + (uintptr_t)address % PAGE);
    assert_said(text);
}

static const struct {
    uint64_t is;
    const char *text;
} words[] = {
    {MATRIX_PAGE_SIZE_1G, ", page 1 GiB"},  {MATRIX_PAGE_SIZE_2M, ", page 2 MiB"},
    {MATRIX_PAGE_SIZE_4K, ", page 4 KiB"},  {MATRIX_PAGE_NO_ACCESS, ", no access (PROT_NONE)"},
    {MATRIX_PAGE_WRITABLE, ", writable"},   {MATRIX_PAGE_DIRTY, ", dirty"},
    {MATRIX_PAGE_FILE, ", file"},           {MATRIX_PAGE_ANONYMOUS, ", anonymous"},
    {MATRIX_PAGE_ZERO, ", the zero page"},  {MATRIX_PAGE_KSM, ", merged by KSM"},
    {MATRIX_PAGE_DEVICE, ", device"},       {MATRIX_PAGE_COMPOUND, ", part of a larger page"},
    {MATRIX_PAGE_HUGETLB, ", hugetlb"},     {MATRIX_PAGE_SHMEM, ", shared memory"},
    {MATRIX_PAGE_SWAPPED, ": swapped out"},
};

static bool is_said(uint64_t flag, uint64_t flags)
{
    return (flag & MATRIX_PAGE_SIZE_MASK) ? (flags & MATRIX_PAGE_SIZE_MASK) == flag
                                          : (flags & flag) != 0;
}

/* A cmocka test for each of kinds[], which is its initial state. */
static void is_told_as_it_is(void **state)
{
    const struct kind *kind = *state;
    char *page = kind->make();
    if (!page && kind->may_be_missing)
        SKIP_BECAUSE("%s\n", kinds_why);
    if (!page)
        fail_msg("cannot make a page of kind %s: %s", kind->name, kinds_why);
    assert_physical(getpid(), page + 0x123);
    for (size_t i = 0; i < COUNT(words); i++) {
        if (is_said(words[i].is, kind->is))
            assert_said(words[i].text);
        if (is_said(words[i].is, kind->is_not) && strstr(said, words[i].text))
            fail_msg("'%s' in: %s", words[i].text, said);
    }
    if (!(kind->is & (MATRIX_PAGE_PRESENT | MATRIX_PAGE_SWAPPED)) && !strstr(said, "physical"))
        assert_said(": mapped, but never touched");
}

static void address_changes_after_copy_on_write(void **state)
{
    char *page = kind_small();
    assert_physical(getpid(), page);
    uint64_t before = oracle_frame(getpid(), page);
    pid_t child = child_start();
    *page = 'x';
    assert_physical(getpid(), page);
    assert_physical(child, page);
    assert_int_equal(oracle_frame(child, page), before);
    assert_int_not_equal(oracle_frame(getpid(), page), before);
    child_end(child);
}

static void address_outside_any_mapping_is_told(void **state)
{
    static const uintptr_t nowhere[] = {0, 0xfff, 0x800000000000, 0xffffffff81000000};
    for (size_t i = 0; i < COUNT(nowhere); i++) {
        ask_address(getpid(), (void *)nowhere[i]);
        assert_said(": not mapped\n");
    }
}

/* --- lkm4: sizes ---------------------------------------------------------------------------- */

static void sizes_are_those_of_status_and_smaps(void **state)
{
    char text[128], parameters[32];
    kind_thp();
    kind_memfd();
    kind_hugetlb_2m();
    pid_t child = child_start();
    snprintf(parameters, sizeof(parameters), "pid=%d", child);
    assert_int_equal(load("lkm4", parameters), 0);
    snprintf(text, sizeof(text), "pid %d: virtual %lu kB in ", child,
             oracle_total(child, "status", "VmSize") >> 10);
    assert_said(text);
    snprintf(text, sizeof(text), "mappings, physical %lu kB\n",
             oracle_total(child, "smaps_rollup", "Rss") >> 10);
    assert_said(text);
    snprintf(text, sizeof(text), "anonymous %lu kB",
             oracle_total(child, "smaps", "Anonymous") >> 10);
    assert_said(text);
    snprintf(text, sizeof(text), "hugetlb %lu kB, swapped %lu kB",
             oracle_total(child, "status", "HugetlbPages") >> 10,
             oracle_total(child, "smaps", "Swap") >> 10);
    assert_said(text);
    child_end(child);
}

/* --- what is refused ------------------------------------------------------------------------ */

static void wrong_parameters_are_explained(void **state)
{
    static const struct {
        const char *name, *parameters;
        int number;
        const char *text;
    } wrong[] = {
        {"lkm2", "", EINVAL, "parameter pid=0: give the number of a process"},
        {"lkm2", "pid=2147483647", ESRCH, "parameter pid=2147483647: there is no such process"},
        {"lkm3", "", EINVAL, "parameter pid=0: give the number of a process"},
        {"lkm3", "address=0x1000", EINVAL, "parameter pid=0: give the number of a process"},
        {"lkm3", "pid=1", EINVAL, "parameter address is missing"},
        {"lkm3", "pid=-1 address=0", EINVAL, "parameter pid=-1: give the number of a process"},
        {"lkm3", "pid=2147483647 address=0", ESRCH, "there is no such process"},
        {"lkm3", "pid=2 address=0", ENXIO, "parameter pid=2: a kernel thread"},
        {"lkm3", "pid=x address=0", EINVAL, ""},
        {"lkm3", "pid=1 address=here", EINVAL, ""},
        {"lkm3", "pid=99999999999 address=0", ERANGE, ""},
        {"lkm3", "pid=1 address=0x10000000000000000", ERANGE, ""},
        {"lkm4", "", EINVAL, "parameter pid=0: give the number of a process"},
        {"lkm4", "pid=2147483647", ESRCH, "there is no such process"},
        {"lkm4", "pid=2", ENXIO, "parameter pid=2: a kernel thread"},
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        int number = load(wrong[i].name, wrong[i].parameters);
        if (number != wrong[i].number)
            fail_msg("%s %s: %s, not %s", wrong[i].name, wrong[i].parameters, strerror(number),
                     strerror(wrong[i].number));
        assert_said(wrong[i].text);
    }
}

static void zombie_has_no_memory(void **state)
{
    char parameters[32];
    siginfo_t info;
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    snprintf(parameters, sizeof(parameters), "pid=%d address=0", child);
    assert_int_equal(load("lkm3", parameters), ESRCH);
    assert_said("there is no such process, or it has ended");
    assert_int_equal(load("lkm4", strtok(parameters, " ")), ESRCH);
    waitpid(child, NULL, 0);
}

int main(void)
{
    static const struct CMUnitTest others[] = {
        cmocka_unit_test(wrong_parameters_are_explained),
        cmocka_unit_test(zombie_has_no_memory),
        cmocka_unit_test(sizes_are_those_of_status_and_smaps),
        cmocka_unit_test(address_changes_after_copy_on_write),
        cmocka_unit_test(address_outside_any_mapping_is_told),
    };
    static struct CMUnitTest tests[64];
    memcpy(tests, others, sizeof(others));
    for (size_t i = 0; i < kinds_count; i++)
        tests[COUNT(others) + i] =
            (struct CMUnitTest){kinds[i].name, is_told_as_it_is, NULL, NULL, (void *)&kinds[i]};
    return harness_run("modules", tests, kinds_count + COUNT(others));
}
