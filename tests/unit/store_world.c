// SPDX-License-Identifier: GPL-2.0-or-later
/* A made-up world to record, and where it is recorded; see store_world.h. */
#include "tests/unit/store_world.h"

#include "base/clock.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char store_directory[64], store_path[96], store_wal[112], store_copy[96], store_copy_wal[112];

/* --- files ----------------------------------------------------------------------------------- */

int store_make_directory(void **state)
{
    snprintf(store_directory, sizeof(store_directory), "%s/matrix-store-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    if (!mkdtemp(store_directory))
        return -1;
    snprintf(store_path, sizeof(store_path), "%s/r.sqlite", store_directory);
    snprintf(store_wal, sizeof(store_wal), "%s-wal", store_path);
    snprintf(store_copy, sizeof(store_copy), "%s/copy", store_directory);
    snprintf(store_copy_wal, sizeof(store_copy_wal), "%s-wal", store_copy);
    return 0;
}

int store_remove_directory(void **state)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", store_directory);
    return system(command); /* NOLINT(cert-env33-c): a name of ours */
}

int store_remove_files(void **state)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char name[128];
        snprintf(name, sizeof(name), "%s%s", store_path, ends[i]);
        unlink(name);
        snprintf(name, sizeof(name), "%s%s", store_copy, ends[i]);
        unlink(name);
    }
    return 0;
}

/* --- errors ---------------------------------------------------------------------------------- */

void succeed(struct matrix_error *error)
{
    if (error)
        fail_msg("%s", error->message);
}

void fails_with(struct matrix_error *error, const char *text)
{
    assert_non_null(error);
    if (!strstr(error->message, text))
        fail_msg("'%s' is not in: %s", text, error->message);
    matrix_error_free(error);
}

/* --- samples --------------------------------------------------------------------------------- */

void world_make(struct world *world)
{
    *world = (struct world){
        .host = {{.counter = {"pages_shared", "pages", false}},
                 {.counter = {"general_profit", "bytes", true}},
                 {.counter = {"advisor_mode", "", false}}},
        .process = {{.counter = {"ksm_merging_pages", "pages", false}},
                    {.counter = {"resident_bytes", "bytes", false}}},
        .processes = {{.scope = KSM_SCOPE_PROCESS,
                       .name = "a\x1b[2J\xff",
                       .pid = 77,
                       .start_time_ns = 123456,
                       .count = 2}},
        .sample = {.host = {.scope = KSM_SCOPE_HOST, .name = "host", .count = 3},
                   .process_count = 1},
    };
    world->sample.host.readings = world->host;
    world->sample.processes = world->processes;
    world->processes[0].readings = world->process;
}

static void set(struct ksm_reading *reading, int64_t number)
{
    reading->value = (struct ksm_value){.kind = KSM_NUMBER, .number = number};
}

void world_set(struct world *world, int number)
{
    set(&world->host[0], 1000 + number);
    set(&world->host[1], -5);
    world->host[2].value = (struct ksm_value){.kind = KSM_TEXT};
    strcpy(world->host[2].value.text,
           number < SAMPLES / 2 ? "[none] scan-time" : "none [scan-time]");
    set(&world->process[0], number / 10);
    set(&world->process[1], INT64_MAX - number);
    world->processes[0].ended = number == SAMPLES - 1;
    world->sample.monotonic_ns = clock_now_ns(CLOCK_MONOTONIC);
    world->sample.realtime_ns = clock_now_ns(CLOCK_REALTIME);
    world->sample.missed = number == 3 ? 7 : 0;
}

struct ksm_store *store_make(bool append, const char *title)
{
    struct ksm_store *store;
    const struct ksm_store_options options = {
        .title = title, .interval_ns = 1000000, .append = append};
    succeed(ksm_store_open(store_path, &options, &store));
    return store;
}

void store_record(struct ksm_store *store)
{
    struct world world;
    world_make(&world);
    for (int i = 0; i < SAMPLES; i++) {
        world_set(&world, i);
        succeed(ksm_store_add(store, &world.sample));
        if (i == 10)
            succeed(ksm_store_mark(store, "VM 1 started"));
    }
}
