/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Guests that start and end on paper, and the actions that keep them. Included by test_lifecycle*.c only. */
#ifndef TESTS_UNIT_LIFECYCLE_WORLD_H
#define TESTS_UNIT_LIFECYCLE_WORLD_H

#include "cloud/lifecycle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GUESTS    6
#define SECOND_NS 1000000000ULL
#define FIRST_NS  LIFE_BACKOFF_DEFAULT_NS

/* What there would be of a guest: the actions keep it, and refuse what makes no sense. */
struct body {
    bool exists, runs, paused, is_being_made;
    unsigned description, made_of; /* which holds, and which it is made of */
};

struct world {
    struct lives lives;
    struct body bodies[GUESTS];
    char log[256]; /* "r0 m1": what was asked for, in order */
    uint64_t now_ns;
};

static void note(struct world *world, char what, unsigned index)
{
    const size_t length = strlen(world->log);
    if (length + 4 < sizeof(world->log))
        snprintf(world->log + length, sizeof(world->log) - length, "%s%c%u", length ? " " : "",
                 what, index);
}

static void on_run(void *context, unsigned index)
{
    struct world *world = context;
    struct body *body = &world->bodies[index];
    assert_true(body->exists);
    assert_false(body->runs);
    assert_int_equal(body->made_of, body->description);
    body->runs = true;
    note(world, 'r', index);
}

static void on_make(void *context, unsigned index)
{
    struct world *world = context;
    assert_false(world->bodies[index].is_being_made);
    assert_false(world->bodies[index].runs);
    world->bodies[index].is_being_made = true;
    world->bodies[index].made_of = world->bodies[index].description;
    note(world, 'm', index);
}

static void on_stop(void *context, unsigned index)
{
    struct world *world = context;
    assert_true(world->bodies[index].exists);
    world->bodies[index].exists = world->bodies[index].runs = world->bodies[index].paused = false;
    note(world, 's', index);
}

static void on_pause(void *context, unsigned index)
{
    struct world *world = context;
    assert_true(world->bodies[index].runs && !world->bodies[index].paused);
    world->bodies[index].paused = true;
    note(world, 'p', index);
}

static void on_resume(void *context, unsigned index)
{
    struct world *world = context;
    assert_true(world->bodies[index].runs && world->bodies[index].paused);
    world->bodies[index].paused = false;
    note(world, 'c', index);
}

static const struct life_actions actions = {on_run, on_make, on_stop, on_pause, on_resume};

/* A guest that is made, as a file's are. */
static void add(struct world *world, struct life_rules rules)
{
    if (world->lives.count == 0)
        lives_init(&world->lives, &actions, world);
    world->bodies[world->lives.count].exists = true;
    assert_null(lives_add(&world->lives, &rules, true));
}

static void ends(struct world *world, unsigned index, bool failed)
{
    world->bodies[index].exists = world->bodies[index].runs = world->bodies[index].paused = false;
    lives_ended(&world->lives, index, failed, world->now_ns);
}

static void made(struct world *world, unsigned index, bool success)
{
    assert_true(world->bodies[index].is_being_made);
    world->bodies[index].is_being_made = false;
    world->bodies[index].exists |= success;
    if (!lives_made(&world->lives, index, success, world->now_ns))
        world->bodies[index].exists = false;
}

static void renew(struct world *world, unsigned index)
{
    world->bodies[index].description++;
    life_renew(&world->lives, index, world->now_ns);
}

#endif
