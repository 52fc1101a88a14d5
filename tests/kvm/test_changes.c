// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests that come, pause, change, go and are replaced while their core runs. Each test is a script that the tick plays,
 * a step each time.
 */
#include "base/clock.h"
#include "tests/kvm/host.h"

#include <math.h>
#include <string.h>

#define TICK_NS (100 * MILLISECOND_NS)
#define GUESTS  3

struct scene {
    struct test_guest guests[GUESTS];
    unsigned step, ends;
    void (*script)(struct matrix_core *core, struct scene *scene);
    uint64_t seen_ns[GUESTS]; /* CPU time at some moment, as the script likes */
    struct matrix_vm *ended[GUESTS];
};

static void play(struct matrix_core *core, void *context)
{
    struct scene *scene = context;
    scene->step++;
    scene->script(core, scene);
}

static void note_end(struct matrix_core *core, struct matrix_vm *vm, void *context)
{
    struct scene *scene = context;
    assert_true(scene->ends < GUESTS);
    scene->ended[scene->ends++] = vm;
}

static struct matrix_core *core_for(struct scene *scene, struct matrix_core_options options)
{
    options.cpu = 0;
    options.duration_ns = options.duration_ns ? options.duration_ns : 240 * SECOND_NS;
    options.tick_ns = TICK_NS;
    options.tick = play;
    options.ended = note_end;
    options.context = scene;
    return test_core_create(options, NULL, NULL, 0);
}

static void add(struct matrix_core *core, const struct test_guest *guest, unsigned weight)
{
    assert_success(matrix_core_add(core, guest->vm, weight));
}

static void release(struct matrix_core *core, struct scene *scene)
{
    matrix_core_destroy(core);
    for (unsigned i = 0; i < GUESTS; i++)
        if (scene->guests[i].vm)
            test_guest_destroy(&scene->guests[i]);
}

/* --- pause ----------------------------------------------------------------------------------- */

static void pause_and_resume(struct matrix_core *core, struct scene *scene)
{
    struct matrix_vm *vm = scene->guests[0].vm;
    const struct matrix_core_guest guest = test_core_guest(core, 0);
    switch (scene->step) {
    case 3:
        assert_true(guest.cpu_ns > 0);
        assert_success(matrix_core_pause(core, vm));
        assert_success(matrix_core_pause(core, vm));
        scene->seen_ns[0] = test_core_guest(core, 0).cpu_ns;
        break;
    case 8:
        assert_string_equal(guest.state, "paused");
        assert_int_equal(guest.cpu_ns, scene->seen_ns[0]);
        assert_success(matrix_core_resume(core, vm));
        assert_success(matrix_core_resume(core, vm));
        break;
    case 12: /* at last: it may have a debt */
        if (guest.cpu_ns > scene->seen_ns[0])
            matrix_core_stop(core);
        else
            scene->step--;
    }
}

static void paused_guests_have_no_share(void **state)
{
    struct scene scene = {.guests = {test_guest("spin"), test_guest("spin")},
                          .script = pause_and_resume};
    struct matrix_core *core = core_for(&scene, (struct matrix_core_options){});
    add(core, &scene.guests[0], 1);
    add(core, &scene.guests[1], 1);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    /* The other had the core for itself meanwhile, and nothing was saved up for later. */
    assert_true(test_core_guest(core, 1).alone_cpu_ns > 0);
    assert_share(core, 0, 0.5);
    assert_share(core, 1, 0.5);
    assert_int_equal(scene.ends, 0);
    release(core, &scene);
}

/* It sleeps when it is paused, and is due long before it is resumed. */
static void pause_a_sleeper(struct matrix_core *core, struct scene *scene)
{
    struct matrix_vm *vm = scene->guests[0].vm;
    if (scene->step == 1)
        assert_success(matrix_core_pause(core, vm));
    if (scene->step == 6)
        assert_int_equal(test_guest_info(&scene->guests[0]).work, 0);
    if (scene->step == 6)
        assert_success(matrix_core_resume(core, vm));
}

static void paused_sleepers_do_not_wake(void **state)
{
    struct scene scene = {.guests = {test_guest("nap", "200000000", "1")},
                          .script = pause_a_sleeper};
    struct matrix_core *core = core_for(&scene, (struct matrix_core_options){0});
    add(core, &scene.guests[0], 1);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(test_guest_info(&scene.guests[0]).state, MATRIX_VM_EXITED);
    assert_true(test_core_statistics(core).wall_ns >= 6 * TICK_NS);
    assert_int_equal(scene.ends, 1);
    release(core, &scene);
}

/* --- come and go ----------------------------------------------------------------------------- */

static void come(struct matrix_core *core, struct scene *scene)
{
    if (scene->step == 3)
        add(core, &scene->guests[1], 3);
}

static void guests_come_while_others_run(void **state)
{
    struct scene scene = {.guests = {test_guest("spin"), test_guest("chatter")}, .script = come};
    struct matrix_core *core =
        core_for(&scene, (struct matrix_core_options){.duration_ns = 2 * SECOND_NS});
    add(core, &scene.guests[0], 1);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_DURATION);
    assert_share(core, 0, 0.25);
    assert_share(core, 1, 0.75);
    release(core, &scene);
}

