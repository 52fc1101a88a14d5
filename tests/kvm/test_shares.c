// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The contract: guests share a core's time as their weights say, whatever they do with it and
 * whichever comes first. Time is what was charged, in the thread's CPU time, so that other load on
 * the host does not matter.
 */
#include "tests/kvm/host.h"

#include <math.h>
#include <matrix/board.h>
#include <string.h>

#define GUESTS_MAX 10

/* Two guests, the first promised 70 % of the core and the second 30 %. */
struct pair {
    const char *name;
    const char *const *first, *const *second;
    uint64_t duration_ns;
    bool same_work; /* their work counters count the same thing */
};

static const char *const spin[] = {"spin", NULL};
static const char *const chatter[] = {"chatter", NULL};
static const char *const neo[] = {"neo", NULL};
static const char *const morpheus[] = {"morpheus", NULL};
static const char *const quiet_neo[] = {"neo", "--every", "0", NULL};
static const char *const quiet_morpheus[] = {"morpheus", "--every", "0", NULL};
static const char *const busy_neo[] = {"neo", "--every", "20", NULL};
static const char *const busy_morpheus[] = {"morpheus", "--every", "20", NULL};

static struct pair pairs[] = {
    {"compute and compute", quiet_neo, quiet_morpheus, 5 * SECOND_NS, true},
    {"compute and compute, the other way round", quiet_morpheus, quiet_neo, 2 * SECOND_NS, true},
    {"mixed and mixed", neo, morpheus, 5 * SECOND_NS, true},
    {"mixed and mixed, the other way round", morpheus, neo, 2 * SECOND_NS, true},
    {"much I/O and much I/O", busy_neo, busy_morpheus, 2 * SECOND_NS, true},
    {"much I/O and none", busy_neo, quiet_morpheus, 2 * SECOND_NS, false},
    {"never exits, never exits", spin, spin, 2 * SECOND_NS, false},
    {"only I/O and only I/O", chatter, chatter, 2 * SECOND_NS, false},
    {"never exits, only I/O", spin, chatter, 2 * SECOND_NS, false},
    {"only I/O, never exits", chatter, spin, 2 * SECOND_NS, false},
};

/* Everything that was charged is somebody's, and nothing is charged twice. */
static void assert_sums(const struct matrix_core *core, size_t count)
{
    const struct matrix_core_statistics loop = test_core_statistics(core);
    uint64_t cpu_ns = 0;
    for (size_t i = 0; i < count; i++)
        cpu_ns += test_core_guest(core, i).cpu_ns;
    assert_int_equal(cpu_ns, loop.guests_cpu_ns);
    assert_in_range(loop.guests_cpu_ns + loop.overhead_ns, 0, loop.wall_ns);
}

/* --- work ------------------------------------------------------------------------------------ */

/* What two guests were charged when they worked for certain, and in how many stays the host took the core away:
 * there no more than a slice was for work. To the lab that time is CPU time of who was on. */
struct working {
    double cpu_ns[2];
    uint64_t stolen[2];
};

static struct working read_working(const struct matrix_board *board)
{
    static struct matrix_board_stay stays[4096];
    struct working working = {0};
    uint64_t next = 0, lost = 0;
    size_t count;
    do {
        assert_success(matrix_board_stays(board, &next, stays, COUNT(stays), &count, &lost));
        for (size_t i = 0; i < count; i++)
            if (stays[i].cpu_ns > 2 * MATRIX_SLICE_DEFAULT_NS)
                working.stolen[stays[i].guest - 1]++;
            else
                working.cpu_ns[stays[i].guest - 1] += (double)stays[i].cpu_ns;
    } while (count);
    assert_int_equal(lost, 0);
    return working;
}

