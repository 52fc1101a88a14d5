// SPDX-License-Identifier: GPL-2.0-or-later
/* The VMs of an experiment: what they say. Plain shells stand in for them. */
#include "ksm/experiment_vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

static char directory[] = "/tmp/matrix-vm-XXXXXX";

static void start(const char *script, struct experiment_vm *vm)
{
    const char *argv[] = {"sh", "-c", script, NULL};
    const struct experiment_start start = {.name = "vm", .argv = argv};
    assert_null(experiment_vm_start(&start, directory, vm));
    assert_true(vm->running);
}

/* Waits until it has ended, as an experiment does. */
static void wait_for_end(struct experiment_vm *vm)
{
    assert_int_equal(waitpid(vm->pid, &vm->status, 0), vm->pid);
    vm->running = false;
}

/* Looks through all that is there; *calls: how many that took. */
static bool has_said(struct experiment_vm *vm, const char *text, unsigned *calls)
{
    bool found, more;
    *calls = 0;
    do {
        assert_null(experiment_vm_says(vm, text, &found, &more));
        (*calls)++;
    } while (!found && more);
    return found;
}

/* The first text lies across the end of the first MiB, the second is the last of three. */
static void it_is_heard_to_the_end(void **state)
{
    struct experiment_vm vm;
    unsigned calls;
    start("head -c 1048573 /dev/zero; printf rabbit; head -c 2097152 /dev/zero; printf hole", &vm);
    wait_for_end(&vm);
    assert_int_equal(vm.status, 0);
    assert_true(has_said(&vm, "rabbit", &calls));
    assert_int_equal(calls, 2);
    assert_false(has_said(&vm, "rabbit", &calls));
    assert_true(has_said(&vm, "hole", &calls));
    assert_false(has_said(&vm, "hole", &calls));
    experiment_vm_end(&vm);
}

static int make_directory(void **state)
{
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/vm.log", directory);
    unlink(path);
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_heard_to_the_end),
    };
    return cmocka_run_group_tests_name("ksm_experiment_vm", tests, make_directory,
                                       remove_directory);
}
