/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine with made-up guests, and a script that its tick plays. Included by test_machine_*.c only. */
#ifndef TESTS_UNIT_MACHINE_SCENE_H
#define TESTS_UNIT_MACHINE_SCENE_H

#define MILLISECOND UINT64_C(1000000)
#define FAKES_MAX   64

/* For runs that end by themselves, or by their script, long before. */
#define LONG_ENOUGH (60000 * MILLISECOND)

struct scene {
    struct matrix_machine *machine;
    struct fake fakes[FAKES_MAX];
    struct fake *places[4]; /* who is there now */
    size_t count, ended, removed, refusals, calls, answers;
    atomic_size_t called;
    struct matrix_machine_group *group, *inner;
    struct matrix_output *output;
    uint64_t seed;
    unsigned step;
    void (*script)(struct scene *scene);
};

static void success(struct matrix_error *error)
{
    if (!error)
        return;
    print_message("# %s\n", error->message);
    fail();
}

static void refused(struct matrix_error *error, const char *text)
{
    assert_non_null(error);
    if (!strstr(error->message, text))
        fail_msg("%s", error->message);
    matrix_error_free(error);
}

static void play(struct matrix_machine *machine, void *context)
{
    struct scene *scene = context;
    scene->step++;
    if (scene->script)
        scene->script(scene);
}

static void note_end(struct matrix_machine *machine, struct matrix_vm *vm, void *context)
{
    struct scene *scene = context;
    assert_int_not_equal(vm->state, MATRIX_VM_ALIVE);
    scene->ended++;
}

static void note_removal(struct matrix_machine *machine, struct matrix_vm *vm, void *context)
{
    struct scene *scene = context;
    struct fake *fake = (struct fake *)(void *)vm;
    assert_false(fake->removed);
    assert_int_equal(atomic_load(&fake->inside), 0);
    fake->removed = true;
    scene->removed++;
}

static void note_refusal(struct matrix_machine *machine, struct matrix_vm *vm,
                         const struct matrix_error *error, void *context)
{
    struct scene *scene = context;
    print_message("# %s: %s\n", vm ? vm->name : "a group", error->message);
    scene->refusals++;
}

static void scene_create(struct scene *scene, struct matrix_machine_options options)
{
    options.cores = options.cores ? options.cores : 2;
    options.tick = options.tick_ns ? play : NULL;
    options.ended = note_end;
    options.removed = note_removal;
    options.refused = note_refusal;
    options.context = scene;
    *scene = (struct scene){.seed = 1, .script = scene->script};
    success(matrix_machine_create(&options, &scene->machine));
}

static struct fake *add(struct scene *scene, const char *name,
                        struct matrix_machine_contract contract)
{
    assert_in_range(scene->count, 0, FAKES_MAX - 1);
    struct fake *fake = &scene->fakes[scene->count++];
    fake_create(fake, name, scene->output);
    fake->in_group = contract.group != NULL;
    success(matrix_machine_add(scene->machine, &fake->vm, &contract));
    return fake;
}

static struct matrix_machine_contract weight(unsigned weight)
{
    return (struct matrix_machine_contract){.contract.weight = weight};
}

static struct matrix_core_result run(struct scene *scene)
{
    struct matrix_core_result result;
    success(matrix_machine_run(scene->machine, &result));
    return result;
}

static struct matrix_machine_guest guest_of(const struct scene *scene, const struct fake *fake)
{
    struct matrix_machine_guest guest;
    for (size_t i = 0; matrix_machine_guest(scene->machine, i, &guest); i++)
        if (guest.guest.vm == &fake->vm)
            return guest;
    fail_msg("a guest is lost");
    return guest;
}

/* All time that cores charged is some guest's; and what a guest was charged is the sum over cores. */
static void check_time(const struct scene *scene)
{
    uint64_t charged = 0, got = 0;
    struct matrix_machine_core core;
    for (unsigned k = 0; matrix_machine_core(scene->machine, k, &core); k++)
        charged += core.loop.guests_cpu_ns;
    for (size_t i = 0; i < scene->count; i++) {
        const struct fake *fake = &scene->fakes[i];
        got += fake->vm.cpu_ns;
        if (!fake->removed)
            assert_int_equal(guest_of(scene, fake).guest.cpu_ns, fake->vm.cpu_ns);
    }
    assert_int_equal(charged, got);
    assert_true(got > 0);
}

static void scene_destroy(struct scene *scene)
{
    matrix_machine_destroy(scene->machine);
    for (size_t i = 0; i < scene->count; i++)
        fake_destroy(&scene->fakes[i]);
    matrix_output_destroy(scene->output);
}

#endif
