// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What KSM merged of each guest: no counter of the kernel's tells, so a merge map (ksm/map.h) is taken of the memory
 * that the boards name, and serves for a while. See metrics.h.
 */
#include "base/clock.h"
#include "base/error.h"
#include "cli/common.h"
#include "cli/metrics.h"
#include "ksm/map.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where a map could not be taken, for example since somebody has ended meanwhile. */
#define RETRY_NS 5000000000ULL

#define ADDRESS_END (1ULL << 47)

static int compare(const void *a, const void *b)
{
    const struct metrics_merged *first = a, *second = b;
    if (first->pid != second->pid)
        return first->pid < second->pid ? -1 : 1;
    if (first->core != second->core)
        return first->core < second->core ? -1 : 1;
    return (first->id > second->id) - (first->id < second->id);
}

const struct metrics_merged *metrics_map_find(const struct metrics_map *map,
                                              const struct metrics_process *process,
                                              const struct matrix_board_guest *guest)
{
    const struct metrics_merged key = {
        .pid = process->from.pid, .core = process->from.core, .id = guest->id};
    return map->count ? bsearch(&key, map->guests, map->count, sizeof(key), compare) : NULL;
}

/* --- whose memory ---------------------------------------------------------------------------- */

static int by_gpa(const void *a, const void *b)
{
    const struct ksm_region *first = a, *second = b;
    return (first->gpa > second->gpa) - (first->gpa < second->gpa);
}

static bool is_sound(const struct matrix_board_region *region)
{
    return !((region->gpa | region->hva | region->bytes) % MATRIX_PAGE_BYTES) && region->bytes &&
           region->bytes < ADDRESS_END && region->hva < ADDRESS_END - region->bytes &&
           region->gpa < ADDRESS_END - region->bytes;
}

/* Adds a guest to those that are looked at, unless its board says what cannot be. */
static struct matrix_error *add(struct ksm_subject_list *list, struct metrics_map *map,
                                const struct metrics_process *process, uint64_t start_time_ns,
                                const struct matrix_board_guest *guest, uint64_t *bytes_left)
{
    struct ksm_subject subject = {.pid = process->from.pid,
                                  .start_time_ns = start_time_ns,
                                  .kind = KSM_MATRIX_GUEST,
                                  .region_count = guest->region_count,
                                  .is_required = true}; /* the guests' places are the list's */
    if (!guest->region_count || guest->region_count > MATRIX_BOARD_REGIONS)
        return NULL;
    for (uint32_t i = 0; i < guest->region_count; i++) {
        if (!is_sound(&guest->regions[i]) || guest->regions[i].bytes > *bytes_left)
            return NULL;
        *bytes_left -= guest->regions[i].bytes;
    }
    subject.regions = calloc(guest->region_count, sizeof(*subject.regions));
    struct ksm_subject *subjects =
        realloc(list->subjects, (list->count + 1) * sizeof(*list->subjects));
    list->subjects = subjects ? subjects : list->subjects;
    struct metrics_merged *guests = realloc(map->guests, (list->count + 1) * sizeof(*map->guests));
    map->guests = guests ? guests : map->guests;
    if (!subject.regions || !subjects || !guests) {
        free(subject.regions);
        return error_host(ENOMEM, "look at the memory of guests");
    }
    for (uint32_t i = 0; i < guest->region_count; i++)
        subject.regions[i] = (struct ksm_region){guest->regions[i].gpa, guest->regions[i].hva,
                                                 guest->regions[i].bytes};
    qsort(subject.regions, subject.region_count, sizeof(*subject.regions), by_gpa);
    memcpy(subject.name, guest->name, sizeof(subject.name));
    guests[list->count] = (struct metrics_merged){
        .pid = process->from.pid, .core = process->from.core, .id = guest->id};
    list->subjects[list->count++] = subject;
    return NULL;
}

static struct matrix_error *list_guests(struct metrics *metrics, const struct matrix_lens *lens,
                                        struct ksm_subject_list *list)
{
    uint64_t bytes_left = ksm_memory_max(); /* whoever writes a board may name what is not there */
    for (size_t i = 0; i < metrics->count; i++) {
        const struct metrics_process *process = &metrics->processes[i];
        struct matrix_lens_task task;
        if (!process->is_shown)
            continue;
        RETURN_IF_ERROR(matrix_lens_process(lens, process->from.pid, &task));
        for (size_t k = 0; k < process->guest_count; k++)
            RETURN_IF_ERROR(add(list, metrics->map, process, task.start_time_ns,
                                &process->guests[k], &bytes_left));
    }
    return NULL;
}

/* --- a map ----------------------------------------------------------------------------------- */

static struct matrix_error *reckon(struct metrics_map *result, const struct matrix_lens *lens,
                                   struct ksm_subject_list *list)
{
    struct ksm_map *map;
    RETURN_IF_ERROR(ksm_map_take(lens, list, &map));
    for (size_t i = 0; i < list->count; i++) {
        const struct ksm_counts *counts = &map->counts[i];
        result->guests[i].merged_bytes =
            (counts->pages[KSM_SHARED] + counts->pages[KSM_WITHIN]) * MATRIX_PAGE_BYTES;
        result->guests[i].saved_bytes = counts->saved_bytes;
    }
    result->count = list->count;
    result->duration_ns = map->duration_ns;
    ksm_map_free(map);
    return NULL;
}

static struct matrix_error *take(struct metrics *metrics)
{
    struct ksm_subject_list list = {0};
    struct matrix_lens *lens;
    metrics->map->count = 0;
    metrics->map->duration_ns = 0;
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_BEST, &lens));
    struct matrix_error *error = list_guests(metrics, lens, &list);
    if (!error && list.count)
        error = reckon(metrics->map, lens, &list);
    matrix_lens_close(lens);
    ksm_subject_list_free(&list);
    if (metrics->map->count)
        qsort(metrics->map->guests, metrics->map->count, sizeof(*metrics->map->guests), compare);
    return error;
}

void metrics_map_look(struct metrics *metrics)
{
    struct metrics_map *map = metrics->map;
    const uint64_t now_ns = clock_now_ns(CLOCK_MONOTONIC);
    if (!map || now_ns < map->next_ns)
        return;
    struct matrix_error *error = take(metrics);
    map->taken_ns = error ? 0 : clock_now_ns(CLOCK_MONOTONIC);
    map->next_ns = now_ns + (error ? RETRY_NS : map->interval_ns);
    if (error)
        cli_fail(PROGRAM, error);
}

/* By a map of our own memory. */
struct matrix_error *metrics_map_check(void)
{
    struct ksm_subject_list list = {0};
    struct matrix_lens *lens;
    struct ksm_map *map;
    char self[16];
    snprintf(self, sizeof(self), "%d", getpid());
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_BEST, &lens));
    struct matrix_error *error = ksm_subject_find(self, &list);
    if (!error) {
        error = ksm_map_take(lens, &list, &map);
        if (!error)
            ksm_map_free(map);
    }
    ksm_subject_list_free(&list);
    matrix_lens_close(lens);
    return error_prefix(error, "--ksm");
}
