// SPDX-License-Identifier: GPL-2.0-or-later
/* Signals that end the run of a core, its tick, and what is no run at all. */
#include "tests/kvm/host.h"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- signals ------------------------------------------------------------------------------- */

static int signal_to_send;
static pid_t sender;

/* Once the run is well under way, another process sends the signal in the middle of it. */
static void send_signal(struct matrix_core *core, void *context)
{
    if (sender)
        return;
    sender = fork();
    assert_true(sender >= 0);
    if (sender == 0) {
        usleep(30000);
        kill(getppid(), signal_to_send);
        _exit(0);
    }
}

/* On the way: masks, dispositions and the affinity are afterwards what they were before. */
static void signal_ends_a_run(int signal, struct test_guest guest)
{
    sigset_t before, after;
    cpu_set_t cpus_before, cpus_after;
    struct sigaction action;
    struct matrix_core_options options = {.cpu = 0,
                                          .duration_ns = 60 * SECOND_NS,
                                          .tick_ns = 50 * MILLISECOND_NS,
                                          .tick = send_signal};
    sigprocmask(SIG_SETMASK, NULL, &before);
    sched_getaffinity(0, sizeof(cpus_before), &cpus_before);
    signal_to_send = signal, sender = 0;
    struct matrix_core *core = test_core_create(options, &guest, NULL, 1);
    struct matrix_core_result result = test_core_run(core);
    assert_int_equal(waitpid(sender, NULL, 0), sender);

    assert_int_equal(result.end, MATRIX_CORE_SIGNAL);
    assert_int_equal(result.signal, signal);
    assert_int_equal(test_guest_info(&guest).state, MATRIX_VM_STOPPED);
    sigprocmask(SIG_SETMASK, NULL, &after);
    sched_getaffinity(0, sizeof(cpus_after), &cpus_after);
    assert_memory_equal(&before, &after, 8); /* the kernel's part of a set */
    assert_false(sigismember(&after, signal) || sigismember(&after, SIGRTMIN));
    assert_true(CPU_EQUAL(&cpus_before, &cpus_after));
    assert_int_equal(sigaction(signal, NULL, &action), 0);
    assert_ptr_equal(action.sa_handler, SIG_DFL);
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void sigint_ends_a_run(void **state)
{
    signal_ends_a_run(SIGINT, test_guest("spin"));
}

static void sigterm_ends_a_run(void **state)
{
    signal_ends_a_run(SIGTERM, test_guest("spin"));
}

static void sighup_ends_a_run(void **state)
{
    signal_ends_a_run(SIGHUP, test_guest("spin"));
}

static void signal_ends_an_idle_run(void **state)
{
    signal_ends_a_run(SIGTERM, test_guest("nap", "100000000000", "1"));
}

static unsigned ticks;

static void count_tick(struct matrix_core *core, void *context)
{
    assert_ptr_equal(context, &ticks);
    assert_true(test_core_statistics(core).wall_ns > 0);
    if (++ticks == 5)
        kill(getpid(), SIGINT);
}

static void ticks_come_while_guests_run(void **state)
{
    struct test_guest guest = test_guest("spin");
    ticks = 0;
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1,
                                                      .duration_ns = 60 * SECOND_NS,
                                                      .tick_ns = 20 * MILLISECOND_NS,
                                                      .tick = count_tick,
                                                      .context = &ticks},
                         &guest, NULL, 1);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_SIGNAL);
    assert_true(ticks >= 5); /* another may be due before the signal is seen */
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

/* --- bad usage ------------------------------------------------------------------------------- */

static void bad_options_are_refused(void **state)
{
    struct matrix_core *core;
    struct matrix_core_options options = {.cpu = -1, .slice_ns = 49999};
    assert_refused(matrix_core_create(&options, &core), MATRIX_ERROR_USAGE, "too short");
    assert_null(core);
    options = (struct matrix_core_options){.cpu = 1 << 20};
    assert_refused(matrix_core_create(&options, &core), MATRIX_ERROR_USAGE, "host CPU");

    options = (struct matrix_core_options){.cpu = -1};
    struct test_guest guest = test_guest("hello");
    assert_success(matrix_core_create(&options, &core));
    assert_refused(matrix_core_add(core, guest.vm, 0), MATRIX_ERROR_USAGE, "weight 0");
    assert_refused(matrix_core_add(core, guest.vm, 10001), MATRIX_ERROR_USAGE, "weight 10001");
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void cpu_that_is_not_there_is_refused(void **state)
{
    struct test_guest guest = test_guest("hello");
    struct matrix_core_result result;
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = CPU_SETSIZE - 1}, &guest, NULL, 1);
    assert_refused(matrix_core_run(core, &result), MATRIX_ERROR_HOST, "run on host CPU 1023");
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void core_without_guests_ends_at_once(void **state)
{
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1}, NULL, NULL, 0);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_ALL_ENDED);
    struct matrix_core_guest guest;
    assert_false(matrix_core_guest(core, 0, &guest));
    matrix_core_destroy(core);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sigint_ends_a_run),
        cmocka_unit_test(sigterm_ends_a_run),
        cmocka_unit_test(sighup_ends_a_run),
        cmocka_unit_test(signal_ends_an_idle_run),
        cmocka_unit_test(ticks_come_while_guests_run),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(cpu_that_is_not_there_is_refused),
        cmocka_unit_test(core_without_guests_ends_at_once),
    };
    return host_run_tests(argc, argv, "core_signals", tests, COUNT(tests));
}
