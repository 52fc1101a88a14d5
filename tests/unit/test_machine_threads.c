// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Machines of several cores with guests that are not real ones (machine_fake.h): that nobody and no time is lost
 * when guests are moved, changed and removed while all cores run (how runs end: test_machine_ends.c). Without KVM, so that it
 * runs under ThreadSanitizer (docs/testing.md). With real guests: tests/kvm/test_machine.c.
 */
#include "base/clock.h"
#include "cloud/machine.h"
#include "vmm/vcpu.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* After those that it needs. */
#include <cmocka.h>

#include "policy_random.h"
/* After those that it needs. */
#include "machine_fake.h"
/* After that. */
#include "machine_scene.h"

/* --- moves ------------------------------------------------------------------------------------- */

static uint64_t count_moves(const struct scene *scene)
{
    uint64_t moves = 0;
    for (size_t i = 0; i < scene->count; i++)
        if (!scene->fakes[i].removed)
            moves += guest_of(scene, &scene->fakes[i]).moves;
    return moves;
}

#define QUIET 50 /* intervals */

/* Four on one core and none on the other: two are moved, and then, for some time, nobody any more. Who does not come
 * to run for long, on a busy machine, looks idle; then somebody is moved in vain, and back. */
static void loosen(struct scene *scene)
{
    static uint64_t moves, quiet;
    quiet = moves == count_moves(scene) ? quiet + 1 : 0;
    moves = count_moves(scene);
    if (scene->step == 5) {
        for (size_t i = 0; i < 4; i++) {
            const struct matrix_machine_contract contract = weight(1);
            success(matrix_machine_set(scene->machine, &scene->fakes[i].vm, &contract));
        }
    } else if (moves >= 2 && quiet >= QUIET && matrix_machine_shortfall(scene->machine) < 0.1) {
        matrix_machine_stop(scene->machine);
    }
}

static void cores_are_balanced(void **state)
{
    struct scene scene = {.script = loosen};
    scene_create(&scene, (struct matrix_machine_options){.duration_ns = LONG_ENOUGH,
                                                         .tick_ns = 20 * MILLISECOND,
                                                         .rebalance_ns = 20 * MILLISECOND});
    struct matrix_machine_contract here = weight(1);
    here.pinned = true;
    here.core = 1;
    for (int i = 0; i < 4; i++)
        add(&scene, "spin", here);
    assert_true(matrix_machine_shortfall(scene.machine) > 0.99);
    assert_int_equal(run(&scene).end, MATRIX_CORE_STOPPED);
    print_message("# %llu moves\n", (unsigned long long)count_moves(&scene));
    assert_in_range(count_moves(&scene), 2, 20);
    assert_true(matrix_machine_shortfall(scene.machine) < 0.1);
    check_time(&scene);
    scene_destroy(&scene);
}

static void stop_when_apart(struct scene *scene)
{
    unsigned spinners = 0;
    for (size_t i = 0; i < scene->count; i += 2)
        spinners += guest_of(scene, &scene->fakes[i]).core;
    /* Not three on the same; and that is not only planned. */
    if ((spinners == 1 || spinners == 2) && count_moves(scene) > 0)
        matrix_machine_stop(scene->machine);
}

/* Half of the guests sleep nearly all of the time. They were placed as if they did not. */
static void sleepers_count_less(void **state)
{
    struct scene scene = {.script = stop_when_apart};
    scene_create(&scene, (struct matrix_machine_options){.duration_ns = LONG_ENOUGH,
                                                         .tick_ns = 20 * MILLISECOND,
                                                         .rebalance_ns = 20 * MILLISECOND});
    for (int i = 0; i < 6; i++) /* in turn on one and the other core */
        add(&scene, i % 2 ? "nap" : "spin", weight(10));
    assert_int_equal(run(&scene).end, MATRIX_CORE_STOPPED);
    check_time(&scene);
    scene_destroy(&scene);
}

/* --- everything at once ----------------------------------------------------------------------------- */

