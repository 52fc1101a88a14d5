// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Floors on several cores, with made-up guests (machine_fake.h): what the books admit no core refuses, also while
 * guests are on their way, and what is lowered meanwhile is not given away too early. What all are about to do is
 * said in one tick: no answer of another core is read in between.
 */
#include "base/clock.h"
#include "cloud/machine.h"
#include "vmm/vcpu.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* After those that it needs. */
#include <cmocka.h>

#include "policy_random.h"
/* After those that it needs. */
#include "machine_fake.h"
/* After that. */
#include "machine_scene.h"

static struct matrix_machine_contract pinned(unsigned core, unsigned floor_percent)
{
    return (struct matrix_machine_contract){
        .contract = {.weight = 10, .floor_ppm = floor_percent * 10000},
        .pinned = true,
        .core = core};
}

static struct matrix_error *set(struct scene *scene, size_t index, unsigned core,
                                unsigned floor_percent)
{
    const struct matrix_machine_contract contract = pinned(core, floor_percent);
    return matrix_machine_set(scene->machine, &scene->fakes[index].vm, &contract);
}

/* There is no room, but there will be. */
static void not_yet(struct matrix_error *error)
{
    assert_non_null(error);
    assert_int_equal(error->number, EAGAIN);
    refused(error, "on its way to core 1");
}

/* In the end all are where they were last put, with the floors that they were last given. */
static void check_floor(const struct scene *scene, size_t index, unsigned core,
                        unsigned floor_percent)
{
    const struct matrix_machine_guest guest = guest_of(scene, &scene->fakes[index]);
    if (guest.error)
        fail_msg("%s", guest.error->message);
    assert_int_equal(guest.core, core);
    assert_int_equal(guest.guest.contract.floor_ppm, floor_percent * 10000);
}

static void create(struct scene *scene, struct matrix_machine_options options)
{
    options.persistent = true;
    options.duration_ns = LONG_ENOUGH;
    options.tick_ns = 5 * MILLISECOND;
    scene_create(scene, options);
}

static void run_floors(struct scene *scene)
{
    assert_int_equal(run(scene).end, MATRIX_CORE_STOPPED);
    assert_int_equal(scene->ended, 0);
    assert_int_equal(scene->refusals, 0);
    check_time(scene);
}

/* --- while it moves --------------------------------------------------------------------------------- */

static void lower_on_the_way(struct scene *scene)
{
    struct matrix_error *error;
    if (scene->step == 1) {
        success(set(scene, 0, 1, 60)); /* it sets out */
        success(set(scene, 0, 1, 10));
        assert_true(matrix_machine_holds_floors(scene->machine));
        not_yet(set(scene, 1, 1, 80));
        success(set(scene, 0, 1, 30)); /* whatever is asked for, it comes with what it left with */
        not_yet(set(scene, 1, 1, 70));
        success(set(scene, 0, 1, 20));
        success(set(scene, 1, 1, 40));
    } else if ((error = set(scene, 1, 1, 80))) {
        not_yet(error); /* until it has come */
    } else {
        matrix_machine_stop(scene->machine);
    }
}

static void a_floor_is_free_when_it_is_on_its_core(void **state)
{
    struct scene scene = {.script = lower_on_the_way};
    create(&scene, (struct matrix_machine_options){0});
    add(&scene, "spin", pinned(0, 60));
    add(&scene, "spin", pinned(1, 10));
    run_floors(&scene);
    assert_false(matrix_machine_holds_floors(scene.machine));
    check_floor(&scene, 0, 1, 20);
    check_floor(&scene, 1, 1, 80);
    scene_destroy(&scene);
}

/* --- with the move ----------------------------------------------------------------------------------- */

