// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checks what an experiment's file means: each step for itself, and that the VMs it names run at
 * that point. See experiment_file.h.
 */
#include "ksm/experiment_file.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "ksm/experiment_schema.h"
#include "ksm/experiment_steps.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NS_PER_S UINT64_C(1000000000)

#define DEFAULT_INTERVAL_NS NS_PER_S
#define SHORTEST_NS         (NS_PER_S / 100)
#define LONGEST_NS          (3600 * NS_PER_S)
#define DEFAULT_LAB_MEMORY  (UINT64_C(3) << 30)
#define DEFAULT_LAB_TIMEOUT (600 * NS_PER_S)

const char *const experiment_action_names[EXPERIMENT_ACTIONS] = {
    [EXPERIMENT_START] = "start", [EXPERIMENT_WAIT] = "wait",     [EXPERIMENT_MARK] = "mark",
    [EXPERIMENT_TELL] = "tell",   [EXPERIMENT_RUN] = "run",       [EXPERIMENT_STOP] = "stop",
    [EXPERIMENT_SET] = "set",     [EXPERIMENT_EXPECT] = "expect",
};

/* Which of the actions a step has: exactly one. */
static struct matrix_error *find_action(const struct step_text *text,
                                        enum experiment_action *action)
{
    const void *const parts[EXPERIMENT_ACTIONS] = {
        [EXPERIMENT_START] = text->start, [EXPERIMENT_WAIT] = text->wait,
        [EXPERIMENT_MARK] = text->mark,   [EXPERIMENT_TELL] = text->tell,
        [EXPERIMENT_RUN] = text->run,     [EXPERIMENT_STOP] = text->stop,
        [EXPERIMENT_SET] = text->set,     [EXPERIMENT_EXPECT] = text->expect,
    };
    unsigned found = 0;
    for (unsigned i = 0; i < EXPERIMENT_ACTIONS; i++)
        if (parts[i]) {
            *action = i;
            found++;
        }
    if (found == 1)
        return NULL;
    return error_usage("start, wait, mark, tell, run, stop, set or expect: one a step, each with "
                       "its own '-'",
                       "%s", found ? "more than one thing to do" : "nothing to do");
}

static struct matrix_error *read_step(const struct step_text *text, struct step_reader *reader,
                                      struct experiment_step *step)
{
    RETURN_IF_ERROR(find_action(text, &step->action));
    struct matrix_error *error = experiment_step_read[step->action](text, reader, step);
    return error_prefix(error, "%s", experiment_action_names[step->action]);
}

static struct matrix_error *read_interval(const struct record_text *text, uint64_t *interval_ns)
{
    *interval_ns = DEFAULT_INTERVAL_NS;
    if (!text || !text->interval)
        return NULL;
    RETURN_IF_ERROR(error_prefix(parse_duration(text->interval, interval_ns), "record: interval"));
    if (*interval_ns >= SHORTEST_NS && *interval_ns <= LONGEST_NS)
        return NULL;
    return error_usage("use 10ms to 1h", "record: interval: %s is out of range", text->interval);
}

static struct matrix_error *read_curve(const struct record_text *text, enum experiment_curve *curve)
{
    *curve = text && text->curve && strcmp(text->curve, "vms") == 0 ? CURVE_VMS : CURVE_HOST;
    if (!text || !text->curve || *curve == CURVE_VMS || strcmp(text->curve, "host") == 0)
        return NULL;
    return error_usage("host: what KSM saves on it; vms: what of the VMs is merged",
                       "record: curve: no such curve: %s", text->curve);
}

static struct matrix_error *read_lab(const struct lab_text *text, struct experiment_file *file)
{
    file->lab_memory_bytes = DEFAULT_LAB_MEMORY;
    file->lab_timeout_ns = DEFAULT_LAB_TIMEOUT;
    if (text && text->memory)
        RETURN_IF_ERROR(
            error_prefix(parse_size(text->memory, &file->lab_memory_bytes), "lab: memory"));
    if (text && text->timeout)
        RETURN_IF_ERROR(
            error_prefix(parse_duration(text->timeout, &file->lab_timeout_ns), "lab: timeout"));
    return NULL;
}

static struct matrix_error *read_document(const struct experiment_text *text,
                                          struct experiment_file *file)
{
    struct step_reader reader = {.file = file};
    file->name = text->name;
    file->description = text->description;
    RETURN_IF_ERROR(error_prefix(experiment_knobs_read(text->knobs, &file->knobs), "knobs"));
    RETURN_IF_ERROR(read_interval(text->record, &file->interval_ns));
    RETURN_IF_ERROR(read_curve(text->record, &file->curve));
    RETURN_IF_ERROR(read_lab(text->lab, file));
    file->steps = calloc(text->steps_count, sizeof(*file->steps));
    if (!file->steps)
        return error_host(ENOMEM, "read the steps");
    for (unsigned i = 0; i < text->steps_count; i++) {
        file->step_count = i + 1; /* what it has allocated is freed, also if it fails */
        RETURN_IF_ERROR(
            error_prefix(read_step(&text->steps[i], &reader, &file->steps[i]), "step %u", i + 1));
    }
    return NULL;
}

struct matrix_error *experiment_file_parse(const char *text, size_t bytes, const char *name,
                                           struct experiment_file *file)
{
    *file = (struct experiment_file){0};
    RETURN_IF_ERROR(document_load(text, bytes, name, &experiment_schema,
                                  "docs/ksm.md lists the keys; examples/ksm/ has whole files",
                                  &file->document));
    /* An empty file is no error to libcyaml, and no document either. */
    if (!file->document)
        return error_usage("examples/ksm/ has whole files", "%s: no steps", name);
    struct matrix_error *error = error_prefix(read_document(file->document, file), "%s", name);
    if (!error) {
        file->text = strndup(text, bytes);
        if (!file->text)
            error = error_host(ENOMEM, "keep %s", name);
    }
    if (error)
        experiment_file_free(file);
    return error;
}

struct matrix_error *experiment_file_read(const char *path, struct experiment_file *file)
{
    CLEANUP_FREE char *text = NULL;
    size_t bytes;
    *file = (struct experiment_file){0};
    RETURN_IF_ERROR(document_read_file(path, &text, &bytes));
    return experiment_file_parse(text, bytes, path, file);
}

void experiment_file_free(struct experiment_file *file)
{
    for (size_t i = 0; i < file->step_count; i++) {
        free(file->steps[i].start.argv);
        free(file->steps[i].command);
    }
    free(file->steps);
    free(file->text);
    document_free(&experiment_schema, file->document);
    *file = (struct experiment_file){0};
}
