// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How the runs of machines end, whose guests are not real ones (machine_fake.h): by themselves, by signals, by an
 * error; and what a machine refuses. As test_machine_threads.c, also for ThreadSanitizer.
 */
#include "base/clock.h"
#include "cloud/machine.h"
#include "vmm/vcpu.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* After those that it needs. */
#include <cmocka.h>

/* After those that it needs. */
#include "machine_fake.h"
/* After that. */
#include "machine_scene.h"

static void all_end(void **state)
{
    struct scene scene = {0};
    scene_create(&scene, (struct matrix_machine_options){.cores = 3});
    for (int i = 0; i < 9; i++)
        add(&scene, "count", weight(1));
    assert_int_equal(run(&scene).end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(scene.ended, 9);
    for (size_t i = 0; i < 9; i++) {
        assert_string_equal(guest_of(&scene, &scene.fakes[i]).guest.state, "exited");
        success(matrix_machine_remove(scene.machine, &scene.fakes[i].vm));
    }
    assert_int_equal(scene.removed, 9);
    struct matrix_machine_guest guest;
    assert_false(matrix_machine_guest(scene.machine, 0, &guest));
    scene_destroy(&scene);
}

/* What a guest printed without loss arrives, however slow its reader, though the guest is on no core any more. */
static void nothing_printed_is_lost(void **state)
{
    struct scene scene = {0};
    int ends[2];
    char text[4096];
    size_t lines = 0;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, 4096), 4096);
    const pid_t reader = fork();
    if (reader == 0) {
        close(ends[1]);
        usleep(1300000); /* longer than matrix_output_destroy waits */
        for (ssize_t got; (got = read(ends[0], text, sizeof(text))) != 0; usleep(1000))
            for (ssize_t i = 0; i < got; i++)
                lines += text[i] == '\n';
        _exit(lines == 2 * LAST_WORDS ? 0 : 1);
    }
    scene_create(&scene, (struct matrix_machine_options){0});
    success(matrix_output_create(ends[1], &scene.output));
    for (int i = 0; i < 2; i++)
        add(&scene, "lines", weight(1))->vm.console.lossy = false;
    assert_int_equal(run(&scene).end, MATRIX_CORE_ALL_ENDED);
    scene_destroy(&scene);
    close(ends[0]);
    close(ends[1]);
    int status;
    assert_int_equal(waitpid(reader, &status, 0), reader);
    assert_int_equal(status, 0);
}

static void interrupt(struct scene *scene)
{
    if (scene->step == 3)
        kill(getpid(), SIGINT);
}

/* Wherever the kernel would like to deliver it: only the first core takes it. */
static void signals_are_for_the_first_core(void **state)
{
    struct scene scene = {.script = interrupt};
    scene_create(&scene, (struct matrix_machine_options){.cores = 3, .tick_ns = 20 * MILLISECOND});
    for (int i = 0; i < 5; i++)
        add(&scene, "spin", weight(1));
    const struct matrix_core_result result = run(&scene);
    assert_int_equal(result.end, MATRIX_CORE_SIGNAL);
    assert_int_equal(result.signal, SIGINT);
    for (size_t i = 0; i < 5; i++)
        assert_string_equal(guest_of(&scene, &scene.fakes[i]).guest.state, "stopped");
    check_time(&scene);
    scene_destroy(&scene);
}

static void heard(struct matrix_core *core, int fd, void *context)
{
    matrix_machine_stop(((struct scene *)context)->machine);
}

/* A descriptor's signal that is consumed together with the timer's, while nothing else is due. */
static void no_signal_is_lost(void **state)
{
    for (int times = 0; times < 20; times++) {
        struct scene scene = {0};
        int bell[2];
        assert_int_equal(pipe2(bell, O_CLOEXEC | O_NONBLOCK), 0);
        scene_create(&scene,
                     (struct matrix_machine_options){.cores = 1, .duration_ns = LONG_ENOUGH});
        success(matrix_core_watch(matrix_machine_first_core(scene.machine), bell[0], POLLIN, heard,
                                  &scene));
        add(&scene, "spin", weight(1));
        add(&scene, "bell", weight(1))->bell_fd = bell[1];
        assert_int_equal(run(&scene).end, MATRIX_CORE_STOPPED);
        scene_destroy(&scene);
        close(bell[0]);
        close(bell[1]);
    }
}

/* Two clients that are taken in, of which one says nothing; the other one's word ends both. They come again as often
 * as it is looked, and with them the list of who is watched gets longer and shorter. */
struct caller {
    struct scene *scene;
    int other[2], listener[2], silent[2], client[2];
    unsigned calls;
};

static void hangs_up(struct matrix_core *core, int fd, void *context)
{
    matrix_core_unwatch(core, fd);
    matrix_core_unwatch(core, ((struct caller *)context)->silent[0]);
}

