// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads what KSM does for one process; see process.h. */
#include "ksm/process.h"

#include "base/cleanup.h"
#include "base/error.h"
#include "ksm/host.h"
#include "ksm/sums.h"
#include "ksm/text.h"
#include "lens/proc_text.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 2048

static struct matrix_error *read_identity(int directory, pid_t pid, const char *name,
                                          struct ksm_process *process, struct ksm_source *source)
{
    char text[TEXT_BYTES];
    struct matrix_lens_task task;
    CLEANUP_CLOSE int fd = openat(directory, "stat", O_RDONLY | O_CLOEXEC);
    const int number = fd < 0 ? errno : ksm_read_again(fd, text, sizeof(text));
    if (number)
        return error_host(number == ENOENT ? ESRCH : number, "look at process %d", pid);
    if (!proc_text_stat(text, (uint64_t)sysconf(_SC_CLK_TCK), &task))
        return error_host(0, "look at process %d: its stat is not like one", pid);
    process->parent = task.parent_pid;
    source->scope = KSM_SCOPE_PROCESS;
    source->keeps_changes = true;
    source->pid = pid;
    source->start_time_ns = task.start_time_ns;
    snprintf(source->name, sizeof(source->name), "%s", name ? name : task.name);
    return NULL;
}

/* A file that the kernel may not have. */
static struct matrix_error *open_file(int directory, pid_t pid, const char *file, int *fd)
{
    *fd = openat(directory, file, O_RDONLY | O_CLOEXEC);
    if (*fd >= 0 || errno == ENOENT)
        return NULL;
    return error_new(MATRIX_ERROR_HOST, errno,
                     errno == EACCES || errno == EPERM ? "run it as root" : NULL,
                     "read %s of process %d", file, pid);
}

static struct matrix_error *open_process(const char *proc_root, pid_t pid, const char *name,
                                         struct ksm_process *process, struct ksm_source *source)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%d", proc_root, pid);
    CLEANUP_CLOSE int directory = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return error_host(errno == ENOENT ? ESRCH : errno, "look at process %d", pid);
    RETURN_IF_ERROR(read_identity(directory, pid, name, process, source));
    RETURN_IF_ERROR(open_file(directory, pid, "statm", &process->memory));
    RETURN_IF_ERROR(open_file(directory, pid, "ksm_stat", &process->stat));
    source->readings = calloc(KSM_PROCESS_READINGS_MAX, sizeof(*source->readings));
    if (!source->readings)
        return error_host(ENOMEM, "look at process %d", pid);
    ksm_process_read(process, source, 1, 0);
    /* Before Linux 6.1 or so a file of its own is all that tells it. */
    if (!source->ended && !ksm_source_value(source, "ksm_merging_pages"))
        RETURN_IF_ERROR(open_file(directory, pid, "ksm_merging_pages", &process->merging));
    return source->ended
               ? error_host(ENXIO, "process %d has no memory: it is a kernel's, or a zombie", pid)
               : NULL;
}

struct matrix_error *ksm_process_open(const char *proc_root, pid_t pid, const char *name,
                                      struct ksm_process *process, struct ksm_source *source)
{
    *process = (struct ksm_process){.stat = -1, .merging = -1, .memory = -1, .end = -1};
    *source = (struct ksm_source){0};
    struct matrix_error *error = open_process(proc_root, pid, name, process, source);
    if (error)
        ksm_process_close(process, source);
    return error;
}

void ksm_process_close(struct ksm_process *process, struct ksm_source *source)
{
    const int files[] = {process->stat, process->merging, process->memory};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (files[i] >= 0)
            close(files[i]);
    free(source->readings);
    source->readings = NULL;
}

/* The reading of a counter: the next, as in the sample before, or a new one. NULL: no room. */
static struct ksm_reading *find(struct ksm_source *source, size_t next, const char *name,
                                const char *unit)
{
    if (next < source->count && strcmp(source->readings[next].counter.name, name) == 0)
        return &source->readings[next];
    for (size_t i = 0; i < source->count; i++)
        if (strcmp(source->readings[i].counter.name, name) == 0)
            return &source->readings[i];
    if (source->count == KSM_PROCESS_READINGS_MAX)
        return NULL;
    struct ksm_reading *reading = &source->readings[source->count++];
    *reading = (struct ksm_reading){.value.kind = KSM_NOTHING};
    snprintf(reading->counter.name, sizeof(reading->counter.name), "%s", name);
    snprintf(reading->counter.unit, sizeof(reading->counter.unit), "%s", unit);
    return reading;
}

/* Whether memory of it is, or may be, merged; newer kernels say so by themselves. */
static bool tells_mergeable(const char *name, const struct ksm_value *value)
{
    if (value->kind == KSM_NUMBER)
        return value->number > 0 &&
               (strcmp(name, "ksm_rmap_items") == 0 || strcmp(name, "ksm_merging_pages") == 0 ||
                strcmp(name, "ksm_zero_pages") == 0);
    return value->kind == KSM_TEXT && strcmp(value->text, "yes") == 0 &&
           (strcmp(name, "ksm_mergeable") == 0 || strcmp(name, "ksm_merge_any") == 0);
}

