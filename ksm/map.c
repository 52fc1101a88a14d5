// SPDX-License-Identifier: GPL-2.0-or-later
/* Takes a merge map, and answers what is asked of one; see map.h. */
#include "ksm/map.h"

#include "base/clock.h"
#include "base/error.h"
#include "ksm/map_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *text;
} states[KSM_STATES] = {
    [KSM_UNTOUCHED] = {"untouched", "untouched"},
    [KSM_PRIVATE] = {"private", "private"},
    [KSM_WITHIN] = {"within", "merged within itself"},
    [KSM_SHARED] = {"shared", "merged with others"},
    [KSM_ZERO] = {"zero", "zero"},
    [KSM_SWAPPED] = {"swapped", "swapped"},
    [KSM_HUGE] = {"huge", "huge"},
    [KSM_OTHER] = {"other", "other"},
};

const char *ksm_state_text(enum ksm_state state)
{
    return states[state].text;
}

const char *ksm_state_name(enum ksm_state state)
{
    return states[state].name;
}

static struct matrix_error *take(struct map_work *work, const struct matrix_lens *lens)
{
    struct ksm_map *map = work->map;
    if (strcmp(matrix_lens_source_name(lens), "module") == 0)
        map->rule = KSM_BY_MODULE;
    else
        RETURN_IF_ERROR(map_find_rule(&map->rule));
    RETURN_IF_ERROR(map_read_pages(work, lens));
    RETURN_IF_ERROR(map_read_kinds(work));
    RETURN_IF_ERROR(map_make_groups(work));
    if (map->rule != KSM_BY_MAPPINGS)
        map_read_outside(map);
    map_settle(map);
    return NULL;
}

/* *ended: who has ended meanwhile, or begun another program, which is why it failed; else NULL. */
static struct matrix_error *attempt(const struct matrix_lens *lens,
                                    const struct ksm_subject_list *list, struct ksm_map **map,
                                    const struct ksm_subject **ended)
{
    const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
    struct map_work work = {0};
    *ended = NULL;
    RETURN_IF_ERROR(map_create(list, &work.map));
    struct matrix_error *error = take(&work, lens);
    ksm_frames_free(&work.frames);
    if (error) {
        if (error->number == ESRCH || error->number == ENXIO)
            *ended = work.reading;
        ksm_map_free(work.map);
        return error;
    }
    work.map->duration_ns = clock_now_ns(CLOCK_MONOTONIC) - start;
    *map = work.map;
    return NULL;
}

static bool has_ended(const struct matrix_lens *lens, const struct ksm_subject *subject)
{
    struct matrix_lens_task task;
    struct matrix_error *error = matrix_lens_process(lens, subject->pid, &task);
    const bool is_gone =
        error ? error->number == ESRCH : task.start_time_ns != subject->start_time_ns;
    matrix_error_free(error);
    return is_gone;
}

/* That one, and all others that have ended as well: a map that begins anew begins with those that live. */
static void drop(const struct matrix_lens *lens, struct ksm_subject_list *list,
                 const struct ksm_subject *ended)
{
    ksm_subject_list_drop(list, (size_t)(ended - list->subjects));
    for (size_t i = list->count; i-- > 0;)
        if (!list->subjects[i].is_required && has_ended(lens, &list->subjects[i]))
            ksm_subject_list_drop(list, i);
}

/*
 * What an ended process has left in the table of frames cannot be told from what others have, so that
 * a map without it begins anew. Each time there are fewer whom it can wait for.
 */
struct matrix_error *ksm_map_take(const struct matrix_lens *lens, struct ksm_subject_list *list,
                                  struct ksm_map **map)
{
    const struct ksm_subject *ended;
    *map = NULL;
    do {
        struct matrix_error *error = attempt(lens, list, map, &ended);
        if (!ended)
            return error;
        matrix_error_free(error);
        if (ended->is_required)
            return error_host(ESRCH, "map the memory of %s: process %d has ended meanwhile",
                              ended->name, ended->pid);
        drop(lens, list, ended);
    } while (list->count);
    return NULL;
}

const struct ksm_group *ksm_map_group(const struct ksm_map *map, size_t subject, uint64_t page)
{
    const uint64_t frame = ksm_page_frame(map->pages[subject][page]);
    size_t low = 0, high = map->group_count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (map->groups[middle].frame < frame)
            low = middle + 1;
        else
            high = middle;
    }
    return frame && low < map->group_count && map->groups[low].frame == frame ? &map->groups[low]
                                                                              : NULL;
}

/* The region that a page is in, and its first page. */
static const struct ksm_region *find_region(const struct ksm_map *map, struct ksm_place place,
                                            uint64_t *first)
{
    const struct ksm_subject *subject = &map->list->subjects[place.subject];
    const struct ksm_region *region = subject->regions;
    *first = 0;
    while (place.page - *first >= region->bytes / MATRIX_PAGE_BYTES) {
        *first += region->bytes / MATRIX_PAGE_BYTES;
        region++;
    }
    return region;
}

uint64_t ksm_map_gpa(const struct ksm_map *map, struct ksm_place place)
{
    uint64_t first;
    const struct ksm_region *region = find_region(map, place, &first);
    return region->gpa + (place.page - first) * MATRIX_PAGE_BYTES;
}

uint64_t ksm_map_hva(const struct ksm_map *map, struct ksm_place place)
{
    uint64_t first;
    const struct ksm_region *region = find_region(map, place, &first);
    return region->hva + (place.page - first) * MATRIX_PAGE_BYTES;
}

/* Keeps the best so far in order: few are asked for, of many. */
size_t ksm_map_top(const struct ksm_map *map, size_t *groups, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < map->group_count && count; i++) {
        const uint32_t mappings = map->groups[i].mappings;
        if (mappings < 2 || (found == count && map->groups[groups[found - 1]].mappings >= mappings))
            continue;
        size_t position = found < count ? found++ : found - 1;
        for (; position > 0 && map->groups[groups[position - 1]].mappings < mappings; position--)
            groups[position] = groups[position - 1];
        groups[position] = i;
    }
    return found;
}

void ksm_map_compare(const struct ksm_map *before, const struct ksm_map *after, size_t subject,
                     struct ksm_difference *difference)
{
    const uint64_t pages = ksm_subject_pages(&after->list->subjects[subject]);
    *difference = (struct ksm_difference){0};
    for (uint64_t i = 0; i < pages; i++) {
        const uint64_t was = before->pages[subject][i], is = after->pages[subject][i];
        if (was == is)
            continue;
        difference->moved[ksm_page_state(was)][ksm_page_state(is)]++;
        difference->total++;
    }
}
