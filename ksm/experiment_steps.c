// SPDX-License-Identifier: GPL-2.0-or-later
/* Checks each kind of step of an experiment's file; see experiment_steps.h. */
#include "ksm/experiment_steps.h"

#include "base/error.h"
#include "base/parse.h"
#include <ctype.h>
#include <errno.h>
#include <matrix/vm.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_S      UINT64_C(1000000000)
#define DAY_S         UINT64_C(86400)
#define DEFAULT_SLOPE 20
/* One that was under way when the wait began; one for a page to be seen, one for it to be merged. */
#define DEFAULT_SCANS   3
#define DEFAULT_CEILING (600 * NS_PER_S)

const struct experiment_quantity experiment_quantities[] = {
    {"pages_shared", SCOPE_HOST, "merged frames of the host"},
    {"pages_sharing", SCOPE_HOST, "mappings that they save"},
    {"pages_unshared", SCOPE_HOST, "pages without an equal"},
    {"pages_volatile", SCOPE_HOST, "pages that change too fast"},
    {"ksm_zero_pages", SCOPE_HOST, "pages merged with the zero page"},
    {"stable_node_chains", SCOPE_HOST, "contents with more than one frame"},
    {"stable_node_dups", SCOPE_HOST, "frames of such contents"},
    {"merging_pages", SCOPE_VM, "merged pages of a VM, as its processes count them"},
    {"frames", SCOPE_MAP, "frames that are merged, of all VMs"},
    {"mappings", SCOPE_MAP, "pages on those frames"},
    {"saved_pages", SCOPE_MAP, "mappings less frames"},
    {"merged_pages", SCOPE_MAP_VM, "a VM's pages on merged frames"},
    {"shared_pages", SCOPE_MAP_PAIR, "pages of one VM on frames that the other has as well"},
    {NULL, SCOPE_HOST, NULL},
};

/* --- VMs by name ----------------------------------------------------------------------------- */

static struct matrix_error *check_name(const char *name)
{
    RETURN_IF_ERROR(parse_check_name(name));
    if (!isalnum((unsigned char)name[0]))
        return error_usage("begin it with a letter or a digit", "name: \"%s\"", name);
    return NULL;
}

/* Whether the steps before the one that is being read, the last of the file, leave it running. */
static bool is_running(const struct step_reader *reader, const char *name)
{
    bool running = false;
    for (size_t i = 0; i + 1 < reader->file->step_count; i++) {
        const struct experiment_step *step = &reader->file->steps[i];
        if (step->action == EXPERIMENT_START && strcmp(step->start.name, name) == 0)
            running = true;
        if (step->action == EXPERIMENT_STOP && strcmp(step->name, name) == 0)
            running = false;
    }
    return running;
}

static struct matrix_error *need_running(const struct step_reader *reader, const char *name)
{
    if (is_running(reader, name))
        return NULL;
    return error_usage("start it in a step before", "no VM called %s runs at this point", name);
}

static struct matrix_error *copy_words(char *const *words, unsigned count, const char *first,
                                       const char ***copy)
{
    const char **list = calloc((size_t)count + 2, sizeof(*list));
    if (!list)
        return error_host(ENOMEM, "read the arguments");
    size_t at = 0;
    if (first)
        list[at++] = first;
    for (unsigned i = 0; i < count; i++)
        list[at++] = words[i];
    *copy = list;
    return NULL;
}

/* --- the steps ------------------------------------------------------------------------------- */

struct matrix_error *experiment_knobs_read(const struct knobs_text *text, struct ksm_knobs *knobs)
{
    *knobs = (struct ksm_knobs){0};
    for (unsigned knob = 0; text && knob < KSM_KNOB_COUNT; knob++)
        if (text->value[knob])
            RETURN_IF_ERROR(ksm_knob_parse(knob, text->value[knob], knobs));
    if (strcmp(knobs->text[KSM_KNOB_ADVISOR_MODE], "scan-time") == 0 &&
        knobs->text[KSM_KNOB_PAGES_TO_SCAN][0])
        return error_usage("leave pages_to_scan out: the advisor sets it",
                           "pages_to_scan together with advisor_mode: scan-time");
    return NULL;
}

