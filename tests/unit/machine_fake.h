/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Guests without KVM for test_machine_threads.c: the linker (--wrap) puts these in place of the virtual CPU, so that
 * loops, threads and letters are the real ones, and can be looked at by ThreadSanitizer. What a guest does
 * is said by its name. Included by that file only.
 */
#ifndef TESTS_UNIT_MACHINE_FAKE_H
#define TESTS_UNIT_MACHINE_FAKE_H

#define LAST_WORDS 2000 /* lines that "lines" prints, at once, and then ends */

struct fake {
    struct matrix_vm vm;
    struct vcpu vcpu;
    uint64_t work;
    uint64_t entries_left; /* of "count" */
    atomic_int inside;     /* threads that run it now */
    int bell_fd;           /* of "bell" */
    bool in_group, removed;
};

enum vcpu_outcome __wrap_vcpu_run(struct vcpu *vcpu);
struct matrix_error *__wrap_vcpu_set_signal_mask(struct vcpu *vcpu, const sigset_t *blocked);

struct matrix_error *__wrap_vcpu_set_signal_mask(struct vcpu *vcpu, const sigset_t *blocked)
{
    return NULL;
}

/* As KVM_RUN does it: until a signal is pending for this thread, or for limit_ns. */
static bool spin(uint64_t *work, uint64_t limit_ns)
{
    const uint64_t end = clock_now_ns(CLOCK_MONOTONIC) + limit_ns;
    for (;;) {
        sigset_t pending;
        for (int i = 0; i < 1000; i++)
            __atomic_fetch_add(work, 1, __ATOMIC_RELAXED);
        sigpending(&pending);
        if (sigismember(&pending, SIGRTMIN) == 1 || sigismember(&pending, SIGIO) == 1 ||
            sigismember(&pending, SIGINT) == 1)
            return true;
        if (limit_ns && clock_now_ns(CLOCK_MONOTONIC) >= end)
            return false;
    }
}

/* Its slice is over, nobody has noticed yet, and just then somebody writes into a pipe. */
static void ring_late(const struct fake *fake)
{
    sigset_t pending;
    do
        sigpending(&pending);
    while (sigismember(&pending, SIGRTMIN) != 1);
    if (write(fake->bell_fd, "", 1) != 1)
        abort();
}

enum vcpu_outcome __wrap_vcpu_run(struct vcpu *vcpu)
{
    struct fake *fake = (struct fake *)(void *)vcpu->vm;
    const char *name = vcpu->vm->name;
    enum vcpu_outcome outcome = VCPU_INTERRUPTED;
    if (atomic_fetch_add(&fake->inside, 1) != 0)
        abort(); /* two threads at once */
    fake->vm.exits[0]++;
    if (strcmp(name, "spin") == 0) {
        spin(&fake->work, 0);
    } else if (strcmp(name, "nap") == 0) {
        outcome = spin(&fake->work, 100000) ? VCPU_INTERRUPTED : VCPU_SLEEPING;
        vcpu->wake_ns = clock_now_ns(CLOCK_MONOTONIC) + 2000000;
    } else if (strcmp(name, "talk") == 0) {
        console_write(&fake->vm.console, "hello\n", 6);
        outcome = spin(&fake->work, 20000) ? VCPU_INTERRUPTED : VCPU_HANDLED;
    } else if (strcmp(name, "lines") == 0) {
        for (int i = 0; i < LAST_WORDS; i++)
            console_write(&fake->vm.console, "so be it\n", 9);
        vm_end(&fake->vm, MATRIX_VM_EXITED, 0);
        outcome = VCPU_VM_ENDED;
    } else if (strcmp(name, "bell") == 0) {
        ring_late(fake);
        vm_end(&fake->vm, MATRIX_VM_EXITED, 0);
        outcome = VCPU_VM_ENDED;
    } else if (spin(&fake->work, 10000) == false && --fake->entries_left == 0) {
        vm_end(&fake->vm, MATRIX_VM_EXITED, 0);
        outcome = VCPU_VM_ENDED;
    }
    atomic_fetch_sub(&fake->inside, 1);
    return outcome;
}

static void fake_create(struct fake *fake, const char *name, struct matrix_output *output)
{
    *fake = (struct fake){.entries_left = 100};
    fake->vm.name = (char *)(uintptr_t)name;
    fake->vm.work = &fake->work;
    fake->vm.vcpu_count = 1;
    fake->vm.vcpus[0] = &fake->vcpu;
    fake->vcpu.vm = &fake->vm;
    console_init(&fake->vm.console,
                 &(struct matrix_vm_options){.output = output, .output_lossy = true}, NULL);
}

static void fake_destroy(struct fake *fake)
{
    console_destroy(&fake->vm.console);
}

#endif
