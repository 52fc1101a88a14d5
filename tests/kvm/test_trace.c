// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A core's board against what the core itself says: stays do not overlap and add up to what guests
 * were charged, shares by the trace are the report's, counters are the core's; and guests and groups that
 * come and go while it is read.
 */
#include "tests/kvm/host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define GUESTS_MAX 8
#define TICK_NS    (20 * MILLISECOND_NS)

/* What a reader has added up. */
struct trace {
    struct matrix_board *board;
    uint64_t next, lost, last_end_ns;
    uint64_t stays[GUESTS_MAX + 1], cpu_ns[GUESTS_MAX + 1], loop_cpu_ns;
    uint64_t left[MATRIX_BOARD_LEFT_COUNT];
    uint64_t lasted_ns; /* all stays, in wall time */
    /* Then the run is over; NULL: it ends by itself. */
    bool (*is_enough)(const struct trace *trace);
};

static struct matrix_board *open_board(struct matrix_core *core)
{
    struct matrix_board *board;
    int fd;
    assert_success(matrix_core_board(core, &fd));
    assert_success(matrix_board_open(fd, &board));
    return board;
}

static void read_trace(struct trace *trace)
{
    static struct matrix_board_stay stays[4096];
    size_t count;
    do {
        assert_success(matrix_board_stays(trace->board, &trace->next, stays, COUNT(stays), &count,
                                          &trace->lost));
        for (size_t i = 0; i < count; i++) {
            const struct matrix_board_stay *stay = &stays[i];
            assert_true(stay->start_ns >= trace->last_end_ns);
            assert_in_range(stay->guest, 1, GUESTS_MAX);
            assert_true(stay->ready >= 1);
            trace->last_end_ns = stay->end_ns;
            trace->stays[stay->guest]++;
            trace->cpu_ns[stay->guest] += stay->cpu_ns;
            trace->loop_cpu_ns += stay->loop_cpu_ns;
            trace->lasted_ns += stay->end_ns - stay->start_ns;
            trace->left[stay->left]++;
        }
    } while (count);
}

static struct matrix_board_guest read_guest(const struct matrix_board *board, size_t slot)
{
    struct matrix_board_guest guest;
    assert_true(slot < matrix_board_slots(board));
    assert_success(matrix_board_guest(board, slot, &guest));
    return guest;
}

/* --- against the core ------------------------------------------------------------------------ */

static void assert_guest_is(const struct matrix_board_guest *shown,
                            const struct matrix_core_guest *guest)
{
    struct matrix_vm_info info;
    matrix_vm_info(guest->vm, &info);
    assert_string_equal(shown->name, info.name);
    assert_string_equal(shown->state, guest->state);
    assert_string_equal(shown->group, guest->group ? guest->group : "");
    assert_int_equal(shown->weight, guest->weight);
    assert_int_equal(shown->ceiling_ppm, guest->contract.ceiling_ppm);
    assert_int_equal(shown->cpu_ns, guest->cpu_ns);
    assert_int_equal(shown->entitled_ns, guest->entitled_ns);
    assert_int_equal(shown->contended_cpu_ns, guest->contended_cpu_ns);
    assert_int_equal(shown->contended_total_ns, guest->contended_total_ns);
    assert_int_equal(shown->slices, guest->slices);
    assert_int_equal(shown->work, info.work);
    assert_memory_equal(shown->exits, info.exits, sizeof(info.exits));
    assert_int_equal(shown->memory_bytes, info.memory_bytes);
    assert_int_equal(shown->regions[0].bytes, info.memory_bytes);
}

/* What the board cost, and how often it was brought up to date. After each time it rests in proportion to what that
 * took, which was long where the host took the core away meanwhile; how long, the slices' ends say. */