static struct matrix_error *read_memory(const char *text, uint64_t *bytes)
{
    RETURN_IF_ERROR(error_prefix(parse_size(text, bytes), "memory"));
    if (*bytes < MATRIX_MEMORY_MINIMUM || *bytes % 4096)
        return error_usage("use whole pages, 2M or more", "memory: %s", text);
    return NULL;
}

static struct matrix_error *read_start(const struct step_text *step_text,
                                       const struct step_reader *reader,
                                       struct experiment_step *step)
{
    const struct start_text *text = step_text->start;
    struct experiment_start *start = &step->start;
    RETURN_IF_ERROR(check_name(text->name));
    if (is_running(reader, text->name))
        return error_usage("give each VM its own name", "a VM called %s runs already", text->name);
    if (!text->guest == !text->command)
        return error_usage("guest: one that comes with Matrix or a path; command: anything else",
                           text->guest ? "%s: a guest or a command, not both"
                                       : "%s: give it a guest or a command",
                           text->name);
    start->name = text->name;
    start->is_guest = text->guest;
    if (text->guest) {
        if (text->guest[0] == '\0' || text->guest[0] == '-')
            return error_usage(NULL, "guest: \"%s\" is no guest", text->guest);
        if (text->merge)
            return error_usage("leave it out: all of a guest's memory is offered", "merge");
        if (text->memory)
            RETURN_IF_ERROR(read_memory(text->memory, &start->memory_bytes));
        return copy_words(text->args, text->args_count, text->guest, &start->argv);
    }
    if (text->args || text->memory)
        return error_usage("put it into the command", "%s is for guests",
                           text->args ? "args" : "memory");
    if (text->command[0][0] == '\0')
        return error_usage(NULL, "command: its first word is empty");
    if (text->merge && strcmp(text->merge, "own") != 0 && strcmp(text->merge, "all") != 0)
        return error_usage("own: what it offers itself; all: all of its memory",
                           "merge: no such value: %s", text->merge);
    start->merge_all = text->merge && strcmp(text->merge, "all") == 0;
    return copy_words(text->command, text->command_count, NULL, &start->argv);
}

static struct matrix_error *read_time(const char *text, const char *key, uint64_t *ns)
{
    RETURN_IF_ERROR(error_prefix(parse_duration(text, ns), "%s", key));
    if (*ns == 0 || *ns > 7 * DAY_S * NS_PER_S)
        return error_usage("use 1ns to a week", "%s: %s is out of range", key, text);
    return NULL;
}

static struct matrix_error *read_flat(const struct wait_text *text, struct ksm_flat_rule *rule)
{
    uint64_t slope = DEFAULT_SLOPE;
    RETURN_IF_ERROR(read_time(text->flat, "flat", &rule->time_ns));
    rule->window_ns = rule->time_ns;
    rule->scans = DEFAULT_SCANS;
    if (text->window)
        RETURN_IF_ERROR(read_time(text->window, "window", &rule->window_ns));
    if (text->scans)
        RETURN_IF_ERROR(error_prefix(parse_u64(text->scans, 0, 1000000, &rule->scans), "scans"));
    if (text->slope)
        RETURN_IF_ERROR(error_prefix(parse_u64(text->slope, 0, UINT32_MAX, &slope), "slope"));
    rule->slope_per_second = (double)slope;
    return NULL;
}

static struct matrix_error *read_wait(const struct step_text *step_text,
                                      const struct step_reader *reader,
                                      struct experiment_step *step)
{
    const struct wait_text *text = step_text->wait;
    struct experiment_wait *wait = &step->wait;
    if (!!text->time + !!text->flat + !!text->says != 1)
        return error_usage("for: DURATION, flat: DURATION, or says: TEXT with name: VM",
                           "give it one thing to wait for");
    wait->ceiling_ns = DEFAULT_CEILING;
    if (text->ceiling)
        RETURN_IF_ERROR(read_time(text->ceiling, "ceiling", &wait->ceiling_ns));
    if (text->time) {
        wait->kind = WAIT_FOR;
        return read_time(text->time, "for", &wait->for_ns);
    }
    if (text->flat) {
        wait->kind = WAIT_FLAT;
        return read_flat(text, &wait->flat);
    }
    if (!text->name || text->says[0] == '\0')
        return error_usage("says: TEXT with name: VM", "says: who says what?");
    wait->kind = WAIT_SAYS;
    wait->says = text->says;
    wait->name = text->name;
    return need_running(reader, text->name);
}

