// SPDX-License-Identifier: GPL-2.0-or-later
/* The merge map's arithmetic, on memory that is made up, against a slow model of its own. */
#include "ksm/map_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* Behind what it needs. */
#include <cmocka.h>

#define SUBJECTS_MAX 6
#define PAGES_MAX    200
#define FRAMES_MAX   120
#define ROUNDS       400

/* A world of few frames, so that much is shared; frame 0 is none. */
struct world {
    unsigned subjects, frames;
    size_t pages[SUBJECTS_MAX];
    uint64_t entries[SUBJECTS_MAX][PAGES_MAX]; /* before the frames are known */
    uint64_t numbers[FRAMES_MAX];              /* of frames, far apart and near */
    enum frame_kind kinds[FRAMES_MAX];
    uint32_t outside[FRAMES_MAX];
    enum ksm_rule rule;

    struct ksm_region regions[SUBJECTS_MAX][2];
    struct ksm_subject list[SUBJECTS_MAX];
    struct ksm_subject_list subject_list;
};

static unsigned roll(unsigned sides)
{
    return (unsigned)random() % sides;
}

static void make_world(struct world *world)
{
    memset(world, 0, sizeof(*world));
    world->subjects = 1 + roll(SUBJECTS_MAX);
    world->frames = 1 + roll(FRAMES_MAX);
    world->rule = roll(3) == 0 ? KSM_BY_MAPPINGS : KSM_BY_FLAG;
    uint64_t number = 1;
    for (unsigned i = 0; i < world->frames; i++) {
        number += roll(4) ? 1 : 1 + (uint64_t)roll(100000);
        world->numbers[i] = number;
        world->kinds[i] = FRAME_ANONYMOUS + roll(5);
        if (world->rule == KSM_BY_MAPPINGS && world->kinds[i] == FRAME_MERGED)
            world->kinds[i] = FRAME_ANONYMOUS;
        world->outside[i] = roll(4) || world->kinds[i] != FRAME_MERGED ? 0 : roll(3);
    }
    for (unsigned i = 0; i < world->subjects; i++) {
        world->pages[i] = roll(PAGES_MAX);
        for (size_t j = 0; j < world->pages[i]; j++)
            world->entries[i][j] =
                roll(5)
                    ? map_page(KSM_PRESENT, world->numbers[roll(world->frames)])
                    : map_page((enum ksm_state[]){KSM_UNTOUCHED, KSM_SWAPPED, KSM_OTHER}[roll(3)],
                               0);
        const size_t low = world->pages[i] / 3;
        world->regions[i][0] = (struct ksm_region){0, 0x10000000, low * MATRIX_PAGE_BYTES};
        world->regions[i][1] = (struct ksm_region){0x100000000, 0x90000000,
                                                   (world->pages[i] - low) * MATRIX_PAGE_BYTES};
        world->list[i] = (struct ksm_subject){
            .pid = (pid_t)i + 1, .regions = world->regions[i], .region_count = 2};
    }
    world->subject_list =
        (struct ksm_subject_list){.subjects = world->list, .count = world->subjects};
}

static unsigned frame_index(const struct world *world, uint64_t number)
{
    unsigned index = 0;
    while (world->numbers[index] != number)
        index++;
    return index;
}

static struct ksm_map *take(const struct world *world)
{
    struct map_work work = {0};
    assert_null(map_create(&world->subject_list, &work.map));
    work.map->rule = world->rule;
    for (unsigned i = 0; i < world->subjects; i++) {
        memcpy(work.map->pages[i], world->entries[i], world->pages[i] * sizeof(uint64_t));
        assert_int_equal(map_enter_frames(&work, work.map->pages[i], world->pages[i]), 0);
    }
    for (unsigned i = 0; i < world->frames; i++) {
        uint8_t *frame = ksm_frame_touch(&work.frames, world->numbers[i]);
        assert_non_null(frame);
        *frame |= (uint8_t)world->kinds[i];
    }
    assert_null(map_make_groups(&work));
    for (size_t i = 0; i < work.map->group_count; i++)
        work.map->groups[i].outside = world->outside[frame_index(world, work.map->groups[i].frame)];
    map_settle(work.map);
    ksm_frames_free(&work.frames);
    return work.map;
}