static void leave(struct matrix_core *core, struct scene *scene)
{
    if (strcmp(test_core_guest(core, 1).state, "sleeping") != 0 ||
        test_guest_info(&scene->guests[0]).work == 0)
        return;
    for (unsigned i = 0; i < 2; i++)
        assert_success(matrix_core_remove(core, scene->guests[i].vm));
    assert_refused(matrix_core_remove(core, scene->guests[0].vm), MATRIX_ERROR_USAGE,
                   "is not on this core");
    assert_refused(matrix_core_pause(core, scene->guests[0].vm), MATRIX_ERROR_USAGE,
                   "is not on this core");
}

static void nothing(struct matrix_core *core, struct scene *scene)
{
}

/* One has counted, one sleeps for three seconds in all: on the second core they go on where they were. */
static void guests_go_on_elsewhere(void **state)
{
    struct scene scene = {
        .guests = {test_guest("neo", "--units", "200000"), test_guest("nap", "3000000000", "1")},
        .script = leave};
    const uint64_t began_ns = clock_now_ns(CLOCK_MONOTONIC);
    struct matrix_core *first = core_for(&scene, (struct matrix_core_options){});
    add(first, &scene.guests[0], 1);
    add(first, &scene.guests[1], 1);
    assert_int_equal(test_core_run(first).end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(scene.ends, 0);
    assert_true(test_guest_info(&scene.guests[0]).work < 200000);
    matrix_core_destroy(first);

    scene.script = nothing;
    struct matrix_core *second = core_for(&scene, (struct matrix_core_options){});
    add(second, &scene.guests[0], 1);
    add(second, &scene.guests[1], 1);
    assert_int_equal(test_core_run(second).end, MATRIX_CORE_ALL_ENDED);
    assert_contains(test_guest_text(&scene.guests[0]), "done: 200000 units");
    /* It did not wake early: what was not slept there of its time was slept here. */
    assert_true(clock_now_ns(CLOCK_MONOTONIC) - began_ns >= 3 * SECOND_NS);
    assert_int_equal(test_guest_info(&scene.guests[1]).state, MATRIX_VM_EXITED);
    assert_int_equal(scene.ends, 2);
    release(second, &scene);
}

static void stop_one(struct matrix_core *core, struct scene *scene)
{
    if (scene->step == 2)
        assert_success(matrix_core_stop_guest(core, scene->guests[0].vm));
    if (scene->step != 3)
        return;
    assert_int_equal(scene->ends, 1);
    assert_ptr_equal(scene->ended[0], scene->guests[0].vm);
    assert_success(matrix_core_stop_guest(core, scene->guests[0].vm));
    assert_refused(matrix_core_pause(core, scene->guests[0].vm), MATRIX_ERROR_USAGE, "has ended");
    assert_refused(matrix_core_add(core, scene->guests[0].vm, 1), MATRIX_ERROR_USAGE, "ended");
    matrix_core_stop(core);
}

static void one_guest_is_stopped(void **state)
{
    struct scene scene = {.guests = {test_guest("spin"), test_guest("spin")}, .script = stop_one};
    struct matrix_core *core = core_for(&scene, (struct matrix_core_options){});
    add(core, &scene.guests[0], 1);
    add(core, &scene.guests[1], 1);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    assert_string_equal(test_core_guest(core, 0).state, "stopped");
    assert_int_equal(scene.ends, 1);
    release(core, &scene);
}

/* --- ends ------------------------------------------------------------------------------------- */

/* A new one in place of each that ends, until there are three. */
static void replace(struct matrix_core *core, struct matrix_vm *vm, void *context)
{
    struct scene *scene = context;
    note_end(core, vm, context);
    if (scene->ends == GUESTS)
        return;
    assert_success(matrix_core_remove(core, vm));
    scene->guests[scene->ends] = test_guest("count", "10");
    add(core, &scene->guests[scene->ends], 1);
}

static void ended_guests_are_replaced(void **state)
{
    struct scene scene = {.guests = {test_guest("count", "10")}};
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){.cpu = 0, .ended = replace, .context = &scene}, NULL, NULL, 0);
    add(core, &scene.guests[0], 1);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(scene.ends, GUESTS);
    for (unsigned i = 0; i < GUESTS; i++)
        assert_int_equal(test_guest_info(&scene.guests[i]).state, MATRIX_VM_EXITED);
    assert_int_equal(test_core_statistics(core).guests, 1);
    release(core, &scene);
}

/* The same, but under the first one's contract. */
static void restart(struct matrix_core *core, struct matrix_vm *vm, void *context)
{
    struct scene *scene = context;
    const uint64_t cpu_ns = test_core_guest(core, 0).cpu_ns;
    note_end(core, vm, context);
    assert_true(cpu_ns > scene->seen_ns[0]);
    scene->seen_ns[0] = cpu_ns;
    if (scene->ends == GUESTS - 1) {
        matrix_core_stop(core);
        return;
    }
    scene->guests[2] = test_guest("neo", "--units", "3000");
    assert_refused(matrix_core_replace(core, scene->guests[1].vm, scene->guests[2].vm),
                   MATRIX_ERROR_USAGE, "has not ended");
    assert_refused(matrix_core_replace(core, vm, vm), MATRIX_ERROR_USAGE, "has ended already");
    assert_success(matrix_core_replace(core, vm, scene->guests[2].vm));
    /* Nothing refers to it any more, not even the board. */
    test_guest_destroy(&scene->guests[0]);
}