static void calls(struct matrix_core *core, int fd, void *context)
{
    struct caller *caller = context;
    if (++caller->calls == 3)
        assert_int_equal(write(caller->other[1], "", 1), 1);
    success(matrix_core_watch(core, caller->silent[0], POLLIN, hangs_up, caller));
    success(matrix_core_watch(core, caller->client[0], POLLIN, hangs_up, caller));
}

static void other_is_heard(struct matrix_core *core, int fd, void *context)
{
    matrix_machine_stop(((struct caller *)context)->scene->machine);
}

static void who_calls_again_and_again_keeps_nobody_waiting(void **state)
{
    struct scene scene = {0};
    struct caller caller = {.scene = &scene};
    int *pipes[] = {caller.other, caller.listener, caller.silent, caller.client};
    for (int i = 0; i < 4; i++)
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
    scene_create(&scene, (struct matrix_machine_options){.cores = 1, .duration_ns = LONG_ENOUGH});
    struct matrix_core *core = matrix_machine_first_core(scene.machine);
    success(matrix_core_watch(core, caller.other[0], POLLIN, other_is_heard, &caller));
    success(matrix_core_watch(core, caller.listener[0], POLLIN, calls, &caller));
    assert_int_equal(write(caller.listener[1], "", 1), 1);
    assert_int_equal(write(caller.client[1], "", 1), 1);
    add(&scene, "spin", weight(1));
    assert_int_equal(run(&scene).end, MATRIX_CORE_STOPPED);
    assert_true(caller.calls >= 3);
    scene_destroy(&scene);
    for (int i = 0; i < 4; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
}

static void short_runs(void **state)
{
    for (int i = 0; i < 30; i++) {
        struct scene scene = {0};
        scene_create(&scene,
                     (struct matrix_machine_options){
                         .cores = 4, .persistent = true, .duration_ns = (unsigned)i * 300000 + 1});
        for (int guest = 0; guest < i % 6; guest++)
            add(&scene, "spin", weight(1));
        assert_int_equal(run(&scene).end, MATRIX_CORE_DURATION);
        scene_destroy(&scene);
    }
}

static void a_core_that_cannot_run_ends_the_machine(void **state)
{
    struct scene scene = {0};
    struct matrix_core_result result;
    const int cpus[] = {-1, 1023};
    scene_create(&scene, (struct matrix_machine_options){.cores = 2, .cpus = cpus});
    add(&scene, "spin", weight(1));
    add(&scene, "spin", weight(1));
    refused(matrix_machine_run(scene.machine, &result), "core 1: run on host CPU 1023");
    for (size_t i = 0; i < 2; i++)
        assert_string_equal(guest_of(&scene, &scene.fakes[i]).guest.state, "stopped");
    refused(matrix_machine_run(scene.machine, &result), "runs once");
    scene_destroy(&scene);
}

static void what_is_refused(void **state)
{
    struct scene scene = {0};
    scene_create(&scene, (struct matrix_machine_options){.cores = 2});
    struct matrix_machine_contract contract = weight(1);
    contract.contract.floor_ppm = 600000;
    struct fake *first = add(&scene, "spin", contract);
    add(&scene, "spin", contract);
    struct fake other;
    fake_create(&other, "trinity", NULL);
    refused(
        matrix_machine_add(scene.machine, &other.vm, &contract),
        "no core has room for the floor of trinity, 60 %; floors are core 0: 60 %, core 1: 60 %");
    contract = weight(1);
    contract.contract.floor_ppm = 10000;
    contract.contract.latency_ns = 1000;
    refused(matrix_machine_add(scene.machine, &other.vm, &contract), "cannot be kept");
    refused(matrix_machine_set(scene.machine, &first->vm, &contract), "cannot be kept");
    refused(matrix_machine_pause(scene.machine, &other.vm), "is not on this machine");
    struct matrix_machine_group *group;
    contract = weight(1);
    success(matrix_machine_add_group(scene.machine, "tenant", &contract, &group));
    contract.group = group;
    contract.pinned = true;
    refused(matrix_machine_add(scene.machine, &other.vm, &contract),
            "is pinned to core 0 by itself");
    contract.pinned = false;
    success(matrix_machine_add(scene.machine, &other.vm, &contract));
    refused(matrix_machine_remove_group(scene.machine, group), "has 1 members");
    success(matrix_machine_remove(scene.machine, &other.vm));
    success(matrix_machine_remove_group(scene.machine, group));
    fake_destroy(&other);
    scene_destroy(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_end),
        cmocka_unit_test(nothing_printed_is_lost),
        cmocka_unit_test(signals_are_for_the_first_core),
        cmocka_unit_test(no_signal_is_lost),
        cmocka_unit_test(who_calls_again_and_again_keeps_nobody_waiting),
        cmocka_unit_test(short_runs),
        cmocka_unit_test(a_core_that_cannot_run_ends_the_machine),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
