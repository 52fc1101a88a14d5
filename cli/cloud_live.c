// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The guests of a running cloud start, stop and change: what cloud/lifecycle.h decides is done here, on the
 * machine, with the thread that makes guests. Everything here runs in the first core's thread, between two slices.
 */
#include "cli/cloud.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "cli/common.h"
#include "cloud/config_life.h"
#include "cloud/memory_left.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t now_ns(void)
{
    return clock_now_ns(CLOCK_MONOTONIC);
}

/* What cannot go wrong: the guest is on the machine, and in the state that the lifecycle says. */
static void expect_none(struct matrix_error *error)
{
    matrix_error_free(error);
}

/* --- what the lifecycle asks for --------------------------------------------------------------- */

static void run(void *context, unsigned index)
{
    struct cloud *cloud = context;
    /* Guests of the file are made before the run, and held until it is their turn. */
    expect_none(matrix_machine_resume(cloud->machine, cloud->guests[index].vm));
}

static void stop(void *context, unsigned index)
{
    struct cloud *cloud = context;
    expect_none(matrix_machine_stop_guest(cloud->machine, cloud->guests[index].vm));
}

static void pause_guest(void *context, unsigned index)
{
    struct cloud *cloud = context;
    expect_none(matrix_machine_pause(cloud->machine, cloud->guests[index].vm));
}

static void fail_later(struct cloud *cloud, unsigned index, struct matrix_error *error)
{
    matrix_error_free(cloud->guests[index].error);
    cloud->guests[index].error = error;
    cloud->guests[index].has_failed = cloud->has_failures = true;
}

static struct matrix_error *order(struct cloud *cloud, unsigned index)
{
    struct build *build = calloc(1, sizeof(*build));
    if (!build)
        return error_host(ENOMEM, "make guest %s", cloud->config.guests[index].name);
    build->index = index;
    cloud_describe_guest(cloud, index, build->path, &build->options);
    return builder_make(cloud->builder, build);
}

static void make(void *context, unsigned index)
{
    struct cloud *cloud = context;
    struct matrix_error *error = cloud_open_output(cloud, index);
    error = error ? error : cloud_console_open(cloud, index);
    error = error ? error : order(cloud, index);
    if (error)
        fail_later(cloud, index, error);
}

static const struct life_actions actions = {
    .run = run, .make = make, .stop = stop, .pause = pause_guest, .resume = run};

/* --- what becomes of it ------------------------------------------------------------------------ */

void cloud_keep_fault(struct cloud_guest *guest, const struct matrix_vm *vm)
{
    const struct matrix_report *report = matrix_vm_report(vm);
    if (!report || guest->fault_shown)
        return;
    free(guest->fault);
    guest->fault = malloc(sizeof(*report));
    if (guest->fault)
        *guest->fault = *report;
}

/* The new one takes the place of the old, or comes on the machine for the first time. */
static struct matrix_error *put_in_place(struct cloud *cloud, unsigned index, struct matrix_vm *vm)
{
    struct cloud_guest *guest = &cloud->guests[index];
    if (!guest->vm)
        return cloud_put_on_machine(cloud, index, vm);
    RETURN_IF_ERROR(matrix_machine_replace(cloud->machine, guest->vm, vm));
    guest->vm = vm;
    guest->ended = NULL; /* the next one may have its address */
    cloud_console_begin(guest);
    return NULL;
}

/* The core where it was has let go of the old one. */
void cloud_live_removed(struct matrix_machine *machine, struct matrix_vm *vm, void *context)
{
    struct cloud *cloud = context;
    struct matrix_vm_info info;
    if (cloud_has_left(cloud, vm))
        return;
    matrix_vm_info(vm, &info);
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct cloud_guest *guest = &cloud->guests[i];
        if (strcmp(cloud->config.guests[i].name, info.name) != 0)
            continue;
        cloud_keep_fault(guest, vm);
        cloud_guest_ends_as(guest, vm);
        guest->fault_shown = false;
        break;
    }
    builder_destroy_guest(cloud->builder, vm);
}