static void replaced_guests_keep_their_contract(void **state)
{
    struct scene scene = {.guests = {test_guest("neo", "--units", "3000"), test_guest("spin")}};
    struct matrix_core *core = test_core_create(
        (struct matrix_core_options){
            .cpu = 0, .duration_ns = 60 * SECOND_NS, .ended = restart, .context = &scene},
        NULL, NULL, 0);
    int board;
    assert_success(matrix_core_board(core, &board));
    add(core, &scene.guests[0], 1);
    add(core, &scene.guests[1], 3);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    assert_int_equal(scene.ends, 2);
    const struct matrix_core_guest guest = test_core_guest(core, 0);
    assert_ptr_equal(guest.vm, scene.guests[2].vm);
    assert_string_equal(guest.state, "exited");
    assert_share(core, 0, 0.25);
    release(core, &scene);
}

static void come_late(struct matrix_core *core, struct scene *scene)
{
    const struct matrix_core_statistics loop = test_core_statistics(core);
    if (scene->step == 3)
        add(core, &scene->guests[0], 1);
    if (scene->step >= 10 && scene->ends && loop.idle_wall_ns * 2 > loop.wall_ns)
        matrix_core_stop(core);
}

static void persistent_cores_wait_for_guests(void **state)
{
    struct scene scene = {.guests = {test_guest("count", "10")}, .script = come_late};
    struct matrix_core *core = core_for(&scene, (struct matrix_core_options){.persistent = true});
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    assert_int_equal(test_guest_info(&scene.guests[0]).state, MATRIX_VM_EXITED);
    /* It sleeps, and does not poll. */
    assert_in_range(test_core_statistics(core).decisions, 10, 50 * scene.step);
    release(core, &scene);
}

/* --- groups ---------------------------------------------------------------------------------- */

static struct matrix_core_group *tenant;

static void change_the_group(struct matrix_core *core, struct scene *scene)
{
    if (scene->step > 10 &&
        test_core_guest(core, 0).contended_total_ns - scene->seen_ns[2] >= SECOND_NS)
        matrix_core_stop(core);
    if (scene->step != 10)
        return;
    for (size_t i = 0; i < 2; i++) {
        scene->seen_ns[i] = test_core_guest(core, i).contended_cpu_ns;
    }
    scene->seen_ns[2] = test_core_guest(core, 0).contended_total_ns;
    assert_success(matrix_core_set_group(core, tenant, &(struct matrix_contract){.weight = 300}));
    assert_refused(matrix_core_remove_group(core, tenant), MATRIX_ERROR_USAGE, "has 1 member");
}

static void groups_change_and_go(void **state)
{
    struct scene scene = {.guests = {test_guest("spin"), test_guest("spin")},
                          .script = change_the_group};
    struct matrix_core *core = core_for(&scene, (struct matrix_core_options){0});
    char name[] = "tenant"; /* need not stay */
    assert_success(
        matrix_core_add_group(core, name, &(struct matrix_contract){.weight = 100}, &tenant));
    memset(name, 'x', sizeof(name) - 1);
    assert_success(matrix_core_add_contract(
        core, scene.guests[0].vm, &(struct matrix_contract){.weight = 1, .group = tenant}));
    add(core, &scene.guests[1], 100);
    assert_int_equal(test_core_run(core).end, MATRIX_CORE_STOPPED);
    const struct matrix_core_guest guest = test_core_guest(core, 0);
    const double total = (double)(guest.contended_total_ns - scene.seen_ns[2]);
    const double given = (double)(guest.contended_cpu_ns - scene.seen_ns[0]) / total;
    print_message("# %.4f of the time since\n", given);
    assert_true(fabs(given - 0.75) < test_share_tolerance(core, total, MATRIX_SLICE_DEFAULT_NS));
    assert_string_equal(guest.group, "tenant");
    assert_success(matrix_core_remove(core, scene.guests[0].vm));
    assert_success(matrix_core_remove_group(core, tenant));
    release(core, &scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paused_guests_have_no_share),
        cmocka_unit_test(paused_sleepers_do_not_wake),
        cmocka_unit_test(guests_come_while_others_run),
        cmocka_unit_test(guests_go_on_elsewhere),
        cmocka_unit_test(one_guest_is_stopped),
        cmocka_unit_test(ended_guests_are_replaced),
        cmocka_unit_test(replaced_guests_keep_their_contract),
        cmocka_unit_test(persistent_cores_wait_for_guests),
        cmocka_unit_test(groups_change_and_go),
    };
    return host_run_tests(argc, argv, "changes", tests, COUNT(tests));
}
