// SPDX-License-Identifier: GPL-2.0-or-later
/* Takes samples; see sampler.h. */
#include "ksm/sampler.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "ksm/ends.h"
#include "ksm/host.h"
#include "ksm/ksmd.h"
#include "ksm/process.h"
#include "ksm/scan.h"
#include "ksm/sums.h"
#include "lens/proc_text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define MEMINFO_BYTES 1024 /* its first lines are all that is read */

/* Of the host, behind the files of KSM. */
enum own { KSMD_CPU, MEMORY_FREE, MEMORY_AVAILABLE, OWN };
static const struct ksm_counter own_counters[OWN] = {
    [KSMD_CPU] = {.name = "ksmd_cpu_ns", .unit = "ns"},
    [MEMORY_FREE] = {.name = "memory_free_bytes", .unit = "bytes"},
    [MEMORY_AVAILABLE] = {.name = "memory_available_bytes", .unit = "bytes"},
};

struct ksm_sampler {
    char proc_root[256];
    enum ksm_follow follow;
    uint64_t scan_interval_ns, scanned_ns, page_bytes, skipped;
    struct ksm_host *host;
    struct ksmd ksmd;
    struct ksm_sums sums;
    int meminfo;
    int ends; /* of the processes; -1: they are not told */
    struct ksm_scan scan;
    struct ksm_process *processes; /* the files of sample.processes, by the same index */
    size_t capacity;
    struct ksm_sample sample;
};

static struct matrix_error *open_host(struct ksm_sampler *sampler, const char *ksm_root)
{
    RETURN_IF_ERROR(ksm_host_open(ksm_root, &sampler->host));
    const size_t count = ksm_host_count(sampler->host);
    struct ksm_source *host = &sampler->sample.host;
    *host = (struct ksm_source){.scope = KSM_SCOPE_HOST, .name = "host", .count = count + OWN};
    host->readings = calloc(host->count, sizeof(*host->readings));
    if (!host->readings)
        return error_host(ENOMEM, "read the counters of KSM");
    for (size_t i = 0; i < count; i++)
        ksm_host_counter(sampler->host, i, &host->readings[i].counter);
    for (size_t i = 0; i < OWN; i++)
        host->readings[count + i].counter = own_counters[i];
    return NULL;
}

struct matrix_error *ksm_sampler_open(const struct ksm_sampler_options *options,
                                      struct ksm_sampler **sampler)
{
    *sampler = calloc(1, sizeof(**sampler));
    if (!*sampler)
        return error_host(ENOMEM, "take samples of KSM");
    struct ksm_sampler *made = *sampler;
    char path[300];
    snprintf(made->proc_root, sizeof(made->proc_root), "%s",
             options->proc_root ? options->proc_root : "/proc");
    snprintf(path, sizeof(path), "%s/meminfo", made->proc_root);
    made->follow = options->follow;
    made->scan_interval_ns = options->scan_interval_ns;
    made->page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    made->meminfo = open(path, O_RDONLY | O_CLOEXEC);
    made->ends = !options->proc_root || options->watch_ends ? ksm_ends_open() : -1;
    ksmd_open(made->proc_root, &made->ksmd);
    struct matrix_error *error =
        open_host(made, options->ksm_root ? options->ksm_root : KSM_HOST_ROOT);
    if (error)
        ksm_sampler_close(TAKE(*sampler));
    return error;
}

static void let_go(struct ksm_sampler *sampler, size_t index)
{
    ksm_ends_forget(sampler->ends, sampler->processes[index].end);
    ksm_process_close(&sampler->processes[index], &sampler->sample.processes[index]);
}

void ksm_sampler_close(struct ksm_sampler *sampler)
{
    if (!sampler)
        return;
    for (size_t i = 0; i < sampler->sample.process_count; i++)
        let_go(sampler, i);
    free(sampler->sample.processes);
    free(sampler->processes);
    free(sampler->sample.host.readings);
    ksm_scan_free(&sampler->scan);
    ksm_host_close(sampler->host);
    ksmd_close(&sampler->ksmd);
    if (sampler->meminfo >= 0)
        close(sampler->meminfo);
    if (sampler->ends >= 0)
        close(sampler->ends);
    free(sampler);
}

