// SPDX-License-Identifier: GPL-2.0-or-later
/* Guests of a running cloud start, stop and change, over its control socket. */
#include "cli/manage.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/parse.h"
#include "base/table.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "ksm/guests.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_NS       30000000000ULL
#define WAIT_PAUSE_US 20000

static char program[32];

const char *manage_program(void)
{
    return program;
}

/* --- the command line -------------------------------------------------------------------------- */

enum {
    KEY_NO_WAIT = 256,
    KEY_GROUP,
    KEY_CLOUD,
    KEY_NAME,
    KEY_MEMORY,
    KEY_OUTPUT,
    KEY_RESTART,
    KEY_MERGEABLE,
    KEY_CONSOLE,
    KEY_CHECK,
    KEY_BACKOFF,
    KEY_AFTER,
    KEY_STOP_WITH
};

/* Of all; then of some. */
#define OPTION_JSON                                              \
    {                                                            \
        "json", 'j', NULL, 0, "JSON, with units in the names", 0 \
    }
#define OPTION_NO_WAIT                                                   \
    {                                                                    \
        "no-wait", KEY_NO_WAIT, NULL, 0, "do not wait until they run", 0 \
    }

static const struct argp_option life_options[] = {OPTION_JSON, OPTION_NO_WAIT, {0}};

static const struct argp_option set_options[] = {
    OPTION_JSON,
    {"group", KEY_GROUP, "GROUP", 0, "the contract of a group, in place of a guest's", 0},
    {"cloud", KEY_CLOUD, "PID|SOCKET", 0, "which cloud's group, if there are several", 0},
    {0},
};

static const struct argp_option add_options[] = {
    OPTION_JSON,
    OPTION_NO_WAIT,
    {"cloud", KEY_CLOUD, "PID|SOCKET", 0, "to which cloud, if there are several", 0},
    {"name", KEY_NAME, "NAME", 0, "the guest's name (default: the image's)", 0},
    {"memory", KEY_MEMORY, "SIZE", 0, "its memory", 0},
    {"output", KEY_OUTPUT, "FILE", 0, "where it prints to", 0},
    {"restart", KEY_RESTART, "POLICY", 0, "never or on-failure", 0},
    {"backoff", KEY_BACKOFF, "DURATION", 0, "with --restart=on-failure: the first pause", 0},
    {"after", KEY_AFTER, "GUEST", 0, "it starts when that one has come to run; may be repeated", 0},
    {"stop-with", KEY_STOP_WITH, "GUEST", 0, "it stops when that one does; may be repeated", 0},
    {"group", KEY_GROUP, "GROUP", 0, "the group that it is in", 0},
    {"console", KEY_CONSOLE, NULL, 0, "give it an input, for matrix attach", 0},
    {"mergeable", KEY_MERGEABLE, NULL, 0, "offer its memory to KSM", 0},
    {0},
};

static const struct argp_option reload_options[] = {
    OPTION_JSON,
    OPTION_NO_WAIT,
    {"cloud", KEY_CLOUD, "PID|SOCKET", 0, "which cloud, if there are several", 0},
    {"check", KEY_CHECK, NULL, 0, "tell what would be changed, and change nothing", 0},
    {0},
};

static struct matrix_error *set_memory(struct manage_options *options, const char *text)
{
    uint64_t bytes = 0;
    RETURN_IF_ERROR(error_prefix(parse_size(text, &bytes), "--memory"));
    json_object_set_new(options->guest, "memory_bytes", json_integer((json_int_t)bytes));
    return NULL;
}

/* A path means the same to the cloud, whose working directory is another. */
static struct matrix_error *set_output(struct manage_options *options, const char *text)
{
    CLEANUP_FREE char *here = getcwd(NULL, 0);
    if (!here)
        return error_host(errno, "ask for the working directory");
    json_object_set_new(
        options->guest, "output",
        json_sprintf("%s%s%s", text[0] == '/' ? "" : here, text[0] == '/' ? "" : "/", text));
    return NULL;
}

static void set_text(struct manage_options *options, const char *member, const char *text)
{
    json_object_set_new(options->guest, member, json_string(text));
}

static struct matrix_error *set_backoff(struct manage_options *options, const char *text)
{
    uint64_t pause_ns = 0;
    RETURN_IF_ERROR(error_prefix(parse_duration(text, &pause_ns), "--backoff"));
    if (pause_ns > INT64_MAX)
        return error_usage("give it a time up to 1m", "--backoff: %s", text);
    json_object_set_new(options->guest, "backoff_ns", json_integer((json_int_t)pause_ns));
    return NULL;
}