static void ignore(struct matrix_error *error)
{
    matrix_error_free(error);
}

/* In the guest's thread, while it does not run. */
static void look_into(struct matrix_vm *vm, void *context)
{
    struct scene *scene = context;
    struct fake *fake = (struct fake *)(void *)vm;
    if (atomic_fetch_add(&fake->inside, 1) != 0)
        abort();
    fake->vm.exits[1]++;
    atomic_fetch_add(&scene->called, 1);
    atomic_fetch_sub(&fake->inside, 1);
}

static void note_answer(struct matrix_machine *machine, void *context)
{
    ((struct scene *)context)->answers++;
}

static void call(struct scene *scene, struct fake *fake)
{
    struct matrix_error *error =
        matrix_machine_call(scene->machine, &fake->vm, look_into, note_answer, scene);
    scene->calls += error == NULL;
    matrix_error_free(error);
}

static void random_change(struct scene *scene, struct fake *fake)
{
    struct matrix_machine *machine = scene->machine;
    uint64_t *seed = &scene->seed;
    struct matrix_machine_contract contract = weight((unsigned)(1 + random_below(seed, 100)));
    switch (random_below(seed, 12)) {
    case 0:
        ignore(matrix_machine_pause(machine, &fake->vm));
        break;
    case 1:
    case 2:
        ignore(matrix_machine_resume(machine, &fake->vm));
        break;
    case 3:
        if (random_below(seed, 3) == 0)
            ignore(matrix_machine_stop_guest(machine, &fake->vm));
        break;
    case 4:
        if (random_below(seed, 3) == 0)
            ignore(matrix_machine_remove(machine, &fake->vm));
        break;
    default:
        contract.pinned = !fake->in_group;
        contract.core = (unsigned)random_below(seed, scene->machine->options.cores);
        contract.contract.floor_ppm = fake->in_group ? 0 : (uint32_t)random_below(seed, 30000);
        ignore(matrix_machine_set(machine, &fake->vm, &contract));
    }
}

#define STORMS      400
#define MOVES_LEAST 50

/* Guests, and a group with another in it, are thrown from core to core. */
static void storm(struct scene *scene)
{
    static const char *const names[] = {"spin", "nap", "talk", "count"};
    struct matrix_machine_contract contract = weight(10);
    if (scene->step >= STORMS && count_moves(scene) > MOVES_LEAST)
        matrix_machine_stop(scene->machine);
    for (int i = 0; i < 4; i++) {
        struct fake *fake = &scene->fakes[random_below(&scene->seed, scene->count)];
        call(scene, fake);
        random_change(scene, fake);
    }
    contract.pinned = true;
    contract.core = (unsigned)random_below(&scene->seed, scene->machine->options.cores);
    contract.contract.floor_ppm = (uint32_t)random_below(&scene->seed, 100000);
    ignore(matrix_machine_set_group(scene->machine, scene->group, &contract));
    if (scene->count < FAKES_MAX && random_below(&scene->seed, 3) == 0) {
        contract = weight(1);
        contract.group = random_below(&scene->seed, 3) ? NULL : scene->inner;
        add(scene, names[random_below(&scene->seed, 4)], contract);
    }
    for (size_t i = 0; i < scene->count; i++) { /* what is told is never older than what was */
        struct matrix_machine_guest guest;
        if (matrix_machine_guest(scene->machine, i, &guest))
            assert_non_null(guest.guest.state);
    }
}

