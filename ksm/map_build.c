// SPDX-License-Identifier: GPL-2.0-or-later
/* Reckons a merge map from pages and frames: pure; map_internal.h says in which order. */
#include "base/cleanup.h"
#include "base/error.h"
#include "ksm/map_internal.h"
#include <errno.h>
#include <string.h>

struct matrix_error *map_create(const struct ksm_subject_list *list, struct ksm_map **map)
{
    uint64_t pages = 0;
    for (size_t i = 0; i < list->count; i++)
        pages += ksm_subject_pages(&list->subjects[i]);
    if (pages > MAP_PAGES_MAX)
        return error_host(EFBIG, "map the memory of %zu processes: more than 8 TiB", list->count);
    struct ksm_map *made = calloc(1, sizeof(*made));
    if (!made)
        return error_host(ENOMEM, "make a merge map");
    made->list = list;
    made->pages = calloc(list->count + 1, sizeof(*made->pages));
    made->counts = calloc(list->count + 1, sizeof(*made->counts));
    made->pairs = calloc(list->count * list->count + 1, sizeof(*made->pairs));
    made->within = calloc(list->count + 1, sizeof(*made->within));
    made->page_memory = ksm_memory_make((size_t)pages * sizeof(uint64_t));
    made->page_memory_bytes = (size_t)pages * sizeof(uint64_t);
    if (!made->pages || !made->counts || !made->pairs || !made->within || !made->page_memory) {
        ksm_map_free(made);
        return error_host(ENOMEM, "make a merge map of %zu processes", list->count);
    }
    uint64_t *next = made->page_memory;
    for (size_t i = 0; i < list->count; i++) {
        made->pages[i] = next;
        next += ksm_subject_pages(&list->subjects[i]);
    }
    *map = made;
    return NULL;
}

void ksm_map_free(struct ksm_map *map)
{
    if (!map)
        return;
    ksm_memory_free(map->page_memory, map->page_memory_bytes);
    free(map->pages);
    free(map->counts);
    free(map->pairs);
    free(map->within);
    free(map->groups);
    free(map->places);
    free(map);
}

int map_enter_frames(struct map_work *work, const uint64_t *pages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (ksm_page_state(pages[i]) != KSM_PRESENT)
            continue;
        uint8_t *frame = ksm_frame_touch(&work->frames, ksm_page_frame(pages[i]));
        if (!frame)
            return ENOMEM;
        ksm_frame_meet(frame);
    }
    return 0;
}

/* --- groups ----------------------------------------------------------------------------------- */

static bool is_merged(uint8_t frame, int rule)
{
    if (rule == KSM_BY_MAPPINGS)
        return frame == (KSM_FRAME_TWICE | FRAME_ANONYMOUS);
    return (frame & KSM_FRAME_KIND) == FRAME_MERGED;
}

/* Mappings of merged frames as they are met, page by page: a list in pieces. */
struct finds {
    struct find {
        uint32_t group;
        struct ksm_place place;
    } * items;
    size_t count, capacity;
};

static int keep_find(struct finds *finds, size_t group, uint32_t subject, size_t page)
{
    if (finds->count == finds->capacity) {
        const size_t capacity = finds->capacity ? 2 * finds->capacity : 4096;
        struct find *items = reallocarray(finds->items, capacity, sizeof(*items));
        if (!items)
            return ENOMEM;
        finds->items = items;
        finds->capacity = capacity;
    }
    finds->items[finds->count++] = (struct find){
        .group = (uint32_t)group, .place = {.subject = subject, .page = (uint32_t)page}};
    return 0;
}

/* Pages that are not in a group get their state here; those that are, when the group is settled. */
static int find_merged(struct map_work *work, uint32_t subject, struct finds *finds)
{
    static const enum ksm_state states[] = {
        [FRAME_UNKNOWN] = KSM_OTHER, [FRAME_ANONYMOUS] = KSM_PRIVATE, [FRAME_ZERO] = KSM_ZERO,
        [FRAME_HUGE] = KSM_HUGE,     [FRAME_OTHER] = KSM_OTHER,
    };
    uint64_t *totals = work->map->counts[subject].pages, *pages = work->map->pages[subject];
    const size_t count = (size_t)ksm_subject_pages(&work->map->list->subjects[subject]);
    for (size_t i = 0; i < count; i++) {
        enum ksm_state state = ksm_page_state(pages[i]);
        if (state == KSM_PRESENT) {
            const uint64_t number = ksm_page_frame(pages[i]);
            const uint8_t kind = work->frames.table[number] & KSM_FRAME_KIND;
            if (kind == FRAME_MERGED) {
                const size_t group = ksm_frame_chosen(&work->frames, number);
                if (keep_find(finds, group, subject, i))
                    return ENOMEM;
                work->map->groups[group].frame = number;
                work->map->groups[group].mappings++;
                continue;
            }
            state = states[kind];
            pages[i] = map_page(state, number);
        }
        totals[state]++;
    }
    return 0;
}

