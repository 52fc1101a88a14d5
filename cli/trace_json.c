// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A trace in the Trace Event Format (JSON), which Perfetto, chrome://tracing and others show: a track for
 * the core, and one for each guest. Written piece by piece, since it may be long.
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

static void write_tracks(const struct trace *trace, char *const *names, FILE *file)
{
    char core[32];
    snprintf(core, sizeof(core), trace->core.host_cpu < 0 ? "\"any core\"" : "\"core %d\"",
             (int)trace->core.host_cpu);
    fprintf(file,
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"tid\":0,"
            "\"args\":{\"name\":\"cores of process %d\"}},\n"
            "{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"tid\":0,"
            "\"args\":{\"name\":\"guests of process %d\"}},\n",
            CORES_PID, trace->pid, GUESTS_PID, trace->pid);
    write_track(file, CORES_PID, CORE_TID, core);
    for (size_t i = 0; i < trace->guest_count; i++)
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

static void write_all(const struct trace *trace, char *const *names, FILE *file)
{
    fputs("{\"displayTimeUnit\":\"ns\",\n\"traceEvents\":[\n", file);
    write_tracks(trace, names, file);
    /* The last one has no comma behind it. */
    fprintf(file, "{\"ph\":\"i\",\"s\":\"g\",\"name\":\"begin\",\"pid\":%d,\"tid\":%d,\"ts\":0}",
            CORES_PID, CORE_TID);
    for (size_t i = 0; i < trace->stay_count; i++) {
        const struct matrix_board_stay *stay = &trace->stays[i];
        const size_t guest = trace_guest_of(trace, stay);
        write_stay(trace, stay, names[guest], CORES_PID, CORE_TID, file);
        write_stay(trace, stay, names[guest], GUESTS_PID, guest + 1, file);
    }
    fprintf(file,
            "\n],\n\"otherData\":{\"version\":1,\"pid\":%d,\"duration_ns\":%" PRIu64
            ",\"slice_ns\":%" PRIu64 ",\"stays\":%zu,\"lost\":%" PRIu64 "}}\n",
            trace->pid, trace->end_ns - trace->begin_ns, trace->core.slice_ns, trace->stay_count,
            trace->lost);
}

struct matrix_error *trace_write_json(const struct trace *trace, FILE *file)
{
    char **names = calloc(trace->guest_count + 1, sizeof(*names));
    bool has_names = names != NULL;
    for (size_t i = 0; has_names && i < trace->guest_count; i++)
        has_names = (names[i] = quote(trace->guests[i].name)) != NULL;
    if (has_names)
        write_all(trace, names, file);
    for (size_t i = 0; names && i < trace->guest_count; i++)
        free(names[i]);
    free(names);
    if (!has_names)
        return error_host(ENOMEM, "write the trace");
    return fflush(file) || ferror(file) ? error_host(errno, "write the trace") : NULL;
}