static void assert_board_is_cheap(const struct matrix_board_core *shown)
{
    const uint64_t rests_ns = 250 * shown->publish_cpu_ns;
    const uint64_t wall_ns = shown->wall_ns;
    const uint64_t last_ns =
        shown->publish_count ? shown->publish_cpu_ns / shown->publish_count : 0;
    assert_true(shown->publish_count >=
                (wall_ns - (rests_ns < wall_ns ? rests_ns : wall_ns)) / SECOND_NS);
    assert_true(shown->publish_cpu_ns - last_ns < wall_ns / 100 + shown->delay_worst_ns);
}

static void assert_core_is(const struct matrix_board *board, const struct matrix_core *core)
{
    static struct matrix_board_core shown;
    const struct matrix_core_statistics loop = test_core_statistics(core);
    uint64_t delays = 0;
    assert_success(matrix_board_core(board, &shown));
    assert_int_equal(shown.wall_ns, loop.wall_ns);
    assert_int_equal(shown.ended_ns - shown.begun_ns, loop.wall_ns);
    assert_int_equal(shown.guests_cpu_ns, loop.guests_cpu_ns);
    assert_int_equal(shown.overhead_ns, loop.overhead_ns);
    assert_int_equal(shown.switches, loop.switches);
    assert_int_equal(shown.delay_p99_ns, loop.delay_p99_ns);
    assert_int_equal(shown.guests_unlisted, 0);
    assert_board_is_cheap(&shown);
    for (unsigned i = 0; i < MATRIX_BOARD_BUCKETS; i++)
        delays += shown.delay_buckets[i];
    assert_int_equal(delays, shown.delay_count);
}

static void look_at_trace(struct matrix_core *core, void *context)
{
    struct trace *trace = context;
    read_trace(trace);
    if (trace->is_enough && trace->is_enough(trace))
        matrix_core_stop(core);
}

/* Runs guests with the board there from the start; their trace is exact to the nanosecond. */
static struct trace run_traced(const struct test_guest *guests, const unsigned *weights,
                               size_t count, bool (*is_enough)(const struct trace *trace))
{
    struct trace trace = {.is_enough = is_enough};
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1,
                                                      .duration_ns = 60 * SECOND_NS,
                                                      .tick_ns = 5 * TICK_NS,
                                                      .tick = look_at_trace,
                                                      .context = &trace},
                         guests, weights, count);
    trace.board = open_board(core);
    assert_string_equal(read_guest(trace.board, 0).state, "waiting");
    assert_int_not_equal(test_core_run(core).end, MATRIX_CORE_DURATION);
    read_trace(&trace);
    assert_int_equal(trace.lost, 0);
    const struct matrix_core_statistics loop = test_core_statistics(core);
    const uint64_t all_ns = loop.guests_cpu_ns;
    for (size_t i = 0; i < count; i++) {
        const struct matrix_core_guest guest = test_core_guest(core, i);
        const struct matrix_board_guest shown = read_guest(trace.board, i);
        const double by_trace = (double)trace.cpu_ns[shown.id] / (double)all_ns;
        const double by_report = (double)guest.cpu_ns / (double)all_ns;
        print_message("# %s: %.4f of the core in %lu stays\n", shown.name, by_trace,
                      trace.stays[shown.id]);
        assert_guest_is(&shown, &guest);
        assert_int_equal(trace.cpu_ns[shown.id], guest.cpu_ns);
        assert_true(fabs(by_trace - by_report) < 1e-9);
        assert_true(trace.stays[shown.id] >= guest.slices);
    }
    assert_true(trace.loop_cpu_ns <= loop.overhead_ns);
    /* What is idle is nobody's stay. */
    assert_true(trace.lasted_ns + loop.idle_wall_ns <= loop.wall_ns);
    assert_core_is(trace.board, core);
    matrix_board_close(trace.board);
    matrix_core_destroy(core);
    return trace;
}

static bool has_many_slices(const struct trace *trace)
{
    return trace->left[MATRIX_BOARD_LEFT_SLICE] > 300;
}

