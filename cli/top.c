// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix-top, which `matrix top` starts: cores, groups and guests on a whole screen, and keys to change something.
 * It reads the boards of those who run guests, who notice nothing; what is changed goes over their control sockets.
 * See top.h.
 */
#include "cli/top.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include "cli/look.h"
#include "cli/terminal.h"
#include <argp.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "matrix top"

#define INTERVAL_DEFAULT_NS 1000000000ULL
#define INTERVAL_MINIMUM_NS 100000000ULL

struct top {
    struct top_source source;
    struct status status;
    struct top_model model;
    struct top_memory memory;
    struct top_view view;
    bool json, once;
};

/* --- the command line ------------------------------------------------------------------------ */

static const struct argp_option option_table[] = {
    {"interval", 'i', "DURATION", 0, "How often it looks; 100ms or more (1s)", 0},
    {"sort", 's', "COLUMN", 0,
     "name, state, weight, due, share (default), error, exits, cpu or memory", 0},
    {"once", '1', NULL, 0, "Two looks, an interval apart, and print what there is to see", 0},
    {"json", 'j', NULL, 0, "The same as JSON, with units in the names", 0},
    {0},
};

static struct matrix_error *set_interval(struct top *top, const char *text)
{
    RETURN_IF_ERROR(error_prefix(parse_duration(text, &top->view.interval_ns), "--interval"));
    if (top->view.interval_ns < INTERVAL_MINIMUM_NS)
        return error_usage("use 100ms or more: so often is there something new", "--interval %s",
                           text);
    return NULL;
}

static struct matrix_error *set_sort(struct top *top, const char *text)
{
    for (unsigned i = 0; i < TOP_SORTS; i++)
        if (strcmp(top_sort_names[i], text) == 0) {
            top->view.order.sort = (enum top_sort)i;
            return NULL;
        }
    return error_usage("name, state, weight, due, share, error, exits, cpu, memory",
                       "--sort %s: there is no such column", text);
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct top *top = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'i':
        error = set_interval(top, argument);
        break;
    case 's':
        error = set_sort(top, argument);
        break;
    case '1':
        top->once = true;
        break;
    case 'j':
        top->json = true;
        break;
    case ARGP_KEY_ARG:
        if (top->source.target)
            argp_usage(state);
        top->source.target = argument;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error)
        exit(cli_fail(PROGRAM, error));
    return 0;
}

static const struct argp argp = {
    .options = option_table,
    .parser = parse_option,
    .args_doc = "[PID|SOCKET]",
    .doc = "Shows on a whole screen what the guests get that run here, or those of one process: "
           "cores, "
           "groups and guests, their shares against the contract, exits, delays and memory. Keys "
           "pause and "
           "stop them and change weights; h tells which. SOCKET is the path of a control socket.\v"
           "Exit status: 0; 128 + the signal that ended it; 122 bad usage, no terminal, or a "
           "process that "
           "runs no guests; 125 nobody runs any, or the host refused.",
};

/* --- a look ---------------------------------------------------------------------------------- */

static void say(struct top *top, struct matrix_error *error)
{
    snprintf(top->view.message, sizeof(top->view.message), "%s", error->message);
    top->view.is_error = true;
    matrix_error_free(error);
}

static struct matrix_error *arrange(struct top *top)
{
    top_model_free(&top->model);
    RETURN_IF_ERROR(top_model_make(&top->model, &top->status, &top->view.order));
    top_view_select(&top->view, &top->model);
    return NULL;
}

static struct matrix_error *look(struct top *top)
{
    struct matrix_error *complaint = NULL;
    top_model_free(&top->model); /* it refers to the look before */
    RETURN_IF_ERROR(top_look(&top->source, &top->status, &complaint));
    if (complaint)
        say(top, complaint);
    RETURN_IF_ERROR(top_memory_look(&top->memory, &top->status));
    return arrange(top);
}

static struct top_scene scene_of(struct top *top, char time_text[static 16])
{
    const time_t now = time(NULL);
    struct tm local;
    if (!localtime_r(&now, &local) || !strftime(time_text, 16, "%H:%M:%S", &local))
        time_text[0] = '\0';
    return (struct top_scene){&top->status, &top->model, &top->memory, &top->view, time_text};
}

static bool has_utf8(void)
{
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
}

/* --- once ------------------------------------------------------------------------------------ */

static unsigned columns_once(void)
{
    uint64_t columns = 80;
    unsigned rows, wide;
    const char *text = getenv("COLUMNS");
    struct matrix_error *error = text ? parse_u64(text, 1, 1000, &columns) : NULL;
    matrix_error_free(error);
    if (!text && isatty(STDOUT_FILENO)) {
        terminal_size(&wide, &rows);
        columns = wide;
    }
    return columns < TOP_COLUMNS_LEAST ? TOP_COLUMNS_LEAST : (unsigned)columns;
}

