// SPDX-License-Identifier: GPL-2.0-or-later
/* What the keys of `matrix top` do; see top.h. */
#include "cli/keys.h"
#include "cli/top.h"
#include <matrix/core.h>
#include <stdlib.h>
#include <string.h>

/* --- who is selected -------------------------------------------------------------------------- */

static struct top_selected name_row(const struct top_row *row)
{
    struct top_selected who = {.is_somebody = true,
                               .is_group = !row->guest,
                               .pid = row->core->from.pid,
                               .id = row->guest ? row->guest->id : 0};
    snprintf(who.name, sizeof(who.name), "%s", row->name);
    return who;
}

/* A guest that was moved has another id there. */
static bool is_row(const struct top_selected *who, const struct top_row *row, bool exactly)
{
    return who->is_group == !row->guest && who->pid == row->core->from.pid &&
           strcmp(who->name, row->name) == 0 &&
           (!exactly || !row->guest || row->guest->id == who->id);
}

static bool find(struct top_view *view, const struct top_model *model, bool exactly)
{
    for (size_t i = 0; i < model->count; i++)
        if (is_row(&view->selected, &model->rows[i], exactly)) {
            view->index = i;
            return true;
        }
    return false;
}

static void select_index(struct top_view *view, const struct top_model *model, size_t index)
{
    view->selected.is_somebody = false;
    view->index = 0;
    if (model->count == 0 || view->is_still)
        return;
    view->index = index < model->count ? index : model->count - 1;
    view->selected = name_row(&model->rows[view->index]);
}

void top_view_select(struct top_view *view, const struct top_model *model)
{
    if (!view->is_touched)
        select_index(view, model, 0);
    else if (view->selected.is_somebody && (find(view, model, true) || find(view, model, false)))
        view->selected = name_row(&model->rows[view->index]);
    else
        select_index(view, model, view->index);
}

static void move(struct top_view *view, const struct top_model *model, long by)
{
    const long to = (long)view->index + by;
    select_index(view, model, to > 0 ? (size_t)to : 0);
}

/* --- actions ---------------------------------------------------------------------------------- */

unsigned top_weight_next(unsigned weight, int direction)
{
    const unsigned step = weight / 10 ? weight / 10 : 1;
    if (direction < 0)
        return weight > step + 1 ? weight - step : 1;
    return weight < MATRIX_WEIGHT_MAX - step ? weight + step : MATRIX_WEIGHT_MAX;
}

static struct top_action about_selected(struct top_view *view, enum top_verb verb)
{
    if (view->selected.is_somebody)
        return (struct top_action){.verb = verb, .who = view->selected};
    snprintf(view->message, sizeof(view->message), "nobody is selected");
    view->is_error = true;
    return (struct top_action){TOP_NOTHING};
}

static struct top_action refuse_group(struct top_view *view, const char *verb)
{
    snprintf(view->message, sizeof(view->message), "%s: select a guest; a group is not %s", verb,
             strcmp(verb, "stop") == 0 ? "stopped" : "paused");
    view->is_error = true;
    return (struct top_action){TOP_NOTHING};
}

static struct top_action pause_or_resume(struct top_view *view, const struct top_model *model)
{
    struct top_action action = about_selected(view, TOP_PAUSE);
    if (action.verb == TOP_NOTHING)
        return action;
    if (action.who.is_group)
        return refuse_group(view, "pause");
    if (strcmp(model->rows[view->index].guest->state, "paused") == 0)
        action.verb = TOP_RESUME;
    return action;
}

static struct top_action change_weight(struct top_view *view, const struct top_model *model,
                                       int direction)
{
    struct top_action action = about_selected(view, TOP_SET);
    if (action.verb == TOP_SET)
        action.weight = top_weight_next(model->rows[view->index].weight, direction);
    return action;
}

static struct top_action ask(struct top_view *view, enum top_asks asks)
{
    const struct top_action action = about_selected(view, TOP_NOTHING);
    if (!view->selected.is_somebody)
        return action;
    if (asks == TOP_ASKS_STOP && view->selected.is_group)
        return refuse_group(view, "stop");
    view->asks = asks;
    view->typed[0] = '\0';
    return action;
}