static void two_guests(void **state)
{
    struct test_guest guests[] = {test_guest("neo"), test_guest("morpheus")};
    run_traced(guests, (const unsigned[]){70, 30}, 2, has_many_slices);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static bool has_every_reason(const struct trace *trace)
{
    return trace->left[MATRIX_BOARD_LEFT_SLICE] > 0 && trace->left[MATRIX_BOARD_LEFT_SLEEP] > 10 &&
           trace->left[MATRIX_BOARD_LEFT_END] >= 2;
}

static void every_reason(void **state)
{
    struct test_guest guests[] = {test_guest("spin"), test_guest("chatter"),
                                  test_guest("nap", "3000000", "1000"), test_guest("hello"),
                                  test_guest("vcpus")};
    run_traced(guests, (const unsigned[]){1, 2, 3, 4, 5}, 5, has_every_reason);
    for (size_t i = 0; i < COUNT(guests); i++)
        test_guest_destroy(&guests[i]);
}

static void a_sleeper_alone(void **state)
{
    struct test_guest guest = test_guest("nap", "20000000", "10");
    const struct trace trace = run_traced(&guest, NULL, 1, NULL);
    assert_true(trace.left[MATRIX_BOARD_LEFT_SLEEP] >= 10);
    test_guest_destroy(&guest);
}

/* --- guests that come and go ----------------------------------------------------------------- */

struct visit {
    struct test_guest *guests; /* the first stays, the others come in turn */
    struct matrix_board *board;
    unsigned step;
};

static void come_and_go(struct matrix_core *core, void *context)
{
    struct visit *visit = context;
    const unsigned turn = visit->step / 4;
    if (turn >= GUESTS_MAX - 1) {
        matrix_core_stop(core);
        return;
    }
    struct test_guest *guest = &visit->guests[1 + turn];
    switch (visit->step++ % 4) {
    case 0:
        assert_success(matrix_core_add(core, guest->vm, 10 + turn));
        assert_int_equal(read_guest(visit->board, 1 + turn).id, 2 + turn);
        assert_string_equal(read_guest(visit->board, 1 + turn).state, "ready");
        break;
    case 1:
        assert_success(matrix_core_pause(core, guest->vm));
        assert_string_equal(read_guest(visit->board, 1 + turn).state, "paused");
        break;
    case 2:
        assert_success(matrix_core_set_contract(
            core, guest->vm, &(struct matrix_contract){.weight = 7, .ceiling_ppm = 500000}));
        assert_int_equal(read_guest(visit->board, 1 + turn).weight, 7);
        assert_int_equal(read_guest(visit->board, 1 + turn).ceiling_ppm, 500000);
        assert_success(matrix_core_resume(core, guest->vm));
        break;
    case 3:
        assert_success(matrix_core_remove(core, guest->vm));
        assert_string_equal(read_guest(visit->board, 1 + turn).state, "gone");
        break;
    }
}

static void guests_come_and_go(void **state)
{
    struct test_guest guests[GUESTS_MAX];
    struct visit visit = {.guests = guests};
    for (size_t i = 0; i < GUESTS_MAX; i++)
        guests[i] = test_guest("spin");
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1,
                                                      .duration_ns = 60 * SECOND_NS,
                                                      .tick_ns = TICK_NS,
                                                      .tick = come_and_go,
                                                      .context = &visit},
                         guests, NULL, 1);
    struct trace trace = {.board = open_board(core)};
    visit.board = trace.board;
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    read_trace(&trace);
    /* The board tells also of those whom the core has forgotten. */
    uint64_t sum_ns = 0;
    for (size_t i = 0; i < GUESTS_MAX; i++) {
        const struct matrix_board_guest shown = read_guest(trace.board, i);
        assert_int_equal(shown.id, 1 + i);
        assert_int_equal(trace.cpu_ns[shown.id], shown.cpu_ns);
        sum_ns += shown.cpu_ns;
    }
    assert_int_equal(sum_ns, test_core_statistics(core).guests_cpu_ns);
    matrix_board_close(trace.board);
    matrix_core_destroy(core);
    for (size_t i = 0; i < GUESTS_MAX; i++)
        test_guest_destroy(&guests[i]);
}