static void append_text(struct manage_options *options, const char *member, const char *text)
{
    if (!json_object_get(options->guest, member))
        json_object_set_new(options->guest, member, json_array());
    json_array_append_new(json_object_get(options->guest, member), json_string(text));
}

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct manage_options *options = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case 'j':
        options->json = true;
        break;
    case KEY_NO_WAIT:
        options->no_wait = true;
        break;
    case KEY_GROUP:
        options->group = argument;
        set_text(options, "group", argument);
        break;
    case KEY_CLOUD:
        options->cloud = argument;
        break;
    case KEY_NAME:
        set_text(options, "guest", argument);
        break;
    case KEY_MEMORY:
        error = set_memory(options, argument);
        break;
    case KEY_OUTPUT:
        error = set_output(options, argument);
        break;
    case KEY_RESTART:
        set_text(options, "restart", argument);
        break;
    case KEY_BACKOFF:
        error = set_backoff(options, argument);
        break;
    case KEY_AFTER:
        append_text(options, "after", argument);
        break;
    case KEY_STOP_WITH:
        append_text(options, "stop_with", argument);
        break;
    case KEY_MERGEABLE:
        json_object_set_new(options->guest, "mergeable", json_true());
        break;
    case KEY_CONSOLE:
        json_object_set_new(options->guest, "console", json_true());
        break;
    case KEY_CHECK:
        options->check = true;
        break;
    case ARGP_KEY_ARGS:
        options->arguments = state->argv + state->next;
        options->count = (size_t)(state->argc - state->next);
        break;
    case ARGP_KEY_NO_ARGS:
        if (!options->group && strcmp(options->verb, "reload") != 0)
            argp_error(state, "name a guest");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error)
        exit(cli_fail(program, error));
    return 0;
}

#define STATUS                                                                                \
    "\vGUEST is a name, PID:NAME, or the path of a control socket. Exit status: 0 done, 122 " \
    "bad usage, or nobody of that name, 125 refused, or the guest did not come to run."

static const struct {
    const char *verb;
    struct argp argp;
} verbs[] = {
    {"start", {life_options, parse_option, "GUEST...", "Starts guests that are down." STATUS}},
    {"stop", {life_options, parse_option, "GUEST...", "Ends guests." STATUS}},
    {"restart",
     {life_options, parse_option, "GUEST...", "Ends guests, and starts them again." STATUS}},
    {"pause",
     {life_options, parse_option, "GUEST...",
      "Guests run no more, for now; their share goes to the others." STATUS}},
    {"resume", {life_options, parse_option, "GUEST...", "Paused guests run again." STATUS}},
    {"set",
     {set_options, parse_option, "GUEST weight=N floor=P% ceiling=P% latency=TIME pin=CORE",
      "Changes a contract, from the next slice on; none in the place of a value takes a "
      "limit away." STATUS}},
    {"add",
     {add_options, parse_option, "FILE.yaml\nIMAGE [ARG...]",
      "Adds the guests of a file, or one guest, to a running cloud." STATUS}},
    {"reload",
     {reload_options, parse_option, NULL,
      "A running cloud reads its file again. Guests whose lines did not change go on." STATUS}},
};

#define VERBS (sizeof(verbs) / sizeof(verbs[0]))

/* --- start, stop, … ------------------------------------------------------------------------------ */

struct matrix_error *manage_wait(const char *socket, const char *guest, json_t **answer)
{
    const uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + WAIT_NS;
    const char *life;
    for (;;) {
        life = json_string_value(json_object_get(*answer, "life"));
        if (!life)
            return error_host(EPROTO, "read what became of guest %s", guest);
        if (strcmp(life, "starting") != 0)
            break;
        if (clock_now_ns(CLOCK_MONOTONIC) > until_ns)
            return error_host(ETIMEDOUT, "wait for guest %s to start", guest);
        usleep(WAIT_PAUSE_US);
        json_decref(*answer);
        *answer = NULL;
        RETURN_IF_ERROR(
            control_command_at(socket, 0, "guest", json_pack("{s:s}", "guest", guest), answer));
    }
    const char *error = json_string_value(json_object_get(*answer, "error"));
    if (error && strcmp(life, "running") != 0)
        return error_new(MATRIX_ERROR_HOST, 0, NULL, "guest %s: %s", guest, error);
    return NULL;
}

