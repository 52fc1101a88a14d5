// SPDX-License-Identifier: GPL-2.0-or-later
/* The guests and groups of a cloud: made as the file says, and looked at. */
#include "cli/cloud.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/find_image.h"
#include "cloud/memory_left.h"
#include "cloud/policy.h"
#include "vmm/image.h"
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What a guest may print per second: enough for any log, too little to drown its neighbours. */
#define OUTPUT_RATE (256 << 10)

/* What the paths of the file are relative to. */
static struct matrix_error *set_directory(struct cloud *cloud, const char *file)
{
    CLEANUP_FREE char *copy = strdup(file);
    cloud->directory = copy ? strdup(dirname(copy)) : NULL;
    return cloud->directory ? NULL : error_host(ENOMEM, "find the directory of %s", file);
}

/* --- before they are made ---------------------------------------------------------------------- */

static void warn_of_memory(const struct cloud *cloud)
{
    char all[FORMAT_BYTES], there[FORMAT_BYTES];
    struct memory_left left;
    uint64_t sum = 0;
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        const uint64_t bytes = cloud->config.guests[i].memory_bytes;
        if (__builtin_add_overflow(sum, bytes ? bytes : MATRIX_MEMORY_DEFAULT, &sum))
            sum = UINT64_MAX;
    }
    memory_left_read("", &left);
    if (sum <= left.bytes)
        return;
    fprintf(stderr,
            PROGRAM
            ": the guests may come to need %s of memory, and %s%s has %s left: where it runs "
            "out, the kernel ends all of them\n",
            format_size(all, sum), *left.cgroup ? "the cgroup " : "the host", left.cgroup,
            format_size(there, left.bytes));
}

static void warn_of_policy(const struct cloud *cloud)
{
    const char *policy = cloud->config.policy;
    if (policy && strcmp(policy, policy_name(0)) != 0)
        fprintf(stderr,
                PROGRAM
                ": policy: %s keeps ceilings, and no weight, floor or latency: what is promised is "
                "what policy: %s would give\n",
                policy, policy_name(0));
}

void cloud_guests_warn(const struct cloud *cloud)
{
    warn_of_memory(cloud);
    warn_of_policy(cloud);
}

struct matrix_error *cloud_check_image(const char *directory, const struct config_guest *guest)
{
    struct image image;
    char path[PATH_MAX];
    find_image(guest->image, directory, path);
    RETURN_IF_ERROR(error_prefix(image_open(path, &image), "guest %s", guest->name));
    image_close(&image);
    return NULL;
}

struct matrix_error *cloud_check_guests(struct cloud *cloud, const char *file)
{
    RETURN_IF_ERROR(set_directory(cloud, file));
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        RETURN_IF_ERROR(cloud_check_image(cloud->directory, &cloud->config.guests[i]));
    return NULL;
}

/* --- made ------------------------------------------------------------------------------------ */

struct matrix_error *cloud_open_output(struct cloud *cloud, unsigned index)
{
    struct cloud_guest *guest = &cloud->guests[index];
    const char *given = cloud->config.guests[index].output;
    char path[PATH_MAX];
    if (!given || guest->output)
        return NULL;
    if (snprintf(path, sizeof(path), "%s%s%s", given[0] == '/' ? "" : cloud->directory,
                 given[0] == '/' ? "" : "/", given) >= PATH_MAX)
        return error_host(ENAMETOOLONG, "open the output file %s", given);
    guest->output_fd =
        open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644);
    if (guest->output_fd < 0)
        return error_host(errno, "open the output file %s", path);
    return cloud_output_create(guest->output_fd, &guest->output);
}

void cloud_describe_guest(const struct cloud *cloud, unsigned index, char path[PATH_MAX],
                          struct matrix_vm_options *options)
{
    const struct config_guest *config = &cloud->config.guests[index];
    const struct cloud_guest *guest = &cloud->guests[index];
    find_image(config->image, cloud->directory, path);
    *options = (struct matrix_vm_options){
        .name = config->name,
        .memory_bytes = config->memory_bytes,
        .memory_flags = config->mergeable ? MATRIX_MEMORY_MERGEABLE : 0,
        .argv = config->argv,
        .input_fd = config->console && guest->console.has_input ? guest->console.input_fd : -1,
        .history = guest->console.history,
        .output = guest->output ? guest->output : cloud->output,
        .tag = guest->output ? NULL : config->name,
        .output_rate = OUTPUT_RATE,
        .output_lossy = true,
        .output_escape = !guest->output,
    };
}