/* Time that was charged is time in which the guest could work. */
static void assert_work(const struct test_guest guests[2], const struct matrix_board *board)
{
    const double first = (double)test_guest_info(&guests[0]).work;
    const double second = (double)test_guest_info(&guests[1]).work;
    const double share = first / (first + second);
    const struct working working = read_working(board);
    double least[2], most[2];
    for (int i = 0; i < 2; i++) {
        least[i] = working.cpu_ns[i];
        most[i] = least[i] + (double)working.stolen[i] * MATRIX_SLICE_DEFAULT_NS;
    }
    const double from = least[0] / (least[0] + most[1]), to = most[0] / (most[0] + least[1]);
    print_message("# share of the work: %.4f; of the time in which it could: %.4f to %.4f\n", share,
                  from, to);
    assert_true(share > from - 0.03 && share < to + 0.03);
}

/* --- pairs ----------------------------------------------------------------------------------- */

static void pair_shares_by_contract(void **state)
{
    const struct pair *pair = *state;
    struct matrix_board *board;
    int fd;
    struct test_guest guests[] = {
        test_guest_create((struct matrix_vm_options){.argv = pair->first}),
        test_guest_create((struct matrix_vm_options){.argv = pair->second}),
    };
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = 0, .duration_ns = pair->duration_ns},
                         guests, (const unsigned[]){70, 30}, 2);
    assert_success(matrix_core_board(core, &fd));
    assert_success(matrix_board_open(fd, &board));
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_DURATION);
    assert_share(core, 0, 0.7);
    assert_share(core, 1, 0.3);
    assert_sums(core, 2);
    if (pair->same_work)
        assert_work(guests, board);
    matrix_board_close(board);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static void share_by_weights(const unsigned *weights, size_t count, uint64_t duration_ns)
{
    struct test_guest guests[GUESTS_MAX];
    unsigned total = 0;
    for (size_t i = 0; i < count; i++) {
        guests[i] = test_guest_create((struct matrix_vm_options){.argv = i % 3   ? spin
                                                                         : i % 2 ? chatter
                                                                                 : neo});
        total += weights[i];
    }
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1, .duration_ns = duration_ns},
                         guests, weights, count);
    test_core_run(core);
    for (size_t i = 0; i < count; i++)
        assert_share(core, i, (double)weights[i] / total);
    assert_sums(core, count);
    matrix_core_destroy(core);
    for (size_t i = 0; i < count; i++)
        test_guest_destroy(&guests[i]);
}

static void weights_far_apart(void **state)
{
    share_by_weights((const unsigned[]){1, 10000}, 2, 2 * SECOND_NS);
    share_by_weights((const unsigned[]){10000, 1}, 2, 2 * SECOND_NS);
}

static void ten_guests_of_random_weights(void **state)
{
    unsigned weights[GUESTS_MAX];
    uint32_t seed = 20240229;
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        seed = seed * 1664525 + 1013904223;
        weights[i] = 1 + (seed >> 16) % 1000;
    }
    share_by_weights(weights, GUESTS_MAX, 4 * SECOND_NS);
}

static void other_slices(void **state)
{
    static const uint64_t slices[] = {MATRIX_SLICE_MINIMUM_NS, 300000, 10 * MILLISECOND_NS};
    for (size_t i = 0; i < COUNT(slices); i++) {
        struct test_guest guests[] = {test_guest("spin"), test_guest("chatter")};
        struct matrix_core *core = test_core_create(
            (struct matrix_core_options){
                .cpu = -1, .duration_ns = SECOND_NS, .slice_ns = slices[i]},
            guests, (const unsigned[]){70, 30}, 2);
        test_core_run(core);
        const struct matrix_core_guest guest = test_core_guest(core, 0);
        assert_true(fabs(guest.given - 0.7) <
                    test_share_tolerance(core, (double)guest.contended_total_ns, slices[i]));
        matrix_core_destroy(core);
        test_guest_destroy(&guests[0]);
        test_guest_destroy(&guests[1]);
    }
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[COUNT(pairs) + 3];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(pairs); i++)
        tests[count++] = (struct CMUnitTest){.name = pairs[i].name,
                                             .test_func = pair_shares_by_contract,
                                             .initial_state = &pairs[i]};
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(weights_far_apart);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(ten_guests_of_random_weights);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(other_slices);
    return host_run_tests(argc, argv, "shares", tests, count);
}
