// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A trace in the Trace Event Format (JSON), which Perfetto, chrome://tracing and others show: a track for
 * each core, and one for each guest. Written piece by piece, since it may be long.
 */
#include "base/error.h"
#include "cli/json.h"
#include "cli/trace.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Processes of the viewer, and their threads: guests are numbered from 1. */
#define CORES_PID  1
#define GUESTS_PID 2
#define CORE_TID   0

/* A guest's name as a JSON string, quotes included. */
static char *quote(const char *text)
{
    json_t *string = cli_json_string(text);
    char *quoted = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    json_decref(string);
    return quoted;
}

static void write_track(FILE *file, int pid, size_t tid, const char *quoted)
{
    fprintf(file,
            "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%zu,"
            "\"args\":{\"name\":%s}},\n",
            pid, tid, quoted);
    fprintf(file,
            "{\"ph\":\"M\",\"name\":\"thread_sort_index\",\"pid\":%d,\"tid\":%zu,"
            "\"args\":{\"sort_index\":%zu}},\n",
            pid, tid, tid);
}

/* By host CPU; of several cores also which one. */
static void write_core_track(const struct trace *trace, bool is_only, FILE *file)
{
    const int cpu = (int)trace->core.host_cpu;
    char name[64], host[32] = "any CPU";
    if (cpu >= 0)
        snprintf(host, sizeof(host), "CPU %d", cpu);
    if (!is_only)
        snprintf(name, sizeof(name), "\"core %u on %s\"", trace->number, host);
    else
        snprintf(name, sizeof(name), cpu < 0 ? "\"any core\"" : "\"core %d\"", cpu);
    write_track(file, CORES_PID, trace->number, name);
}

static void write_tracks(const struct traces *traces, char *const *names, FILE *file)
{
    const pid_t pid = traces->cores[0].pid;
    fprintf(file,
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"tid\":0,"
            "\"args\":{\"name\":\"cores of process %d\"}},\n"
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"tid\":0,"
            "\"args\":{\"name\":\"guests of process %d\"}},\n",
            CORES_PID, pid, GUESTS_PID, pid);
    for (size_t k = 0; k < traces->count; k++)
        write_core_track(&traces->cores[k], traces->count == 1, file);
    for (size_t i = 0; i < traces->guest_count; i++)
        write_track(file, GUESTS_PID, i + 1, names[i]);
}

/* Times are microseconds there, from the beginning of the trace; with a nanosecond's digits. */
static void write_stay(const struct trace *trace, const struct matrix_board_stay *stay,
                       const char *name, int pid, size_t tid, FILE *file)
{
    const uint64_t from_ns = stay->start_ns - trace->begin_ns;
    const uint64_t for_ns = stay->end_ns - stay->start_ns;
    fprintf(file,
            ",\n{\"ph\":\"X\",\"cat\":\"stay\",\"name\":%s,\"pid\":%d,\"tid\":%zu,"
            "\"ts\":%" PRIu64 ".%03u,\"dur\":%" PRIu64 ".%03u,\"args\":{"
            "\"cpu_ns\":%" PRIu64 ",\"loop_cpu_ns\":%" PRIu64 ",\"came\":\"%s\",\"left\":\"%s\","
            "\"ready\":%" PRIu32 ",\"vcpu\":%u}}",
            name, pid, tid, from_ns / 1000, (unsigned)(from_ns % 1000), for_ns / 1000,
            (unsigned)(for_ns % 1000), stay->cpu_ns, stay->loop_cpu_ns,
            matrix_board_came_name(stay->came), matrix_board_left_name(stay->left), stay->ready,
            stay->vcpu);
}

static void write_core(const struct trace *trace, char *const *names, FILE *file)
{
    for (size_t i = 0; i < trace->stay_count; i++) {
        const struct matrix_board_stay *stay = &trace->stays[i];
        const size_t track = trace->tracks[trace_guest_of(trace, stay)];
        write_stay(trace, stay, names[track], CORES_PID, trace->number, file);
        write_stay(trace, stay, names[track], GUESTS_PID, track + 1, file);
    }
}

static void write_all(const struct traces *traces, char *const *names, FILE *file)
{
    const struct trace *first = &traces->cores[0];
    uint64_t stays = 0, lost = 0;
    fputs("{\"displayTimeUnit\":\"ns\",\n\"traceEvents\":[\n", file);
    write_tracks(traces, names, file);
    /* The last one has no comma behind it. */
    fprintf(file, "{\"ph\":\"i\",\"s\":\"g\",\"name\":\"begin\",\"pid\":%d,\"tid\":%d,\"ts\":0}",
            CORES_PID, CORE_TID);
    for (size_t k = 0; k < traces->count; k++) {
        write_core(&traces->cores[k], names, file);
        stays += traces->cores[k].stay_count;
        lost += traces->cores[k].lost;
    }
    fprintf(file,
            "\n],\n\"otherData\":{\"version\":1,\"pid\":%d,\"cores\":%zu,\"duration_ns\":%" PRIu64
            ",\"slice_ns\":%" PRIu64 ",\"stays\":%" PRIu64 ",\"lost\":%" PRIu64 "}}\n",
            first->pid, traces->count, first->end_ns - first->begin_ns, first->core.slice_ns, stays,
            lost);
}

struct matrix_error *trace_write_json(const struct traces *traces, FILE *file)
{
    char **names = calloc(traces->guest_count + 1, sizeof(*names));
    bool has_names = names != NULL;
    for (size_t i = 0; has_names && i < traces->guest_count; i++)
        has_names = (names[i] = quote(traces->guests[i].name)) != NULL;
    if (has_names)
        write_all(traces, names, file);
    for (size_t i = 0; names && i < traces->guest_count; i++)
        free(names[i]);
    free(names);
    if (!has_names)
        return error_host(ENOMEM, "write the trace");
    return fflush(file) || ferror(file) ? error_host(errno, "write the trace") : NULL;
}
