// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merge_map: the whole merge map of three processes of 256 MiB, of which KSM has merged a quarter,
 * over the time of merely reading the same entries of pagemap and kpageflags once, in large chunks.
 * merge_map_rate: pages per second of one process of 2 GiB, over the same of those three.
 * CPU time of the thread, which all of it is: ksmd and others may have work of their own.
 *
 * Needs root and KSM; it takes the lock of /sys/kernel/mm/ksm, and puts all back.
 */
#include "bench/bench.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "ksm/map.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS    21
#define PROCESSES 3
#define BYTES     ((size_t)256 << 20)
#define PAGES     ((size_t)(BYTES / MATRIX_PAGE_BYTES))
#define EQUAL     (PAGES / 4) /* of each process: the same in all three */
#define CHUNK     16384       /* entries of one read */
#define GAP       32          /* frames that are read along */
#define WAIT_S    300

#define LOCK "/run/lock/matrix-ksm"
#define KSM  "/sys/kernel/mm/ksm/"

/* --- KSM ---------------------------------------------------------------------------------------- */

static const struct {
    const char *name, *value;
} settings[] = {
    {"pages_to_scan", "20000"},
    {"sleep_millisecs", "1"},
    {"run", "1"},
};

#define SETTINGS (sizeof(settings) / sizeof(settings[0]))

static struct matrix_error *read_text(const char *path, char *text, size_t size)
{
    CLEANUP_FILE FILE *file = fopen(path, "re");
    if (!file || !fgets(text, (int)size, file))
        return error_host(errno, "read %s", path);
    return NULL;
}

static struct matrix_error *write_text(const char *path, const char *text)
{
    CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        return error_host(errno, "write to %s", path);
    return NULL;
}

static struct matrix_error *merging_pages(pid_t pid, unsigned long *pages)
{
    char path[64], text[32];
    snprintf(path, sizeof(path), "/proc/%d/ksm_merging_pages", pid);
    RETURN_IF_ERROR(read_text(path, text, sizeof(text)));
    *pages = strtoul(text, NULL, 10);
    return NULL;
}

static struct matrix_error *wait_merged(const pid_t *pids)
{
    for (unsigned waited = 0; waited < WAIT_S * 10; waited++) {
        unsigned merged = 0;
        for (unsigned i = 0; i < PROCESSES; i++) {
            unsigned long pages;
            RETURN_IF_ERROR(merging_pages(pids[i], &pages));
            merged += pages >= EQUAL;
        }
        if (merged == PROCESSES)
            return NULL;
        usleep(100000);
    }
    return error_host(ETIMEDOUT, "wait for KSM to merge %zu pages in each of %d processes", EQUAL,
                      PROCESSES);
}

/* Merges, and puts the settings back whatever happens. */
static struct matrix_error *merge(const pid_t *pids)
{
    char before[SETTINGS][32] = {{0}}, path[64];
    struct matrix_error *error = NULL;
    size_t set = 0;
    for (; set < SETTINGS && !error; set++) {
        snprintf(path, sizeof(path), KSM "%s", settings[set].name);
        error = read_text(path, before[set], sizeof(before[set]));
        if (!error)
            error = write_text(path, settings[set].value);
    }
    if (!error)
        error = wait_merged(pids);
    while (set-- > 0) {
        snprintf(path, sizeof(path), KSM "%s", settings[set].name);
        matrix_error_free(before[set][0] ? write_text(path, before[set]) : NULL);
    }
    return error;
}

/* --- processes ---------------------------------------------------------------------------------- */

static void fill(uint64_t *memory, unsigned number)
{
    for (size_t page = 0; page < PAGES; page++) {
        uint64_t *words = memory + page * (MATRIX_PAGE_BYTES / sizeof(uint64_t));
        /* Every fourth page is the same in all. */
        words[0] = page % 4 == 0 ? page + 1 : ((uint64_t)number + 1) << 32 | (page + 1);
        words[511] = ~words[0];
    }
}

