// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop of a core: who gives it up and when, what ends a run, and that signals are neither lost
 * nor counted twice. The shares themselves are for test_shares.c.
 */
#include "tests/kvm/host.h"

#include <fcntl.h>
#include <matrix/report.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIR_MAX 2

/* Two guests on a core, as most tests here have them. */
struct pair {
    struct test_guest guests[PAIR_MAX];
    struct matrix_core *core;
    struct matrix_core_result result;
    struct matrix_core_statistics loop;
    struct matrix_core_guest shares[PAIR_MAX];
};

static void run_pair(struct pair *pair, struct test_guest first, struct test_guest second,
                     uint64_t duration_ns)
{
    pair->guests[0] = first, pair->guests[1] = second;
    pair->core =
        test_core_create((struct matrix_core_options){.cpu = -1, .duration_ns = duration_ns},
                         pair->guests, NULL, PAIR_MAX);
    pair->result = test_core_run(pair->core);
    pair->loop = test_core_statistics(pair->core);
    for (size_t i = 0; i < PAIR_MAX; i++)
        pair->shares[i] = test_core_guest(pair->core, i);
}

static void release(struct pair *pair)
{
    matrix_core_destroy(pair->core);
    for (size_t i = 0; i < PAIR_MAX; i++)
        test_guest_destroy(&pair->guests[i]);
}

/* --- the core is taken, and given up --------------------------------------------------------- */

static void guests_that_never_exit_are_preempted(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("spin"), test_guest("spin"), SECOND_NS);
    for (size_t i = 0; i < PAIR_MAX; i++) {
        const struct matrix_core_guest *share = &pair.shares[i];
        assert_true(share->preemptions > 0);
        assert_int_equal(share->io_switches, 0);
        /* It may have been its own successor, so that there are more slices' ends than turns. */
        assert_true(share->preemptions + 1 >= share->slices);
        /* None was lost: else the guest would have stayed for long beyond its slices. */
        assert_true(share->cpu_ns / share->slices < 10 * MATRIX_SLICE_DEFAULT_NS);
        assert_string_equal(share->state, "stopped");
    }
    release(&pair);
}

static void signals_are_neither_lost_nor_counted_twice(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("spin"), test_guest("chatter"), SECOND_NS);
    const uint64_t preemptions = pair.shares[0].preemptions + pair.shares[1].preemptions;
    const uint64_t interrupted =
        test_guest_info(&pair.guests[0]).exits[MATRIX_EXIT_KIND_INTERRUPTED] +
        test_guest_info(&pair.guests[1]).exits[MATRIX_EXIT_KIND_INTERRUPTED];
    /* The timer is one-shot and set at most once per decision; each signal ends at most one entry
     * into a guest, and each preemption needs one. */
    assert_in_range(pair.loop.timer_signals, 1, pair.loop.decisions);
    assert_in_range(pair.loop.stale_signals, 0, pair.loop.timer_signals);
    assert_in_range(preemptions, 1, interrupted);
    assert_in_range(preemptions, 1, pair.loop.timer_signals - pair.loop.stale_signals);
    /* A guest that does nothing but spin leaves the core for no other reason. */
    assert_true(pair.shares[0].preemptions + 1 >= pair.shares[0].slices);
    assert_true(pair.loop.delay_median_ns <= pair.loop.delay_p99_ns);
    assert_true(pair.loop.delay_p99_ns <= pair.loop.delay_worst_ns);
    release(&pair);
}

static void io_exits_switch(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("chatter"), test_guest("chatter"), SECOND_NS);
    for (size_t i = 0; i < PAIR_MAX; i++) {
        assert_true(pair.shares[i].io_switches > 0);
        assert_true(pair.shares[i].io_switches <= pair.shares[i].slices);
        assert_true(pair.shares[i].io_switches + pair.shares[i].preemptions + 1 >=
                    pair.shares[i].slices);
    }
    assert_in_range(pair.loop.switches, pair.shares[0].slices + pair.shares[1].slices,
                    pair.loop.decisions);
    release(&pair);
}

static void yielding_lets_the_other_run(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("count", "300"), test_guest("spin"), 3 * SECOND_NS);
    assert_int_equal(test_guest_info(&pair.guests[0]).state, MATRIX_VM_EXITED);
    assert_true(pair.shares[0].io_switches > 0);
    assert_true(pair.shares[1].slices > 1);
    release(&pair);
}

static void sleeper_gives_the_core_away(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("nap", "5000000", "100000"), test_guest("spin"), SECOND_NS);
    assert_in_range(test_guest_info(&pair.guests[0]).work, 10, 200);
    assert_true(pair.shares[1].alone_cpu_ns > pair.shares[1].contended_cpu_ns);
    assert_int_equal(pair.loop.idle_wall_ns, 0);
    /* Sleeping wins nothing either: it uses a fraction of what it might. */
    assert_true(pair.shares[0].cpu_ns * 4 < pair.loop.guests_cpu_ns);
    release(&pair);
}

/* A guest at its prompt is not tried again and again: it comes on when something has come, and not before. */
static void waiting_for_input_costs_no_switches(void **state)
{
    struct pair pair;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "knock\n", 6), 6);
    struct test_guest reader = test_guest_create(
        (struct matrix_vm_options){.argv = ARGUMENTS("talk", "--read"), .input_fd = ends[0]});
    run_pair(&pair, reader, test_guest("spin"), SECOND_NS);
    assert_string_equal(test_guest_text(&pair.guests[0]), "knock\n");
    assert_true(pair.shares[0].slices < 20); /* of a thousand */
    release(&pair);
    close(ends[0]);
    close(ends[1]);
}

