// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The recording of an experiment: in this process, so that nothing is to be coordinated; on disk
 * sample by sample. See experiment_internal.h.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "ksm/experiment_internal.h"
#include "ksm/mappings.h"
#include "ksm/sampler.h"
#include "ksm/store.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>

/* New processes of a VM are looked for so often, once one of it is found. */
#define SCAN_NS NS_PER_S

/* Whether the last sample has it already. */
static bool is_sampled(const struct experiment *x, pid_t pid)
{
    for (size_t i = 0; x->sample && i < x->sample->process_count; i++)
        if (x->sample->processes[i].pid == pid && !x->sample->processes[i].ended)
            return true;
    return false;
}

struct matrix_error *experiment_record_begin(struct experiment *x)
{
    char path[PATH_MAX];
    const struct ksm_sampler_options sampler = {.ksm_root = x->lease.places.directory,
                                                .follow = KSM_FOLLOW_GIVEN};
    const struct ksm_store_options store = {.title = x->file->name,
                                            .interval_ns = x->file->interval_ns};
    snprintf(path, sizeof(path), "%s/" EXPERIMENT_RECORDING, x->options->directory);
    RETURN_IF_ERROR(ksm_sampler_open(&sampler, &x->sampler));
    return ksm_store_open(path, &store, &x->store);
}

/* Adds a process under its VM's name, once it has memory that KSM may merge. */
static struct matrix_error *add_process(struct experiment *x, struct experiment_vm *vm, pid_t pid)
{
    if (!ksm_mappings_any_mergeable(pid))
        return NULL;
    struct matrix_error *error = ksm_sampler_add(x->sampler, pid, vm->name);
    vm->found = vm->found || !error;
    /* One that has ended already is seen as such elsewhere. */
    if (!error || (error->number != ESRCH && error->number != ENXIO))
        return error;
    matrix_error_free(error);
    return NULL;
}

static struct matrix_error *add_processes(struct experiment *x, struct experiment_vm *vm)
{
    CLEANUP_FREE pid_t *pids = NULL;
    size_t count;
    RETURN_IF_ERROR(experiment_vm_pids(vm, &pids, &count));
    for (size_t i = 0; i < count; i++)
        if (!is_sampled(x, pids[i]))
            RETURN_IF_ERROR(add_process(x, vm, pids[i]));
    return NULL;
}

/*
 * QEMU is a child of what was started, and its memory is made some time later. What of a VM is merged
 * before it is found is missing in the curve: one of which nothing is found yet is looked for each time.
 */
static struct matrix_error *look_for_processes(struct experiment *x)
{
    const uint64_t now = clock_now_ns(CLOCK_MONOTONIC);
    const bool all = now >= x->next_scan_ns;
    if (all)
        x->next_scan_ns = now + SCAN_NS;
    for (size_t i = 0; i < x->vm_count; i++)
        if (x->vms[i].running && (all || !x->vms[i].found))
            RETURN_IF_ERROR(add_processes(x, &x->vms[i]));
    return NULL;
}

struct matrix_error *experiment_record_look(struct experiment *x)
{
    RETURN_IF_ERROR(look_for_processes(x));
    x->sample = ksm_sampler_look(x->sampler);
    return NULL;
}

struct matrix_error *experiment_record_sample(struct experiment *x, uint64_t missed)
{
    RETURN_IF_ERROR(look_for_processes(x));
    x->sample = ksm_sampler_take(x->sampler);
    x->sample->missed = missed;
    RETURN_IF_ERROR(ksm_store_add(x->store, x->sample));
    return experiment_add_point(x, x->sample);
}

struct matrix_error *experiment_record_mark(struct experiment *x, const char *text)
{
    return ksm_store_mark(x->store, text);
}

struct matrix_error *experiment_record_end(struct experiment *x)
{
    struct matrix_error *error = x->store ? ksm_store_close(x->store) : NULL;
    ksm_sampler_close(x->sampler);
    x->store = NULL;
    x->sampler = NULL;
    x->sample = NULL;
    return error;
}