static struct matrix_error *print_once(struct top *top)
{
    struct grid grid;
    char time_text[16];
    const struct top_scene scene = scene_of(top, time_text);
    RETURN_IF_ERROR(grid_make(&grid, columns_once(), top_rows_wanted(&scene), has_utf8()));
    top_draw(&grid, &scene);
    grid_write(&grid, stdout, cli_wants_colour(stdout), "\n", "\n");
    grid_free(&grid);
    return fflush(stdout) || ferror(stdout) ? error_host(errno, "write to standard output") : NULL;
}

static struct matrix_error *run_once(struct top *top, int *number)
{
    top->view.is_still = true;
    look_block_ends();
    RETURN_IF_ERROR(look(top));
    *number = look_wait_until(clock_now_ns(CLOCK_MONOTONIC) + top->view.interval_ns);
    if (*number)
        return NULL;
    RETURN_IF_ERROR(look(top));
    return top->json ? cli_json_print(top_json(&top->status, &top->memory), false)
                     : print_once(top);
}

/* --- the screen ------------------------------------------------------------------------------ */

static struct matrix_error *draw(struct top *top)
{
    struct grid grid;
    unsigned columns, rows;
    char time_text[16];
    const struct top_scene scene = scene_of(top, time_text);
    terminal_size(&columns, &rows);
    RETURN_IF_ERROR(grid_make(&grid, columns, rows, has_utf8()));
    top_draw(&grid, &scene);
    struct matrix_error *error = terminal_show(&grid, cli_wants_colour(stdout));
    grid_free(&grid);
    return error;
}

/* The weight is on the board in a moment; until then what is pressed next goes on from it here. */
static void take_weight(const struct status *status, const struct top_action *action)
{
    for (size_t i = 0; i < status->count; i++) {
        const struct status_core *core = &status->cores[i];
        if (core->from.pid != action->who.pid)
            continue;
        for (size_t j = 0; j < core->guest_count && !action->who.is_group; j++)
            if (strcmp(core->guests[j].name, action->who.name) == 0)
                core->guests[j].weight = action->weight;
        for (size_t j = 0; j < core->group_count && action->who.is_group; j++)
            if (strcmp(core->groups[j].name, action->who.name) == 0)
                core->groups[j].weight = action->weight;
    }
}

/* What cannot be done is said, and nothing else comes of it. */
static void act(struct top *top, const struct top_action *action)
{
    char text[128] = "";
    struct matrix_error *error = top_act(&top->source, action, text);
    top->view.is_error = error;
    if (!error && action->verb == TOP_SET)
        take_weight(&top->status, action);
    const bool is_refusal = error && !error->number;
    snprintf(top->view.message, sizeof(top->view.message), "%s%s", is_refusal ? "refused: " : "",
             error ? error->message : text);
    matrix_error_free(error);
}

static struct matrix_error *press(struct top *top, int key, bool *goes_on)
{
    const struct top_action action = top_key(&top->view, &top->model, key);
    *goes_on = action.verb != TOP_QUIT;
    if (action.verb == TOP_LOOK)
        return look(top);
    if (action.verb > TOP_LOOK)
        act(top, &action);
    return arrange(top);
}

static struct matrix_error *show(struct top *top, int *number)
{
    const uint64_t started_ns = clock_now_ns(CLOCK_MONOTONIC);
    uint64_t next_ns = look_next(started_ns, top->view.interval_ns, 0);
    for (bool goes_on = true; goes_on;) {
        int value = 0;
        RETURN_IF_ERROR(draw(top));
        switch (terminal_wait(next_ns, &value)) {
        case TERMINAL_TIME:
            next_ns = look_next(started_ns, top->view.interval_ns, 0);
            if (!top->view.is_frozen)
                RETURN_IF_ERROR(look(top));
            break;
        case TERMINAL_KEY:
            RETURN_IF_ERROR(press(top, value, &goes_on));
            break;
        case TERMINAL_SIGNAL:
            *number = value;
            return NULL;
        case TERMINAL_REDRAW:
            break;
        }
    }
    return NULL;
}

static struct matrix_error *run(struct top *top, int *number)
{
    if (top->once || top->json)
        return run_once(top, number);
    /* What is wrong from the beginning is said on the terminal as it is. */
    RETURN_IF_ERROR(look(top));
    RETURN_IF_ERROR(terminal_begin());
    struct matrix_error *error = show(top, number);
    terminal_end();
    return error;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    setlocale(LC_CTYPE, ""); /* whether the terminal takes UTF-8; numbers stay in C */
    static struct top top = {
        .view = {.interval_ns = INTERVAL_DEFAULT_NS, .order = {.sort = TOP_BY_SHARE}}};
    int number = 0;
    cli_parse(PROGRAM, &argp, argc, argv, 0, &top);
    struct matrix_error *error = run(&top, &number);
    top_model_free(&top.model);
    top_memory_free(&top.memory);
    status_free(&top.status);
    if (error)
        return cli_fail(PROGRAM, error);
    return number ? EXIT_SIGNAL + number : EXIT_SUCCESS;
}
