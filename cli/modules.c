// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix-modules, which `matrix modules` starts: loads and unloads Matrix's kernel modules. */
#include "cli/modules.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/table.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include "cli/json.h"
#include <argp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM      "matrix modules"
#define JSON_VERSION 1

/* A module that was named, and the parameters behind it, separated by spaces. */
struct wanted {
    const struct module_kind *kind;
    char *parameters;
};

struct arguments {
    char *const *texts;
    size_t count;
    bool json;
    struct kmod_ctx *context;
    struct wanted *wanted;
    size_t wanted_count;
    json_t *results; /* with --json: an object for each module */
};

/* --- arguments -------------------------------------------------------------------------------- */

static struct matrix_error *add_parameter(struct wanted *wanted, const char *text)
{
    char *joined;
    if (strpbrk(text, " \t\n\"'"))
        return error_usage(NULL, "%s: a parameter with spaces or quotes", text);
    if (asprintf(&joined, "%s%s%s", wanted->parameters ? wanted->parameters : "",
                 wanted->parameters ? " " : "", text) < 0)
        return error_host(ENOMEM, "read the parameter %s", text);
    free(wanted->parameters);
    wanted->parameters = joined;
    return NULL;
}

/* "lkm2 pid=1 lkm1": names, each with its parameters behind it. None at all: the default. */
static struct matrix_error *read_wanted(struct arguments *arguments)
{
    arguments->wanted = calloc(arguments->count + 1, sizeof(*arguments->wanted));
    if (!arguments->wanted)
        return error_host(ENOMEM, "read the arguments");
    struct wanted *last = arguments->wanted;
    for (size_t i = 0; i < arguments->count; i++) {
        const char *text = arguments->texts[i];
        if (strchr(text, '=')) {
            if (arguments->wanted_count == 0)
                return error_usage("matrix modules load NAME PARAMETER=VALUE",
                                   "%s: a parameter without a module before it", text);
            RETURN_IF_ERROR(add_parameter(last, text));
            continue;
        }
        last = &arguments->wanted[arguments->wanted_count++];
        last->kind = modules_find_kind(text);
        if (!last->kind)
            return error_usage("`matrix modules status` lists them", "Matrix has no module %s",
                               text);
    }
    if (arguments->wanted_count == 0) {
        last->kind = modules_find_kind(MODULES_DEFAULT);
        arguments->wanted_count = 1;
    }
    return NULL;
}

/* --- load and unload -------------------------------------------------------------------------- */

/* What is said of a module: a line, or an object. */
static void tell(struct arguments *arguments, const struct wanted *wanted, const char *result,
                 const char *text, const char *file, json_t *log)
{
    if (!arguments->json) {
        printf("%s: %s", wanted->kind->name, text);
        if (file) {
            fputs(", from ", stdout);
            cli_print_escaped(stdout, file);
        }
        putchar('\n');
        return;
    }
    json_array_append_new(arguments->results,
                          json_pack("{s:s, s:s, s:o, s:O?}", "name", wanted->kind->name, "result",
                                    result, "file", file ? cli_json_string(file) : json_null(),
                                    "kernel_log", log));
}

struct log_reader {
    bool json;
    json_t *lines;
};

static void take_line(const char *text, void *context)
{
    const struct log_reader *reader = context;
    if (reader->json) {
        json_array_append_new(reader->lines, cli_json_string(text));
        return;
    }
    fputs("  ", stdout);
    cli_print_escaped(stdout, text);
    putchar('\n');
}

static struct matrix_error *insert(struct arguments *arguments, const struct wanted *wanted,
                                   const struct module_state *state)
{
    struct kmod_module *module;
    struct module_log log;
    int number = kmod_module_new_from_path(arguments->context, state->file, &module);
    if (number < 0)
        return modules_explain_load(wanted->kind->name, state, -number);
    modules_log_open(&log);
    number = kmod_module_insert_module(module, 0, wanted->parameters);
    kmod_module_unref(module);

    json_t *lines = json_array();
    if (number == 0 && !arguments->json)
        tell(arguments, wanted, "loaded", "loaded", state->file, NULL);
    struct log_reader reader = {.json = arguments->json, .lines = lines};
    modules_log_read(&log, wanted->kind->name, take_line, &reader);
    modules_log_close(&log);
    /* Why it failed may stand in the log alone. */
    if (arguments->json)
        tell(arguments, wanted, number == 0 ? "loaded" : "failed", "", state->file, lines);
    json_decref(lines);
    return number == 0 ? NULL : modules_explain_load(wanted->kind->name, state, -number);
}

