// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix top` without a terminal and without guests: looks become rows, and rows a page. */
#include "top_world.h"

#include <math.h>

/* --- rows -------------------------------------------------------------------------------------- */

static void groups_are_sums_of_their_guests(void **state)
{
    static const char *const names[] = {"neo", "zion", "neo", "trinity", "smith"};
    rows_are(names, 5);
    assert_null(model.rows[1].guest);
    assert_int_equal(model.rows[1].members, 2);
    assert_float_equal(model.rows[1].share, 0.7, 1e-9);
    assert_float_equal(model.rows[1].due, 0.8, 1e-9);
    assert_float_equal(model.rows[1].all_exits_per_s, 1000, 1e-6);
    assert_int_equal(model.rows[1].memory_bytes, 32 << 20);
    assert_float_equal(model.rows[2].share, 0.6, 1e-9);
    assert_float_equal(model.rows[0].due, 1, 1e-9);
    assert_float_equal(model.rows[2].exits_per_s[0], 500, 1e-6);
}

/* The world's zion becomes one of two groups in "city", of which "docks" has a group without guests, too. */
static void groups_are_nested(void **state)
{
    static const char *const names[] = {"neo",     "city",  "zion",  "neo",
                                        "trinity", "docks", "mouse", "smith"};
    cores[0].group_count = 0;
    const uint64_t city = add_group(0, "city", 0);
    const uint64_t zion = add_group(0, "zion", city), docks = add_group(0, "docks", city);
    add_group(0, "empty", docks);
    now[0][0].group_id = now[0][1].group_id = zion;
    add_guest(0, "mouse", "docks", 5, 5, 5);
    arrange();
    rows_are(names, 8);
    assert_int_equal(model.rows[1].members, 3);
    assert_float_equal(model.rows[1].share, 0.75, 1e-9);
    assert_int_equal(model.rows[2].depth, 1);
    assert_int_equal(model.rows[3].depth, 2);
    assert_int_equal(model.rows[7].depth, 0);
    draw(100, 30, true);
    shows(" 0 city          3 guests       50     -   90%");
    shows(" 0   zion        2 guests       50     -   90%");
    shows(" 0     neo       ready          70     -     -");
    shows(" 0 smith         ready          30     -     -");
}

/* Nested deeper than any policy does it, and with a parent that is not there. */
static void groups_may_be_anything(void **state)
{
    static struct matrix_board_group many[1000];
    for (unsigned i = 0; i < 1000; i++)
        many[i] = (struct matrix_board_group){.id = 2 + i, .parent = 1 + i, .weight = 1};
    cores[0].groups = many;
    cores[0].group_count = 1000;
    now[0][0].group_id = 1001;
    now[0][2].group_id = 7777;
    many[2].id = many[3].id; /* two of one number */
    now[0][1].group_id = many[3].id;
    arrange();
    size_t guests = 0;
    for (size_t i = 0; i < model.count; i++) {
        guests += model.rows[i].guest != NULL;
        assert_true(model.rows[i].depth <= 8);
        if (strcmp(model.rows[i].name, "smith") == 0)
            assert_int_equal(model.rows[i].depth, 0);
    }
    assert_int_equal(guests, 4);
    for (unsigned columns = 60; columns < 200; columns += 20)
        draw(columns, 60, true);
    shows("trinity");
}

static void order_is_by_any_column_and_back(void **state)
{
    static const char *const by_name[] = {"neo", "neo", "smith", "trinity"};
    static const char *const by_error[] = {"neo", "smith", "neo", "trinity"};
    static const char *const lightest[] = {"neo", "trinity", "smith", "neo"};
    view.order = (struct top_order){.sort = TOP_BY_NAME, .flat = true};
    arrange();
    rows_are(by_name, 4);
    view.order.sort = TOP_BY_ERROR;
    arrange();
    rows_are(by_error, 4);
    view.order = (struct top_order){.sort = TOP_BY_WEIGHT, .flat = true, .reverse = true};
    arrange();
    rows_are(lightest, 4);
}

static void what_is_unknown_is_no_number(void **state)
{
    cores[2].before = NULL;
    now[0][0].published_ns = SECOND; /* nothing new of it */
    arrange();
    draw(80, 24, true);
    for (size_t i = 0; i < model.count; i++)
        if (model.rows[i].guest && strcmp(model.rows[i].name, "neo") == 0)
            assert_true(isnan(model.rows[i].share) && isnan(model.rows[i].due));
    hides("nan");
}

static void one_that_came_from_elsewhere_has_no_share_yet(void **state)
{
    cores[0].before_count = 2; /* smith was not there */
    arrange();
    for (size_t i = 0; i < model.count; i++)
        if (strcmp(model.rows[i].name, "smith") == 0)
            assert_true(isnan(model.rows[i].share));
}

/* --- the page ---------------------------------------------------------------------------------- */