static struct matrix_error *change_life(const struct manage_options *options, const char *text,
                                        json_t *answers)
{
    struct ksm_guests guests = {0};
    json_t *answer = NULL;
    RETURN_IF_ERROR(ksm_guests_named(text, &guests));
    CLEANUP_FREE struct control_vm *vms = guests.vms;
    if (guests.count != 1)
        return error_usage("write PID:NAME", "%s stands for %zu guests", text, guests.count);
    RETURN_IF_ERROR(control_command(vms, options->verb, NULL, &answer));
    struct matrix_error *error =
        options->no_wait ? NULL : manage_wait(vms->path, vms->name, &answer);
    json_array_append_new(answers, answer);
    return error;
}

static struct matrix_error *change_lives(const struct manage_options *options, json_t *answers)
{
    for (size_t i = 0; i < options->count; i++)
        RETURN_IF_ERROR(change_life(options, options->arguments[i], answers));
    return NULL;
}

/* --- what is told --------------------------------------------------------------------------------- */

static void limit_cell(struct table *table, const json_t *answer, const char *member)
{
    const json_int_t ppm = json_integer_value(json_object_get(answer, member));
    if (ppm > 0)
        table_cell(table, "%g %%", 100.0 * (double)ppm / PARSE_WHOLE);
    else
        table_cell(table, "-");
}

static void add_row(const json_t *answer, struct table *table)
{
    const char *guest = json_string_value(json_object_get(answer, "guest"));
    const char *group = json_string_value(json_object_get(answer, "group"));
    const char *state = json_string_value(json_object_get(answer, "state"));
    CLEANUP_FREE char *name = cli_escape(guest ? guest : group ? group : "?");
    CLEANUP_FREE char *shown = cli_escape(state ? state : "-");
    table_cell(table, "%s%s", name ? name : "?", guest ? "" : " (group)");
    table_cell(table, "%s", shown ? shown : "-");
    table_cell(table, "%lld", json_integer_value(json_object_get(answer, "weight")));
    limit_cell(table, answer, "floor_ppm");
    limit_cell(table, answer, "ceiling_ppm");
    table_cell(table, "%lld", json_integer_value(json_object_get(answer, "restarts")));
}

static struct matrix_error *print_table(const json_t *answers)
{
    static const struct table_column columns[] = {
        {"guest", TABLE_LEFT},  {"state", TABLE_LEFT},    {"weight", TABLE_RIGHT},
        {"floor", TABLE_RIGHT}, {"ceiling", TABLE_RIGHT}, {"restarts", TABLE_RIGHT},
    };
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (size_t i = 0; i < json_array_size(answers); i++)
        add_row(json_array_get(answers, i), table);
    struct matrix_error *error = table_print(table, stdout);
    table_destroy(table);
    return error;
}

static struct matrix_error *print_json(json_t *answers)
{
    for (size_t i = 0; i < json_array_size(answers); i++)
        json_object_del(json_array_get(answers, i), "version");
    json_t *root = json_pack("{s:i, s:O}", "version", 1, "guests", answers);
    const bool printed = root && json_dumpf(root, stdout, JSON_INDENT(2)) == 0 &&
                         putchar('\n') != EOF && fflush(stdout) != EOF;
    json_decref(root);
    return printed ? NULL : error_host(errno, "print JSON");
}

struct matrix_error *manage_print(const struct manage_options *options, json_t *answers)
{
    if (json_array_size(answers) == 0)
        return NULL;
    return options->json ? print_json(answers) : print_table(answers);
}

static const struct argp *find_verb(const char *verb)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i].verb, verb) == 0)
            return &verbs[i].argp;
    return NULL;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    struct manage_options options = {.verb = argc ? argv[0] : "", .guest = json_object()};
    const struct argp *argp = find_verb(options.verb);
    json_t *answers = json_array();
    if (!argp)
        return cli_fail("matrix-manage",
                        error_usage("see matrix --help", "this program is started "
                                                         "by `matrix start` and the like"));
    snprintf(program, sizeof(program), "matrix %s", options.verb);
    /* What follows an image are its own arguments. */
    cli_parse(program, argp, argc, argv, ARGP_IN_ORDER, &options);
    struct matrix_error *error = strcmp(options.verb, "set") == 0   ? manage_set(&options, answers)
                                 : strcmp(options.verb, "add") == 0 ? manage_add(&options, answers)
                                 : strcmp(options.verb, "reload") == 0
                                     ? manage_reload(&options)
                                     : change_lives(&options, answers);
    /* Of several, what was done before one failed is told. */
    struct matrix_error *print_error = manage_print(&options, answers);
    error = error ? error : print_error;
    if (error != print_error)
        matrix_error_free(print_error);
    json_decref(answers);
    json_decref(options.guest);
    return error ? cli_fail(program, error) : EXIT_SUCCESS;
}