struct matrix_machine_contract cloud_contract(const struct cloud *cloud,
                                              const struct config_contract *config)
{
    return (struct matrix_machine_contract){
        .contract = {.weight = config->weight,
                     .floor_ppm = config->floor_ppm,
                     .ceiling_ppm = config->ceiling_ppm,
                     .latency_ns = config->latency_ns},
        .group = config->group == CONFIG_NO_GROUP ? NULL : cloud->groups[config->group],
        .pinned = config->is_pinned,
        .core = config->pin,
    };
}

struct matrix_error *cloud_check_group(const struct cloud *cloud, int group)
{
    if (group == CONFIG_NO_GROUP || cloud->groups[group])
        return NULL;
    return error_usage("let the cloud read its file again: matrix reload",
                       "group %s could not be made", cloud->config.groups[group].name);
}

struct matrix_error *cloud_put_on_machine(struct cloud *cloud, unsigned index, struct matrix_vm *vm)
{
    struct cloud_guest *guest = &cloud->guests[index];
    const struct config_contract *config = &cloud->config.guests[index].contract;
    const struct matrix_machine_contract contract = cloud_contract(cloud, config);
    RETURN_IF_ERROR(cloud_check_group(cloud, config->group));
    RETURN_IF_ERROR(matrix_machine_add(cloud->machine, vm, &contract));
    guest->vm = vm;
    guest->ended = NULL;
    guest->machine_index = cloud->on_machine++;
    cloud_console_begin(guest);
    return NULL;
}

static struct matrix_error *create_guest(struct cloud *cloud, unsigned index)
{
    struct matrix_vm_options options;
    struct matrix_vm *vm;
    char path[PATH_MAX];
    RETURN_IF_ERROR(cloud_open_output(cloud, index));
    RETURN_IF_ERROR(cloud_console_open(cloud, index));
    cloud_describe_guest(cloud, index, path, &options);
    RETURN_IF_ERROR(matrix_vm_create(cloud->kvm, path, &options, &vm));
    struct matrix_error *error = cloud_put_on_machine(cloud, index, vm);
    if (error)
        matrix_vm_destroy(vm);
    return error;
}

struct matrix_error *cloud_create_groups(struct cloud *cloud)
{
    const struct cloud_config *config = &cloud->config;
    cloud->groups = calloc(config->group_count + 1, sizeof(struct matrix_machine_group *));
    if (!cloud->groups)
        return error_host(ENOMEM, "make the groups");
    for (unsigned i = 0; i < config->group_count; i++) {
        const struct matrix_machine_contract contract =
            cloud_contract(cloud, &config->groups[i].contract);
        RETURN_IF_ERROR(
            error_prefix(matrix_machine_add_group(cloud->machine, config->groups[i].name, &contract,
                                                  &cloud->groups[i]),
                         "group %s", config->groups[i].name));
    }
    return NULL;
}

static void tell_promises(struct matrix_machine *machine, void *context)
{
    struct cloud *cloud = context;
    for (unsigned i = 0; i < cloud->config.guest_count; i++) {
        struct cloud_guest *guest = &cloud->guests[i];
        double least;
        if (guest->vm)
            matrix_machine_promise(machine, guest->machine_index, &least, &guest->promised);
    }
}

void cloud_tell_promises(struct cloud *cloud)
{
    /* Without memory they are told at the next change. */
    matrix_error_free(matrix_machine_refresh(cloud->machine, tell_promises, cloud));
}

struct matrix_error *cloud_create_guests(struct cloud *cloud, const char *file)
{
    RETURN_IF_ERROR(set_directory(cloud, file));
    cloud->guests = calloc(cloud->config.guest_count, sizeof(*cloud->guests));
    if (!cloud->guests)
        return error_host(ENOMEM, "make the guests");
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        cloud->guests[i].output_fd = -1;
    for (unsigned i = 0; i < cloud->config.guest_count; i++)
        RETURN_IF_ERROR(error_prefix(create_guest(cloud, i), "%s: guest %s", file,
                                     cloud->config.guests[i].name));
    cloud_tell_promises(cloud);
    return NULL;
}