/* Who was added and never came to be is nobody, and the name is free; why is kept for who has asked. */
static void forget_newcomer(struct cloud *cloud, unsigned index)
{
    static const struct life_rules no_rules;
    struct config_guest *config = &cloud->config.guests[index];
    struct cloud_guest *guest = &cloud->guests[index];
    if (!config->added || config->removed || !guest->error || guest->vm || guest->has_been)
        return;
    matrix_error_free(life_stop(&cloud->lives, index, now_ns())); /* or it is down already */
    life_set_rules(&cloud->lives, index, &no_rules);
    cloud_close_output(cloud, index);
    free(config->argv);
    config_life_free(&config->life);
    config->argv = NULL;
    config->contract.group = CONFIG_NO_GROUP;
    config->removed = true;
    if (guest->past.state == MATRIX_VM_ALIVE)
        guest->past.state = MATRIX_VM_STOPPED;
}

/* A file that is read again is compared with the guests as they are: not while that is under way. */
static void forget_newcomers(struct cloud *cloud)
{
    if (!cloud->has_refused || cloud_reload_is_under_way(cloud))
        return;
    cloud->has_refused = false;
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        forget_newcomer(cloud, i);
}

static void made(void *context, struct build *build)
{
    struct cloud *cloud = context;
    struct cloud_guest *guest = &cloud->guests[build->index];
    struct matrix_error *error = build->error;
    const bool is_wanted = life_wants(&cloud->lives, build->index);
    if (!error && is_wanted)
        error = put_in_place(cloud, build->index, build->vm);
    if (build->vm && build->vm != guest->vm)
        builder_destroy_guest(cloud->builder, build->vm);
    matrix_error_free(is_wanted ? guest->error : error);
    if (is_wanted)
        guest->error = error;
    guest->has_been |= is_wanted && !error;
    lives_made(&cloud->lives, build->index, is_wanted && !error, now_ns());
    cloud->has_refused |= error && is_wanted;
    cloud_tell_promises(cloud);
    cloud_live_look(cloud);
}

static bool has_failed(const struct matrix_vm_info *info)
{
    return info->state == MATRIX_VM_FAULTED || info->state == MATRIX_VM_STOPPED ||
           (info->state == MATRIX_VM_EXITED && info->status != 0);
}

/* Why a core could not take it, for reports. */
static void keep_error(struct cloud_guest *guest, const struct matrix_error *error)
{
    matrix_error_free(guest->error);
    guest->error = error_new(error->kind, 0, NULL, "%s", error->message);
}

void cloud_live_ended(struct matrix_machine *machine, struct matrix_vm *vm, void *context)
{
    struct cloud *cloud = context;
    struct matrix_machine_guest guest;
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        if (cloud->guests[i].vm != vm || !cloud_guest_on_machine(cloud, i, &guest))
            continue;
        cloud->guests[i].ended = vm;
        if (cloud->guests[i].leaving)
            cloud_leaving_ended(cloud, i);
        else if (guest.error)
            keep_error(&cloud->guests[i], guest.error);
        lives_ended(&cloud->lives, i, has_failed(&guest.info), now_ns());
    }
    cloud_live_look(cloud);
}

/* Who asked was told yes already, and reports show what was asked for. */
void cloud_live_refused(struct matrix_machine *machine, struct matrix_vm *vm,
                        const struct matrix_error *error, void *context)
{
    struct matrix_vm_info info = {.name = "a group"};
    if (vm)
        matrix_vm_info(vm, &info);
    cli_fail(PROGRAM, error_new(error->kind, 0, "set its contract once more",
                                "a core could not do what was agreed to for %s: %s", info.name,
                                error->message));
}

void cloud_live_look(struct cloud *cloud)
{
    while (cloud->has_failures) {
        cloud->has_failures = false;
        for (unsigned i = 0; i < cloud->config.guest_count; i++) {
            if (!cloud->guests[i].has_failed)
                continue;
            cloud->guests[i].has_failed = false;
            lives_made(&cloud->lives, i, false, now_ns());
            cloud->has_refused = true;
        }
    }
    forget_newcomers(cloud);
    lives_tick(&cloud->lives, now_ns());
    /* When a file is read again, those of the old one end before those of the new one start. */
    if (!cloud->keeps && !cloud->has_failures && !cloud_reload_is_under_way(cloud) &&
        lives_are_over(&cloud->lives))
        matrix_machine_stop(cloud->machine);
}

/* --- the beginning and the end ---------------------------------------------------------------- */

