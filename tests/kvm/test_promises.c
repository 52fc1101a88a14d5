// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Ceilings, latency targets and weights, on real guests, by every stay on the core (include/matrix/board.h): at
 * each moment of a run, and not only in its sum. What is compared are CPU times; wall time counts where it is what
 * is promised, and then it is the one that the core itself has seen. So other load on the machine decides nothing.
 * The same is tested of the policy alone in tests/unit/test_policy_promises.c.
 */
#include "tests/kvm/host.h"
#include "tests/kvm/lag.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_NS         MATRIX_SLICE_DEFAULT_NS
#define PERCENT(percent) ((uint32_t)(percent) * (MATRIX_WHOLE_CORE / 100))
#define PART(ppm)        ((double)(ppm) / MATRIX_WHOLE_CORE)
#define STAYS            (1 << 17)
#define LIMIT_NS         (120 * SECOND_NS)
#define GUESTS_MAX       10

/* Guests on a core, and all their stays; a guest's number on the board is one more than its index here. */
struct scene {
    struct test_guest guests[GUESTS_MAX];
    size_t guest_count;
    struct matrix_core *core;
    struct matrix_board *board;
    struct matrix_board_stay *stays;
    size_t stay_count;
};

/* --- a run, and what is known of it ------------------------------------------------------------- */

static void scene_create(struct scene *scene, struct matrix_core_options options)
{
    int fd;
    options.cpu = -1;
    options.board_stays = STAYS;
    options.context = scene;
    *scene = (struct scene){.core = test_core_create(options, NULL, NULL, 0)};
    assert_success(matrix_core_board(scene->core, &fd));
    assert_success(matrix_board_open(fd, &scene->board));
}

static void scene_add(struct scene *scene, struct test_guest guest, struct matrix_contract contract)
{
    assert_true(scene->guest_count < GUESTS_MAX);
    scene->guests[scene->guest_count++] = guest;
    assert_success(matrix_core_add_contract(scene->core, guest.vm, &contract));
}

static void scene_run(struct scene *scene, enum matrix_core_end end)
{
    uint64_t next = 0, lost = 0, charged_ns = 0;
    size_t count;
    assert_int_equal(test_core_run(scene->core).end, end);
    scene->stays = calloc(STAYS, sizeof(*scene->stays));
    assert_non_null(scene->stays);
    do {
        assert_success(matrix_board_stays(scene->board, &next, scene->stays + scene->stay_count,
                                          STAYS - scene->stay_count, &count, &lost));
        scene->stay_count += count;
    } while (count);
    for (size_t i = 0; i < scene->stay_count; i++)
        charged_ns += scene->stays[i].cpu_ns;
    assert_int_equal(lost, 0);
    assert_int_equal(charged_ns, test_core_statistics(scene->core).guests_cpu_ns);
}

static void scene_destroy(struct scene *scene)
{
    free(scene->stays);
    matrix_board_close(scene->board);
    matrix_core_destroy(scene->core);
    for (size_t i = 0; i < scene->guest_count; i++)
        test_guest_destroy(&scene->guests[i]);
}

/* Of a stay's CPU time, what was had after that moment for certain: before it the guest can have had no more
 * than all of the time. */
static double cpu_since(const struct matrix_board_stay *stay, uint64_t moment_ns)
{
    const uint64_t before_ns = moment_ns > stay->start_ns ? moment_ns - stay->start_ns : 0;
    return stay->cpu_ns > before_ns ? (double)(stay->cpu_ns - before_ns) : 0;
}

/* --- ceilings ----------------------------------------------------------------------------------- */

#define WINDOW_NS (100 * MILLISECOND_NS)

struct ceiling_case {
    const char *name;
    const char *const *argv;
    uint32_t floor_ppm, ceiling_ppm;
    bool has_neighbour; /* that would take all of the core; else there is nobody */
    bool rests;         /* it is paused now and then: meanwhile its bucket fills */
};

static struct ceiling_case ceiling_cases[] = {
    {"a ceiling, alone", ARGUMENTS("spin"), 0, PERCENT(30), false, false},
    {"a ceiling, alone, with much I/O", ARGUMENTS("chatter"), 0, PERCENT(30), false, false},
    {"a ceiling, beside a neighbour", ARGUMENTS("spin"), 0, PERCENT(30), true, false},
    {"a ceiling, beside a neighbour, at work now and then", ARGUMENTS("spin"), 0, PERCENT(60), true,
     true},
    {"a ceiling, with a floor, at work now and then", ARGUMENTS("spin"), PERCENT(40), PERCENT(40),
     true, true},
};

