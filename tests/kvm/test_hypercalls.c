// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Hypercalls with arguments that no sane program would pass, thousands of times, on a live
 * guest: the monitor refuses them, and its other guests do not notice.
 */
#include "tests/kvm/host.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TAME_CALLS  20000
#define WILD_ROUNDS 40

static void random_arguments_are_survived(void **state)
{
    /* Nothing that ends or changes the guest: it must reach its end, and each call one exit. */
    static const char *const seeds[] = {"1", "2", "3"};
    for (size_t i = 0; i < COUNT(seeds); i++) {
        struct test_guest guest = test_guest("random", "20000", seeds[i], "tame");
        test_guest_run(&guest);
        struct matrix_vm_info info = test_guest_info(&guest);
        assert_int_equal(info.work, TAME_CALLS);
        assert_int_equal(info.exits[MATRIX_EXIT_KIND_HYPERCALL], TAME_CALLS + 1);
        assert_exits(guest, 0);
    }
}

static void random_arguments_with_hidden_addresses(void **state)
{
    assert_exits(test_guest_create((struct matrix_vm_options){
                     .argv = ARGUMENTS("random", "20000", "4", "tame"),
                     .hide_host_addresses = true,
                 }),
                 0);
}

/* Wild ones write input over themselves and start vCPUs anywhere: each may come to its own end,
 * but Neo, beside them, must not come to harm. */
static void wild_guests_harm_nobody_else(void **state)
{
    int input = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    assert_true(input >= 0);
    for (unsigned round = 0; round < WILD_ROUNDS; round++) {
        char seed[16];
        snprintf(seed, sizeof(seed), "%u", round + 100);
        struct test_guest guests[] = {
            test_guest_create((struct matrix_vm_options){
                .argv = ARGUMENTS("random", "2000", seed, "wild"),
                .input_fd = input,
                .output_rate = 100000,
                .output_lossy = true,
                .output_escape = round % 2,
            }),
            test_guest("neo", "--units", "1000"),
        };
        /* Wild ones may wait for ever; Neo is not waited for in vain. */
        struct matrix_core *core =
            test_core_create((struct matrix_core_options){.cpu = -1,
                                                          .duration_ns = 60 * SECOND_NS,
                                                          .tick_ns = SECOND_NS,
                                                          .tick = test_stop_when_ended,
                                                          .context = &guests[1]},
                             guests, NULL, COUNT(guests));
        test_core_run(core);
        assert_int_not_equal(test_guest_info(&guests[0]).state, MATRIX_VM_ALIVE);
        assert_int_equal(test_guest_info(&guests[1]).state, MATRIX_VM_EXITED);
        assert_int_equal(test_guest_info(&guests[1]).status, 0);
        assert_contains(test_guest_text(&guests[1]), "done: 1000 units, digest 283bcd021c989ece\n");
        matrix_core_destroy(core);
        test_guest_destroy(&guests[0]);
        test_guest_destroy(&guests[1]);
    }
    close(input);
}

/* Registers at the exit are the guest's affair: only what it asks for is done. */
static void exit_is_the_last_call(void **state)
{
    struct test_guest guest = test_guest("status", "42");
    test_guest_run(&guest);
    assert_int_equal(test_guest_info(&guest).exits_total -
                         test_guest_info(&guest).exits[MATRIX_EXIT_KIND_INTERRUPTED],
                     1);
    assert_exits(guest, 42);
}

/* --- input ------------------------------------------------------------------------------- */

static struct test_guest reader(int *writer)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    struct test_guest guest = test_guest_create(
        (struct matrix_vm_options){.argv = ARGUMENTS("talk", "--read"), .input_fd = fds[0]});
    *writer = fds[1];
    return guest;
}

static void input_is_read_to_its_end(void **state)
{
    int writer;
    struct test_guest guest = reader(&writer);
    static const char text[] = "follow the white rabbit\nknock, knock\n";
    assert_int_equal(write(writer, text, strlen(text)), strlen(text));
    close(writer);
    test_guest_run(&guest);
    assert_string_equal(test_guest_text(&guest), text);
    assert_exits(guest, 0);
}

static void guest_without_input_reads_nothing(void **state)
{
    struct test_guest guest = test_guest("talk", "--read");
    test_guest_run(&guest);
    assert_string_equal(test_guest_text(&guest), "");
    assert_exits(guest, 0);
}

/* How long it did. */
static uint64_t waits_for_input(uint64_t duration_ns)
{
    int writer;
    struct test_guest guest = reader(&writer);
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){.cpu = -1, .duration_ns = duration_ns}, &guest, NULL, 1);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_DURATION);
    assert_int_equal(test_guest_info(&guest).state, MATRIX_VM_STOPPED);
    struct matrix_core_statistics loop = test_core_statistics(core);
    assert_in_range(loop.decisions, 1, 20); /* it is not asked again and again */
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
    close(writer);
    return loop.idle_wall_ns;
}

static void waiting_for_input_costs_nothing(void **state)
{
    uint64_t duration_ns = 300 * MILLISECOND_NS;
    while (waits_for_input(duration_ns) <= 200 * MILLISECOND_NS) {
        assert_true(duration_ns < TEST_LONGEST_NS);
        duration_ns *= 2;
    }
}

static bool comes_on_during_output(uint64_t duration_ns)
{
    struct test_guest guests[] = {
        test_guest_create((struct matrix_vm_options){
            .argv = ARGUMENTS("attack", "controls"), .output_lossy = true, .output_escape = true}),
        test_guest("spin"),
    };
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){
            .cpu = -1, .slice_ns = MATRIX_SLICE_MINIMUM_NS, .duration_ns = duration_ns},
        guests, NULL, 2);
    test_core_run(core);
    const struct matrix_vm_info info = test_guest_info(&guests[0]);
    const struct matrix_core_guest guest = test_core_guest(core, 0);
    print_message("# %lu hypercalls, came on %lu times\n", info.exits[MATRIX_EXIT_KIND_HYPERCALL],
                  guest.slices);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
    return guest.slices > 2 * info.exits[MATRIX_EXIT_KIND_HYPERCALL];
}

/* A long output is more than a slice's work: others come on in the middle of it, as often as they should. */
static void long_output_leaves_the_core_to_others(void **state)
{
    uint64_t duration_ns = SECOND_NS;
    while (!comes_on_during_output(duration_ns)) {
        assert_true(duration_ns < TEST_LONGEST_NS);
        duration_ns *= 2;
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_arguments_are_survived),
        cmocka_unit_test(random_arguments_with_hidden_addresses),
        cmocka_unit_test(wild_guests_harm_nobody_else),
        cmocka_unit_test(exit_is_the_last_call),
        cmocka_unit_test(input_is_read_to_its_end),
        cmocka_unit_test(guest_without_input_reads_nothing),
        cmocka_unit_test(waiting_for_input_costs_nothing),
        cmocka_unit_test(long_output_leaves_the_core_to_others),
    };
    return host_run_tests(argc, argv, "hypercalls", tests, COUNT(tests));
}