struct matrix_error *cloud_live_begin(struct cloud *cloud)
{
    lives_init(&cloud->lives, &actions, cloud);
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct matrix_vm *vm = cloud->guests[i].vm;
        RETURN_IF_ERROR(lives_add(&cloud->lives, &cloud->config.guests[i].life, vm));
        if (vm)
            RETURN_IF_ERROR(matrix_machine_pause(cloud->machine, vm));
    }
    RETURN_IF_ERROR(builder_start(cloud->kvm, matrix_machine_first_core(cloud->machine), made,
                                  cloud, &cloud->builder));
    lives_begin(&cloud->lives, now_ns());
    return NULL;
}

/* --- commands ----------------------------------------------------------------------------------- */

struct matrix_error *cloud_live_command(struct cloud *cloud, unsigned index,
                                        cloud_life_command *command, const char *name)
{
    const char *guest = cloud->config.guests[index].name;
    RETURN_IF_ERROR(error_prefix(command(&cloud->lives, index, now_ns()), "%s %s", name, guest));
    cloud_periods_split(cloud, "%s %s", name, guest);
    cloud_live_look(cloud);
    return NULL;
}

struct matrix_error *cloud_live_set(struct cloud *cloud, unsigned index,
                                    const struct config_contract *config)
{
    const struct matrix_machine_contract contract = cloud_contract(cloud, config);
    struct cloud_guest *guest = &cloud->guests[index];
    if (guest->vm)
        RETURN_IF_ERROR(matrix_machine_set(cloud->machine, guest->vm, &contract));
    cloud->config.guests[index].contract = *config;
    cloud_tell_promises(cloud);
    cloud_periods_split(cloud, "set %s", cloud->config.guests[index].name);
    return NULL;
}

struct matrix_error *cloud_live_set_group(struct cloud *cloud, unsigned index,
                                          const struct config_contract *config)
{
    const struct matrix_machine_contract contract = cloud_contract(cloud, config);
    RETURN_IF_ERROR(cloud_check_group(cloud, (int)index));
    RETURN_IF_ERROR(matrix_machine_set_group(cloud->machine, cloud->groups[index], &contract));
    cloud->config.groups[index].contract = *config;
    cloud_tell_promises(cloud);
    cloud_periods_split(cloud, "set group %s", cloud->config.groups[index].name);
    return NULL;
}

/* One place more, the last. */
static struct matrix_error *make_place(struct cloud *cloud)
{
    static const struct life_rules no_rules;
    const unsigned count = cloud->config.guest_count;
    if (count == CONFIG_GUESTS_MAX)
        return error_usage("start another cloud", "there are %u guests already", count);
    struct config_guest *configs = reallocarray(cloud->config.guests, count + 1, sizeof(*configs));
    if (configs)
        cloud->config.guests = configs;
    struct cloud_guest *guests = reallocarray(cloud->guests, count + 1, sizeof(*guests));
    if (guests)
        cloud->guests = guests;
    if (!configs || !guests)
        return error_host(ENOMEM, "add a guest");
    RETURN_IF_ERROR(lives_add(&cloud->lives, &no_rules, false));
    cloud->guests[count] = (struct cloud_guest){.output_fd = -1};
    cloud->config.guest_count++;
    return NULL;
}

int cloud_find_removed(const struct cloud *cloud, const char *name)
{
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        if (cloud->config.guests[i].removed && strcmp(cloud->config.guests[i].name, name) == 0)
            return (int)i;
    return CONFIG_NOWHERE;
}

struct matrix_error *cloud_live_add(struct cloud *cloud, const struct config_guest *config,
                                    unsigned *index)
{
    struct memory_left left;
    const int place = cloud_find_removed(cloud, config->name);
    *index = place == CONFIG_NOWHERE ? cloud->config.guest_count : (unsigned)place;
    memory_left_read("", &left);
    RETURN_IF_ERROR(memory_left_check(
        &left, config->name, config->memory_bytes ? config->memory_bytes : MATRIX_MEMORY_DEFAULT));
    if (place == CONFIG_NOWHERE)
        RETURN_IF_ERROR(make_place(cloud));
    matrix_error_free(TAKE(cloud->guests[*index].error));
    cloud->guests[*index].has_been = false;
    cloud->config.guests[*index] = *config;
    cloud->config.guests[*index].added = true;
    life_set_rules(&cloud->lives, *index, &config->life);
    cloud_periods_split(cloud, "add %s", config->name);
    struct matrix_error *error = life_start(&cloud->lives, *index, now_ns());
    cloud_live_look(cloud);
    return error;
}
