// SPDX-License-Identifier: GPL-2.0-or-later
/* The samples of an experiment, and the phases that they are cut into; see experiment_internal.h. */
#include "base/error.h"
#include "ksm/experiment_internal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for one more at the end of an array that doubles. */
static void *grow(void *items, size_t count, size_t size)
{
    if (count & (count - 1)) /* no power of two: there is room up to the next */
        return items;
    return reallocarray(items, count ? 2 * count : 1, size);
}

static int64_t counter(const struct ksm_sample *sample, const char *name)
{
    const struct ksm_value *value = ksm_source_value(&sample->host, name);
    return value && value->kind == KSM_NUMBER ? value->number : MEASURE_UNKNOWN;
}

/* What KSM saves on the host. */
static int64_t saved_on_host(const struct ksm_sample *sample)
{
    const int64_t zero = counter(sample, "ksm_zero_pages");
    const int64_t sharing = counter(sample, "pages_sharing");
    return (sharing > 0 ? sharing : 0) + (zero > 0 ? zero : 0);
}

/* The merged pages of all processes that are recorded: the VMs'. */
static int64_t merged_of_vms(const struct ksm_sample *sample)
{
    static const char *const counters[] = {"ksm_merging_pages", "ksm_zero_pages"};
    int64_t pages = 0;
    for (size_t i = 0; i < sample->process_count; i++)
        for (size_t j = 0; j < sizeof(counters) / sizeof(counters[0]); j++) {
            const struct ksm_value *value = ksm_source_value(&sample->processes[i], counters[j]);
            if (value && value->kind == KSM_NUMBER && !sample->processes[i].ended)
                pages += value->number;
        }
    return pages;
}

struct matrix_error *experiment_add_point(struct experiment *x, const struct ksm_sample *sample)
{
    struct experiment_results *results = x->results;
    struct measure_point *points =
        grow(results->points, results->point_count, sizeof(*results->points));
    if (!points)
        return error_host(ENOMEM, "keep the samples");
    results->points = points;
    points[results->point_count++] = (struct measure_point){
        .time_ns = sample->monotonic_ns - x->started_ns,
        .pages = x->file->curve == CURVE_VMS ? merged_of_vms(sample) : saved_on_host(sample),
        .full_scans = counter(sample, "full_scans"),
        .ksmd_cpu_ns = counter(sample, "ksmd_cpu_ns"),
    };
    return NULL;
}

struct matrix_error *experiment_sample(struct experiment *x)
{
    RETURN_IF_ERROR(experiment_record_look(x));
    return experiment_add_point(x, x->sample);
}

struct matrix_error *experiment_phase_begin(struct experiment *x, bool restart, const char *label)
{
    if (x->in_phase && !restart) {
        const size_t used = strlen(x->phase_label);
        if (label[0] && !x->phase_is_named)
            snprintf(x->phase_label + used, sizeof(x->phase_label) - used, "%s%s", used ? ", " : "",
                     label);
        return NULL;
    }
    RETURN_IF_ERROR(experiment_sample(x));
    const bool keeps_name = x->in_phase && x->phase_is_named;
    x->phase_point = x->results->point_count - 1;
    if (!keeps_name)
        snprintf(x->phase_label, sizeof(x->phase_label), "%s", label);
    x->in_phase = true;
    x->phase_is_named = keeps_name;
    return NULL;
}

static bool sets_knobs(const struct experiment_file *file)
{
    for (unsigned knob = 0; knob < KSM_KNOB_COUNT; knob++)
        if (file->knobs.text[knob][0])
            return true;
    return false;
}

struct matrix_error *experiment_phase_wait(struct experiment *x, const char *label)
{
    if (x->in_phase && x->phase_label[0])
        return NULL;
    if (x->results->phase_count == 0)
        label = sets_knobs(x->file) ? "knobs are set" : "the beginning";
    return experiment_phase_begin(x, false, label);
}

struct matrix_error *experiment_phase_end(struct experiment *x, const struct ksm_flat *flat,
                                          bool reached)
{
    struct experiment_results *results = x->results;
    struct experiment_phase *phases =
        grow(results->phases, results->phase_count, sizeof(*results->phases));
    if (!phases)
        return error_host(ENOMEM, "keep what was measured");
    results->phases = phases;
    struct experiment_phase *phase = &phases[results->phase_count++];
    *phase = (struct experiment_phase){.waited_flat = flat, .flat = reached};
    memcpy(phase->label, x->phase_label, sizeof(phase->label));
    measure_phase(results->points + x->phase_point, results->point_count - x->phase_point,
                  &phase->measured);
    if (reached)
        phase->to_flat_ns = flat->since_ns - phase->measured.start_ns;
    x->in_phase = false;
    return NULL;
}