/* --- the model: everything counted anew for each question -------------------------------------- */

static uint32_t model_mappings(const struct world *world, unsigned frame, unsigned subject)
{
    uint32_t count = 0;
    for (size_t j = 0; j < world->pages[subject]; j++)
        count += world->entries[subject][j] == map_page(KSM_PRESENT, world->numbers[frame]);
    return count;
}

static uint32_t model_all(const struct world *world, unsigned frame)
{
    uint32_t count = 0;
    for (unsigned i = 0; i < world->subjects; i++)
        count += model_mappings(world, frame, i);
    return count;
}

static bool model_is_merged(const struct world *world, unsigned frame)
{
    if (world->rule == KSM_BY_MAPPINGS)
        return world->kinds[frame] == FRAME_ANONYMOUS && model_all(world, frame) > 1;
    return world->kinds[frame] == FRAME_MERGED &&
           model_all(world, frame) + world->outside[frame] > 1;
}

static enum ksm_state model_state(const struct world *world, unsigned subject, size_t page)
{
    const uint64_t entry = world->entries[subject][page];
    if (ksm_page_state(entry) != KSM_PRESENT)
        return ksm_page_state(entry);
    const unsigned frame = frame_index(world, ksm_page_frame(entry));
    if (model_is_merged(world, frame))
        return world->outside[frame] ||
                       model_all(world, frame) > model_mappings(world, frame, subject)
                   ? KSM_SHARED
                   : KSM_WITHIN;
    return world->kinds[frame] == FRAME_ZERO    ? KSM_ZERO
           : world->kinds[frame] == FRAME_HUGE  ? KSM_HUGE
           : world->kinds[frame] == FRAME_OTHER ? KSM_OTHER
                                                : KSM_PRIVATE;
}

static uint64_t model_pair(const struct world *world, unsigned a, unsigned b)
{
    uint64_t frames = 0;
    for (unsigned i = 0; i < world->frames; i++) {
        const uint32_t of_a = model_mappings(world, i, a), of_b = model_mappings(world, i, b);
        frames += model_is_merged(world, i) && (a == b ? of_a > 1 : of_a && of_b);
    }
    return frames;
}

static void compare_pages(const struct world *world, const struct ksm_map *map)
{
    for (unsigned i = 0; i < world->subjects; i++) {
        uint64_t counts[KSM_STATES] = {0};
        for (size_t j = 0; j < world->pages[i]; j++) {
            const enum ksm_state state = model_state(world, i, j);
            counts[state]++;
            assert_int_equal(ksm_page_state(map->pages[i][j]), state);
            assert_int_equal(ksm_page_frame(map->pages[i][j]),
                             ksm_page_frame(world->entries[i][j]));
        }
        assert_memory_equal(map->counts[i].pages, counts, sizeof(counts));
        for (unsigned j = 0; j < world->subjects; j++)
            assert_int_equal(map->pairs[i * world->subjects + j], model_pair(world, i, j));
    }
}

static void compare_groups(const struct world *world, const struct ksm_map *map)
{
    uint64_t frames = 0, mappings = 0;
    double saved_bytes = 0;
    for (unsigned i = 0; i < world->frames; i++) {
        const bool is_merged = model_is_merged(world, i) && model_all(world, i);
        frames += is_merged;
        mappings += is_merged ? model_all(world, i) : 0;
    }
    assert_int_equal(map->frames, frames);
    assert_int_equal(map->mappings, mappings);
    for (unsigned i = 0; i < world->subjects; i++)
        saved_bytes += map->counts[i].saved_bytes;
    assert_true(saved_bytes - (double)map->saved_bytes < 1 &&
                (double)map->saved_bytes - saved_bytes < 1);
    for (size_t i = 0; i < map->group_count; i++) {
        const struct ksm_group *group = &map->groups[i];
        assert_true(i == 0 || group->frame > map->groups[i - 1].frame);
        assert_int_equal(group->mappings, model_all(world, frame_index(world, group->frame)));
        for (uint32_t j = 0; j < group->mappings; j++) {
            const struct ksm_place place = map->places[group->first_place + j];
            assert_int_equal(ksm_page_frame(world->entries[place.subject][place.page]),
                             group->frame);
            assert_ptr_equal(ksm_map_group(map, place.subject, place.page), group);
        }
    }
}

