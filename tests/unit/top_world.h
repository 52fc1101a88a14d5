/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What tests of `matrix top` have in common: looks that are made up, the page that comes of them, and keys. */
#ifndef TOP_WORLD_H
#define TOP_WORLD_H

#include "cli/keys.h"
#include "cli/top.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define SECOND 1000000000ULL

/* --- a world: two cores of one process, and one of another ------------------------------------- */

static struct matrix_board_guest now[3][4], before[3][4];
static struct matrix_board_group groups[3][4];
static struct status_core cores[3];
static struct status status = {cores, 3};
static struct top_model model;
static struct top_memory memory;
static struct top_view view;
static char *page;

/* The number of that group, made if it is not there: a guest's, "" for none. */
static inline uint64_t add_group(unsigned core, const char *name, uint64_t parent)
{
    struct status_core *here = &cores[core];
    for (size_t i = 0; i < here->group_count; i++)
        if (strcmp(here->groups[i].name, name) == 0)
            return here->groups[i].id;
    if (!*name)
        return 0;
    struct matrix_board_group *group = &here->groups[here->group_count++];
    *group = (struct matrix_board_group){
        .id = here->group_count, .parent = parent, .weight = 50, .ceiling_ppm = 900000};
    snprintf(group->name, sizeof(group->name), "%s", name);
    return group->id;
}

/* A guest that had so many percent of a second, of so many that it was due. */
static inline struct matrix_board_guest *add_guest(unsigned core, const char *name,
                                                   const char *group, unsigned weight,
                                                   unsigned percent, unsigned due)
{
    const size_t index = cores[core].guest_count++;
    struct matrix_board_guest *guest = &now[core][index], *last = &before[core][index];
    *last = (struct matrix_board_guest){.id = index + 1,
                                        .published_ns = SECOND,
                                        .weight = weight,
                                        .cpu_ns = 5 * SECOND,
                                        .entitled_ns = 7 * SECOND,
                                        .memory_bytes = 16 << 20,
                                        .exits = {1000}};
    snprintf(last->name, sizeof(last->name), "%s", name);
    snprintf(last->group, sizeof(last->group), "%s", group);
    last->group_id = add_group(core, group, 0);
    snprintf(last->state, sizeof(last->state), "ready");
    *guest = *last;
    guest->published_ns = 2 * SECOND;
    guest->cpu_ns += percent * SECOND / 100;
    guest->entitled_ns += due * SECOND / 100;
    guest->exits[0] += 500;
    cores[core].before_count = cores[core].guest_count;
    return guest;
}

static inline void arrange(void)
{
    top_model_free(&model);
    assert_null(top_model_make(&model, &status, &view.order));
    top_view_select(&view, &model);
}

static inline int set_up(void **state)
{
    static const struct top_process processes[] = {{.pid = 100, .guests_bytes = 64 << 20},
                                                   {.pid = 200, .resident_bytes = -1}};
    setlocale(LC_CTYPE, "C.UTF-8");
    memset(now, 0, sizeof(now));
    memset(groups, 0, sizeof(groups));
    for (unsigned i = 0; i < 3; i++)
        cores[i] = (struct status_core){
            .from = {.pid = i < 2 ? 100 : 200},
            .core = {.host_cpu = i < 2 ? (int64_t)i : -1,
                     .published_ns = 2 * SECOND,
                     .guests_cpu_ns = 9 * SECOND,
                     .overhead_ns = SECOND / 100,
                     .delay_count = 3},
            .before_core = {.published_ns = SECOND, .guests_cpu_ns = 8 * SECOND},
            .seen_ns = 2 * SECOND,
            .guests = now[i],
            .groups = groups[i],
            .before = before[i]};
    memory = (struct top_memory){.processes = (struct top_process *)processes, .count = 2};
    view = (struct top_view){.order = {.sort = TOP_BY_SHARE}, .interval_ns = SECOND};
    add_guest(0, "neo", "zion", 70, 60, 70);
    add_guest(0, "trinity", "zion", 10, 10, 10);
    add_guest(0, "smith", "", 30, 30, 20);
    add_guest(2, "neo", "", 1, 100, 0)->alone_cpu_ns = SECOND; /* which is its due, too */
    arrange();
    return 0;
}

static inline int tear_down(void **state)
{
    top_model_free(&model);
    free(page);
    page = NULL;
    return 0;
}

/* The page as text; every row of it ends with |. */
static inline void draw(unsigned columns, unsigned rows, bool utf8)
{
    struct grid grid;
    size_t bytes;
    const struct top_scene scene = {&status, &model, &memory, &view, "12:34:56"};
    assert_null(grid_make(&grid, columns, rows, utf8));
    top_draw(&grid, &scene);
    free(page);
    FILE *file = open_memstream(&page, &bytes);
    grid_write(&grid, file, false, "|\n", "|\n");
    fclose(file);
    grid_free(&grid);
}

static inline void shows(const char *text)
{
    if (!strstr(page, text))
        fail_msg("\"%s\" is not on the page:\n%s", text, page);
}

static inline void hides(const char *text)
{
    if (strstr(page, text))
        fail_msg("\"%s\" is on the page:\n%s", text, page);
}

static inline struct top_action press(int key)
{
    const struct top_action action = top_key(&view, &model, key);
    arrange();
    return action;
}

static inline void rows_are(const char *const *names, size_t count)
{
    assert_int_equal(model.count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(model.rows[i].name, names[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
