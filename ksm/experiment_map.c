// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The merge map of an experiment's VMs, by VM rather than by process, and the numbers that steps
 * `expect` check. See experiment_internal.h.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "ksm/experiment_internal.h"
#include "ksm/map.h"
#include "ksm/mappings.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- subjects -------------------------------------------------------------------------------- */

/* Whether a process ended meanwhile, or is none whose memory can be looked at. */
static bool is_passed_over(const struct matrix_error *error)
{
    return error->number == ESRCH || error->number == ENXIO;
}

/* Appends the processes of a VM to the list, each under the VM's name. */
static struct matrix_error *find_subjects(const struct experiment_vm *vm,
                                          struct ksm_subject_list *list)
{
    CLEANUP_FREE pid_t *pids = NULL;
    size_t count;
    RETURN_IF_ERROR(experiment_vm_pids(vm, &pids, &count));
    for (size_t i = 0; i < count; i++) {
        char pid[16];
        const size_t before = list->count;
        if (!ksm_mappings_any_mergeable(pids[i]))
            continue; /* who only started it */
        snprintf(pid, sizeof(pid), "%d", (int)pids[i]);
        struct matrix_error *error = ksm_subject_find(pid, list);
        if (error && !is_passed_over(error))
            return error;
        matrix_error_free(error);
        for (size_t j = before; j < list->count; j++)
            snprintf(list->subjects[j].name, sizeof(list->subjects[j].name), "%s", vm->name);
    }
    return NULL;
}

/* *running: how many VMs it is of. */
static struct matrix_error *find_all(struct experiment *x, struct ksm_subject_list *list,
                                     size_t *running)
{
    *running = 0;
    for (size_t i = 0; i < x->vm_count; i++)
        if (x->vms[i].running) {
            RETURN_IF_ERROR(find_subjects(&x->vms[i], list));
            (*running)++;
        }
    return NULL;
}

static struct matrix_error *take(struct experiment *x, struct ksm_subject_list *list,
                                 size_t *running, struct ksm_map **map)
{
    struct matrix_lens *lens;
    *map = NULL;
    RETURN_IF_ERROR(find_all(x, list, running));
    if (list->count == 0)
        return NULL;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_BEST, &lens));
    struct matrix_error *error = ksm_map_take(lens, list, map);
    matrix_lens_close(lens);
    return error;
}

/* --- by VM ----------------------------------------------------------------------------------- */

/* A VM's index in the map; vm_count: it is not in it. */
static size_t find_vm(const struct experiment_map *map, const char *name)
{
    size_t i = 0;
    while (i < map->vm_count && strcmp(map->vms[i].name, name) != 0)
        i++;
    return i;
}

/* The same, but one that is not in it is added: there must be room. */
static size_t add_vm(struct experiment_map *map, const char *name)
{
    const size_t i = find_vm(map, name);
    if (i == map->vm_count)
        snprintf(map->vms[map->vm_count++].name, sizeof(map->vms[0].name), "%.*s", NAME_LENGTH_MAX,
                 name);
    return i;
}

/* What a group of equal mappings gives to the pairs of VMs: shared[i * n + j] are the pages of i on
 * frames that j has as well; on the diagonal, those on frames that i has more than once. */
static void add_group(struct experiment_map *map, const struct ksm_map *taken,
                      const struct ksm_group *group, const size_t *vm_of, uint64_t *pages)
{
    const size_t n = map->vm_count;
    memset(pages, 0, n * sizeof(*pages));
    for (uint32_t i = 0; i < group->mappings; i++)
        pages[vm_of[taken->places[group->first_place + i].subject]]++;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; pages[i] && j < n; j++)
            if (i == j ? pages[i] > 1 : pages[j] > 0)
                map->shared_pages[i * n + j] += pages[i];
}

static struct matrix_error *sum_up(const struct ksm_map *taken, struct experiment_map *map)
{
    const size_t subjects = taken->list->count;
    CLEANUP_FREE size_t *vm_of = calloc(subjects, sizeof(*vm_of));
    map->vms = calloc(subjects, sizeof(*map->vms));
    map->shared_pages = calloc(subjects * subjects, sizeof(*map->shared_pages));
    CLEANUP_FREE uint64_t *pages = calloc(subjects, sizeof(*pages));
    if (!vm_of || !map->vms || !map->shared_pages || !pages)
        return error_host(ENOMEM, "sum the merge map up");
    for (size_t i = 0; i < subjects; i++) {
        vm_of[i] = add_vm(map, taken->list->subjects[i].name);
        struct experiment_map_vm *vm = &map->vms[vm_of[i]];
        for (unsigned state = 0; state < KSM_STATES; state++)
            vm->pages[state] += taken->counts[i].pages[state];
        vm->saved_bytes += (uint64_t)taken->counts[i].saved_bytes;
    }
    for (size_t i = 0; i < taken->group_count; i++)
        if (taken->groups[i].mappings + taken->groups[i].outside > 1)
            add_group(map, taken, &taken->groups[i], vm_of, pages);
    map->frames = taken->frames;
    map->mappings = taken->mappings;
    map->saved_bytes = taken->saved_bytes;
    return NULL;
}