static void lower_and_move(struct scene *scene)
{
    struct matrix_error *error;
    if (scene->step == 1) {
        success(set(scene, 0, 1, 10)); /* 60 % would find no room there */
    } else if ((error = set(scene, 0, 0, 100))) {
        not_yet(error); /* until it has come */
    } else {
        refused(set(scene, 0, 1, 60), "core 1, which spin is pinned to, has no room");
        matrix_machine_stop(scene->machine);
    }
}

static void a_floor_fits_where_it_comes(void **state)
{
    struct scene scene = {.script = lower_and_move};
    create(&scene, (struct matrix_machine_options){.keeps_ended = true});
    add(&scene, "spin", pinned(0, 60));
    add(&scene, "spin", pinned(1, 90));
    run_floors(&scene);
    check_floor(&scene, 0, 0, 100);
    check_floor(&scene, 1, 1, 90);
    scene_destroy(&scene);
}

/* A ceiling may be below the floor that is kept for it. */
static void lower_all(struct scene *scene)
{
    struct matrix_machine_contract contract = pinned(1, 10);
    contract.contract.ceiling_ppm = 200000;
    if (scene->step > 1) {
        if (!matrix_machine_holds_floors(scene->machine))
            matrix_machine_stop(scene->machine);
        return;
    }
    success(set(scene, 0, 1, 60));
    success(matrix_machine_set(scene->machine, &scene->fakes[0].vm, &contract));
    refused(set(scene, 0, 0, 10), "is on its way"); /* nobody knows where it is */
    not_yet(set(scene, 1, 1, 50));
}

static void a_ceiling_is_no_hindrance(void **state)
{
    struct scene scene = {.script = lower_all};
    create(&scene, (struct matrix_machine_options){0});
    add(&scene, "spin", pinned(0, 60));
    add(&scene, "spin", pinned(1, 40));
    run_floors(&scene);
    check_floor(&scene, 0, 1, 10);
    assert_int_equal(guest_of(&scene, &scene.fakes[0]).guest.contract.ceiling_ppm, 200000);
    check_floor(&scene, 1, 1, 40);
    scene_destroy(&scene);
}

/* --- just added ------------------------------------------------------------------------------------- */

static void lower_the_new(struct scene *scene)
{
    const struct matrix_machine_contract contract = pinned(1, 80);
    struct fake *late = &scene->fakes[1];
    if (scene->step == 1) {
        add(scene, "spin", pinned(1, 60));
        success(set(scene, 0, 1, 10));
        fake_create(late, "spin", NULL);
        scene->count++;
        not_yet(matrix_machine_add(scene->machine, &late->vm, &contract));
        return;
    }
    struct matrix_error *error = matrix_machine_add(scene->machine, &late->vm, &contract);
    if (error)
        not_yet(error); /* until the first one has come */
    else
        matrix_machine_stop(scene->machine);
}

static void who_comes_may_be_lowered(void **state)
{
    struct scene scene = {.script = lower_the_new};
    create(&scene, (struct matrix_machine_options){0});
    run_floors(&scene);
    check_floor(&scene, 0, 1, 10);
    check_floor(&scene, 1, 1, 80);
    scene_destroy(&scene);
}

/* --- should a core refuse all the same --------------------------------------------------------------- */

/* In the second core's thread: what the books do not know. */
static void take_behind_their_back(struct matrix_core *core, void *context)
{
    struct scene *scene = context;
    const struct matrix_contract contract = {.weight = 10, .floor_ppm = 800000};
    success(matrix_core_set_contract(core, &scene->fakes[0].vm, &contract));
}

static void is_agreed_to(struct scene *scene)
{
    if (scene->step == 1) {
        success(matrix_machine_visit(scene->machine, 1, take_behind_their_back, NULL, scene));
        success(set(scene, 1, 1, 50));
        success(matrix_machine_pause(scene->machine, &scene->fakes[1].vm));
    }
    if (scene->refusals)
        matrix_machine_stop(scene->machine);
}