/* --- which processes ----------------------------------------------------------------------- */

static bool is_followed(const struct ksm_sampler *sampler, pid_t pid)
{
    for (size_t i = 0; i < sampler->sample.process_count; i++)
        if (sampler->sample.processes[i].pid == pid && !sampler->sample.processes[i].ended)
            return true;
    return false;
}

static struct matrix_error *make_room(struct ksm_sampler *sampler)
{
    if (sampler->sample.process_count < sampler->capacity)
        return NULL;
    const size_t capacity = sampler->capacity ? 2 * sampler->capacity : 16;
    struct ksm_process *processes = reallocarray(sampler->processes, capacity, sizeof(*processes));
    if (!processes)
        return error_host(ENOMEM, "follow one more process");
    sampler->processes = processes;
    struct ksm_source *sources =
        reallocarray(sampler->sample.processes, capacity, sizeof(*sources));
    if (!sources)
        return error_host(ENOMEM, "follow one more process");
    sampler->sample.processes = sources;
    sampler->capacity = capacity;
    return NULL;
}

/*
 * The pid may be another's by now. Then this one has ended, which its next reading tells: it is not at
 * rest before several of them.
 */
static void take_in(struct ksm_sampler *sampler, const struct ksm_process *process,
                    const struct ksm_source *source)
{
    const size_t index = sampler->sample.process_count++;
    sampler->processes[index] = *process;
    sampler->processes[index].end = ksm_ends_watch(sampler->ends, source->pid);
    sampler->sample.processes[index] = *source;
}

struct matrix_error *ksm_sampler_add(struct ksm_sampler *sampler, pid_t pid, const char *name)
{
    struct ksm_process process;
    struct ksm_source source;
    if (is_followed(sampler, pid))
        return NULL;
    RETURN_IF_ERROR(make_room(sampler));
    RETURN_IF_ERROR(ksm_process_open(sampler->proc_root, pid, name, &process, &source));
    take_in(sampler, &process, &source);
    return NULL;
}

/*
 * One that was found: whether to follow it is seen from what it says. *parent: of one that is no
 * descendant, where descendants are followed; else 0.
 */
static void consider(struct ksm_sampler *sampler, pid_t pid, pid_t *parent)
{
    struct ksm_process process;
    struct ksm_source source;
    *parent = 0;
    if (is_followed(sampler, pid))
        return;
    CLEANUP_ERROR struct matrix_error *error = make_room(sampler);
    if (!error)
        error = ksm_process_open(sampler->proc_root, pid, NULL, &process, &source);
    if (error) {
        /* It has ended meanwhile, or has no memory. */
        sampler->skipped += error->number != ESRCH && error->number != ENXIO;
        return;
    }
    if (sampler->follow == KSM_FOLLOW_MERGEABLE ? process.mergeable
                                                : is_followed(sampler, process.parent)) {
        take_in(sampler, &process, &source);
        return;
    }
    if (sampler->follow == KSM_FOLLOW_DESCENDANTS)
        *parent = process.parent;
    ksm_process_close(&process, &source);
}

/*
 * Where numbers have begun anew a child stands before its parent: who is no descendant is considered
 * again as long as there are more whose child it may be. And the list may have been past a parent's
 * number when that came, and not yet past its child's: such a child is new in the next scan, too.
 */
static void consider_all(struct ksm_sampler *sampler)
{
    struct ksm_scan *scan = &sampler->scan;
    for (size_t before = SIZE_MAX; before != sampler->sample.process_count;) {
        size_t left = 0;
        before = sampler->sample.process_count;
        for (size_t i = 0; i < scan->candidate_count; i++) {
            pid_t parent;
            consider(sampler, scan->candidates[i], &parent);
            if (parent)
                scan->candidates[left++] = scan->candidates[i];
            if (parent && !ksm_scan_has(scan, parent))
                ksm_scan_forget(scan, scan->candidates[i]);
        }
        scan->candidate_count = left;
    }
}

