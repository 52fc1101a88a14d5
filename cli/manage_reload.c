// SPDX-License-Identifier: GPL-2.0-or-later
/* `matrix reload`: a running cloud reads its file again. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/table.h"
#include "cli/common.h"
#include "cli/manage.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WAIT_NS       300000000000ULL /* as long as the unit gives it */
#define WAIT_PAUSE_US 10000

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

/* --- asked ------------------------------------------------------------------------------------- */

/* Waits until it is done; *answer is the first part of what became of it. */
static struct matrix_error *wait_for_end(const char *socket, json_int_t number, json_t **answer)
{
    const uint64_t until_ns = clock_now_ns(CLOCK_MONOTONIC) + WAIT_NS;
    for (;;) {
        RETURN_IF_ERROR(control_command_at(socket, 0, "reloaded", NULL, answer));
        const char *state = text_of(*answer, "state");
        if (json_integer_value(json_object_get(*answer, "reload")) != number)
            return error_new(MATRIX_ERROR_HOST, 0, "ask again",
                             "wait for the reload: another has begun meanwhile");
        if (!state)
            return error_host(EPROTO, "read what became of the reload");
        if (strcmp(state, "checking") != 0 && strcmp(state, "changing") != 0)
            return NULL;
        if (clock_now_ns(CLOCK_MONOTONIC) > until_ns)
            return error_host(ETIMEDOUT, "wait for the reload");
        json_decref(TAKE(*answer));
        usleep(WAIT_PAUSE_US);
    }
}

/* Appends the rest of the changes to those of the first answer. */
static struct matrix_error *ask_for_rest(const char *socket, json_t *answer)
{
    json_t *changes = json_object_get(answer, "changes");
    json_int_t from = json_integer_value(json_object_get(answer, "next"));
    if (!json_is_array(changes))
        return error_host(EPROTO, "read what the reload changed");
    while (from > 0) {
        json_t *more = NULL;
        RETURN_IF_ERROR(
            control_command_at(socket, 0, "reloaded", json_pack("{s:I}", "from", from), &more));
        const json_int_t next = json_integer_value(json_object_get(more, "next"));
        json_array_extend(changes, json_object_get(more, "changes"));
        json_decref(more);
        /* Whoever answers, it comes to an end. */
        from = next > from ? next : 0;
    }
    return NULL;
}

static struct matrix_error *refused(const json_t *answer)
{
    const char *state = text_of(answer, "state"), *error = text_of(answer, "error");
    if (state && strcmp(state, "refused") != 0)
        return NULL;
    CLEANUP_FREE char *message = cli_escape(error ? error : "?");
    const char *remedy = text_of(answer, "remedy");
    CLEANUP_FREE char *help = remedy ? cli_escape(remedy) : NULL;
    return error_usage(help, "%s: nothing was changed", message ? message : "?");
}

/* --- told -------------------------------------------------------------------------------------- */

static void add_row(struct table *table, const json_t *change)
{
    const char *guest = text_of(change, "guest"), *group = text_of(change, "group");
    const char *word = text_of(change, "change"), *error = text_of(change, "error");
    const json_t *keys = json_object_get(change, "keys");
    CLEANUP_FREE char *name = cli_escape(guest ? guest : group ? group : "?");
    CLEANUP_FREE char *shown = cli_escape(word ? word : "?");
    CLEANUP_FREE char *why = cli_escape(error ? error : "");
    char list[256] = "";
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        const size_t length = strlen(list);
        snprintf(list + length, sizeof(list) - length, "%s%.32s", i ? ", " : "", key ? key : "?");
    }
    CLEANUP_FREE char *what = cli_escape(list);
    table_cell(table, "%s%s", name ? name : "?", guest ? "" : " (group)");
    table_cell(table, "%s", shown ? shown : "?");
    table_cell(table, "%s%s%s", what ? what : "", error ? " failed: " : "", why ? why : "");
}