static struct matrix_error *read_mark(const struct step_text *text,
                                      const struct step_reader *reader,
                                      struct experiment_step *step)
{
    step->text = text->mark;
    return text->mark[0] ? NULL : error_usage(NULL, "it is empty");
}

static struct matrix_error *read_tell(const struct step_text *text,
                                      const struct step_reader *reader,
                                      struct experiment_step *step)
{
    step->name = text->tell->name;
    step->text = text->tell->text;
    return need_running(reader, step->name);
}

static struct matrix_error *read_run(const struct step_text *text, const struct step_reader *reader,
                                     struct experiment_step *step)
{
    step->timeout_ns = DEFAULT_CEILING;
    if (text->run->timeout)
        RETURN_IF_ERROR(read_time(text->run->timeout, "timeout", &step->timeout_ns));
    if (text->run->command[0][0] == '\0')
        return error_usage(NULL, "command: its first word is empty");
    return copy_words(text->run->command, text->run->command_count, NULL, &step->command);
}

static struct matrix_error *read_stop(const struct step_text *text,
                                      const struct step_reader *reader,
                                      struct experiment_step *step)
{
    step->name = text->stop;
    return need_running(reader, step->name);
}

static struct matrix_error *read_set(const struct step_text *text, const struct step_reader *reader,
                                     struct experiment_step *step)
{
    return experiment_knobs_read(text->set, &step->knobs);
}

static struct matrix_error *read_bounds(const struct expect_text *text,
                                        struct experiment_expectation *expect)
{
    uint64_t minimum = 0, maximum = INT64_MAX;
    if (!text->exactly == !(text->at_least || text->at_most))
        return error_usage("exactly: N, or at_least: N and at_most: N", "how much is expected?");
    if (text->exactly) {
        RETURN_IF_ERROR(error_prefix(parse_u64(text->exactly, 0, INT64_MAX, &minimum), "exactly"));
        maximum = minimum;
    }
    if (text->at_least)
        RETURN_IF_ERROR(
            error_prefix(parse_u64(text->at_least, 0, INT64_MAX, &minimum), "at_least"));
    if (text->at_most)
        RETURN_IF_ERROR(error_prefix(parse_u64(text->at_most, 0, INT64_MAX, &maximum), "at_most"));
    if (minimum > maximum)
        return error_usage(NULL, "at_least is more than at_most");
    expect->minimum = (int64_t)minimum;
    expect->maximum = (int64_t)maximum;
    return NULL;
}

static struct matrix_error *read_expect(const struct step_text *step_text,
                                        const struct step_reader *reader,
                                        struct experiment_step *step)
{
    const struct expect_text *text = step_text->expect;
    struct experiment_expectation *expect = &step->expect;
    for (const struct experiment_quantity *q = experiment_quantities; q->name; q++)
        if (strcmp(q->name, text->what) == 0)
            expect->what = q;
    if (!expect->what)
        return error_usage("docs/ksm.md lists them", "what: nothing is called %s", text->what);
    const enum experiment_scope scope = expect->what->scope;
    const bool needs_of = scope == SCOPE_VM || scope == SCOPE_MAP_VM || scope == SCOPE_MAP_PAIR;
    if (needs_of != !!text->of || (scope == SCOPE_MAP_PAIR) != !!text->with)
        return error_usage("of: VM for what a VM has; and with: VM for what two have together",
                           "%s: of whom?", text->what);
    expect->of = text->of;
    expect->with = text->with;
    if (text->of)
        RETURN_IF_ERROR(need_running(reader, text->of));
    if (text->with)
        RETURN_IF_ERROR(need_running(reader, text->with));
    return read_bounds(text, expect);
}

step_reader_function *const experiment_step_read[EXPERIMENT_ACTIONS] = {
    [EXPERIMENT_START] = read_start, [EXPERIMENT_WAIT] = read_wait,
    [EXPERIMENT_MARK] = read_mark,   [EXPERIMENT_TELL] = read_tell,
    [EXPERIMENT_RUN] = read_run,     [EXPERIMENT_STOP] = read_stop,
    [EXPERIMENT_SET] = read_set,     [EXPERIMENT_EXPECT] = read_expect,
};