static void a_core_that_refuses_is_heard(void **state)
{
    struct scene scene = {.script = is_agreed_to};
    create(&scene, (struct matrix_machine_options){0});
    add(&scene, "spin", pinned(1, 10));
    add(&scene, "spin", pinned(1, 20));
    assert_int_equal(run(&scene).end, MATRIX_CORE_STOPPED);
    assert_int_equal(scene.refusals, 1);
    assert_int_equal(scene.ended, 0);
    assert_null(guest_of(&scene, &scene.fakes[1]).error);
    scene_destroy(&scene);
}

/* --- everything at once ------------------------------------------------------------------------------ */

#define GUESTS 12
#define CORES  3

/* So many changes are made, and so many refused, of six at each step. */
#define YES_LEAST 100
#define NO_LEAST  50

/* What the books said yes to. */
static struct matrix_machine_contract agreed[GUESTS], agreed_of_group;
static size_t yes, no;

static bool note(struct matrix_error *error)
{
    if (error && error->number != EAGAIN && !strstr(error->message, "room") &&
        !strstr(error->message, "less than those of its members") &&
        !strstr(error->message, "in group"))
        fail_msg("%s", error->message);
    *(error ? &no : &yes) += 1;
    matrix_error_free(error);
    return !error;
}

static unsigned some_floor(struct scene *scene)
{
    return (unsigned)(random_below(&scene->seed, 2) ? random_below(&scene->seed, 101)
                                                    : random_below(&scene->seed, 20));
}

static void storm(struct scene *scene)
{
    if (scene->step >= 80 && yes > YES_LEAST && no > NO_LEAST)
        matrix_machine_stop(scene->machine);
    for (int i = 0; i < 6; i++) {
        const size_t index = random_below(&scene->seed, GUESTS + 1);
        struct matrix_machine_contract contract =
            pinned((unsigned)random_below(&scene->seed, CORES), some_floor(scene));
        contract.contract.weight = (unsigned)(1 + random_below(&scene->seed, 100));
        contract.pinned = random_below(&scene->seed, 3) != 0;
        if (index == GUESTS) {
            if (note(matrix_machine_set_group(scene->machine, scene->group, &contract)))
                agreed_of_group = contract;
            continue;
        }
        contract.pinned &= !scene->fakes[index].in_group;
        if (note(matrix_machine_set(scene->machine, &scene->fakes[index].vm, &contract)))
            agreed[index] = contract;
    }
}

static void what_is_agreed_is_so(void **state)
{
    struct scene scene = {.script = storm};
    create(&scene, (struct matrix_machine_options){
                       .cores = CORES, .rebalance_ns = 10 * MILLISECOND, .moves = 4});
    agreed_of_group = weight(10);
    success(matrix_machine_add_group(scene.machine, "tenant", &agreed_of_group, &scene.group));
    for (size_t i = 0; i < GUESTS; i++) {
        agreed[i] = weight(10);
        agreed[i].group = i % 4 ? NULL : scene.group;
        add(&scene, i % 3 ? "nap" : "spin", agreed[i]);
    }
    run_floors(&scene);
    print_message("# %zu changes were made, %zu refused\n", yes, no);
    for (size_t i = 0; i < GUESTS; i++) {
        const struct matrix_machine_guest guest = guest_of(&scene, &scene.fakes[i]);
        assert_null(guest.error);
        assert_int_equal(guest.guest.contract.floor_ppm, agreed[i].contract.floor_ppm);
        assert_int_equal(guest.guest.contract.weight, agreed[i].contract.weight);
    }
    scene_destroy(&scene);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_floor_is_free_when_it_is_on_its_core),
        cmocka_unit_test(a_floor_fits_where_it_comes),
        cmocka_unit_test(a_ceiling_is_no_hindrance),
        cmocka_unit_test(who_comes_may_be_lowered),
        cmocka_unit_test(a_core_that_refuses_is_heard),
        cmocka_unit_test(what_is_agreed_is_so),
    };
    return cmocka_run_group_tests_name("machine_floors", tests, NULL, NULL);
}
