// SPDX-License-Identifier: GPL-2.0-or-later
/* Keys of `matrix top`: how terminals send them, who is selected, and what is asked for. */
#include "top_world.h"

/* --- keys -------------------------------------------------------------------------------------- */

static void who_is_selected_stays_so(void **state)
{
    press(KEY_END);
    assert_string_equal(view.selected.name, "smith");
    press('k');
    assert_string_equal(view.selected.name, "trinity");
    view.order.sort = TOP_BY_NAME;
    arrange();
    assert_string_equal(view.selected.name, "trinity");
    press('g');
    assert_string_equal(view.selected.name, "trinity");
    now[0][1].id = 77; /* another core, say */
    arrange();
    assert_string_equal(view.selected.name, "trinity");
    snprintf(now[0][1].name, sizeof(now[0][1].name), "gone");
    arrange();
    assert_true(view.selected.is_somebody);
    press(KEY_HOME);
    assert_int_equal(view.index, 0);
    press(KEY_UP);
    assert_int_equal(view.index, 0);
}

static void the_page_follows_the_selected(void **state)
{
    press(KEY_END);
    draw(80, 10, true);
    assert_true(view.first_row + view.page > view.index);
    press(KEY_HOME);
    draw(80, 10, true);
    assert_int_equal(view.first_row, 0);
}

static void pause_and_resume(void **state)
{
    press(KEY_END);
    struct top_action action = press('p');
    assert_int_equal(action.verb, TOP_PAUSE);
    assert_string_equal(action.who.name, "smith");
    assert_int_equal(action.who.pid, 100);
    snprintf(now[0][2].state, sizeof(now[0][2].state), "paused");
    action = press('p');
    assert_int_equal(action.verb, TOP_RESUME);
    press(KEY_HOME);
    press(KEY_DOWN);
    assert_int_equal(press('p').verb, TOP_NOTHING);
    assert_true(view.is_error);
}

static void a_weight_changes_by_a_tenth(void **state)
{
    press(KEY_END);
    struct top_action action = press('+');
    assert_int_equal(action.verb, TOP_SET);
    assert_int_equal(action.weight, 33);
    assert_int_equal(press('-').weight, 27);
    press(KEY_HOME);
    press(KEY_DOWN); /* a group */
    action = press('+');
    assert_int_equal(action.verb, TOP_SET);
    assert_true(action.who.is_group);
    assert_int_equal(action.weight, 55);
    assert_int_equal(top_weight_next(30, 1), 33);
    assert_int_equal(top_weight_next(30, -1), 27);
    assert_int_equal(top_weight_next(1, -1), 1);
    assert_int_equal(top_weight_next(2, -1), 1);
    assert_int_equal(top_weight_next(5, 1), 6);
    assert_int_equal(top_weight_next(10000, 1), 10000);
    assert_int_equal(top_weight_next(0, -1), 1);
    assert_int_equal(top_weight_next(UINT32_MAX, 1), 10000);
}

static struct top_action type(const char *keys)
{
    struct top_action action = {TOP_NOTHING};
    for (; *keys; keys++)
        action = press(*keys);
    return action;
}

static void a_weight_is_typed(void **state)
{
    press(KEY_END);
    struct top_action action = type("w15x\x7f"
                                    "0\n");
    assert_int_equal(action.verb, TOP_SET);
    assert_int_equal(action.weight, 10);
    assert_int_equal(type("w0\n").verb, TOP_NOTHING);
    assert_true(view.is_error);
    assert_int_equal(type("w99999999999\n").verb, TOP_NOTHING);
    assert_int_equal(type("w\n").verb, TOP_NOTHING);
    assert_int_equal(type("w5\033").verb, TOP_NOTHING);
    assert_int_equal(view.asks, TOP_ASKS_NOTHING);
}

static void stopping_is_asked_about(void **state)
{
    press(KEY_END);
    assert_int_equal(press('s').verb, TOP_NOTHING);
    draw(80, 24, true);
    shows("Stop smith? It ends.");
    assert_int_equal(press('q').verb, TOP_NOTHING); /* no, and not quit */
    assert_int_equal(type("sy").verb, TOP_STOP);
    press(KEY_HOME);
    press(KEY_DOWN);
    press('s');
    assert_int_equal(view.asks, TOP_ASKS_NOTHING); /* a group is not stopped */
}

static void the_rest_of_the_keys(void **state)
{
    assert_int_equal(press(' ').verb, TOP_NOTHING);
    assert_true(view.is_frozen);
    draw(80, 24, true);
    shows("FROZEN");
    assert_int_equal(press(' ').verb, TOP_LOOK);
    press('?');
    draw(80, 24, true);
    shows("any key: back");
    press('x');
    assert_int_equal(view.asks, TOP_ASKS_NOTHING);
    press(KEY_RIGHT);
    assert_int_equal(view.order.sort, TOP_BY_ERROR);
    press('r');
    assert_true(view.order.reverse);
    for (unsigned i = 0; i < TOP_SORTS; i++)
        press('<');
    assert_int_equal(view.order.sort, TOP_BY_ERROR);
    assert_int_equal(press('q').verb, TOP_QUIT);
    for (int key = -1; key < 0x110; key++)
        press(key);
}

static void nobody_is_there(void **state)
{
    status.count = 0;
    arrange();
    for (int key = -1; key < 0x110; key++) {
        const struct top_action action = press(key);
        assert_true(action.verb <= TOP_LOOK);
    }
    status.count = 3;
}

static void keys_of_several_bytes(void **state)
{
    static const struct {
        const char *bytes;
        int key;
        size_t count;
    } cases[] = {{"q", 'q', 1},
                 {"\033[A", KEY_UP, 3},
                 {"\033OB", KEY_DOWN, 3},
                 {"\033[5~q", KEY_PAGE_UP, 4},
                 {"\033[1~", KEY_HOME, 4},
                 {"\033[1;5A", KEY_OTHER, 6},
                 {"\033[", KEY_OTHER, 0},
                 {"\033", KEY_OTHER, 0},
                 {"", KEY_OTHER, 0},
                 {"\033q", KEY_ESCAPE, 1},
                 {"\r", KEY_ENTER, 1},
                 {"\b", KEY_BACKSPACE, 1},
                 {"\xff", 0xff, 1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int key;
        assert_int_equal(keys_decode(cases[i].bytes, strlen(cases[i].bytes), &key), cases[i].count);
        assert_int_equal(key, cases[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_is_selected_stays_so), TEST(the_page_follows_the_selected),
        TEST(pause_and_resume),         TEST(a_weight_changes_by_a_tenth),
        TEST(a_weight_is_typed),        TEST(stopping_is_asked_about),
        TEST(the_rest_of_the_keys),     TEST(nobody_is_there),
        TEST(keys_of_several_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