static void rows_fit_at_every_size(void **state)
{
    for (unsigned columns = 1; columns <= 200; columns += 3)
        for (unsigned rows = 1; rows <= 60; rows += 7) {
            draw(columns, rows, false);
            unsigned count = 0;
            for (char *rest = page, *line; (line = strsep(&rest, "\n")) && *line; count++)
                assert_true(strlen(line) <= columns + 1);
            assert_int_equal(count, rows);
        }
    draw(40, 24, true);
    shows("40x24 is too small");
    draw(60, 9, true);
    shows("60x9 is too small");
    draw(60, 10, true);
    shows("trinity");
    shows("EXITS/S|");
}

static void bars_show_what_is_owed(void **state)
{
    draw(80, 24, false);
    shows("80.0%  70.0% ########-..   1,000|");
    shows("20.0%  30.0% ##+........     500|");
}

static void bar(const char *expected, double share, double due)
{
    struct grid grid;
    size_t bytes;
    assert_null(grid_make(&grid, 10, 1, false));
    top_draw_bar(&grid, 0, 0, 10, share, due);
    free(page);
    FILE *file = open_memstream(&page, &bytes);
    grid_write(&grid, file, false, "", "");
    fclose(file);
    grid_free(&grid);
    assert_string_equal(page, expected);
}

static void bars(void **state)
{
    bar("#######...", 0.7, 0.7);
    bar("#####--...", 0.5, 0.7);
    bar("#####++...", 0.7, 0.5);
    bar("#####.....", 0.5, NAN);
    bar("..........", NAN, NAN);
    bar("##########", 1e300, INFINITY);
    bar("..........", -5, -INFINITY);
}

/* A board can be anybody's. */
static void names_cannot_command_the_terminal(void **state)
{
    struct matrix_board_guest *guest = &now[0][2];
    snprintf(guest->name, sizeof(guest->name),
             "\033[2J\xe2\x80\xae"
             "a\xcc\x81\xff\n");
    snprintf(guest->state, sizeof(guest->state), "\033]0;x\a\xc2\x9b");
    guest->group_id = add_group(0,
                                "\x9b"
                                "31m",
                                0);
    guest->cpu_ns = guest->entitled_ns = guest->exits[0] = guest->memory_bytes = UINT64_MAX;
    now[0][0].cpu_ns = now[0][0].exits[0] = 0;
    cores[0].core.switches = cores[0].core.delay_worst_ns = UINT64_MAX;
    cores[0].core.delay_buckets[0] = cores[0].core.delay_buckets[975] = UINT32_MAX;
    arrange();
    for (unsigned columns = 60; columns < 200; columns += 20) {
        draw(columns, 40, true);
        assert_null(strpbrk(page, "\033\a\r"));
        assert_null(strstr(page, "\xe2\x80\xae"));
        assert_null(strstr(page, "\xc2\x9b"));
    }
    shows("\\x9b31m");
    shows("\\x1b[2J");
}

static void wide_characters_take_two_columns(void **state)
{
    struct grid grid;
    size_t bytes;
    assert_null(grid_make(&grid, 6, 3, true));
    grid_put(&grid, 0, 0, GRID_PLAIN, "天網天網");
    grid_put(&grid, 1, 0, GRID_PLAIN, "天網天");
    grid_put(&grid, 1, 1, GRID_PLAIN, "x"); /* half of one goes with the other half */
    grid_field(&grid, 2, 0, 5, GRID_PLAIN, "天網天");
    free(page);
    FILE *file = open_memstream(&page, &bytes);
    grid_write(&grid, file, false, "|", "|");
    fclose(file);
    grid_free(&grid);
    assert_string_equal(page, "天網天| x網天|天網.|");
}

static void a_core_that_is_silent_or_over_says_so(void **state)
{
    cores[0].seen_ns = 9 * SECOND;
    cores[2].has_ended = true;
    draw(100, 30, true);
    shows("has said nothing for 7.0 s");
    shows("has ended");
}

static void more_than_there_is_room_for(void **state)
{
    draw(80, 10, true);
    shows("... and 3 more cores");
    press(KEY_END);
    draw(80, 10, true);
    shows(">");
    status.count = 0;
    arrange();
    draw(80, 24, true);
    status.count = 3;
    shows("Nobody runs guests here now.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(groups_are_sums_of_their_guests),
        TEST(groups_are_nested),
        TEST(groups_may_be_anything),
        TEST(order_is_by_any_column_and_back),
        TEST(what_is_unknown_is_no_number),
        TEST(one_that_came_from_elsewhere_has_no_share_yet),
        TEST(rows_fit_at_every_size),
        TEST(bars_show_what_is_owed),
        TEST(bars),
        TEST(names_cannot_command_the_terminal),
        TEST(wide_characters_take_two_columns),
        TEST(a_core_that_is_silent_or_over_says_so),
        TEST(more_than_there_is_room_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