static void scan(struct ksm_sampler *sampler, uint64_t now_ns)
{
    if (sampler->follow == KSM_FOLLOW_GIVEN ||
        (sampler->scanned_ns && now_ns - sampler->scanned_ns < sampler->scan_interval_ns))
        return;
    sampler->scanned_ns = now_ns;
    CLEANUP_ERROR struct matrix_error *error =
        ksm_scan_look(&sampler->scan, sampler->proc_root, sampler->follow == KSM_FOLLOW_MERGEABLE);
    if (!error) /* else the next time */
        consider_all(sampler);
}

static void drop_ended(struct ksm_sampler *sampler)
{
    size_t kept = 0;
    for (size_t i = 0; i < sampler->sample.process_count; i++) {
        if (sampler->processes[i].end_is_told) {
            let_go(sampler, i);
            continue;
        }
        sampler->processes[kept] = sampler->processes[i];
        sampler->sample.processes[kept++] = sampler->sample.processes[i];
    }
    sampler->sample.process_count = kept;
}

/* --- a sample ------------------------------------------------------------------------------ */

static void read_memory(const struct ksm_sampler *sampler, struct ksm_value *values[OWN])
{
    static const char *const fields[OWN] = {
        [MEMORY_FREE] = "MemFree", [MEMORY_AVAILABLE] = "MemAvailable"};
    char text[MEMINFO_BYTES];
    if (sampler->meminfo < 0 || ksm_read_again(sampler->meminfo, text, sizeof(text)))
        return;
    for (const char *line = text; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
        for (size_t i = MEMORY_FREE; i < OWN; i++) {
            uint64_t bytes;
            if (proc_text_kilobytes(line, fields[i], &bytes) && bytes <= INT64_MAX)
                *values[i] = (struct ksm_value){.kind = KSM_NUMBER, .number = (int64_t)bytes};
        }
}

static void read_own(const struct ksm_sampler *sampler)
{
    const struct ksm_source *host = &sampler->sample.host;
    struct ksm_value *values[OWN];
    uint64_t ns;
    for (size_t i = 0; i < OWN; i++) {
        values[i] = &host->readings[host->count - OWN + i].value;
        values[i]->kind = KSM_NOTHING;
    }
    if (ksmd_read(&sampler->ksmd, &ns) && ns <= INT64_MAX)
        *values[KSMD_CPU] = (struct ksm_value){.kind = KSM_NUMBER, .number = (int64_t)ns};
    read_memory(sampler, values);
}

static void note_ended(struct ksm_sampler *sampler)
{
    for (int end; (end = ksm_ends_next(sampler->ends)) >= 0;)
        for (size_t i = 0; i < sampler->sample.process_count; i++)
            if (sampler->processes[i].end == end)
                sampler->sample.processes[i].ended = true;
}

/* The host first: when one of its sums has moved, all processes are read in the same sample. */
struct ksm_sample *ksm_sampler_look(struct ksm_sampler *sampler)
{
    struct ksm_sample *sample = &sampler->sample;
    drop_ended(sampler);
    scan(sampler, clock_now_ns(CLOCK_MONOTONIC));
    sample->missed = 0;
    sample->monotonic_ns = clock_now_ns(CLOCK_MONOTONIC);
    sample->realtime_ns = clock_now_ns(CLOCK_REALTIME);
    ksm_host_read(sampler->host, sample->host.readings);
    read_own(sampler);
    const unsigned still = ksm_sums_look(&sampler->sums, &sample->host);
    note_ended(sampler);
    for (size_t i = 0; i < sample->process_count; i++)
        if (!sample->processes[i].ended)
            ksm_process_read(&sampler->processes[i], &sample->processes[i], sampler->page_bytes,
                             still);
    return sample;
}

struct ksm_sample *ksm_sampler_take(struct ksm_sampler *sampler)
{
    struct ksm_sample *sample = ksm_sampler_look(sampler);
    for (size_t i = 0; i < sample->process_count; i++)
        sampler->processes[i].end_is_told = sample->processes[i].ended;
    return sample;
}

uint64_t ksm_sampler_skipped(const struct ksm_sampler *sampler)
{
    return sampler->skipped;
}
