// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merge_map: the whole merge map of three processes of 256 MiB, of which KSM has merged a quarter,
 * over the time of merely reading the same entries of pagemap and kpageflags once, in large chunks, by
 * one thread. Wall time, for the map is taken by as many threads as there are CPUs, up to four.
 * merge_map_cpu: the same as CPU time of the process.
 * merge_map_rate: pages per second of one process of 2 GiB, over the same of those three.
 *
 * Needs root and KSM; the knobs are put back.
 */
#include "bench/bench.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/mergeable.h"
#include "ksm/lease.h"
#include "ksm/map.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS    21
#define PROCESSES 3
#define BYTES     ((size_t)256 << 20)
#define PAGES     ((size_t)(BYTES / MATRIX_PAGE_BYTES))
#define EQUAL     (PAGES / 4) /* of each process: the same in all three */
#define CHUNK     16384       /* entries of one read */
#define GAP       32          /* frames that are read along */
/* Every fourth page is the same in all processes. */
static uint64_t content(unsigned process, size_t page)
{
    return page % 4 == 0 ? page + 1 : ((uint64_t)process + 1) << 32 | (page + 1);
}

static struct matrix_error *merge(const struct ksm_subject *subjects)
{
    for (unsigned i = 0; i < PROCESSES; i++)
        RETURN_IF_ERROR(mergeable_wait(&subjects[i], EQUAL));
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
    const size_t pages = bytes / MATRIX_PAGE_BYTES;
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
    struct ksm_subject subject = {
        .pid = getpid(), .regions = &region, .region_count = 1, .is_required = true};
    struct ksm_subject_list list = {&subject, 1};
    struct matrix_error *error = matrix_lens_process(lens, subject.pid, &task);
    subject.start_time_ns = error ? 0 : task.start_time_ns;
    for (unsigned i = 0; i < 5 && !error; i++) {
        const uint64_t begin = clock_now_ns(CLOCK_MONOTONIC);
        error = ksm_map_take(lens, &list, &map);
        if (!error)
            bench_add(values,
                      1e9 * (double)pages / (double)(clock_now_ns(CLOCK_MONOTONIC) - begin));
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

/* goal: 0 for none. */
static void print_map(const char *name, struct bench_values values[2], unsigned rounds, double goal)
{
    bench_print(&(struct bench_result){
        .name = name,
        .unit = "ms",
        .value = bench_median(&values[0]),
        .baseline = "reading its entries of pagemap and kpageflags once, in large chunks",
        .baseline_value = bench_median(&values[1]),
        .runs = rounds,
        .goal_is = goal ? BENCH_GOAL_RATIO : BENCH_NO_GOAL,
        .goal = goal,
    });
}

static struct matrix_error *measure(const struct matrix_lens *lens, struct ksm_subject_list *list,
                                    struct reading *reading, unsigned rounds, double *pages_per_s)
{
    struct bench_values *cpu = calloc(2, sizeof(*cpu)), *wall = calloc(2, sizeof(*wall));
    struct ksm_map *map = NULL;
    struct matrix_error *error =
        cpu && wall ? ksm_map_take(lens, list, &map) : error_host(ENOMEM, "keep the figures");
    if (!error)
        error = check(map);
    if (!error)
        error = reading_make(map, reading);
    for (unsigned i = 0; i < 2 * rounds && !error; i++) {
        const bool baseline = (i + i / 2) % 2;
        struct ksm_map *taken = NULL;
        const uint64_t begin = clock_now_ns(CLOCK_PROCESS_CPUTIME_ID);
        const uint64_t began = clock_now_ns(CLOCK_MONOTONIC);
        error = baseline ? read_alone(reading, map) : ksm_map_take(lens, list, &taken);
        ksm_map_free(taken);
        bench_add(&cpu[baseline], 1e-6 * (double)(clock_now_ns(CLOCK_PROCESS_CPUTIME_ID) - begin));
        bench_add(&wall[baseline], 1e-6 * (double)(clock_now_ns(CLOCK_MONOTONIC) - began));
    }
    if (!error) {
        *pages_per_s = 1e3 * PROCESSES * PAGES / bench_median(&wall[0]);
        print_map("merge_map", wall, rounds, 1.5);
        print_map("merge_map_cpu", cpu, rounds, 0);
        bench_print(&(struct bench_result){
            .name = "merge_map_wall",
            .unit = "ms",
            .value = bench_median(&wall[0]),
            .baseline = "its CPU time",
            .baseline_value = bench_median(&cpu[0]),
            .runs = rounds,
            .goal_is = BENCH_GOAL_VALUE,
            .goal = 100,
        });
    }
    ksm_map_free(map);
    free(cpu);
    free(wall);
    return error;
}

/* The processes, merged, and ksmd at rest again: what is merged stays so until the lease ends. */
static struct matrix_error *prepare(const struct matrix_lens *lens, struct ksm_lease *lease,
                                    struct ksm_subject *subjects)
{
    struct ksm_knobs knobs = mergeable_knobs("20000", "1");
    for (unsigned i = 0; i < PROCESSES; i++) {
        struct matrix_lens_task task = {0};
        RETURN_IF_ERROR(mergeable_start(i, BYTES, content, &subjects[i]));
        RETURN_IF_ERROR(matrix_lens_process(lens, subjects[i].pid, &task));
        subjects[i].start_time_ns = task.start_time_ns;
        subjects[i].is_required = true;
    }
    RETURN_IF_ERROR(ksm_lease_set(lease, &knobs));
    RETURN_IF_ERROR(merge(subjects));
    snprintf(knobs.text[KSM_KNOB_RUN], KSM_KNOB_TEXT, "0");
    return ksm_lease_set(lease, &knobs);
}

struct matrix_error *bench_main(const struct bench *bench)
{
    struct ksm_subject subjects[PROCESSES] = {{{0}}};
    struct ksm_subject_list list = {.subjects = subjects, .count = PROCESSES};
    double pages_per_s = 0;
    CLEANUP_FREE struct reading *reading = calloc(1, sizeof(*reading));
    struct ksm_lease lease;
    struct matrix_lens *lens;
    if (!reading)
        return error_host(ENOMEM, "read");
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_PROC, &lens));
    /* Before there is anything mergeable: it would be in the way of whoever holds it now. */
    struct matrix_error *error = ksm_lease_begin(ksm_places(), &lease);
    if (!error) {
        error = prepare(lens, &lease, subjects);
        if (!error)
            error = measure(lens, &list, reading, bench->quick ? 3 : ROUNDS, &pages_per_s);
        if (!error)
            error = measure_large(lens, bench->quick ? BYTES : 8 * BYTES, pages_per_s);
        for (unsigned i = 0; i < PROCESSES; i++)
            mergeable_stop(&subjects[i]);
        struct matrix_error *end = ksm_lease_end(&lease);
        matrix_error_free(error ? end : NULL);
        error = error ? error : end;
    }
    free(reading->frames);
    matrix_lens_close(lens);
    return error;
}