/* Forks a process with such memory; subject is where. */
static struct matrix_error *start(unsigned number, struct ksm_subject *subject)
{
    int ready[2];
    char byte;
    void *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || pipe2(ready, O_CLOEXEC))
        return error_host(errno, "map 256 MiB");
    madvise(memory, BYTES, MADV_NOHUGEPAGE);
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        fill(memory, number);
        if (madvise(memory, BYTES, MADV_MERGEABLE) == 0)
            (void)!write(ready[1], "", 1);
        for (;;)
            pause();
    }
    const int number_of = errno;
    close(ready[1]);
    munmap(memory, BYTES);
    const bool is_ready = pid > 0 && read(ready[0], &byte, 1) == 1;
    close(ready[0]);
    subject->pid = pid;
    if (!is_ready)
        return error_host(pid < 0 ? number_of : ENOSYS, "start a process with mergeable memory");
    subject->regions = calloc(1, sizeof(*subject->regions));
    if (!subject->regions)
        return error_host(ENOMEM, "start a process");
    subject->regions[0] =
        (struct ksm_region){.gpa = (uintptr_t)memory, .hva = (uintptr_t)memory, .bytes = BYTES};
    subject->region_count = 1;
    return NULL;
}

/* --- reading alone ------------------------------------------------------------------------------ */

struct reading {
    int pagemaps[PROCESSES], page_flags;
    uint64_t entries[CHUNK];
    uint64_t *frames; /* all that are mapped, in order, each once */
    size_t frame_count;
};

static int compare(const void *a, const void *b)
{
    const uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
    return (first > second) - (first < second);
}

/* Not timed: which frames there are to be read about. */
static struct matrix_error *reading_make(const struct ksm_map *map, struct reading *reading)
{
    size_t count = 0, distinct = 0;
    reading->frames = calloc(PROCESSES * PAGES, sizeof(uint64_t));
    if (!reading->frames)
        return error_host(ENOMEM, "keep frame numbers");
    for (unsigned i = 0; i < PROCESSES; i++)
        for (size_t page = 0; page < PAGES; page++)
            reading->frames[count++] = ksm_page_frame(map->pages[i][page]);
    qsort(reading->frames, count, sizeof(uint64_t), compare);
    for (size_t i = 0; i < count; i++)
        if (reading->frames[i] &&
            (!distinct || reading->frames[i] != reading->frames[distinct - 1]))
            reading->frames[distinct++] = reading->frames[i];
    reading->frame_count = distinct;
    reading->page_flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    if (reading->page_flags < 0)
        return error_host(errno, "open /proc/kpageflags");
    for (unsigned i = 0; i < PROCESSES; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/%d/pagemap", map->list->subjects[i].pid);
        reading->pagemaps[i] = open(path, O_RDONLY | O_CLOEXEC);
        if (reading->pagemaps[i] < 0)
            return error_host(errno, "open %s", path);
    }
    return NULL;
}

static struct matrix_error *read_entries(struct reading *reading, int fd, uint64_t first,
                                         size_t count)
{
    const ssize_t bytes =
        pread(fd, reading->entries, count * sizeof(uint64_t), (off_t)(first * sizeof(uint64_t)));
    return bytes > 0 ? NULL : error_host(bytes < 0 ? errno : 0, "read pagemap or kpageflags");
}

static struct matrix_error *read_alone(struct reading *reading, const struct ksm_map *map)
{
    for (unsigned i = 0; i < PROCESSES; i++)
        for (size_t page = 0; page < PAGES; page += CHUNK)
            RETURN_IF_ERROR(read_entries(
                reading, reading->pagemaps[i],
                map->list->subjects[i].regions[0].hva / MATRIX_PAGE_BYTES + page, CHUNK));
    const uint64_t *frames = reading->frames;
    for (size_t i = 0; i < reading->frame_count;) {
        size_t end = i + 1;
        while (end < reading->frame_count && frames[end] - frames[end - 1] <= GAP &&
               frames[end] - frames[i] < CHUNK)
            end++;
        RETURN_IF_ERROR(read_entries(reading, reading->page_flags, frames[i],
                                     (size_t)(frames[end - 1] - frames[i]) + 1));
        i = end;
    }
    return NULL;
}

/* --- measuring ---------------------------------------------------------------------------------- */

static struct matrix_error *check(const struct ksm_map *map)
{
    if (map->frames >= EQUAL && map->mappings >= PROCESSES * EQUAL)
        return NULL;
    return error_host(EPROTO, "find %zu mappings of %zu frames: the map has %zu of %zu",
                      PROCESSES * EQUAL, EQUAL, (size_t)map->mappings, (size_t)map->frames);
}

