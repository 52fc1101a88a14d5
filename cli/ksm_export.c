// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * matrix ksm export: a recording as CSV, a row for the host and for each process in each sample, or
 * as JSON, an object a line.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "cli/common.h"
#include "cli/json.h"
#include "cli/ksm_record.h"
#include "ksm/recording.h"
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM "matrix ksm export"

#define NS_PER_S 1e9

enum { KEY_CSV = 256 };

static const struct argp_option options[] = {
    {"csv", KEY_CSV, NULL, 0, "CSV, one head and a row for each subject and sample (default)", 0},
    {"json", 'j', NULL, 0, "JSON, an object a line", 0},
    {0},
};

struct export
{
    const char *path;
    bool json, csv;
    struct ksm_recording *recording;
    size_t *by_subject; /* series, those of a subject one behind the other */
    size_t *columns;    /* of each series, from 0 */
    size_t column_count;
    size_t next_mark;
};

static error_t parse_argument(int key, char *value, struct argp_state *state)
{
    struct export *export = state->input;
    if (key == 'j')
        export->json = true;
    else if (key == KEY_CSV)
        export->csv = true;
    else if (key == ARGP_KEY_ARG && !export->path)
        export->path = value;
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

/* A counter's name; what we have computed says so. */
static const char *label(const struct ksm_counter *counter, char text[KSM_NAME_BYTES + 16])
{
    snprintf(text, KSM_NAME_BYTES + 16, "%s%s", counter->name,
             counter->computed ? "_computed" : "");
    return text;
}

/* --- CSV ----------------------------------------------------------------------------------- */

static void csv_text(const char *text)
{
    CLEANUP_FREE char *escaped = cli_escape(text);
    putchar('"');
    for (const char *at = escaped ? escaped : ""; *at; at++) {
        if (*at == '"')
            putchar('"');
        putchar(*at);
    }
    putchar('"');
}

static bool same_counter(const struct ksm_counter *a, const struct ksm_counter *b)
{
    return a->computed == b->computed && strcmp(a->name, b->name) == 0;
}

/* A column for each counter of that name, whoever's; the head has them in order of appearance. */
static void csv_head(struct export *export)
{
    const struct ksm_recording *recording = export->recording;
    char text[KSM_NAME_BYTES + 16];
    fputs("session,time_s,realtime_ns,missed,subject,pid,start_time_ns,mark", stdout);
    for (size_t i = 0; i < recording->series_count; i++) {
        size_t before = 0;
        while (!same_counter(&recording->series[before].counter, &recording->series[i].counter))
            before++;
        export->columns[i] = before < i ? export->columns[before] : export->column_count;
        if (before < i)
            continue;
        export->column_count++;
        putchar(',');
        cli_print_escaped(stdout, label(&recording->series[i].counter, text));
    }
    putchar('\n');
}

static void csv_value(const struct ksm_value *value)
{
    if (value && value->kind == KSM_NUMBER)
        printf("%" PRId64, value->number);
    else if (value && value->kind == KSM_TEXT)
        csv_text(value->text);
}

static void csv_begin(const struct export *export, size_t session, uint64_t time_ns,
                      uint64_t realtime_ns)
{
    printf("%" PRId64 ",%.9f,%" PRIu64 ",", export->recording->sessions[session].id,
           (double)time_ns / NS_PER_S, realtime_ns);
}

static void csv_mark(const struct export *export, const struct ksm_mark *mark)
{
    csv_begin(export, mark->session, mark->time_ns, mark->realtime_ns);
    fputs(",mark,,,", stdout);
    csv_text(mark->text);
    for (size_t i = 0; i < export->column_count; i++)
        putchar(',');
    putchar('\n');
}

/* The values of one subject, which are series[0] to series[count - 1]. */
static void csv_subject(const struct export *export, const struct ksm_step *step,
                        const struct ksm_subject_record *subject, const size_t *series,
                        size_t count)
{
    csv_begin(export, step->session, step->time_ns, step->realtime_ns);
    printf("%" PRIu64 ",", step->missed);
    csv_text(subject->name);
    if (subject->scope == KSM_SCOPE_PROCESS)
        printf(",%d,%" PRIu64 ",", subject->pid, subject->start_time_ns);
    else
        fputs(",,,", stdout);
    for (size_t column = 0; column < export->column_count; column++) {
        putchar(',');
        for (size_t i = 0; i < count; i++)
            if (export->columns[series[i]] == column)
                csv_value(&step->values[series[i]]);
    }
    putchar('\n');
}

/* --- JSON ---------------------------------------------------------------------------------- */

static struct matrix_error *json_sessions(const struct export *export)
{
    for (size_t i = 0; i < export->recording->session_count; i++) {
        const struct ksm_session *session = &export->recording->sessions[i];
        json_t *root = json_pack(
            "{s:s, s:i, s:I, s:o, s:I, s:o, s:o, s:I, s:I, s:I, s:I}", "type", "session", "version",
            1, "session", (json_int_t)session->id, "title", cli_json_string(session->title),
            "started_realtime_ns", (json_int_t)session->started_realtime_ns, "kernel",
            cli_json_string(session->kernel), "processor", cli_json_string(session->processor),
            "cpus", (json_int_t)session->cpus, "memory_bytes", (json_int_t)session->memory_bytes,
            "page_bytes", (json_int_t)session->page_bytes, "interval_ns",
            (json_int_t)session->interval_ns);
        if (root)
            json_object_set_new(root, "ended_ns",
                                session->ended_ns ? json_integer((json_int_t)session->ended_ns)
                                                  : json_null());
        RETURN_IF_ERROR(cli_json_print(root, true));
    }
    return NULL;
}

static struct matrix_error *json_mark(const struct export *export, const struct ksm_mark *mark)
{
    return cli_json_print(json_pack("{s:s, s:I, s:f, s:I, s:o}", "type", "mark", "session",
                                    (json_int_t) export->recording->sessions[mark->session].id,
                                    "time_s", (double)mark->time_ns / NS_PER_S, "realtime_ns",
                                    (json_int_t)mark->realtime_ns, "text",
                                    cli_json_string(mark->text)),
                          true);
}

static json_t *json_subject(const struct export *export, const struct ksm_step *step,
                            const size_t *series, size_t count)
{
    char text[KSM_NAME_BYTES + 16];
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++) {
        const struct ksm_value *value = &step->values[series[i]];
        const char *name = label(&export->recording->series[series[i]].counter, text);
        if (value->kind == KSM_NUMBER)
            json_object_set_new(object, name, json_integer(value->number));
        else if (value->kind == KSM_TEXT)
            json_object_set_new(object, name, cli_json_string(value->text));
    }
    return object;
}

