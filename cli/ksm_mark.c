// SPDX-License-Identifier: GPL-2.0-or-later
/* matrix ksm mark: a labelled moment in a recording that is being made. */
#include "base/error.h"
#include "cli/common.h"
#include "cli/ksm_record.h"
#include "ksm/store.h"
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "matrix ksm mark"

/* SQLite's, beside a file that is being written. */
#define JOURNAL_SUFFIX "-wal"

/* A label must fit a plot. */
#define TEXT_BYTES_MAX 200

enum { KEY_FILE = 256 };

static const struct argp_option options[] = {
    {"file", KEY_FILE, "FILE", 0, "The recording (the newest ksm-*.sqlite here)", 0},
    {0},
};

struct mark {
    const char *file, *text;
};

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct mark *mark = state->input;
    if (key == KEY_FILE)
        mark->file = value;
    else if (key == ARGP_KEY_ARG && !mark->text)
        mark->text = value;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static int is_recording(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name), end = strlen(KSM_RECORD_SUFFIX);
    return strncmp(entry->d_name, KSM_RECORD_PREFIX, strlen(KSM_RECORD_PREFIX)) == 0 &&
           length > end && strcmp(entry->d_name + length - end, KSM_RECORD_SUFFIX) == 0;
}

/* By name, which begins with date and time; of the same second "ksm-DATE-TIME-2" is after "ksm-DATE-TIME". */
static int by_age(const struct dirent **a, const struct dirent **b)
{
    char names[2][NAME_MAX + 1];
    const struct dirent *const entries[2] = {*a, *b};
    for (int i = 0; i < 2; i++)
        snprintf(names[i], sizeof(names[i]), "%.*s",
                 (int)(strlen(entries[i]->d_name) - strlen(KSM_RECORD_SUFFIX)), entries[i]->d_name);
    return strverscmp(names[0], names[1]);
}

static int is_journal(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name), end = strlen(JOURNAL_SUFFIX);
    return length > end && strcmp(entry->d_name + length - end, JOURNAL_SUFFIX) == 0;
}

/* The first or the last of this directory's entries that are such; *found: there is one. */
static struct matrix_error *find(int (*is_such)(const struct dirent *), bool by_name, bool *found,
                                 char name[NAME_MAX + 1])
{
    struct dirent **entries;
    const int count = scandir(".", &entries, is_such, by_name ? by_age : alphasort);
    if (count < 0)
        return error_host(errno, "look for recordings in this directory");
    *found = count > 0;
    if (count)
        snprintf(name, NAME_MAX + 1, "%s", entries[count - 1]->d_name);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return NULL;
}

/* While one is written it has a journal beside it: that may well be the one that is meant. */
static struct matrix_error *find_newest(char name[NAME_MAX + 1])
{
    bool found;
    char remedy[NAME_MAX + 32] = "name it: --file FILE";
    RETURN_IF_ERROR(find(is_recording, true, &found, name));
    if (found)
        return NULL;
    RETURN_IF_ERROR(find(is_journal, false, &found, name));
    if (found)
        snprintf(remedy, sizeof(remedy), "name it: --file %.*s",
                 (int)(strlen(name) - strlen(JOURNAL_SUFFIX)), name);
    return error_usage(remedy,
                       "there is no " KSM_RECORD_PREFIX "*" KSM_RECORD_SUFFIX " in this directory");
}

static struct matrix_error *run(const struct mark *mark)
{
    char name[NAME_MAX + 1];
    if (!mark->text || !*mark->text)
        return error_usage(PROGRAM " \"VM 1 started\"", "the text is missing");
    if (strlen(mark->text) > TEXT_BYTES_MAX)
        return error_usage(NULL, "the text is longer than %d bytes", TEXT_BYTES_MAX);
    if (!mark->file)
        RETURN_IF_ERROR(find_newest(name));
    return ksm_store_mark_running(mark->file ? mark->file : name, mark->text);
}

int ksm_mark_main(int argc, char **argv)
{
    static const struct argp parser = {
        options,
        parse_argument,
        "TEXT",
        "Marks this moment in a recording that is being made. Plots show it as a labelled line.",
        NULL,
        NULL,
        NULL};
    struct mark mark = {0};
    argp_parse(&parser, argc, argv, 0, NULL, &mark);
    struct matrix_error *error = run(&mark);
    return error ? cli_fail(PROGRAM, error) : EXIT_SUCCESS;
}