/* This process, with so much memory. */
static struct matrix_error *measure_large(const struct matrix_lens *lens, size_t bytes,
                                          double baseline)
{
    struct bench_values *values = calloc(1, sizeof(*values));
    struct matrix_lens_task task;
    struct ksm_map *map;
    if (!values)
        return error_host(ENOMEM, "keep the figures");
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_host(errno, "map memory");
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < bytes; i += MATRIX_PAGE_BYTES)
        memory[i] = 1;
    struct ksm_region region = {(uintptr_t)memory, (uintptr_t)memory, bytes};
    struct ksm_subject subject = {.pid = getpid(), .regions = &region, .region_count = 1};
    const struct ksm_subject_list list = {&subject, 1};
    struct matrix_error *error = matrix_lens_process(lens, subject.pid, &task);
    subject.start_time_ns = error ? 0 : task.start_time_ns;
    for (unsigned i = 0; i < 5 && !error; i++) {
        const uint64_t begin = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
        error = ksm_map_take(lens, &list, &map);
        if (!error)
            bench_add(values, 1e9 * (double)(bytes / MATRIX_PAGE_BYTES) /
                                  (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin));
        ksm_map_free(error ? NULL : map);
    }
    munmap(memory, bytes);
    if (!error)
        bench_print(&(struct bench_result){
            .name = "merge_map_rate",
            .unit = "pages/s",
            .value = bench_median(values),
            .baseline = "the map of merge_map",
            .baseline_value = baseline,
            .runs = 5,
        });
    free(values);
    return error;
}

static struct matrix_error *measure(const struct matrix_lens *lens,
                                    const struct ksm_subject_list *list, struct reading *reading,
                                    unsigned rounds, double *pages_per_s)
{
    struct bench_values *values = calloc(2, sizeof(*values));
    struct ksm_map *map;
    if (!values)
        return error_host(ENOMEM, "keep the figures");
    struct matrix_error *error = ksm_map_take(lens, list, &map);
    if (!error)
        error = check(map);
    if (!error)
        error = reading_make(map, reading);
    for (unsigned i = 0; i < 2 * rounds && !error; i++) {
        const bool baseline = (i + i / 2) % 2;
        struct ksm_map *taken = NULL;
        const uint64_t begin = clock_now_ns(CLOCK_THREAD_CPUTIME_ID);
        error = baseline ? read_alone(reading, map) : ksm_map_take(lens, list, &taken);
        ksm_map_free(taken);
        bench_add(&values[baseline],
                  1e-6 * (double)(clock_now_ns(CLOCK_THREAD_CPUTIME_ID) - begin));
    }
    if (!error) {
        *pages_per_s = 1e3 * PROCESSES * PAGES / bench_median(&values[0]);
        bench_print(&(struct bench_result){
            .name = "merge_map",
            .unit = "ms",
            .value = bench_median(&values[0]),
            .baseline = "reading its entries of pagemap and kpageflags once, in large chunks",
            .baseline_value = bench_median(&values[1]),
            .runs = rounds,
            .goal_is = BENCH_GOAL_RATIO,
            .goal = 1.5,
        });
    }
    ksm_map_free(map);
    free(values);
    return error;
}

struct matrix_error *bench_main(const struct bench *bench)
{
    /* First of all: what is mergeable here would be in the way of whoever holds it now. */
    CLEANUP_CLOSE int lock = -1;
    mkdir("/run/lock", 0755);
    lock = open(LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (lock < 0 || flock(lock, LOCK_EX))
        return error_host(errno, "lock %s", LOCK);
    struct ksm_subject subjects[PROCESSES] = {{{0}}};
    const struct ksm_subject_list list = {.subjects = subjects, .count = PROCESSES};
    pid_t pids[PROCESSES] = {0};
    double pages_per_s = 0;
    struct reading *reading = calloc(1, sizeof(*reading));
    struct matrix_lens *lens;
    struct matrix_error *error = NULL;
    if (!reading)
        return error_host(ENOMEM, "read");
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_PROC, &lens));
    for (unsigned i = 0; i < PROCESSES && !error; i++) {
        struct matrix_lens_task task = {0};
        error = start(i, &subjects[i]);
        pids[i] = subjects[i].pid;
        if (!error)
            error = matrix_lens_process(lens, pids[i], &task);
        subjects[i].start_time_ns = task.start_time_ns;
    }
    if (!error)
        error = merge(pids);
    if (!error)
        error = measure(lens, &list, reading, bench->quick ? 3 : ROUNDS, &pages_per_s);
    if (!error)
        error = measure_large(lens, bench->quick ? BYTES : 8 * BYTES, pages_per_s);
    for (unsigned i = 0; i < PROCESSES; i++) {
        if (pids[i] > 0) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
        free(subjects[i].regions);
    }
    free(reading->frames);
    free(reading);
    matrix_lens_close(lens);
    return error;
}