static void pause_or_resume(struct matrix_core *core, void *context)
{
    struct scene *scene = context;
    const bool is_paused = strcmp(test_core_guest(core, 0).state, "paused") == 0;
    struct matrix_vm *vm = scene->guests[0].vm;
    assert_success(is_paused ? matrix_core_resume(core, vm) : matrix_core_pause(core, vm));
}

/* What the first guest has had for certain in the window that ends with its last-th stay. */
static double had_in_window(const struct scene *scene, size_t last)
{
    const uint64_t end_ns = scene->stays[last].end_ns;
    const uint64_t begin_ns = end_ns > WINDOW_NS ? end_ns - WINDOW_NS : 0;
    double had_ns = 0;
    for (size_t i = last + 1; i-- > 0 && scene->stays[i].end_ns > begin_ns;)
        if (scene->stays[i].guest == 1)
            had_ns += cpu_since(&scene->stays[i], begin_ns);
    return had_ns;
}

/*
 * The bound of cloud/policy_ceiling.c. Nobody comes on with an empty bucket: so from any moment to the beginning of
 * a stay it holds as it stands there, without an overrun. To the end of a stay, that of this stay is to be added,
 * which is no more than what the stay was charged and the bucket did not get meanwhile.
 */
static void check_ceiling(const struct scene *scene, const struct ceiling_case *one)
{
    const double part = PART(one->ceiling_ppm);
    const double bucket_ns = (double)SLICE_NS * (1 + PART(one->floor_ppm) / part);
    double had_ns = 0, least_ns = 0, worst_ns = -INFINITY, worst_window_ns = -INFINITY;
    for (size_t i = 0; i < scene->stay_count; i++) {
        const struct matrix_board_stay *stay = &scene->stays[i];
        if (stay->guest != 1)
            continue;
        const double overrun_ns =
            (double)stay->cpu_ns - part * (double)(stay->end_ns - stay->start_ns);
        const double over_ns = had_ns - part * (double)(stay->start_ns - scene->stays[0].start_ns);
        least_ns = fmin(least_ns, over_ns);
        worst_ns = fmax(worst_ns, over_ns - least_ns);
        worst_window_ns =
            fmax(worst_window_ns, had_in_window(scene, i) - part * WINDOW_NS - fmax(overrun_ns, 0));
        had_ns += (double)stay->cpu_ns;
    }
    print_message("# %s: beyond the ceiling %.3f slices at worst, %.3f in 100 ms; bound %.3f\n",
                  one->name, worst_ns / SLICE_NS, worst_window_ns / SLICE_NS, bucket_ns / SLICE_NS);
    assert_true(had_ns > 0);
    assert_true(worst_window_ns <= bucket_ns + 1);
    assert_true(worst_ns <= bucket_ns + 1); /* halves of a nanosecond are rounded */
}

static void ceiling_is_kept_in_every_window(void **state)
{
    const struct ceiling_case *one = *state;
    struct scene scene;
    scene_create(&scene,
                 (struct matrix_core_options){.duration_ns = 2 * SECOND_NS,
                                              .tick_ns = one->rests ? 120 * MILLISECOND_NS : 0,
                                              .tick = one->rests ? pause_or_resume : NULL});
    scene_add(&scene, test_guest_create((struct matrix_vm_options){.argv = one->argv}),
              (struct matrix_contract){
                  .weight = 1000, .floor_ppm = one->floor_ppm, .ceiling_ppm = one->ceiling_ppm});
    if (one->has_neighbour)
        scene_add(&scene, test_guest("spin"), (struct matrix_contract){.weight = 1});
    scene_run(&scene, MATRIX_CORE_DURATION);
    check_ceiling(&scene, one);
    scene_destroy(&scene);
}

/* --- latency targets ---------------------------------------------------------------------------- */

#define NAP_NS        15000000
#define NAPS          150
#define LATENCY_NS    2500000
#define SLEEPER_FLOOR 0.1
#define OTHERS        4