static void equals_a_slow_model(void **state)
{
    static struct world world;
    srandom(20241125);
    for (unsigned i = 0; i < ROUNDS; i++) {
        make_world(&world);
        struct ksm_map *map = take(&world);
        compare_pages(&world, map);
        compare_groups(&world, map);
        ksm_map_free(map);
    }
}

static void the_most_shared_come_first(void **state)
{
    static struct world world;
    size_t top[16];
    srandom(7);
    for (unsigned i = 0; i < ROUNDS; i++) {
        make_world(&world);
        struct ksm_map *map = take(&world);
        const size_t wanted = roll(16), count = ksm_map_top(map, top, wanted);
        size_t twice = 0, above = 0;
        for (size_t j = 0; j < map->group_count; j++) {
            twice += map->groups[j].mappings > 1;
            above += count && map->groups[j].mappings > map->groups[top[count - 1]].mappings;
        }
        assert_int_equal(count, twice < wanted ? twice : wanted);
        assert_true(above < (count ? count : 1));
        for (size_t j = 1; j < count; j++) {
            const uint32_t before = map->groups[top[j - 1]].mappings;
            assert_true(before > map->groups[top[j]].mappings ||
                        (before == map->groups[top[j]].mappings && top[j - 1] < top[j]));
        }
        ksm_map_free(map);
    }
}

static void addresses_go_by_region(void **state)
{
    struct ksm_region regions[] = {{0, 0x10000000, 2 * MATRIX_PAGE_BYTES},
                                   {0x100000000, 0x50000000, 3 * MATRIX_PAGE_BYTES}};
    struct ksm_subject subject = {.regions = regions, .region_count = 2};
    const struct ksm_subject_list list = {&subject, 1};
    const struct ksm_map map = {.list = &list};
    assert_int_equal(ksm_subject_pages(&subject), 5);
    assert_int_equal(ksm_map_gpa(&map, (struct ksm_place){0, 1}), 0x1000);
    assert_int_equal(ksm_map_gpa(&map, (struct ksm_place){0, 2}), 0x100000000);
    assert_int_equal(ksm_map_hva(&map, (struct ksm_place){0, 4}), 0x50002000);
}

static void what_moved_is_counted_by_state(void **state)
{
    static struct world world;
    struct ksm_difference difference;
    srandom(11);
    for (unsigned i = 0; i < ROUNDS; i++) {
        make_world(&world);
        struct ksm_map *before = take(&world), *after = take(&world);
        uint64_t moved = 0;
        ksm_map_compare(before, after, 0, &difference);
        assert_int_equal(difference.total, 0);
        for (size_t j = 0; j < world.pages[0]; j++)
            if (roll(8) == 0 && ksm_page_state(after->pages[0][j]) != KSM_ZERO) {
                after->pages[0][j] = map_page(KSM_ZERO, 1);
                moved++;
            }
        ksm_map_compare(before, after, 0, &difference);
        assert_int_equal(difference.total, moved);
        for (unsigned j = 0; j < KSM_STATES; j++)
            moved -= difference.moved[j][KSM_ZERO];
        assert_int_equal(moved, 0);
        ksm_map_free(before);
        ksm_map_free(after);
    }
}