void cloud_destroy_guests(struct cloud *cloud)
{
    for (unsigned i = 0; cloud->guests && i < cloud->config.guest_count; i++) {
        struct cloud_guest *guest = &cloud->guests[i];
        matrix_vm_destroy(guest->vm);
        matrix_output_destroy(guest->output);
        cloud_console_close(guest);
        matrix_error_free(guest->error);
        free(guest->fault);
        free(guest->name);
        free(guest->leaving);
        if (guest->output_fd >= 0)
            close(guest->output_fd);
    }
    free(cloud->guests);
    free(cloud->groups);
    free(cloud->directory);
}

/* --- looked at ------------------------------------------------------------------------------- */

void cloud_guest_ends_as(struct cloud_guest *guest, const struct matrix_vm *vm)
{
    struct matrix_vm_info info;
    matrix_vm_info(vm, &info);
    guest->past.work += info.work;
    guest->past.exits_total += info.exits_total;
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        guest->past.exits[kind] += info.exits[kind];
    guest->past.dropped_lines += info.dropped_lines;
    guest->past.dropped_bytes += info.dropped_bytes;
}

bool cloud_guest_on_machine(const struct cloud *cloud, unsigned index,
                            struct matrix_machine_guest *guest)
{
    return cloud->guests[index].vm &&
           matrix_machine_guest(cloud->machine, cloud->guests[index].machine_index, guest);
}

/*
 * now: on the machine; NULL: it is not there. Meanwhile what was asked of it holds: another core's word of it is as
 * old as its last report.
 */
static const char *state_of(const struct cloud *cloud, unsigned index,
                            const struct matrix_machine_guest *now)
{
    const enum life_state life = cloud->lives.lives[index].state;
    if (!now)
        return cloud->guests[index].error ? "failed" : life_state_name(life);
    if (cloud->has_ended)
        return now->guest.state;
    if (life == LIFE_WAITING || life == LIFE_STARTING || life == LIFE_BACKOFF ||
        life == LIFE_STOPPED)
        return life_state_name(life);
    if (now->info.state != MATRIX_VM_ALIVE)
        return now->guest.state;
    if (life == LIFE_PAUSED)
        return life_state_name(life);
    const bool is_between = strcmp(now->guest.state, "paused") == 0 ||
                            strcmp(now->guest.state, "moving") == 0; /* to its core */
    return is_between ? "ready" : now->guest.state;
}

const char *cloud_guest_state(const struct cloud *cloud, unsigned index)
{
    struct matrix_machine_guest guest;
    if (cloud->config.guests[index].removed)
        return matrix_vm_state_name(cloud->guests[index].past.state);
    return state_of(cloud, index, cloud_guest_on_machine(cloud, index, &guest) ? &guest : NULL);
}

void cloud_guest_look(const struct cloud *cloud, unsigned index, struct matrix_core_guest *contract,
                      struct matrix_vm_info *info)
{
    const struct cloud_guest *guest = &cloud->guests[index];
    const struct config_guest *description = &cloud->config.guests[index];
    struct matrix_machine_guest now = {
        .info = {.name = description->name, .state = MATRIX_VM_STOPPED}};
    const bool is_there = cloud_guest_on_machine(cloud, index, &now);
    if (!is_there) {
        const struct matrix_contract config =
            cloud_contract(cloud, &description->contract).contract;
        now.guest = (struct matrix_core_guest){
            .promised = NAN, .given = NAN, .weight = config.weight, .contract = config};
        if (description->removed) {
            now.info.state = guest->past.state;
            now.info.status = guest->past.status;
        }
    }
    *contract = now.guest;
    *info = now.info;
    cloud_add_figures(contract, &guest->left);
    contract->state = description->removed ? matrix_vm_state_name(now.info.state)
                                           : state_of(cloud, index, is_there ? &now : NULL);
    info->work += guest->past.work;
    info->exits_total += guest->past.exits_total;
    for (unsigned kind = 0; kind < MATRIX_EXIT_KIND_COUNT; kind++)
        info->exits[kind] += guest->past.exits[kind];
    info->dropped_lines += guest->past.dropped_lines;
    info->dropped_bytes += guest->past.dropped_bytes;
}
