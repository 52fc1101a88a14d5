// SPDX-License-Identifier: GPL-2.0-or-later
/* A worker of the race: its memory, threads and children change as fast as they can. */
#include "tests/lens/race/race.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CHILD_LIFE_US 20000
#define LARGE_PAGE    (2UL << 20)
#define TOUCHES       32

#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif

static int pattern = -1, memory = -1;

struct range {
    char *start;
    size_t size;
};

/* Often of large pages' alignment, so that there are some. */
static struct range choose_range(uint64_t *seed)
{
    bool large = random_below(seed, 3) == 0;
    size_t unit = large ? LARGE_PAGE : PAGE, most = large ? 4 : 64;
    size_t units = WINDOW_SIZE / unit;
    size_t first = random_below(seed, units);
    size_t count = 1 + random_below(seed, units - first < most ? units - first : most);
    return (struct range){WINDOW + first * unit, count * unit};
}

static void map_range(struct range range, uint64_t *seed)
{
    static const struct {
        int flags;
        bool of_memory;
    } kinds[] = {
        {MAP_PRIVATE | MAP_ANONYMOUS, false},
        {MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, false},
        {MAP_SHARED | MAP_ANONYMOUS, false},
        {MAP_SHARED, true},
        {MAP_PRIVATE, true},
        {MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, false},
    };
    size_t kind = random_below(seed, COUNT(kinds));
    void *at = mmap(range.start, range.size, PROT_READ | PROT_WRITE, kinds[kind].flags | MAP_FIXED,
                    kinds[kind].of_memory ? memory : -1, 0);
    if (at != MAP_FAILED)
        atomic_fetch_add(&tally->maps, 1);
}

static void advise_range(struct range range, uint64_t *seed)
{
    static const int advice[] = {MADV_DONTNEED,  MADV_HUGEPAGE,    MADV_HUGEPAGE, MADV_NOHUGEPAGE,
                                 MADV_MERGEABLE, MADV_UNMERGEABLE, MADV_FREE,     MADV_COLD,
                                 MADV_PAGEOUT,   MADV_PAGEOUT,     MADV_REMOVE};
    madvise(range.start, range.size, advice[random_below(seed, COUNT(advice))]);
}

/* Touches by way of the kernel: EFAULT where nothing is mapped, or not so, and no SIGSEGV. */
static void touch_range(struct range range, uint64_t *seed)
{
    size_t pages = range.size / PAGE, step = 1 + pages / TOUCHES;
    for (size_t page = random_below(seed, step); page < pages; page += step)
        (void)!pread(pattern, range.start + page * PAGE, 64, 0);
}

static void protect_range(struct range range, uint64_t *seed)
{
    static const int protections[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
                                      PROT_READ | PROT_WRITE};
    mprotect(range.start, range.size, protections[random_below(seed, COUNT(protections))]);
}

static void move_range(struct range range, uint64_t *seed)
{
    struct range to = choose_range(seed);
    (void)mremap(range.start, range.size < to.size ? range.size : to.size, to.size,
                 MREMAP_MAYMOVE | MREMAP_FIXED, to.start);
}

int live_after_exec(void)
{
    usleep(CHILD_LIFE_US / 2);
    return 0;
}

static void *touch_in_thread(void *argument)
{
    uint64_t seed = (uintptr_t)argument;
    touch_range(choose_range(&seed), &seed);
    return NULL;
}

static void start_thread(uint64_t *seed)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, touch_in_thread, (void *)random_next(seed)) == 0)
        pthread_detach(thread);
}

static _Noreturn void live_as_child(uint64_t seed)
{
    touch_range(choose_range(&seed), &seed);
    switch (random_below(&seed, 4)) {
    case 0:
        execl("/proc/self/exe", "race", "exec", NULL);
        break;
    case 1:
        if (fork() == 0)
            usleep(CHILD_LIFE_US / 4);
        break;
    case 2: /* a process without its first thread */
        start_thread(&seed);
        pthread_exit(NULL);
    }
    usleep((useconds_t)random_below(&seed, CHILD_LIFE_US));
    _exit(0);
}

static void start_child(uint64_t *seed)
{
    uint64_t childs_seed = random_next(seed);
    pid_t child = fork();
    if (child == 0)
        live_as_child(childs_seed);
    if (child > 0)
        atomic_fetch_add(&tally->forks, 1);
}

void work(uint64_t seed)
{
    char bytes[64];
    /* Else there are more of these than of callers, and hardly a request. */
    (void)!nice(5);
    memset(bytes, 'm', sizeof(bytes));
    pattern = memfd_create("pattern", 0);
    memory = memfd_create("memory", 0);
    if (write(pattern, bytes, sizeof(bytes)) < 0 || ftruncate(memory, WINDOW_SIZE) ||
        mmap(WINDOW, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
             -1, 0) == MAP_FAILED)
        exit(1);
    madvise(WINDOW, WINDOW_SIZE, MADV_HUGEPAGE);
    for (;;) {
        struct range range = choose_range(&seed);
        uint64_t choice = random_below(&seed, 100);
        if (choice < 20)
            map_range(range, &seed);
        else if (choice < 25)
            munmap(range.start, range.size);
        else if (choice < 45)
            advise_range(range, &seed);
        else if (choice < 75)
            touch_range(range, &seed);
        else if (choice < 83)
            protect_range(range, &seed);
        else if (choice < 87)
            move_range(range, &seed);
        else if (choice < 90)
            start_thread(&seed);
        else if (choice < 94)
            start_child(&seed);
        race_reap();
    }
}