/* Returns whether it had another value before. */
static bool put(struct ksm_source *source, struct ksm_reading *reading,
                const struct ksm_value *value)
{
    if (ksm_value_equal(&reading->value, value))
        return false;
    reading->value = *value;
    source->changes |= (uint64_t)1 << (reading - source->readings);
    return true;
}

static void set(struct ksm_process *process, struct ksm_source *source, size_t next,
                const char *name, const struct ksm_value *value)
{
    const size_t count = source->count;
    struct ksm_reading *reading = find(source, next, name, ksm_text_unit(name));
    if (source->count > count)
        process->sums |= ksm_sums_of(name);
    if (reading)
        put(source, reading, value);
    process->mergeable = process->mergeable || tells_mergeable(name, value);
}

/* False: nothing stands there, since the process has ended. */
static bool read_stat(struct ksm_process *process, struct ksm_source *source, bool *same)
{
    char text[TEXT_BYTES], name[KSM_NAME_BYTES];
    const char *at = text;
    struct ksm_value value;
    size_t next = 1; /* the first is the resident memory */
    const int number = ksm_read_again(process->stat, text, sizeof(text));
    if (number == ESRCH || (!number && !*text))
        return false;
    *same = strcmp(text, process->last_stat) == 0;
    if (*same)
        return true;
    const size_t length = strlen(text);
    memcpy(process->last_stat, text, length < KSM_PROCESS_STAT_BYTES ? length + 1 : 0);
    process->mergeable = false;
    while (ksm_text_field(&at, name, &value))
        set(process, source, next++, name, &value);
    return true;
}

static void read_merging(struct ksm_process *process, struct ksm_source *source, bool *same)
{
    static const char name[] = "ksm_merging_pages";
    char text[TEXT_BYTES];
    struct ksm_value value;
    ksm_read_again(process->merging, text, sizeof(text));
    ksm_text_value(text, &value);
    const struct ksm_value *last = ksm_source_value(source, name);
    *same = *same && last && ksm_value_equal(last, &value);
    set(process, source, source->count, name, &value);
}

/* What KSM does for it, by one file or two. False: the process has ended. */
static bool read_ksm(struct ksm_process *process, struct ksm_source *source)
{
    bool same = true;
    if (process->stat >= 0 && !read_stat(process, source, &same))
        return false;
    if (process->merging >= 0)
        read_merging(process, source, &same);
    process->merging_unchanged = same ? process->merging_unchanged + 1 : 0;
    return true;
}

/* False: the process has ended. */
static bool read_memory(struct ksm_process *process, struct ksm_source *source, uint64_t page_bytes)
{
    char text[TEXT_BYTES];
    uint64_t pages = 0, bytes;
    struct ksm_value value = {.kind = KSM_NOTHING};
    const int number =
        process->memory < 0 ? ENOENT : ksm_read_again(process->memory, text, sizeof(text));
    /* A zombie, and a kernel thread, has 0 pages in all. */
    if (number == ESRCH || (!number && strncmp(text, "0 ", 2) == 0))
        return false;
    if (!number && ksm_text_resident(text, &pages) &&
        !__builtin_mul_overflow(pages, page_bytes, &bytes) && bytes <= INT64_MAX)
        value = (struct ksm_value){.kind = KSM_NUMBER, .number = (int64_t)bytes};
    struct ksm_reading *reading = find(source, 0, "resident_bytes", "bytes");
    process->unchanged = put(source, reading, &value) ? 0 : process->unchanged + 1;
    return true;
}

/* It has said the same for long, and something else than statm tells the process's end. */
static bool memory_rests(const struct ksm_process *process)
{
    return process->unchanged >= KSM_PROCESS_REST_SAMPLES &&
           (process->end >= 0 || process->stat >= 0);
}

/*
 * A process whose memory moves is looked at each time, too: what the program asks of KSM, which no sum
 * tells, it mostly asks when it allocates memory.
 */
static bool ksm_rests(const struct ksm_process *process, unsigned still)
{
    return process->merging_unchanged >= KSM_PROCESS_REST_SAMPLES && memory_rests(process) &&
           process->end >= 0 && (process->sums & ~still) == 0;
}

/* A system call is most of what a sample costs. Not all processes have their turn in the same one. */
void ksm_process_read(struct ksm_process *process, struct ksm_source *source, uint64_t page_bytes,
                      unsigned still)
{
    process->samples++;
    const bool is_turn = (process->samples + (unsigned)source->pid) % KSM_PROCESS_REST_SAMPLES == 0;
    if ((is_turn || !memory_rests(process)) && !read_memory(process, source, page_bytes))
        source->ended = true;
    else if ((is_turn || !ksm_rests(process, still)) && !read_ksm(process, source))
        source->ended = true;
}
