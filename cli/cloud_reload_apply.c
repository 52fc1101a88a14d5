// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A new description becomes that of a running cloud; see cloud_reload.h. At once: who there is, and what each
 * is to be. Then, bit by bit, contracts and groups, in the order of the plan (cloud_reload_moves.c); meanwhile no
 * guest that has been made comes on the machine, since its group may be missing yet. In the end those that are new
 * start.
 *
 * What a core in another thread has to do first is waited for: guests that leave have their floors, and are
 * members of their groups, until they have left; a guest that moves can change to no other core, and has the floor that
 * it moves with.
 */
#include "cli/cloud_reload.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* For so long at a time guests wait: a tenth of the usual slice. */
#define TURN_NS 100000ULL

/* So many guests leave at a time: what is done when they have left is done at once. */
#define LEAVING_MAX 16

/* --- at once: who there is ------------------------------------------------------------------------- */

/* Finds a place for each guest of the file; *count: how many there are afterwards. Of one that was removed the place
 * is used again, and its figures go on. */
static void find_places(struct cloud_reload *reload, unsigned *count)
{
    for (unsigned i = 0; i < reload->steps.guest_count; i++) {
        const struct config_step *step = &reload->steps.guests[i];
        if (step->after == CONFIG_NOWHERE)
            continue;
        const int place =
            step->before != CONFIG_NOWHERE
                ? step->before
                : cloud_find_removed(reload->cloud, reload->new.guests[step->after].name);
        reload->places[step->after] = place == CONFIG_NOWHERE ? (*count)++ : (unsigned)place;
    }
}

/* Room for so many guests. Those that are there keep their numbers. */
static struct matrix_error *make_room(struct cloud *cloud, unsigned count,
                                      struct config_guest **configs)
{
    static const struct life_rules no_rules;
    const unsigned before = cloud->config.guest_count;
    if (count > CONFIG_GUESTS_MAX)
        return error_usage("end this cloud, and start another",
                           "there would be %u guests, with those that were removed", count);
    struct cloud_guest *guests = reallocarray(cloud->guests, count, sizeof(*guests));
    if (guests)
        cloud->guests = guests;
    *configs = calloc(count, sizeof(**configs));
    if (!guests || !*configs)
        return error_host(ENOMEM, "make room for %u guests", count);
    for (unsigned i = before; i < count; i++) {
        struct matrix_error *error = lives_add(&cloud->lives, &no_rules, false);
        cloud->guests[i] = (struct cloud_guest){.output_fd = -1};
        if (error)
            cloud->lives.count = before;
        RETURN_IF_ERROR(error);
    }
    memcpy(*configs, cloud->config.guests, before * sizeof(**configs));
    return NULL;
}

/* What must be there before anything is changed: names of those that go, pointers to groups. */
static struct matrix_error *prepare(struct cloud_reload *reload, struct config_guest **configs,
                                    struct matrix_machine_group ***groups, unsigned *count)
{
    struct cloud *cloud = reload->cloud;
    const struct config_steps *steps = &reload->steps;
    *count = cloud->config.guest_count;
    reload->places = calloc(reload->new.guest_count + 1, sizeof(*reload->places));
    reload->leaving = calloc(steps->group_count + 1, sizeof(struct matrix_machine_group *));
    *groups = calloc(reload->new.group_count + 1, sizeof(struct matrix_machine_group *));
    if (!reload->places || !reload->leaving || !*groups)
        return error_host(ENOMEM, "change the guests");
    if (reload->pipe[0] < 0 && pipe2(reload->pipe, O_CLOEXEC | O_NONBLOCK) < 0)
        return error_host(errno, "make a pipe to change guests by");
    for (unsigned i = 0; i < steps->guest_count; i++) {
        if (steps->guests[i].change != CONFIG_REMOVED)
            continue;
        const unsigned index = (unsigned)steps->guests[i].before;
        free(cloud->guests[index].name);
        cloud->guests[index].name = strdup(cloud->config.guests[index].name);
        if (!cloud->guests[index].name)
            return error_host(ENOMEM, "change the guests");
    }
    find_places(reload, count);
    return make_room(cloud, *count, configs);
}

static void forget_description(struct config_guest *guest)
{
    guest->argv = NULL;
    guest->life = (struct life_rules){0};
}

