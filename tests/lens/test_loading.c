// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Each module loaded and unloaded by two at once, while two others use what it offers. Each may
 * find it there, not there, or busy; nothing else, and the kernel may not complain, which the lab
 * sees. MATRIX_MODULES is the directory of the .ko files.
 */
#include "tests/lens/device.h"
#include "tests/lens/harness.h"
#include "tests/lens/kinds.h"
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PASSES 60

struct module {
    const char *name;
    const char *parameters; /* beside pid=PID, where there are any */
    void (*use)(void);
};

/* How often each thing came to pass, over all processes. */
static struct tally {
    unsigned loaded, unloaded, busy, used;
} * tally;

static void count(unsigned *number)
{
    __atomic_add_fetch(number, 1, __ATOMIC_RELAXED);
}

static int load(const struct module *module)
{
    char path[PATH_MAX], parameters[64] = "";
    snprintf(path, sizeof(path), "%s/%s.ko", getenv("MATRIX_MODULES"), module->name);
    if (module->parameters)
        snprintf(parameters, sizeof(parameters), "pid=%d%s", getpid(), module->parameters);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int number = syscall(SYS_finit_module, fd, parameters, 0) ? errno : 0;
    close(fd);
    return number;
}

static int unload(const struct module *module)
{
    return syscall(SYS_delete_module, module->name, O_NONBLOCK) ? errno : 0;
}

/* The number of what should not have happened; 0: nothing. */
static int toggle(const struct module *module)
{
    for (int i = 0; i < PASSES; i++) {
        int number = load(module);
        if (number == 0)
            count(&tally->loaded);
        else if (number != EEXIST && number != EBUSY)
            return number;
        number = unload(module);
        if (number == 0)
            count(&tally->unloaded);
        else if (number == EWOULDBLOCK || number == EBUSY)
            count(&tally->busy);
        else if (number != ENOENT)
            return number;
    }
    return 0;
}

static void use_file(const char *path)
{
    char text[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (read(fd, text, sizeof(text)) > 0)
        count(&tally->used);
    close(fd);
}

static void use_hello(void)
{
    use_file("/proc/hello_procfs");
}

static void use_faults(void)
{
    use_file("/proc/get_pgfaults");
}

static void use_device(void)
{
    struct matrix_lens_footprint footprint;
    int fd = device_open();
    if (fd < 0)
        return;
    if (device_footprint(fd, getpid(), &footprint) == 0)
        count(&tally->used);
    close(fd);
}

static pid_t start(const struct module *module, bool is_user)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!is_user)
        _exit(toggle(module));
    while (true)
        module->use();
}

static int wait_for(pid_t child)
{
    int status;
    waitpid(child, &status, 0);
    return status;
}

static void leave_unloaded(const struct module *module)
{
    int number = unload(module);
    if (number != 0 && number != ENOENT)
        fail_msg("%s cannot be unloaded any more: %s", module->name, strerror(number));
    assert_int_equal(load(module), 0);
    assert_int_equal(unload(module), 0);
}

static void survives(void **state)
{
    const struct module *module = *state;
    pid_t users[2] = {0}, togglers[2];
    *tally = (struct tally){0};
    for (int i = 0; i < 2; i++) {
        togglers[i] = start(module, false);
        users[i] = module->use ? start(module, true) : 0;
    }
    int first = wait_for(togglers[0]), second = wait_for(togglers[1]);
    for (int i = 0; i < 2; i++)
        if (users[i] > 0)
            child_end(users[i]);
    print_message("# %s: %u loads, %u unloads, %u times busy, %u uses\n", module->name,
                  tally->loaded, tally->unloaded, tally->busy, tally->used);
    if (first || second)
        fail_msg("%s: %s", module->name, strerror((first ? first : second) >> 8));
    /* On a busy machine one that is used may never be found unused. */
    assert_true(tally->loaded > 0 && (tally->unloaded > 0 || (module->use && tally->busy > 0)));
    /* Since 6.5 two who load the same file at once are both told that it is loaded. */
    assert_true(tally->loaded >= tally->unloaded);
    leave_unloaded(module);
}

int main(void)
{
    static struct module modules[] = {
        {"helloworld", NULL, NULL},
        {"lkm1", NULL, NULL},
        {"lkm2", "", NULL},
        {"lkm3", " address=0x400000", NULL},
        {"lkm4", "", NULL},
        {"hello_procfs", NULL, use_hello},
        {"get_pgfaults", NULL, use_faults},
        {"matrix_lens", NULL, use_device},
    };
    struct CMUnitTest tests[COUNT(modules)];
    tally = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < COUNT(modules); i++)
        tests[i] = (struct CMUnitTest){modules[i].name, survives, NULL, NULL, &modules[i]};
    if (!getenv("MATRIX_LAB") || tally == MAP_FAILED)
        return harness_run("loading", tests, 0);
    /* The driver is among those that are to be unloaded: nobody may have it open before. */
    unload(&modules[COUNT(modules) - 1]);
    int failed = _cmocka_run_group_tests("loading", tests, COUNT(tests), NULL, NULL);
    int number = load(&modules[COUNT(modules) - 1]);
    if (number)
        print_message("# matrix_lens is not there for those that follow: %s\n", strerror(number));
    return failed;
}
