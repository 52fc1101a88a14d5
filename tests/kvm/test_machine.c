// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Real guests on a machine of two cores: shares hold on both, and guests that are moved from one to the other
 * while they run are not disturbed. What threads do to each other is looked at in tests/unit/test_machine.c.
 */
#include "tests/kvm/host.h"

#include <math.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define GUESTS 4

static struct matrix_machine *machine_create(struct matrix_machine_options options)
{
    static int cpus[2];
    cpu_set_t allowed;
    struct matrix_machine *machine;
    unsigned found = 0;
    assert_int_equal(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
        if (CPU_ISSET(cpu, &allowed))
            cpus[found++] = cpu;
    options.cores = 2;
    options.cpus = found == 2 ? cpus : NULL; /* with one CPU the host's scheduler divides it */
    assert_success(matrix_machine_create(&options, &machine));
    return machine;
}

static void add(struct matrix_machine *machine, const struct test_guest *guest,
                struct matrix_machine_contract contract)
{
    contract.contract.weight = contract.contract.weight ? contract.contract.weight : 1;
    assert_success(matrix_machine_add(machine, guest->vm, &contract));
}

static struct matrix_machine_contract on(unsigned core, unsigned weight)
{
    return (struct matrix_machine_contract){
        .contract.weight = weight, .pinned = true, .core = core};
}

static struct matrix_core_result run(struct matrix_machine *machine)
{
    struct matrix_core_result result;
    assert_success(matrix_machine_run(machine, &result));
    return result;
}

static struct matrix_machine_guest guest_at(const struct matrix_machine *machine, size_t index)
{
    struct matrix_machine_guest guest;
    assert_true(matrix_machine_guest(machine, index, &guest));
    return guest;
}

static struct matrix_machine_core core_at(const struct matrix_machine *machine, unsigned number)
{
    struct matrix_machine_core core;
    assert_true(matrix_machine_core(machine, number, &core));
    return core;
}

/* All that cores charged is what guests have got. */
static void check_time(const struct matrix_machine *machine, size_t count)
{
    uint64_t got = 0;
    for (size_t i = 0; i < count; i++)
        got += guest_at(machine, i).guest.cpu_ns;
    assert_int_equal(got, core_at(machine, 0).loop.guests_cpu_ns +
                              core_at(machine, 1).loop.guests_cpu_ns);
}

static void release(struct matrix_machine *machine, struct test_guest *guests, size_t count)
{
    matrix_machine_destroy(machine);
    for (size_t i = 0; i < count; i++)
        test_guest_destroy(&guests[i]);
}

/* 70 to 30 on each of the cores, at the same time. */
static void shares_hold_on_both_cores(void **state)
{
    struct test_guest guests[] = {test_guest("spin"), test_guest("chatter"), test_guest("chatter"),
                                  test_guest("spin")};
    struct matrix_machine *machine =
        machine_create((struct matrix_machine_options){.duration_ns = 3 * SECOND_NS});
    for (unsigned i = 0; i < GUESTS; i++)
        add(machine, &guests[i], on(i / 2, i % 2 ? 30 : 70));
    assert_int_equal(run(machine).end, MATRIX_CORE_DURATION);
    for (unsigned i = 0; i < GUESTS; i++) {
        const struct matrix_core_guest guest = guest_at(machine, i).guest;
        const unsigned core = i / 2;
        const double total = (double)guest.contended_total_ns;
        const double tolerance = 0.001 + (double)(MATRIX_SLICE_DEFAULT_NS + 4 * MILLISECOND_NS +
                                                  core_at(machine, core).loop.delay_worst_ns) /
                                             total;
        print_message("# core %u: promised %.4f, given %.4f, tolerance %.4f\n", core,
                      guest.promised, guest.given, tolerance);
        assert_true(fabs(guest.promised - (i % 2 ? 0.3 : 0.7)) < tolerance);
        assert_true(fabs(guest.given - guest.promised) < tolerance);
    }
    check_time(machine, GUESTS);
    release(machine, guests, GUESTS);
}

/* --- moves ------------------------------------------------------------------------------------------ */

struct moves {
    struct test_guest *guests;
    size_t count;
    unsigned step;
};

/* Everybody to the other core. */
static void swap(struct matrix_machine *machine, void *context)
{
    struct moves *moves = context;
    moves->step++;
    for (size_t i = 0; i < moves->count; i++) {
        const struct matrix_machine_contract contract = on((moves->step + (unsigned)i) % 2, 1);
        struct matrix_error *error = matrix_machine_set(machine, moves->guests[i].vm, &contract);
        if (error && !strstr(error->message, "on its way") && !strstr(error->message, "has ended"))
            fail_msg("%s", error->message);
        matrix_error_free(error);
    }
}

/* What a guest computes, prints and sleeps is what it would have been on one core. */
static void moved_guests_are_undisturbed(void **state)
{
    struct test_guest guests[] = {test_guest("neo", "--units", "20000"), test_guest("count", "300"),
                                  test_guest("nap", "20000000", "20"), test_guest("vcpus")};
    struct moves moves = {.guests = guests, .count = GUESTS};
    struct matrix_machine *machine =
        machine_create((struct matrix_machine_options){.duration_ns = 240 * SECOND_NS,
                                                       .tick_ns = 30 * MILLISECOND_NS,
                                                       .tick = swap,
                                                       .context = &moves});
    for (unsigned i = 0; i < GUESTS; i++)
        add(machine, &guests[i], on(i % 2, 1));
    const struct matrix_core_result result = run(machine);
    for (unsigned i = 0; i < GUESTS; i++) {
        const struct matrix_machine_guest guest = guest_at(machine, i);
        print_message("# %s: %llu moves, %s, %llu ns of CPU time\n", guest.info.name,
                      (unsigned long long)guest.moves, guest.guest.state,
                      (unsigned long long)guest.guest.cpu_ns);
    }
    assert_int_equal(result.end, MATRIX_CORE_ALL_ENDED);
    for (unsigned i = 0; i < GUESTS; i++) {
        const struct matrix_machine_guest guest = guest_at(machine, i);
        assert_int_equal(guest.info.state, MATRIX_VM_EXITED);
        assert_int_equal(guest.info.status, 0);
    }
    assert_contains(test_guest_text(&guests[0]), "done: 20000 units, digest ");
    assert_true(guest_at(machine, 0).moves > 0);
    assert_true(guest_at(machine, 2).moves > 0);
    check_time(machine, GUESTS);
    release(machine, guests, GUESTS);
}

/* How much wall time a guest that is alone does not get: all that is lost on its way, and to the host. */
static double wall_ns_lost(uint64_t tick_ns, uint64_t *moves_made)
{
    struct test_guest guest = test_guest("spin");
    struct moves moves = {.guests = &guest, .count = 1};
    struct matrix_machine *machine =
        machine_create((struct matrix_machine_options){.duration_ns = 2 * SECOND_NS,
                                                       .tick_ns = tick_ns,
                                                       .tick = tick_ns ? swap : NULL,
                                                       .context = &moves});
    add(machine, &guest, on(0, 1));
    assert_int_equal(run(machine).end, MATRIX_CORE_DURATION);
    const struct matrix_machine_guest result = guest_at(machine, 0);
    assert_true(result.guest.cpu_ns > 0);
    check_time(machine, 1);
    *moves_made = result.moves;
    const double lost = (double)core_at(machine, 0).loop.wall_ns - (double)result.guest.cpu_ns;
    release(machine, &guest, 1);
    return lost;
}

/* No time decides here: kernels before 6.13 wait for an RCU grace period when another thread enters a virtual
 * CPU (kvm_vcpu_ioctl), which takes as long as it likes. */
static void moves_are_measured(void **state)
{
    uint64_t moves;
    const double without = wall_ns_lost(0, &moves);
    assert_int_equal(moves, 0);
    const double with = wall_ns_lost(50 * MILLISECOND_NS, &moves);
    assert_true(moves >= 1);
    print_message("# %llu moves, %.2f ms of wall time each; without moves %.0f ms were lost\n",
                  (unsigned long long)moves, (with - without) / 1e6 / (double)moves, without / 1e6);
}

/* Looks at how often guests were moved: it is quiet when nobody was for so many intervals. */
struct quiet {
    uint64_t moves;
    unsigned intervals;
};

static uint64_t count_moves(const struct matrix_machine *machine)
{
    uint64_t moves = 0;
    for (unsigned i = 0; i < GUESTS; i++)
        moves += guest_at(machine, i).moves;
    return moves;
}

static void stop_when_quiet(struct matrix_machine *machine, void *context)
{
    struct quiet *quiet = context;
    const uint64_t moves = count_moves(machine);
    const bool apart = guest_at(machine, 0).core != guest_at(machine, 2).core;
    quiet->intervals = apart && moves == quiet->moves ? quiet->intervals + 1 : 0;
    quiet->moves = moves;
    if (quiet->intervals == 20)
        matrix_machine_stop(machine);
}

/* Those that compute were placed on one core, those that sleep on the other. */
static void cores_are_balanced(void **state)
{
    struct test_guest guests[] = {test_guest("spin"), test_guest("nap", "5000000", "100000"),
                                  test_guest("spin"), test_guest("nap", "5000000", "100000")};
    struct quiet quiet = {0};
    struct matrix_machine *machine =
        machine_create((struct matrix_machine_options){.duration_ns = 60 * SECOND_NS,
                                                       .rebalance_ns = 100 * MILLISECOND_NS,
                                                       .tick_ns = 100 * MILLISECOND_NS,
                                                       .tick = stop_when_quiet,
                                                       .context = &quiet});
    for (unsigned i = 0; i < GUESTS; i++)
        add(machine, &guests[i], (struct matrix_machine_contract){0});
    assert_int_equal(guest_at(machine, 0).core, guest_at(machine, 2).core);
    assert_int_equal(run(machine).end, MATRIX_CORE_STOPPED);
    assert_int_not_equal(guest_at(machine, 0).core, guest_at(machine, 2).core);
    const uint64_t moves = count_moves(machine);
    print_message("# %llu moves, at the end a shortfall of %.3f of a core\n",
                  (unsigned long long)moves, matrix_machine_shortfall(machine));
    assert_in_range(moves, 1, 20); /* two where nothing looks busier than it is */
    check_time(machine, GUESTS);
    release(machine, guests, GUESTS);
}

/* --- ends --------------------------------------------------------------------------------------------- */

static void terminate(struct matrix_machine *machine, void *context)
{
    unsigned *ticks = context;
    if (++*ticks == 5)
        kill(getpid(), SIGTERM);
}

static void signals_end_all_cores(void **state)
{
    struct test_guest guests[] = {test_guest("spin"), test_guest("spin"),
                                  test_guest("nap", "100000000000", "1"), test_guest("chatter")};
    unsigned ticks = 0;
    struct matrix_machine *machine =
        machine_create((struct matrix_machine_options){.duration_ns = 60 * SECOND_NS,
                                                       .tick_ns = 50 * MILLISECOND_NS,
                                                       .tick = terminate,
                                                       .context = &ticks});
    for (unsigned i = 0; i < GUESTS; i++)
        add(machine, &guests[i], on(i % 2, 1));
    const struct matrix_core_result result = run(machine);
    assert_int_equal(result.end, MATRIX_CORE_SIGNAL);
    assert_int_equal(result.signal, SIGTERM);
    for (unsigned i = 0; i < GUESTS; i++)
        assert_string_equal(guest_at(machine, i).guest.state, "stopped");
    check_time(machine, GUESTS);
    release(machine, guests, GUESTS);
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_hold_on_both_cores), cmocka_unit_test(moved_guests_are_undisturbed),
        cmocka_unit_test(moves_are_measured),        cmocka_unit_test(cores_are_balanced),
        cmocka_unit_test(signals_end_all_cores),
    };
    return host_run_tests(argc, argv, "machine", tests, COUNT(tests));
}