/* A guest of the file takes its place. Its rules name guests by their numbers in the file. */
static void settle(struct cloud_reload *reload, struct config_guest *configs, unsigned after)
{
    struct config_guest *guest = &reload->new.guests[after];
    const unsigned place = reload->places[after];
    unsigned *lists[] = {(unsigned *)guest->life.after, (unsigned *)guest->life.stop_with};
    const unsigned counts[] = {guest->life.after_count, guest->life.stop_with_count};
    for (unsigned list = 0; list < 2; list++)
        for (unsigned i = 0; i < counts[list]; i++)
            lists[list][i] = reload->places[lists[list][i]];
    configs[place] = *guest;
    life_set_rules(&reload->cloud->lives, place, &guest->life);
    forget_description(guest);
}

static void remove_guest(struct cloud_reload *reload, struct config_guest *configs, unsigned index)
{
    static const struct life_rules no_rules;
    configs[index] = (struct config_guest){.name = reload->cloud->guests[index].name,
                                           .image = "",
                                           .contract = configs[index].contract,
                                           .removed = true};
    configs[index].contract.group = CONFIG_NO_GROUP;
    life_set_rules(&reload->cloud->lives, index, &no_rules);
}

static void settle_all(struct cloud_reload *reload, struct config_guest *configs)
{
    for (unsigned i = 0; i < reload->steps.guest_count; i++) {
        const struct config_step *step = &reload->steps.guests[i];
        if (step->change == CONFIG_REMOVED) {
            remove_guest(reload, configs, (unsigned)step->before);
        } else if (reload->new.guests[step->after].added) {
            /* By command: it stays as it is; its group may have another number. */
            configs[step->before].contract.group = reload->new.guests[step->after].contract.group;
            forget_description(&reload->old.guests[step->before]);
        } else {
            settle(reload, configs, (unsigned)step->after);
        }
    }
    /* Those that had left before. */
    for (unsigned i = 0; i < reload->old.guest_count; i++)
        if (reload->old.guests[i].removed)
            forget_description(&reload->old.guests[i]);
}

static void settle_groups(struct cloud_reload *reload, struct matrix_machine_group **groups)
{
    struct cloud *cloud = reload->cloud;
    for (unsigned i = 0; i < reload->steps.group_count; i++) {
        const struct config_step *step = &reload->steps.groups[i];
        if (step->change == CONFIG_REMOVED)
            reload->leaving[i] = cloud->groups[step->before];
        else if (step->change != CONFIG_ADDED)
            groups[step->after] = cloud->groups[step->before];
    }
    free((void *)cloud->groups);
    cloud->groups = groups;
}

/* The old description goes to reload->old, the new one comes; what cannot change stays. */
static void exchange(struct cloud_reload *reload, struct config_guest *configs,
                     struct matrix_machine_group **groups, unsigned count)
{
    struct cloud *cloud = reload->cloud;
    reload->old = cloud->config;
    reload->old.cpus = NULL; /* they stay */
    settle_groups(reload, groups);
    settle_all(reload, configs);
    cloud->config.guests = configs;
    cloud->config.guest_count = count;
    cloud->config.groups = reload->new.groups;
    cloud->config.group_count = reload->new.group_count;
    cloud->config.document = reload->new.document;
    cloud->config.keep = reload->new.keep;
    cloud->keeps = cloud->keep_option || cloud->config.keep;
    reload->new.groups = NULL;
    reload->new.document = NULL;
}

static uint64_t now_ns(void)
{
    return clock_now_ns(CLOCK_MONOTONIC);
}

/* --- in the end: those that are new start ------------------------------------------------------------- */

static void release_config(void *what)
{
    struct cloud_config *config = what;
    config_free(config);
    free(config);
}

/* What is being made now may still be made of the old description. */
static void retire_old(struct cloud_reload *reload)
{
    struct cloud_config *old = malloc(sizeof(*old));
    if (!old)
        return; /* freed with the next reload, or the cloud */
    *old = reload->old;
    reload->old = (struct cloud_config){0};
    cloud_retire(reload->cloud, release_config, old);
}

static bool changes_something(const struct cloud_reload *reload)
{
    for (unsigned i = 0; i < reload->steps.guest_count; i++)
        if (reload->steps.guests[i].change != CONFIG_KEPT)
            return true;
    return reload->plan.count > 0;
}

/* All contracts are those of the file. */
static void contracts_hold(struct cloud_reload *reload)
{
    struct cloud *cloud = reload->cloud;
    builder_hold(cloud->builder, false);
    retire_old(reload);
    if (changes_something(reload))
        cloud_periods_split(cloud, "reload");
    cloud_tell_promises(cloud);
}

static void start(struct cloud_reload *reload, unsigned index)
{
    const struct config_step *step = &reload->steps.guests[index];
    if (step->change == CONFIG_ADDED)
        cloud_reload_note(reload, index,
                          life_start(&reload->cloud->lives, reload->places[step->after], now_ns()));
}

/* --- bit by bit ---------------------------------------------------------------------------------------- */