static struct matrix_error *load(struct arguments *arguments, const struct wanted *wanted)
{
    struct module_state state;
    const char *name = wanted->kind->name;
    if (!modules_supported())
        return modules_explain_unsupported("load", name);
    modules_look(arguments->context, name, &state);
    if (state.loaded && wanted->parameters)
        return error_new(MATRIX_ERROR_HOST, 0, "unload it first",
                         "load %s with %s: it is loaded already, and takes parameters only then",
                         name, wanted->parameters);
    if (state.loaded) {
        tell(arguments, wanted, "already_loaded", "is loaded already", NULL, NULL);
        return NULL;
    }
    if (!state.fits)
        return modules_explain_missing(name, &state);
    return insert(arguments, wanted, &state);
}

static struct matrix_error *unload(struct arguments *arguments, const struct wanted *wanted)
{
    struct kmod_module *module;
    const char *name = wanted->kind->name;
    if (wanted->parameters)
        return error_usage(NULL, "unload %s: it takes no parameters", name);
    if (!modules_supported())
        return modules_explain_unsupported("unload", name);
    int number = kmod_module_new_from_name(arguments->context, name, &module);
    if (number < 0)
        return error_host(-number, "unload %s", name);
    /* Without O_NONBLOCK it would wait for the last user, and nothing could end it. */
    number = kmod_module_remove_module(module, KMOD_REMOVE_NOWAIT);
    kmod_module_unref(module);
    if (number < 0)
        return modules_explain_unload(name, -number);
    tell(arguments, wanted, "unloaded", "unloaded", NULL, NULL);
    return NULL;
}

/* Does it to each; what fails ends it, and what was done before is told all the same. */
static struct matrix_error *each(struct arguments *arguments,
                                 struct matrix_error *(*act)(struct arguments *,
                                                             const struct wanted *))
{
    struct matrix_error *error = NULL;
    arguments->results = json_array();
    for (size_t i = 0; i < arguments->wanted_count && !error; i++)
        error = act(arguments, &arguments->wanted[i]);
    json_t *root = json_pack("{s:i, s:s, s:O}", "version", JSON_VERSION, "kernel", modules_kernel(),
                             "modules", arguments->results);
    if (arguments->json) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(root);
    json_decref(arguments->results);
    return error;
}

static struct matrix_error *command_load(struct arguments *arguments)
{
    return each(arguments, load);
}

static struct matrix_error *command_unload(struct arguments *arguments)
{
    return each(arguments, unload);
}

/* --- status ----------------------------------------------------------------------------------- */

static void status_row(struct table *table, const struct module_kind *kind,
                       const struct module_state *state)
{
    table_cell(table, "%s", kind->name);
    table_cell(table, "%s", state->loaded ? "loaded" : "-");
    table_cell(table, state->loaded ? "%u" : "-", state->users);
    if (state->file[0])
        table_cell(table, state->fits ? "%s" : "%s (not this kernel)", state->built_for);
    else
        table_cell(table, "not built");
    table_cell(table, "%s", kind->purpose);
}

static json_t *status_json(const struct module_kind *kind, const struct module_state *state)
{
    const bool found = state->file[0];
    return json_pack("{s:s, s:s, s:b, s:o, s:o, s:o, s:b}", "name", kind->name, "purpose",
                     kind->purpose, "loaded", state->loaded, "users",
                     state->loaded ? json_integer(state->users) : json_null(), "file",
                     found ? cli_json_string(state->file) : json_null(), "file_kernel",
                     found ? cli_json_string(state->built_for) : json_null(), "fits", state->fits);
}