/* Slots are used again, oldest first, and never by two at a time. */
static void slots_are_used_again(void **state)
{
    struct test_guest guests[] = {test_guest("spin"), test_guest("spin")};
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1}, guests, NULL, 1);
    struct matrix_board *board = open_board(core);
    for (unsigned i = 0; i < 200; i++) {
        assert_success(matrix_core_add(core, guests[1].vm, 1));
        assert_success(matrix_core_remove(core, guests[1].vm));
    }
    assert_success(matrix_core_add(core, guests[1].vm, 1));
    size_t alive = 0;
    for (size_t slot = 0; slot < matrix_board_slots(board); slot++)
        alive += strcmp(read_guest(board, slot).state, "gone") != 0;
    assert_int_equal(alive, 2);
    assert_in_range(matrix_board_slots(board), 3, 100);
    matrix_board_close(board);
    matrix_core_destroy(core);
    test_guest_destroy(&guests[0]);
    test_guest_destroy(&guests[1]);
}

static struct matrix_board_group read_group(const struct matrix_board *board, size_t slot)
{
    struct matrix_board_group group;
    assert_true(slot < matrix_board_group_slots(board));
    assert_success(matrix_board_group(board, slot, &group));
    return group;
}

/* Those of its guests, from when the first is there; changed and gone at once. */
static void groups_are_shown(void **state)
{
    struct test_guest guest = test_guest("spin");
    struct matrix_core_group *city, *zion;
    struct matrix_core *core =
        test_core_create((struct matrix_core_options){.cpu = -1}, NULL, NULL, 0);
    struct matrix_contract contract = {.weight = 10, .floor_ppm = 200000};
    assert_success(matrix_core_add_group(core, "city", &contract, &city));
    contract = (struct matrix_contract){.weight = 20, .group = city};
    assert_success(matrix_core_add_group(core, "zion", &contract, &zion));
    struct matrix_board *board = open_board(core);
    assert_int_equal(matrix_board_group_slots(board), 0);
    contract = (struct matrix_contract){.weight = 1, .group = zion};
    assert_success(matrix_core_add_contract(core, guest.vm, &contract));
    assert_int_equal(read_guest(board, 0).group_id, 2);
    assert_string_equal(read_group(board, 0).name, "city");
    assert_int_equal(read_group(board, 0).floor_ppm, 200000);
    assert_string_equal(read_group(board, 1).name, "zion");
    assert_int_equal(read_group(board, 1).parent, 1);
    assert_success(matrix_core_set_group(core, city, &(struct matrix_contract){.weight = 11}));
    assert_int_equal(read_group(board, 0).weight, 11);
    assert_int_equal(read_group(board, 0).floor_ppm, 0);
    assert_refused(matrix_core_remove_group(core, zion), MATRIX_ERROR_USAGE, "has 1 members");
    assert_int_equal(read_group(board, 1).id, 2);
    assert_success(matrix_core_remove(core, guest.vm));
    assert_success(matrix_core_remove_group(core, zion));
    assert_int_equal(read_group(board, 1).id, 0);
    matrix_board_close(board);
    matrix_core_destroy(core);
    test_guest_destroy(&guest);
}

static void stays_are_a_power_of_two(void **state)
{
    struct matrix_core *core;
    struct matrix_core_options options = {.cpu = -1, .board_stays = 1000};
    assert_refused(matrix_core_create(&options, &core), MATRIX_ERROR_USAGE, "a board of 1000");
    options.board_stays = 1 << 21;
    assert_refused(matrix_core_create(&options, &core), MATRIX_ERROR_USAGE, "a board of 2097152");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_guests),
        cmocka_unit_test(every_reason),
        cmocka_unit_test(a_sleeper_alone),
        cmocka_unit_test(guests_come_and_go),
        cmocka_unit_test(slots_are_used_again),
        cmocka_unit_test(groups_are_shown),
        cmocka_unit_test(stays_are_a_power_of_two),
    };
    return host_run_tests(argc, argv, "trace", tests, COUNT(tests));
}