/* All that was asked of the cores before this has been done there. */
static void cores_have_answered(struct matrix_machine *machine, void *context)
{
    struct cloud *cloud = context;
    if (!cloud->reload)
        return;
    cloud->reload->cores_asked = false;
    cloud_reload_wake(cloud);
}

/* The floors of groups that leave are free when their cores have answered. Without memory nobody is asked, and whoever
 * finds no room says so. */
static bool must_wait_for_groups(struct cloud_reload *reload)
{
    struct cloud *cloud = reload->cloud;
    if (reload->removed_groups) {
        reload->removed_groups = false;
        reload->cores_asked = true;
        struct matrix_error *error =
            matrix_machine_refresh(cloud->machine, cores_have_answered, cloud);
        if (error)
            reload->cores_asked = false;
        matrix_error_free(error);
    }
    return reload->cores_asked;
}

/* Whether what comes next needs something that is still under way. */
static bool must_wait(struct cloud_reload *reload)
{
    const unsigned leaving = reload->cloud->leaving;
    const struct config_move *move =
        reload->done < reload->plan.count ? &reload->plan.moves[reload->done] : NULL;
    if (move && move->act == CONFIG_GUEST_LEAVES)
        return leaving >= LEAVING_MAX;
    if (move && move->act == CONFIG_GUEST_RELAXES)
        return false;
    if (leaving)
        return true;
    if (move && (move->act == CONFIG_GROUP_LEAVES || move->act == CONFIG_GROUP_RELAXES))
        return false;
    if (must_wait_for_groups(reload))
        return true;
    /* A floor that was lowered on its way from core to core is free when its guest is there: changes that need it are
     * tried again, guests that are new are started once. */
    return reload->done == reload->plan.count &&
           matrix_machine_holds_floors(reload->cloud->machine);
}

enum progress { GOES_ON, WAITS, IS_DONE };

/* One thing more. */
static enum progress do_next(struct cloud_reload *reload)
{
    const unsigned moves = reload->plan.count;
    if (must_wait(reload))
        return WAITS;
    if (reload->done == moves)
        contracts_hold(reload);
    if (reload->done < moves) {
        if (!cloud_reload_move(reload, &reload->plan.moves[reload->done]))
            return WAITS;
    } else if (reload->done - moves < reload->steps.guest_count) {
        start(reload, reload->done - moves);
    } else {
        return IS_DONE;
    }
    reload->done++;
    return GOES_ON;
}

/* A pipe that stays readable calls again and again, in the measure that the loop allows. */
static void stop_calling(struct cloud_reload *reload)
{
    char byte;
    /* As long as the byte is there, it is called. */
    reload->waits = read(reload->pipe[0], &byte, 1) >= 0 || errno == EAGAIN;
}

void cloud_reload_wake(struct cloud *cloud)
{
    struct cloud_reload *reload = cloud->reload;
    if (!reload || reload->state != RELOAD_CHANGING || !reload->waits)
        return;
    reload->waits = write(reload->pipe[1], "", 1) != 1;
}

void cloud_reload_go_on(struct cloud_reload *reload)
{
    struct cloud *cloud = reload->cloud;
    const uint64_t until_ns = now_ns() + TURN_NS;
    enum progress progress;
    do
        progress = do_next(reload);
    while (progress == GOES_ON && now_ns() < until_ns);
    if (progress == WAITS)
        stop_calling(reload);
    if (progress != IS_DONE)
        return;
    matrix_core_unwatch(matrix_machine_first_core(cloud->machine), reload->pipe[0]);
    cloud_reload_end(reload);
    cloud_live_look(cloud);
}

static void look(struct matrix_core *core, int fd, void *context)
{
    cloud_reload_go_on(context);
}

struct matrix_error *cloud_reload_apply(struct cloud_reload *reload)
{
    struct cloud *cloud = reload->cloud;
    struct config_guest *configs = NULL;
    struct matrix_machine_group **groups = NULL;
    unsigned count = 0;
    struct matrix_error *error = prepare(reload, &configs, &groups, &count);
    if (!error && write(reload->pipe[1], "", 1) != 1)
        error = error_host(errno, "change the guests bit by bit");
    if (!error)
        error = matrix_core_watch(matrix_machine_first_core(cloud->machine), reload->pipe[0],
                                  POLLIN, look, reload);
    if (error) {
        cloud->lives.count = cloud->config.guest_count;
        free(configs);
        free((void *)groups);
        return error;
    }
    exchange(reload, configs, groups, count);
    builder_hold(cloud->builder, true);
    reload->state = RELOAD_CHANGING;
    return NULL;
}