/* --- what was asked is answered --------------------------------------------------------------- */

static struct top_action type_weight(struct top_view *view, int key)
{
    const size_t length = strlen(view->typed);
    if (key >= '0' && key <= '9' && length + 1 < sizeof(view->typed)) {
        view->typed[length] = (char)key;
        view->typed[length + 1] = '\0';
    } else if (key == KEY_BACKSPACE && length) {
        view->typed[length - 1] = '\0';
    } else if (key == KEY_ESCAPE) {
        view->asks = TOP_ASKS_NOTHING;
    } else if (key == KEY_ENTER) {
        const unsigned long weight = strtoul(view->typed, NULL, 10);
        struct top_action action = about_selected(view, TOP_SET);
        action.weight = (unsigned)weight;
        view->asks = TOP_ASKS_NOTHING;
        if (weight >= 1 && weight <= MATRIX_WEIGHT_MAX)
            return action;
        snprintf(view->message, sizeof(view->message), "a weight is 1 to %d: nothing was changed",
                 MATRIX_WEIGHT_MAX);
        view->is_error = true;
    }
    return (struct top_action){TOP_NOTHING};
}

static struct top_action answer(struct top_view *view, int key)
{
    if (view->asks == TOP_ASKS_WEIGHT)
        return type_weight(view, key);
    const bool stops = view->asks == TOP_ASKS_STOP && (key == 'y' || key == 'Y');
    view->asks = TOP_ASKS_NOTHING;
    return stops ? about_selected(view, TOP_STOP) : (struct top_action){TOP_NOTHING};
}

/* --- keys ------------------------------------------------------------------------------------- */

static void sort_by(struct top_view *view, int step)
{
    view->order.sort = (enum top_sort)(((int)view->order.sort + step + TOP_SORTS) % TOP_SORTS);
    view->order.reverse = false;
}

/* Keys that change only what is seen; false: it is another. */
static bool change_view(struct top_view *view, const struct top_model *model, int key)
{
    const long page = view->page ? (long)view->page : 1;
    switch (key) {
    case KEY_UP:
    case 'k':
        move(view, model, -1);
        return true;
    case KEY_DOWN:
    case 'j':
        move(view, model, 1);
        return true;
    case KEY_PAGE_UP:
        move(view, model, -page);
        return true;
    case KEY_PAGE_DOWN:
        move(view, model, page);
        return true;
    case KEY_HOME:
        select_index(view, model, 0);
        return true;
    case KEY_END:
        select_index(view, model, model->count);
        return true;
    case KEY_LEFT:
    case '<':
        sort_by(view, -1);
        return true;
    case KEY_RIGHT:
    case '>':
        sort_by(view, 1);
        return true;
    case 'r':
        view->order.reverse = !view->order.reverse;
        return true;
    case 'g':
        view->order.flat = !view->order.flat;
        return true;
    case 'h':
    case '?':
        view->asks = TOP_ASKS_HELP;
        return true;
    default:
        return false;
    }
}

struct top_action top_key(struct top_view *view, const struct top_model *model, int key)
{
    view->is_touched = true;
    if (view->asks != TOP_ASKS_NOTHING)
        return answer(view, key);
    view->message[0] = '\0';
    view->is_error = false;
    if (change_view(view, model, key))
        return (struct top_action){TOP_NOTHING};
    switch (key) {
    case 'q':
        return (struct top_action){TOP_QUIT};
    case ' ':
        view->is_frozen = !view->is_frozen;
        return (struct top_action){view->is_frozen ? TOP_NOTHING : TOP_LOOK};
    case 'p':
        return pause_or_resume(view, model);
    case '+':
    case '=': /* the same key without Shift */
        return change_weight(view, model, 1);
    case '-':
        return change_weight(view, model, -1);
    case 'w':
        return ask(view, TOP_ASKS_WEIGHT);
    case 's':
        return ask(view, TOP_ASKS_STOP);
    default:
        return (struct top_action){TOP_NOTHING};
    }
}