/* The first guest, which sleeps, and the others, of one weight, as far as the stays have been looked at. */
struct sleeper {
    bool is_asleep, is_ready; /* since its last stay; since ready_ns */
    uint64_t ready_ns;
    double debt_ns;        /* what it has had, and its floor has not made good since */
    double got_ns[OTHERS]; /* what the others have had */
    double allowed_ns, waited_ns;
    double worst_ns; /* waited beyond what was allowed for */
    unsigned wakes;
};

static void nap_is_over(struct matrix_core *core, struct matrix_vm *vm, void *context)
{
    const struct scene *scene = context;
    if (vm == scene->guests[0].vm)
        matrix_core_stop(core);
}

static void sleeper_comes_on(struct sleeper *sleeper, const struct matrix_board_stay *stay)
{
    sleeper->wakes += sleeper->is_asleep;
    if (sleeper->is_ready)
        sleeper->worst_ns = fmax(sleeper->worst_ns, sleeper->waited_ns - sleeper->allowed_ns);
    sleeper->debt_ns += (double)stay->cpu_ns;
    sleeper->is_asleep = stay->left == MATRIX_BOARD_LEFT_SLEEP;
    sleeper->is_ready = false;
    sleeper->ready_ns = stay->end_ns + NAP_NS;
}

static void other_had(struct sleeper *sleeper, size_t other, double cpu_ns)
{
    sleeper->got_ns[other] += cpu_ns;
    sleeper->debt_ns = fmax(0, sleeper->debt_ns - SLEEPER_FLOOR * cpu_ns);
}

/* A target is no promise to who is in debt, nor while others are owed what somebody has exceeded his slice by:
 * who is ahead of his part by more than a slice. */
static void sleeper_gets_ready(struct sleeper *sleeper)
{
    double all_ns = 0;
    for (int i = 0; i < OTHERS; i++)
        all_ns += sleeper->got_ns[i];
    sleeper->allowed_ns = sleeper->debt_ns / SLEEPER_FLOOR;
    for (int i = 0; i < OTHERS; i++)
        sleeper->allowed_ns += fmax(0, sleeper->got_ns[i] - all_ns / OTHERS - SLICE_NS);
    sleeper->waited_ns = 0;
    sleeper->is_ready = true;
}

static void other_comes_on(struct sleeper *sleeper, const struct matrix_board_stay *stay)
{
    const double cpu_ns = (double)stay->cpu_ns;
    const double after_ns = cpu_since(stay, sleeper->ready_ns);
    const size_t other = stay->guest - 2;
    assert_in_range(other, 0, OTHERS - 1);
    if (!sleeper->is_asleep || stay->end_ns <= sleeper->ready_ns) {
        other_had(sleeper, other, cpu_ns);
        return;
    }
    other_had(sleeper, other, cpu_ns - after_ns);
    if (!sleeper->is_ready)
        sleeper_gets_ready(sleeper);
    sleeper->waited_ns += fmax(0, after_ns - fmax(0, cpu_ns - SLICE_NS));
    other_had(sleeper, other, after_ns);
}

/*
 * Who sleeps is let in by its target and not by its turn: the others would have a slice each before it. The wait
 * is the others' CPU time from the end of its sleep on. A slice is for what runs are expected to exceed theirs by.
 */
static double wait_of_sleeper(void)
{
    struct scene scene;
    struct sleeper sleeper = {0};
    char length[32], times[32];
    snprintf(length, sizeof(length), "%d", NAP_NS);
    snprintf(times, sizeof(times), "%d", NAPS);
    scene_create(&scene,
                 (struct matrix_core_options){.duration_ns = LIMIT_NS, .ended = nap_is_over});
    scene_add(&scene, test_guest("nap", length, times),
              (struct matrix_contract){.weight = 1,
                                       .floor_ppm = (uint32_t)(SLEEPER_FLOOR * MATRIX_WHOLE_CORE),
                                       .latency_ns = LATENCY_NS});
    for (int i = 0; i < OTHERS; i++)
        scene_add(&scene, test_guest("spin"), (struct matrix_contract){.weight = 100});
    scene_run(&scene, MATRIX_CORE_STOPPED);
    for (size_t i = 0; i < scene.stay_count; i++)
        if (scene.stays[i].guest == 1)
            sleeper_comes_on(&sleeper, &scene.stays[i]);
        else
            other_comes_on(&sleeper, &scene.stays[i]);
    print_message(
        "# %u times: waited %.3f ms at worst, less what is allowed for; promised %.3f ms\n",
        sleeper.wakes, sleeper.worst_ns / 1e6, LATENCY_NS / 1e6);
    assert_int_equal(sleeper.wakes, NAPS);
    scene_destroy(&scene);
    return sleeper.worst_ns;
}