static void nobody_runs_while_all_sleep(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("nap", "20000000", "20"), test_guest("nap", "30000000", "10"), 0);
    assert_int_equal(pair.result.end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(test_guest_info(&pair.guests[0]).status, 0);
    assert_int_equal(test_guest_info(&pair.guests[1]).status, 0);
    assert_true(pair.loop.wall_ns >= 400 * MILLISECOND_NS);
    assert_true(pair.loop.idle_wall_ns * 2 > pair.loop.wall_ns);
    assert_in_range(pair.loop.decisions, 30, 1000); /* it sleeps, and does not poll */
    release(&pair);
}

/* --- ends ---------------------------------------------------------------------------------- */

static void core_is_free_when_one_ends(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("neo", "--units", "3000"), test_guest("spin"), SECOND_NS);
    assert_int_equal(test_guest_info(&pair.guests[0]).state, MATRIX_VM_EXITED);
    assert_int_equal(test_guest_info(&pair.guests[0]).status, 0);
    assert_string_equal(pair.shares[0].state, "exited");
    assert_int_equal(pair.shares[0].alone_cpu_ns, 0);
    assert_true(pair.shares[1].alone_cpu_ns > 0);
    assert_int_equal(pair.loop.idle_wall_ns, 0);
    /* The promise is for the time when both could run. */
    assert_true(pair.shares[1].promised > 0.499 && pair.shares[1].promised < 0.501);
    assert_int_equal(pair.shares[0].contended_total_ns, pair.shares[1].contended_total_ns);
    assert_in_range(pair.shares[1].contended_cpu_ns, 1, pair.shares[1].cpu_ns - 1);
    release(&pair);
}

static void fault_leaves_the_other_undisturbed(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("faulty", "null"), test_guest("neo", "--units", "5000"), 0);
    assert_int_equal(pair.result.end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(test_guest_info(&pair.guests[0]).state, MATRIX_VM_FAULTED);
    assert_non_null(matrix_vm_report(pair.guests[0].vm));
    assert_int_equal(test_guest_info(&pair.guests[1]).state, MATRIX_VM_EXITED);
    assert_null(matrix_vm_report(pair.guests[1].vm));
    assert_contains(test_guest_text(&pair.guests[1]), "done: 5000 units, digest 283bcd021c989ece");
    release(&pair);
}

static void fault_of_one_vcpu_ends_the_guest(void **state)
{
    struct test_guest guest = test_guest("lastword", "3");
    assert_int_equal(test_guest_run(&guest).end, MATRIX_CORE_ALL_ENDED);
    struct matrix_vm_info info = test_guest_info(&guest);
    assert_int_equal(info.state, MATRIX_VM_FAULTED);
    assert_int_equal(info.vcpus, 4);
    const struct matrix_report *report = matrix_vm_report(guest.vm);
    assert_int_equal(report->vcpu, 3);
    assert_int_equal(report->vector, 6);
    assert_string_equal(report->rip_place.symbol, "give_up");
    test_guest_destroy(&guest);
}

static void duration_ends_a_run(void **state)
{
    struct pair pair;
    run_pair(&pair, test_guest("spin"), test_guest("nap", "100000000000", "1"),
             300 * MILLISECOND_NS);
    assert_int_equal(pair.result.end, MATRIX_CORE_DURATION);
    assert_true(pair.loop.wall_ns >= 300 * MILLISECOND_NS);
    assert_int_equal(test_guest_info(&pair.guests[0]).state, MATRIX_VM_STOPPED);
    assert_int_equal(test_guest_info(&pair.guests[1]).state, MATRIX_VM_STOPPED);
    release(&pair);
}

/* A busy machine may need most of a run until both have fallen asleep: longer ones follow then. */
static void duration_ends_an_idle_run(void **state)
{
    uint64_t idle_ns = 0;
    for (uint64_t ns = 200 * MILLISECOND_NS; idle_ns == 0 && ns < 60 * SECOND_NS; ns *= 2) {
        struct pair pair;
        run_pair(&pair, test_guest("nap", "100000000000", "1"),
                 test_guest("nap", "200000000000", "1"), ns);
        assert_int_equal(pair.result.end, MATRIX_CORE_DURATION);
        idle_ns = pair.loop.idle_wall_ns;
        release(&pair);
    }
    assert_true(idle_ns > 0);
}

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
    assert_int_equal(ticks, 5);
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
        cmocka_unit_test(guests_that_never_exit_are_preempted),
        cmocka_unit_test(signals_are_neither_lost_nor_counted_twice),
        cmocka_unit_test(io_exits_switch),
        cmocka_unit_test(yielding_lets_the_other_run),
        cmocka_unit_test(sleeper_gives_the_core_away),
        cmocka_unit_test(waiting_for_input_costs_no_switches),
        cmocka_unit_test(nobody_runs_while_all_sleep),
        cmocka_unit_test(core_is_free_when_one_ends),
        cmocka_unit_test(fault_leaves_the_other_undisturbed),
        cmocka_unit_test(fault_of_one_vcpu_ends_the_guest),
        cmocka_unit_test(duration_ends_a_run),
        cmocka_unit_test(duration_ends_an_idle_run),
        cmocka_unit_test(sigint_ends_a_run),
        cmocka_unit_test(sigterm_ends_a_run),
        cmocka_unit_test(sighup_ends_a_run),
        cmocka_unit_test(signal_ends_an_idle_run),
        cmocka_unit_test(ticks_come_while_guests_run),
        cmocka_unit_test(bad_options_are_refused),
        cmocka_unit_test(cpu_that_is_not_there_is_refused),
        cmocka_unit_test(core_without_guests_ends_at_once),
    };
    return host_run_tests(argc, argv, "core", tests, COUNT(tests));
}