static void pagemap_is_read_right(void **state)
{
    uint64_t entries[] = {
        0,
        1ULL << 63 | 1ULL << 55 | 0x1234, /* present, soft-dirty */
        1ULL << 63 | 1ULL << 61 | 0x77,   /* a file's */
        1ULL << 62 | 0x123 << 5 | 1,      /* in swap file 1 */
        1ULL << 62 | 27,                  /* on the move */
        1ULL << 62 | 31,                  /* a marker: there is no page */
        1ULL << 55,                       /* nothing but soft-dirty */
    };
    const uint64_t wanted[] = {
        map_page(KSM_UNTOUCHED, 0), map_page(KSM_PRESENT, 0x1234), map_page(KSM_OTHER, 0x77),
        map_page(KSM_SWAPPED, 0),   map_page(KSM_SWAPPED, 0),      map_page(KSM_UNTOUCHED, 0),
        map_page(KSM_UNTOUCHED, 0),
    };
    map_from_pagemap(entries, 7);
    assert_memory_equal(entries, wanted, sizeof(wanted));
}

static void flags_say_what_a_frame_is(void **state)
{
    const uint64_t anonymous = 1ULL << 12, ksm = 1ULL << 21;
    assert_int_equal(map_kind(anonymous, KSM_BY_FLAG), FRAME_ANONYMOUS);
    assert_int_equal(map_kind(anonymous | ksm, KSM_BY_FLAG), FRAME_MERGED);
    assert_int_equal(map_kind(anonymous | ksm, KSM_BY_MAPPINGS), FRAME_ANONYMOUS);
    assert_int_equal(map_kind(anonymous | 1ULL << 16, KSM_BY_FLAG), FRAME_HUGE);
    assert_int_equal(map_kind(anonymous | 1ULL << 22 | ksm, KSM_BY_MAPPINGS), FRAME_HUGE);
    assert_int_equal(map_kind(1ULL << 24, KSM_BY_FLAG), FRAME_ZERO);
    assert_int_equal(map_kind(1ULL << 24 | 1ULL << 22, KSM_BY_FLAG), FRAME_ZERO);
    assert_int_equal(map_kind(1ULL << 20, KSM_BY_FLAG), FRAME_OTHER);
    assert_int_equal(map_kind(0, KSM_BY_FLAG), FRAME_OTHER);
}

static bool is_kind(uint8_t frame, int kind)
{
    return (frame & KSM_FRAME_KIND) == kind;
}

static void frames_are_numbered_in_order(void **state)
{
    static const uint64_t numbers[] = {3, 4, 63, 64, 4095, 4096, 70000, 1ULL << 24};
    struct ksm_frames frames = {0};
    size_t count;
    assert_null(ksm_frame_touch(&frames, KSM_FRAME_MAX + 1));
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 300; j++) {
            uint8_t *frame = ksm_frame_touch(&frames, numbers[i]);
            assert_non_null(frame);
            ksm_frame_meet(frame);
        }
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(frames.table[numbers[i]], KSM_FRAME_TWICE);
    *ksm_frame_touch(&frames, 64) |= 5;   /* not of that kind */
    *ksm_frame_touch(&frames, 5000) |= 0; /* never met */
    assert_int_equal(ksm_frames_choose(&frames, is_kind, 0, 7, &count), 0);
    assert_int_equal(count, 7);
    for (size_t i = 0, number = 0; i < 8; i++)
        if (numbers[i] != 64)
            assert_int_equal(ksm_frame_chosen(&frames, numbers[i]), number++);
    assert_int_equal(frames.table[70000], KSM_FRAME_TWICE | 7);
    ksm_frames_free(&frames);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_slow_model),
        cmocka_unit_test(the_most_shared_come_first),
        cmocka_unit_test(addresses_go_by_region),
        cmocka_unit_test(what_moved_is_counted_by_state),
        cmocka_unit_test(pagemap_is_read_right),
        cmocka_unit_test(flags_say_what_a_frame_is),
        cmocka_unit_test(frames_are_numbered_in_order),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