static void nobody_is_lost(void **state)
{
    struct scene scene = {.script = storm};
    scene_create(&scene, (struct matrix_machine_options){.cores = 4,
                                                         .persistent = true,
                                                         .duration_ns = LONG_ENOUGH,
                                                         .tick_ns = 5 * MILLISECOND,
                                                         .rebalance_ns = 10 * MILLISECOND,
                                                         .moves = 4});
    const int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    success(matrix_output_create(fd, &scene.output));
    struct matrix_machine_contract contract = weight(10);
    success(matrix_machine_add_group(scene.machine, "outer", &contract, &scene.group));
    contract.group = scene.group;
    success(matrix_machine_add_group(scene.machine, "inner", &contract, &scene.inner));
    for (int i = 0; i < 12; i++) {
        contract = weight(1 + (unsigned)i);
        contract.group = i % 4 == 0 ? scene.inner : NULL;
        add(&scene, i % 3 ? "talk" : "spin", contract);
    }
    assert_int_equal(run(&scene).end, MATRIX_CORE_STOPPED);

    const uint64_t moves = count_moves(&scene);
    size_t still = 0;
    for (size_t i = 0; i < scene.count; i++) {
        if (scene.fakes[i].removed)
            continue;
        const struct matrix_machine_guest guest = guest_of(&scene, &scene.fakes[i]);
        assert_null(guest.error);
        assert_int_not_equal(guest.info.state, MATRIX_VM_ALIVE);
        still++;
    }
    print_message("# %zu guests, %zu ended, %zu removed; those that stayed were moved %llu times\n",
                  scene.count, scene.ended, scene.removed, (unsigned long long)moves);
    assert_int_equal(still + scene.removed, scene.count);
    assert_int_equal(scene.refusals, 0);
    assert_int_equal(scene.answers, scene.calls);
    assert_int_equal(atomic_load(&scene.called), scene.calls);
    assert_true(moves > MOVES_LEAST);
    check_time(&scene);
    scene_destroy(&scene);
    close(fd);
}

/* --- replaced -------------------------------------------------------------------------------------- */

#define PLACES    4
#define EXCHANGES 100

/* Each place gets one guest after the other, that has ended or not, while places are thrown from core to core. */
static void exchange(struct scene *scene)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct matrix_machine_guest guest;
        struct matrix_machine_contract contract = weight(10);
        assert_true(matrix_machine_guest(scene->machine, i, &guest));
        if (scene->count == FAKES_MAX || random_below(&scene->seed, 3) == 0)
            continue;
        struct fake *fake = &scene->fakes[scene->count++];
        fake_create(fake, random_below(&scene->seed, 2) ? "spin" : "count", NULL);
        success(matrix_machine_replace(scene->machine, &scene->places[i]->vm, &fake->vm));
        scene->places[i] = fake;
        contract.pinned = true;
        contract.core = (unsigned)random_below(&scene->seed, 3);
        ignore(matrix_machine_set(scene->machine, &fake->vm, &contract));
        success(matrix_machine_resume(scene->machine, &fake->vm));
    }
    success(matrix_machine_refresh(scene->machine, note_answer, scene));
    scene->calls++;
    if (scene->step >= EXCHANGES && scene->removed == FAKES_MAX - PLACES)
        matrix_machine_stop(scene->machine);
}

static void places_outlive_guests(void **state)
{
    struct scene scene = {.script = exchange};
    struct matrix_machine_core core;
    uint64_t charged = 0, got = 0, told = 0;
    scene_create(&scene, (struct matrix_machine_options){.cores = 3,
                                                         .persistent = true,
                                                         .keeps_ended = true,
                                                         .duration_ns = LONG_ENOUGH,
                                                         .tick_ns = 10 * MILLISECOND});
    struct matrix_machine_contract contract = weight(10);
    success(matrix_machine_add_group(scene.machine, "tenant", &contract, &scene.group));
    for (size_t i = 0; i < PLACES; i++) {
        contract.group = i == 0 ? scene.group : NULL;
        scene.places[i] = add(&scene, "count", contract);
    }
    assert_int_equal(run(&scene).end, MATRIX_CORE_STOPPED);
    assert_int_equal(scene.count, FAKES_MAX);
    assert_int_equal(scene.removed, FAKES_MAX - PLACES);
    assert_int_equal(scene.answers, scene.calls);
    for (size_t i = 0; i < PLACES; i++) {
        const struct matrix_machine_guest guest = guest_of(&scene, scene.places[i]);
        assert_null(guest.error);
        assert_false(scene.places[i]->removed);
        told += guest.guest.cpu_ns;
    }
    for (unsigned k = 0; matrix_machine_core(scene.machine, k, &core); k++)
        charged += core.loop.guests_cpu_ns;
    for (size_t i = 0; i < scene.count; i++)
        got += scene.fakes[i].vm.cpu_ns;
    assert_int_equal(charged, got); /* whoever was charged, it is a place's in the end */
    assert_int_equal(told, got);
    scene_destroy(&scene);
}