static void map_clear(struct experiment_map *map)
{
    free(map->vms);
    free(map->shared_pages);
    *map = (struct experiment_map){0};
}

/* Hands the map itself to who wants a picture of it. */
static struct matrix_error *take_summed(struct experiment *x, bool draw, struct experiment_map *map)
{
    struct ksm_subject_list list = {0};
    struct ksm_map *taken;
    *map = (struct experiment_map){.time_ns = clock_now_ns(CLOCK_MONOTONIC) - x->started_ns};
    struct matrix_error *error = take(x, &list, &map->running, &taken);
    if (!error && taken)
        error = sum_up(taken, map);
    if (!error && taken && draw && x->options->draw)
        x->options->draw(x->options->context, taken);
    if (error)
        map_clear(map);
    ksm_map_free(taken);
    ksm_subject_list_free(&list);
    return error;
}

struct matrix_error *experiment_take_map(struct experiment *x)
{
    struct experiment_map map;
    size_t running = 0;
    for (size_t i = 0; i < x->vm_count; i++)
        running += x->vms[i].running;
    if (running == 0 || running < x->results->map.running)
        return NULL;
    experiment_say(x, false, "taking the merge map");
    RETURN_IF_ERROR(error_prefix(take_summed(x, true, &map), "take the merge map"));
    map_clear(&x->results->map);
    x->results->map = map;
    return NULL;
}

/* --- what is expected ------------------------------------------------------------------------ */

/* The pages that KSM has merged for the processes of a VM. */
static struct matrix_error *count_merging(struct experiment *x, const char *name, int64_t *value)
{
    struct experiment_vm *vm;
    CLEANUP_FREE pid_t *pids = NULL;
    size_t count;
    *value = 0;
    RETURN_IF_ERROR(experiment_find_vm(x, name, &vm));
    RETURN_IF_ERROR(experiment_vm_pids(vm, &pids, &count));
    for (size_t i = 0; i < count; i++) {
        char path[64];
        int64_t pages;
        snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", (int)pids[i]);
        CLEANUP_FILE FILE *file = fopen(path, "re");
        if (!file && errno == ENOENT && i == 0)
            return error_host(errno, "read %s", path);
        if (file && fscanf(file, "%" SCNd64, &pages) == 1)
            *value += pages;
    }
    return NULL;
}

int64_t experiment_map_value(const struct experiment_map *map,
                             const struct experiment_expectation *expectation)
{
    const char *what = expectation->what->name;
    if (expectation->what->scope == SCOPE_MAP) {
        if (strcmp(what, "frames") == 0)
            return (int64_t)map->frames;
        return (int64_t)(strcmp(what, "mappings") == 0 ? map->mappings
                                                       : map->mappings - map->frames);
    }
    if (!map->vms || !map->shared_pages) /* of nobody */
        return 0;
    const size_t of = find_vm(map, expectation->of);
    if (of == map->vm_count)
        return 0;
    if (expectation->what->scope == SCOPE_MAP_VM)
        return (int64_t)(map->vms[of].pages[KSM_WITHIN] + map->vms[of].pages[KSM_SHARED]);
    const size_t with = find_vm(map, expectation->with);
    return with == map->vm_count ? 0 : (int64_t)map->shared_pages[of * map->vm_count + with];
}

static struct matrix_error *
read_map(struct experiment *x, const struct experiment_expectation *expectation, int64_t *value)
{
    struct experiment_map map;
    *value = 0;
    RETURN_IF_ERROR(error_prefix(take_summed(x, false, &map), "take the merge map"));
    *value = experiment_map_value(&map, expectation);
    map_clear(&map);
    return NULL;
}

struct matrix_error *experiment_find_value(struct experiment *x,
                                           const struct experiment_expectation *expectation,
                                           int64_t *value)
{
    const char *name = expectation->what->name;
    if (expectation->what->scope == SCOPE_VM)
        return count_merging(x, expectation->of, value);
    if (expectation->what->scope != SCOPE_HOST)
        return read_map(x, expectation, value);
    if (ksm_counter_read(x->lease.places.directory, name, value))
        return NULL;
    return error_new(MATRIX_ERROR_HOST, 0, "use a newer kernel, or leave it out",
                     "this kernel does not tell %s", name);
}