/* By group, and in each in the order in which they were met. */
static int sort_finds(struct ksm_map *map, const struct finds *finds)
{
    size_t place = 0;
    map->places = calloc(finds->count + 1, sizeof(*map->places));
    if (!map->places)
        return ENOMEM;
    for (size_t i = 0; i < map->group_count; i++) {
        map->groups[i].first_place = place;
        place += map->groups[i].mappings;
        map->groups[i].mappings = 0;
    }
    for (size_t i = 0; i < finds->count; i++) {
        struct ksm_group *group = &map->groups[finds->items[i].group];
        map->places[group->first_place + group->mappings++] = finds->items[i].place;
    }
    return 0;
}

struct matrix_error *map_make_groups(struct map_work *work)
{
    struct ksm_map *map = work->map;
    struct finds finds = {0};
    int number =
        ksm_frames_choose(&work->frames, is_merged, map->rule, FRAME_MERGED, &map->group_count);
    map->groups = calloc(map->group_count + 1, sizeof(*map->groups));
    number = map->groups ? number : ENOMEM;
    for (size_t i = 0; i < map->list->count && !number; i++)
        number = find_merged(work, (uint32_t)i, &finds);
    if (!number)
        number = sort_finds(map, &finds);
    free(finds.items);
    return number ? error_host(number, "keep %zu merged frames", map->group_count) : NULL;
}

/* --- settling --------------------------------------------------------------------------------- */

/* A group's places lie by subject: the end of those that are the same subject's as the first. */
static uint32_t same_subject(const struct ksm_place *places, uint32_t first, uint32_t count)
{
    uint32_t end = first + 1;
    while (end < count && places[end].subject == places[first].subject)
        end++;
    return end;
}

static void settle_pairs(struct ksm_map *map, const struct ksm_group *group)
{
    const struct ksm_place *places = &map->places[group->first_place];
    const size_t subjects = map->list->count;
    uint32_t end;
    for (uint32_t i = 0; i < group->mappings; i = end) {
        const size_t a = places[i].subject;
        end = same_subject(places, i, group->mappings);
        map->pairs[a * subjects + a] += end - i > 1;
        map->within[a] += end - i - 1;
        uint32_t next;
        for (uint32_t j = end; j < group->mappings; j = next) {
            const size_t b = places[j].subject;
            next = same_subject(places, j, group->mappings);
            map->pairs[a * subjects + b]++;
            map->pairs[b * subjects + a]++;
        }
    }
}

static void settle_group(struct ksm_map *map, const struct ksm_group *group)
{
    const struct ksm_place *places = &map->places[group->first_place];
    const bool is_alone = group->mappings == 1 && !group->outside;
    const bool is_one_subject = places[0].subject == places[group->mappings - 1].subject;
    const enum ksm_state state = is_alone                            ? KSM_PRIVATE
                                 : is_one_subject && !group->outside ? KSM_WITHIN
                                                                     : KSM_SHARED;
    const double saved_bytes = (double)MATRIX_PAGE_BYTES * (group->mappings - 1) / group->mappings;
    for (uint32_t i = 0; i < group->mappings; i++) {
        struct ksm_counts *counts = &map->counts[places[i].subject];
        map->pages[places[i].subject][places[i].page] = map_page(state, group->frame);
        counts->pages[state]++;
        counts->alone += is_alone;
        counts->outside += is_one_subject && group->outside;
        counts->saved_bytes += saved_bytes;
    }
    settle_pairs(map, group);
    if (is_alone)
        return;
    map->frames++;
    map->mappings += group->mappings;
}

void map_settle(struct ksm_map *map)
{
    for (size_t i = 0; i < map->group_count; i++)
        settle_group(map, &map->groups[i]);
    map->saved_bytes = (map->mappings - map->frames) * MATRIX_PAGE_BYTES;
}