static struct matrix_error *command_status(struct arguments *arguments)
{
    static const struct table_column columns[] = {{"MODULE", TABLE_LEFT},
                                                  {"STATE", TABLE_LEFT},
                                                  {"USERS", TABLE_RIGHT},
                                                  {"FILE FOR KERNEL", TABLE_LEFT},
                                                  {"WHAT IT DOES", TABLE_LEFT}};
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    json_t *array = json_array();
    for (const struct module_kind *kind = module_kinds; kind->name; kind++) {
        bool named = arguments->count == 0;
        for (size_t i = 0; i < arguments->wanted_count; i++)
            named |= arguments->wanted[i].kind == kind;
        if (!named)
            continue;
        struct module_state state;
        modules_look(arguments->context, kind->name, &state);
        status_row(table, kind, &state);
        json_array_append_new(array, status_json(kind, &state));
    }
    struct matrix_error *error = NULL;
    json_t *root =
        json_pack("{s:i, s:s, s:b, s:o}", "version", JSON_VERSION, "kernel", modules_kernel(),
                  "module_support", modules_supported(), "modules", array);
    if (arguments->json) {
        json_dumpf(root, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        error = table_print(table, stdout);
        printf("kernel %s%s\n", modules_kernel(),
               modules_supported() ? "" : ", which has no modules; `matrix lab` has one");
    }
    json_decref(root);
    table_destroy(table);
    return error;
}

/* --- the program ------------------------------------------------------------------------------ */

static const struct command {
    const char *name, *arguments, *purpose;
    struct matrix_error *(*function)(struct arguments *arguments);
} commands[] = {
    {"load", "[NAME [PARAMETER=VALUE]...]...",
     "Loads modules of Matrix (" MODULES_DEFAULT
     "), and shows what they write to the kernel's log.",
     command_load},
    {"unload", "[NAME...]", "Unloads modules of Matrix (" MODULES_DEFAULT ").", command_unload},
    {"status", "[NAME...]",
     "Lists the modules of Matrix: loaded, by how many used, and for which kernel there is a file.",
     command_status},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct arguments *arguments = state->input;
    switch (key) {
    case 'j':
        arguments->json = true;
        return 0;
    case ARGP_KEY_ARGS:
        arguments->texts = state->argv + state->next;
        arguments->count = (size_t)(state->argc - state->next);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static struct matrix_error *run(const struct command *command, struct arguments *arguments)
{
    struct matrix_error *error = read_wanted(arguments);
    if (!error)
        error = modules_open(&arguments->context);
    if (!error)
        error = command->function(arguments);
    kmod_unref(arguments->context);
    for (size_t i = 0; i < arguments->wanted_count; i++)
        free(arguments->wanted[i].parameters);
    free(arguments->wanted);
    /* Also before an error: what the log says stands in front of it. */
    const bool failed = fflush(stdout) || ferror(stdout);
    return !error && failed ? error_host(errno, "write to standard output") : error;
}

static int show_help(FILE *to, int status)
{
    fputs("Usage: " PROGRAM " COMMAND [--json] [ARGUMENT...]\n\n", to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-7s %s\n", commands[i].name, commands[i].arguments);
    fputs("\n'" PROGRAM " COMMAND --help' tells more.\n", to);
    return status;
}

int main(int argc, char **argv)
{
    cli_open_standard_files();
    const struct command *command = NULL;
    for (size_t i = 0; i < COMMANDS && argc > 1; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            command = &commands[i];
    if (argc < 2 || strcmp(argv[1], "--help") == 0)
        return argc < 2 ? show_help(stderr, EXIT_BAD_USAGE) : show_help(stdout, EXIT_SUCCESS);
    if (!command)
        return cli_fail(PROGRAM,
                        error_usage("see `" PROGRAM " --help`", "no such command: %s", argv[1]));
    char name[64];
    snprintf(name, sizeof(name), PROGRAM " %s", command->name);
    argv[1] = name;
    argp_err_exit_status = EXIT_BAD_USAGE;
    static const struct argp_option options[] = {{"json", 'j', NULL, 0, "One JSON object", 0}, {0}};
    const struct argp parser = {
        options, parse_argument, command->arguments, command->purpose, NULL, NULL, NULL};
    struct arguments arguments = {0};
    argp_parse(&parser, argc - 1, argv + 1, 0, NULL, &arguments);
    struct matrix_error *error = run(command, &arguments);
    return error ? cli_fail(name, error) : EXIT_SUCCESS;
}
