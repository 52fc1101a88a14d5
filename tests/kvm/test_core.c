// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop of a core: who gives it up and when, what ends a run, and that the timer's signals are neither lost
 * nor counted twice. The shares themselves are for test_shares.c, signals from outside for test_core_signals.c.
 */
#include "tests/kvm/host.h"

#include <fcntl.h>
#include <matrix/report.h>
#include <string.h>
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

/* Runs two such guests for a second, and new ones for longer while not enough is to be seen. */
static void run_pair_until(struct pair *pair, const char *const *first, const char *const *second,
                           bool (*is_enough)(const struct pair *pair))
{
    for (uint64_t duration_ns = SECOND_NS;; duration_ns *= 2) {
        run_pair(pair, test_guest_create((struct matrix_vm_options){.argv = first}),
                 test_guest_create((struct matrix_vm_options){.argv = second}), duration_ns);
        if (is_enough(pair) || duration_ns >= TEST_LONGEST_NS)
            return;
        release(pair);
    }
}

static bool first_has_exited(const struct pair *pair)
{
    return test_guest_info(&pair->guests[0]).state == MATRIX_VM_EXITED;
}

/* --- the core is taken, and given up --------------------------------------------------------- */

#define PREEMPTIONS_LEAST 200

static bool both_are_preempted(const struct pair *pair)
{
    return pair->shares[0].preemptions >= PREEMPTIONS_LEAST &&
           pair->shares[1].preemptions >= PREEMPTIONS_LEAST;
}

/* No signal of the timer was lost: there is nothing else that would end a stay before the run is over. */
static void guests_that_never_exit_are_preempted(void **state)
{
    struct pair pair;
    run_pair_until(&pair, ARGUMENTS("spin"), ARGUMENTS("spin"), both_are_preempted);
    assert_true(both_are_preempted(&pair));
    for (size_t i = 0; i < PAIR_MAX; i++) {
        const struct matrix_core_guest *share = &pair.shares[i];
        assert_int_equal(share->io_switches, 0);
        /* It may have been its own successor, so that there are more slices' ends than turns. */
        assert_true(share->preemptions + 1 >= share->slices);
        assert_string_equal(share->state, "stopped");
    }
    release(&pair);
}

static bool many_are_preempted(const struct pair *pair)
{
    return pair->shares[0].preemptions + pair->shares[1].preemptions >= 100;
}

static void signals_are_neither_lost_nor_counted_twice(void **state)
{
    struct pair pair;
    run_pair_until(&pair, ARGUMENTS("spin"), ARGUMENTS("chatter"), many_are_preempted);
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

static bool both_switch(const struct pair *pair)
{
    return pair->shares[0].io_switches > 0 && pair->shares[1].io_switches > 0;
}

static void io_exits_switch(void **state)
{
    struct pair pair;
    run_pair_until(&pair, ARGUMENTS("chatter"), ARGUMENTS("chatter"), both_switch);
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
    run_pair_until(&pair, ARGUMENTS("count", "300"), ARGUMENTS("spin"), first_has_exited);
    assert_int_equal(test_guest_info(&pair.guests[0]).state, MATRIX_VM_EXITED);
    assert_true(pair.shares[0].io_switches > 0);
    assert_true(pair.shares[1].slices > 1);
    release(&pair);
}

#define NAP_NS 5000000

/* Sleeping wins nothing either: it uses a fraction of what it might. */
static bool sleeper_is_modest(const struct pair *pair)
{
    return test_guest_info(&pair->guests[0]).work >= 10 &&
           pair->shares[1].alone_cpu_ns > pair->shares[1].contended_cpu_ns &&
           pair->shares[0].cpu_ns * 4 < pair->loop.guests_cpu_ns;
}

static void sleeper_gives_the_core_away(void **state)
{
    struct pair pair;
    run_pair_until(&pair, ARGUMENTS("nap", "5000000", "100000"), ARGUMENTS("spin"),
                   sleeper_is_modest);
    assert_true(sleeper_is_modest(&pair));
    assert_in_range(test_guest_info(&pair.guests[0]).work, 10, pair.loop.wall_ns / NAP_NS);
    assert_int_equal(pair.loop.idle_wall_ns, 0);
    release(&pair);
}

struct prompt {
    unsigned looks;  /* at who waits */
    uint64_t slices; /* times it had come on at the first of them */
};

static void look_at_prompt(struct matrix_core *core, void *context)
{
    struct prompt *prompt = context;
    const struct matrix_core_guest reader = test_core_guest(core, 0);
    if (strcmp(reader.state, "waiting") != 0)
        return;
    if (prompt->looks++ == 0)
        prompt->slices = reader.slices;
    if (prompt->looks == 40)
        matrix_core_stop(core);
}

/* A guest at its prompt is not tried again and again: it comes on when something has come, and not before. */
static void waiting_for_input_costs_no_switches(void **state)
{
    struct prompt prompt = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "knock\n", 6), 6);
    struct test_guest guests[] = {
        test_guest_create(
            (struct matrix_vm_options){.argv = ARGUMENTS("talk", "--read"), .input_fd = ends[0]}),
        test_guest("spin"),
    };
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1,
                                                      .duration_ns = 60 * SECOND_NS,
                                                      .tick_ns = 20 * MILLISECOND_NS,
                                                      .tick = look_at_prompt,
                                                      .context = &prompt},
                         guests, NULL, 2);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    assert_string_equal(test_guest_text(&guests[0]), "knock\n");
    assert_int_equal(test_core_guest(core, 0).slices, prompt.slices);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
    close(ends[0]);
    close(ends[1]);
}

static bool most_is_idle(const struct pair *pair)
{
    return pair->result.end == MATRIX_CORE_ALL_ENDED &&
           pair->loop.idle_wall_ns * 2 > pair->loop.wall_ns;
}

static void nobody_runs_while_all_sleep(void **state)
{
    struct pair pair;
    run_pair_until(&pair, ARGUMENTS("nap", "20000000", "20"), ARGUMENTS("nap", "30000000", "10"),
                   most_is_idle);
    assert_int_equal(pair.result.end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(test_guest_info(&pair.guests[0]).status, 0);
    assert_int_equal(test_guest_info(&pair.guests[1]).status, 0);
    assert_true(pair.loop.wall_ns >= 400 * MILLISECOND_NS);
    assert_true(pair.loop.idle_wall_ns * 2 > pair.loop.wall_ns);
    assert_in_range(pair.loop.decisions, 30, 1000); /* it sleeps, and does not poll */
    release(&pair);
}

/* --- ends ---------------------------------------------------------------------------------- */

static bool first_leaves_the_second_alone(const struct pair *pair)
{
    return first_has_exited(pair) && pair->shares[1].alone_cpu_ns > 0;
}

static void core_is_free_when_one_ends(void **state)
{
    struct pair pair;
    run_pair_until(&pair, ARGUMENTS("neo", "--units", "3000"), ARGUMENTS("spin"),
                   first_leaves_the_second_alone);
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
    };
    return host_run_tests(argc, argv, "core", tests, COUNT(tests));
}