/* Where the host takes the core away again and again, the stays do not tell exactly what is to be allowed for: it is
 * tried again. Who is let in by his turn waits too long each time. */
static void sleeper_waits_no_longer_than_promised(void **state)
{
    const double bound_ns = LATENCY_NS + (LAG_BOUND_SLICES - 1) * SLICE_NS;
    for (int tries = 0; tries < 4; tries++)
        if (wait_of_sleeper() <= bound_ns)
            return;
    fail();
}

/* --- weights ------------------------------------------------------------------------------------ */

#define WEIGHTS 4

/* Tens of weight, in the order of adding. */
static const unsigned turns[WEIGHTS] = {3, 1, 4, 2};

/* After two seconds, as soon as who has more weight has had more. What the host took away from one with little weight
 * was CPU time to the lab, and it is long until the others have made it good. */
static void stop_in_order(struct matrix_core *core, void *context)
{
    if (test_core_statistics(core).wall_ns < 2 * SECOND_NS)
        return;
    for (size_t i = 0; i < WEIGHTS; i++)
        for (size_t j = 0; j < WEIGHTS; j++)
            if (turns[j] < turns[i] &&
                test_core_guest(core, j).cpu_ns >= test_core_guest(core, i).cpu_ns)
                return;
    matrix_core_stop(core);
}

/* At every stay each is within the bound of its share, so that who has more weight never falls behind by more
 * than that; and in the end each has more than all that have less weight. */
static void more_weight_gets_more(void **state)
{
    static const char *const images[WEIGHTS] = {"chatter", "spin", "neo", "spin"};
    struct scene scene;
    struct lag lags[WEIGHTS];
    double got_ns[WEIGHTS] = {0}, all_ns = 0;
    scene_create(&scene, (struct matrix_core_options){.duration_ns = LIMIT_NS,
                                                      .tick_ns = 100 * MILLISECOND_NS,
                                                      .tick = stop_in_order});
    for (int i = 0; i < WEIGHTS; i++) {
        lags[i] = (struct lag){.slice_ns = SLICE_NS};
        scene_add(&scene, test_guest(images[i]), (struct matrix_contract){.weight = 10 * turns[i]});
    }
    scene_run(&scene, MATRIX_CORE_STOPPED);
    for (size_t i = 0; i < scene.stay_count; i++) {
        const struct matrix_board_stay *stay = &scene.stays[i];
        got_ns[stay->guest - 1] += (double)stay->cpu_ns;
        all_ns += (double)stay->cpu_ns;
        for (int j = 0; j < WEIGHTS; j++)
            lag_add(&lags[j], fabs(turns[j] / 10.0 * all_ns - got_ns[j]), stay);
    }
    for (int i = 0; i < WEIGHTS; i++) {
        print_message("# weight %u: %.4f of all, off by %.3f slices at worst, %.3f less overruns\n",
                      10 * turns[i], got_ns[i] / all_ns, lags[i].worst_ns / SLICE_NS,
                      lags[i].beyond_ns / SLICE_NS);
        assert_true(lags[i].beyond_ns <= LAG_BOUND_SLICES * SLICE_NS);
        for (int j = 0; j < WEIGHTS; j++)
            assert_true(turns[j] >= turns[i] || got_ns[j] < got_ns[i]);
    }
    scene_destroy(&scene);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[COUNT(ceiling_cases) + 2];
    size_t count = 0;
    for (size_t i = 0; i < COUNT(ceiling_cases); i++)
        tests[count++] = (struct CMUnitTest){
            .name = ceiling_cases[i].name,
            .test_func = ceiling_is_kept_in_every_window,
            .initial_state = &ceiling_cases[i],
        };
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(sleeper_waits_no_longer_than_promised);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(more_weight_gets_more);
    return host_run_tests(argc, argv, "promises", tests, count);
}