/* --- both ---------------------------------------------------------------------------------- */

static struct matrix_error *show_marks(struct export *export, const struct ksm_step *step)
{
    const struct ksm_recording *recording = export->recording;
    for (; export->next_mark < recording->mark_count; export->next_mark++) {
        const struct ksm_mark *mark = &recording->marks[export->next_mark];
        if (step && (mark->session > step->session ||
                     (mark->session == step->session && mark->time_ns > step->time_ns)))
            return NULL;
        if (export->json)
            RETURN_IF_ERROR(json_mark(export, mark));
        else
            csv_mark(export, mark);
    }
    return NULL;
}

static bool has_values(const struct ksm_step *step, const size_t *series, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (step->values[series[i]].kind != KSM_NOTHING)
            return true;
    return false;
}

static void json_add(const struct export *export, const struct ksm_step *step, json_t *root,
                     const struct ksm_subject_record *subject, const size_t *series, size_t count)
{
    json_t *object = json_subject(export, step, series, count);
    if (subject->scope == KSM_SCOPE_HOST) {
        json_object_set_new(root, "host", object);
        return;
    }
    json_object_set_new(object, "pid", json_integer(subject->pid));
    json_object_set_new(object, "name", cli_json_string(subject->name));
    json_object_set_new(object, "start_time_ns", json_integer((json_int_t)subject->start_time_ns));
    json_array_append_new(json_object_get(root, "processes"), object);
}

static struct matrix_error *show_step(const struct ksm_step *step, void *context)
{
    struct export *export = context;
    const struct ksm_recording *recording = export->recording;
    json_t *root = NULL;
    RETURN_IF_ERROR(show_marks(export, step));
    if (export->json)
        root = json_pack("{s:s, s:I, s:f, s:I, s:I, s:[]}", "type", "sample", "session",
                         (json_int_t)recording->sessions[step->session].id, "time_s",
                         (double)step->time_ns / NS_PER_S, "realtime_ns",
                         (json_int_t)step->realtime_ns, "missed", (json_int_t)step->missed,
                         "processes");
    for (size_t i = 0, count; i < recording->series_count; i += count) {
        const size_t *series = export->by_subject + i;
        const size_t index = recording->series[*series].subject;
        const struct ksm_subject_record *subject = &recording->subjects[index];
        for (count = 1; i + count < recording->series_count &&
                        recording->series[series[count]].subject == index;)
            count++;
        if (subject->session != step->session || !has_values(step, series, count))
            continue;
        if (root)
            json_add(export, step, root, subject, series, count);
        else if (!export->json)
            csv_subject(export, step, subject, series, count);
    }
    if (export->json)
        return cli_json_print(root, true);
    return ferror(stdout) ? error_host(errno, "write to standard output") : NULL;
}

static int compare_subjects(const void *a, const void *b, void *context)
{
    const struct ksm_series *series = context;
    const size_t first = *(const size_t *)a, second = *(const size_t *)b;
    if (series[first].subject != series[second].subject)
        return series[first].subject < series[second].subject ? -1 : 1;
    return (first > second) - (first < second);
}

static struct matrix_error *show(struct export *export)
{
    const struct ksm_recording *recording = export->recording;
    export->by_subject = calloc(recording->series_count + 1, sizeof(size_t));
    export->columns = calloc(recording->series_count + 1, sizeof(size_t));
    if (export->json && export->csv)
        return error_usage("choose one", "--csv and --json exclude each other");
    if (!export->by_subject || !export->columns)
        return error_host(ENOMEM, "read %s", recording->path);
    for (size_t i = 0; i < recording->series_count; i++)
        export->by_subject[i] = i;
    if (recording->series_count)
        qsort_r(export->by_subject, recording->series_count, sizeof(size_t), compare_subjects,
                recording->series);
    if (export->json)
        RETURN_IF_ERROR(json_sessions(export));
    else
        csv_head(export);
    RETURN_IF_ERROR(ksm_recording_walk(recording, show_step, export));
    RETURN_IF_ERROR(show_marks(export, NULL));
    return fflush(stdout) ? error_host(errno, "write to standard output") : NULL;
}

int ksm_export_main(int argc, char **argv)
{
    static const struct argp parser = {
        options, parse_argument, "RECORDING", "Prints what `matrix ksm record` has recorded.",
        NULL,    NULL,           NULL};
    struct export export = {0};
    argp_parse(&parser, argc, argv, 0, NULL, &export);
    struct matrix_error *error =
        export.path ? ksm_recording_open(export.path, &export.recording)
                    : error_usage("see `" PROGRAM " --help`", "which recording is missing");
    if (!error)
        error = show(&export);
    free(export.by_subject);
    free(export.columns);
    ksm_recording_close(export.recording);
    return error ? cli_fail(PROGRAM, error) : EXIT_SUCCESS;
}