static struct matrix_error *print_text(const json_t *answer)
{
    static const struct table_column columns[] = {
        {"guest", TABLE_LEFT}, {"change", TABLE_LEFT}, {"keys", TABLE_LEFT}};
    const json_t *changes = json_object_get(answer, "changes");
    const json_t *later = json_object_get(answer, "later");
    struct table *table;
    RETURN_IF_ERROR(table_create(columns, sizeof(columns) / sizeof(columns[0]), &table));
    for (size_t i = 0; i < json_array_size(changes); i++)
        add_row(table, json_array_get(changes, i));
    struct matrix_error *error = table_print(table, stdout);
    table_destroy(table);
    for (size_t i = 0; i < json_array_size(later); i++) {
        const char *key = json_string_value(json_array_get(later, i));
        CLEANUP_FREE char *name = cli_escape(key ? key : "?");
        printf("%s has changed: that holds when the cloud starts again.\n", name ? name : "?");
    }
    if (json_is_true(json_object_get(answer, "check")))
        puts("Nothing was changed: this is what a reload would do.");
    return error;
}

static struct matrix_error *print(const struct manage_options *options, json_t *answer)
{
    if (!options->json)
        return print_text(answer);
    json_object_del(answer, "next");
    const bool printed = json_dumpf(answer, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF &&
                         fflush(stdout) != EOF;
    return printed ? NULL : error_host(errno, "print JSON");
}

/* The table says which, and why. */
static struct matrix_error *count_failures(const json_t *answer)
{
    const json_t *changes = json_object_get(answer, "changes");
    size_t failed = 0;
    for (size_t i = 0; i < json_array_size(changes); i++)
        failed += text_of(json_array_get(changes, i), "error") != NULL;
    if (failed == 0)
        return NULL;
    return error_new(MATRIX_ERROR_HOST, 0, "reload once more when there is room for them",
                     "%zu changes could not be made", failed);
}

/* Those that start have come to run, or it is said why not. */
static struct matrix_error *wait_for_guests(const char *socket, const json_t *answer)
{
    const json_t *changes = json_object_get(answer, "changes");
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *change = json_array_get(changes, i);
        const char *guest = text_of(change, "guest"), *word = text_of(change, "change");
        json_t *now = NULL;
        if (!guest || !word || (strcmp(word, "added") != 0 && strcmp(word, "restarted") != 0))
            continue;
        RETURN_IF_ERROR(
            control_command_at(socket, 0, "guest", json_pack("{s:s}", "guest", guest), &now));
        struct matrix_error *error = manage_wait(socket, guest, &now);
        json_decref(now);
        RETURN_IF_ERROR(error);
    }
    return NULL;
}

static struct matrix_error *reload(const struct manage_options *options, const char *socket,
                                   json_t **answer)
{
    RETURN_IF_ERROR(control_command_at(socket, 0, "reload",
                                       json_pack("{s:b}", "check", (int)options->check), answer));
    const json_int_t number = json_integer_value(json_object_get(*answer, "reload"));
    json_decref(TAKE(*answer));
    RETURN_IF_ERROR(wait_for_end(socket, number, answer));
    RETURN_IF_ERROR(refused(*answer));
    RETURN_IF_ERROR(ask_for_rest(socket, *answer));
    RETURN_IF_ERROR(print(options, *answer));
    RETURN_IF_ERROR(count_failures(*answer));
    return options->check || options->no_wait ? NULL : wait_for_guests(socket, *answer);
}

struct matrix_error *manage_reload(const struct manage_options *options)
{
    char socket[PATH_MAX];
    json_t *answer = NULL;
    if (options->count)
        return error_usage("a cloud reads the file that it was started with; --cloud says which",
                           "reload takes no arguments");
    RETURN_IF_ERROR(manage_find_cloud(options, socket));
    struct matrix_error *error = reload(options, socket, &answer);
    json_decref(answer);
    return error;
}