/* Who has ended holds its floor, and nobody else gets it. */
static void the_ended_keep_their_floors(void **state)
{
    struct scene scene = {0};
    struct matrix_machine_guest guest;
    struct fake other;
    scene_create(&scene, (struct matrix_machine_options){
                             .cores = 2, .keeps_ended = true, .duration_ns = LONG_ENOUGH});
    struct matrix_machine_contract contract = weight(1);
    contract.contract.floor_ppm = 600000;
    struct fake *first = add(&scene, "count", contract);
    add(&scene, "count", contract);
    assert_int_equal(run(&scene).end, MATRIX_CORE_ALL_ENDED);
    assert_int_equal(scene.ended, 2);
    fake_create(&other, "count", NULL);
    refused(matrix_machine_add(scene.machine, &other.vm, &contract), "no core has room");
    contract.contract.floor_ppm = 500000;
    success(matrix_machine_set(scene.machine, &first->vm, &contract));
    success(matrix_machine_replace(scene.machine, &first->vm, &other.vm));
    assert_true(first->removed);
    assert_true(matrix_machine_guest(scene.machine, 0, &guest));
    assert_ptr_equal(guest.guest.vm, &other.vm);
    assert_int_equal(guest.guest.contract.floor_ppm, 500000);
    refused(matrix_machine_replace(scene.machine, &first->vm, &other.vm), "is not on this machine");
    scene_destroy(&scene);
    fake_destroy(&other);
}

/* Whoever stands in a place has its name in what is refused, and not who was there before: that name is gone. */
static void refusals_name_who_is_there(void **state)
{
    struct scene scene = {0};
    struct fake others[2], late;
    char names[2][8] = {"count", "count"};
    scene_create(&scene, (struct matrix_machine_options){
                             .cores = 1, .keeps_ended = true, .duration_ns = LONG_ENOUGH});
    struct matrix_machine_contract tenant = weight(1), loose = weight(1), member = weight(1);
    tenant.contract.floor_ppm = loose.contract.floor_ppm = member.contract.floor_ppm = 400000;
    success(matrix_machine_add_group(scene.machine, "tenant", &tenant, &scene.group));
    member.group = scene.group;
    struct fake *first = add(&scene, names[0], loose), *second = add(&scene, names[1], member);
    assert_int_equal(run(&scene).end, MATRIX_CORE_ALL_ENDED);
    fake_create(&others[0], "trinity", NULL);
    fake_create(&others[1], "tank", NULL);
    success(matrix_machine_replace(scene.machine, &first->vm, &others[0].vm));
    success(matrix_machine_replace(scene.machine, &second->vm, &others[1].vm));
    memset(names, '?', sizeof(names));
    fake_create(&late, "late", NULL);
    refused(matrix_machine_add(scene.machine, &late.vm, &loose), "trinity 40 %");
    refused(matrix_machine_add(scene.machine, &late.vm, &member), "tank 40 %");
    loose.contract.floor_ppm = 900000;
    refused(matrix_machine_set(scene.machine, &others[0].vm, &loose), "trinity 90 %");
    scene_destroy(&scene);
    fake_destroy(&others[0]);
    fake_destroy(&others[1]);
    fake_destroy(&late);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(cores_are_balanced),
        cmocka_unit_test(sleepers_count_less),
        cmocka_unit_test(nobody_is_lost),
        cmocka_unit_test(places_outlive_guests),
        cmocka_unit_test(the_ended_keep_their_floors),
        cmocka_unit_test(refusals_name_who_is_there),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
