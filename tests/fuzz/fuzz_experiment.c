// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for the YAML of `matrix ksm experiment`, and for the journal of its knobs: a file
 * is refused with a message that names it, or describes an experiment that keeps every promise of
 * ksm/experiment_file.h.
 */
#include "base/parse.h"
#include "ksm/experiment_file.h"

#include "ksm/journal.h"
#include "tests/fuzz/fuzz.h"

#define FILE_NAME "the-file.yaml"

/* Whether a VM of that name runs before a step. */
static bool is_running(const struct experiment_file *file, size_t step, const char *name)
{
    bool running = false;
    for (size_t i = 0; i < step; i++) {
        if (file->steps[i].action == EXPERIMENT_START)
            running |= strcmp(file->steps[i].start.name, name) == 0;
        if (file->steps[i].action == EXPERIMENT_STOP && strcmp(file->steps[i].name, name) == 0)
            running = false;
    }
    return running;
}

static void check_step(const struct experiment_file *file, size_t index)
{
    const struct experiment_step *step = &file->steps[index];
    switch (step->action) {
    case EXPERIMENT_START:
        FUZZ_CHECK(step->start.name[0] && strlen(step->start.name) <= NAME_LENGTH_MAX,
                   "a name of step %zu", index);
        FUZZ_CHECK(!strchr(step->start.name, '/'), "a path for a name: %s", step->start.name);
        FUZZ_CHECK(step->start.argv[0] && step->start.argv[0][0], "nothing to start");
        break;
    case EXPERIMENT_WAIT:
        FUZZ_CHECK(step->wait.kind != WAIT_FOR || step->wait.for_ns > 0, "no time");
        FUZZ_CHECK(step->wait.kind != WAIT_FLAT || step->wait.flat.time_ns > 0, "no time");
        FUZZ_CHECK(step->wait.ceiling_ns > 0, "no ceiling");
        break;
    case EXPERIMENT_MARK:
        FUZZ_CHECK(step->text[0], "an empty mark");
        break;
    case EXPERIMENT_TELL:
    case EXPERIMENT_STOP:
        FUZZ_CHECK(is_running(file, index, step->name), "%s does not run", step->name);
        break;
    case EXPERIMENT_RUN:
        FUZZ_CHECK(step->command[0] && step->command[0][0], "nothing to run");
        break;
    case EXPERIMENT_SET:
        break;
    case EXPERIMENT_EXPECT:
        FUZZ_CHECK(step->expect.minimum <= step->expect.maximum, "bounds");
        FUZZ_CHECK(!step->expect.of || is_running(file, index, step->expect.of), "of whom");
        break;
    default:
        FUZZ_CHECK(false, "action %d", (int)step->action);
    }
}

static void read_journal(const char *text, size_t size)
{
    struct ksm_journal journal;
    struct matrix_error *error = ksm_journal_parse(text, size, FILE_NAME, &journal);
    if (error) {
        FUZZ_CHECK(strstr(error->message, FILE_NAME), "does not name the file: %s", error->message);
        matrix_error_free(error);
        return;
    }
    FUZZ_CHECK(journal.pid > 0, "pid %d", (int)journal.pid);
    FUZZ_CHECK(strlen(journal.boot_id) == KSM_BOOT_ID_LENGTH, "boot %s", journal.boot_id);
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++)
        FUZZ_CHECK(strlen(journal.knobs.text[knob]) < KSM_KNOB_TEXT, "knob %u", knob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of its own, so that a byte beyond the end is seen. */
    char *text = malloc(size);
    if (size)
        memcpy(text, data, size);
    struct experiment_file file;
    struct matrix_error *error = experiment_file_parse(text, size, FILE_NAME, &file);
    if (error) {
        FUZZ_CHECK(strstr(error->message, FILE_NAME), "does not name the file: %s", error->message);
        FUZZ_CHECK(!file.steps && !file.document, "leaves something behind");
        matrix_error_free(error);
    } else {
        FUZZ_CHECK(file.step_count >= 1 && file.step_count <= EXPERIMENT_STEPS_MAX, "%zu steps",
                   file.step_count);
        for (size_t i = 0; i < file.step_count; i++)
            check_step(&file, i);
        experiment_file_free(&file);
    }
    read_journal(text, size);
    free(text);
    return 0;
}
