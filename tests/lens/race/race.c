// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The race of all that the modules do against all that changes what they look at. Started inside
 * the lab by tests/lab/race.sh, which also looks at what the kernel says afterwards.
 *   race SECONDS SEED MODULES       the directory of the .ko files; matrix_lens is loaded
 */
#include "tests/lens/race/race.h"
#include "tests/lens/device.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct tally *tally;

static const char *modules_directory;

/* The first one is the driver. */
static const char *const modules[MODULES] = {
    "matrix_lens", "helloworld", "hello_procfs", "get_pgfaults", "lkm1", "lkm2", "lkm3", "lkm4",
};

static const char *const requests[REQUESTS] = {
    "INFO", "TRANSLATE", "FOOTPRINT", "READ_BYTE", "WRITE_BYTE", "RUNNING", "CHILDREN", "REPARENT",
};

/* What the header lets each request fail by; 0 ends a list. */
static const int errnos[REQUESTS][16] = {
    {EINVAL, E2BIG, EFAULT},
    {EINVAL, E2BIG, EFAULT, ENOMEM, ESRCH, ENXIO, EINTR},
    {EINVAL, E2BIG, EFAULT, ENOMEM, ESRCH, ENXIO, EINTR},
    {EINVAL, E2BIG, EFAULT, ENOMEM, ESRCH, ENXIO, ESTALE, EACCES},
    {EINVAL, E2BIG, EFAULT, ENOMEM, ESRCH, ENXIO, ESTALE, EACCES, EBUSY, EROFS},
    {EINVAL, E2BIG, EFAULT, ENOMEM},
    {EINVAL, E2BIG, EFAULT, ENOMEM, ESRCH},
    {EINVAL, E2BIG, EFAULT, ENOMEM, ESRCH, EPERM, ELOOP},
};

/* xorshift64*, whose seed must not be 0. */
uint64_t random_next(uint64_t *seed)
{
    *seed ^= *seed >> 12;
    *seed ^= *seed << 25;
    *seed ^= *seed >> 27;
    return *seed * 0x2545f4914f6cdd1dULL;
}

uint64_t random_below(uint64_t *seed, uint64_t bound)
{
    return (random_next(seed) >> 16) % bound;
}

void race_reap(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
}

/* --- Modules that come and go ----------------------------------------------------------------- */

/* Parameters that make sense, as far as that goes in a race. */
static const char *choose_parameters(size_t module, uint64_t *seed)
{
    static char text[64];
    int pid = tally->workers[random_below(seed, WORKERS)];
    text[0] = 0;
    if (strcmp(modules[module], "lkm3") == 0)
        snprintf(text, sizeof(text), "pid=%d address=%#" PRIx64, pid,
                 (uint64_t)(uintptr_t)WINDOW + random_below(seed, WINDOW_SIZE));
    else if (strcmp(modules[module], "lkm2") == 0 || strcmp(modules[module], "lkm4") == 0)
        snprintf(text, sizeof(text), "pid=%d", pid);
    return text;
}

static bool load(size_t module, uint64_t *seed)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.ko", modules_directory, modules[module]);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    long result = syscall(SYS_finit_module, file, choose_parameters(module, seed), 0);
    close(file);
    atomic_fetch_add(result ? &tally->load_failures[module] : &tally->loads[module], 1);
    return result == 0;
}

static void unload(size_t module)
{
    bool unloaded = syscall(SYS_delete_module, modules[module], O_NONBLOCK) == 0;
    atomic_fetch_add(unloaded ? &tally->unloads[module] : &tally->busy[module], 1);
}

/*
 * Mostly it is in use. Every other time the callers are asked to close it and not to open it again;
 * they need not have heard of that.
 */
static _Noreturn void load_driver(uint64_t seed)
{
    for (;;) {
        unload(0);
        load(0, &seed);
        usleep((useconds_t)random_below(&seed, 10000));
        tally->wanted = true;
        usleep((useconds_t)random_below(&seed, 200000));
        unload(0);
        tally->wanted = false;
        load(0, &seed);
        usleep((useconds_t)random_below(&seed, 10000));
        race_reap();
    }
}

static _Noreturn void load_others(uint64_t seed)
{
    for (;;) {
        size_t module = 1 + random_below(&seed, MODULES - 1);
        if (load(module, &seed)) {
            usleep((useconds_t)random_below(&seed, 50000));
            unload(module);
        }
        race_reap();
    }
}

/* Reads the files that those modules make, and holds them open over their end. */
static _Noreturn void read_files(uint64_t seed)
{
    static const char *const files[] = {"/proc/hello_procfs", "/proc/get_pgfaults"};
    for (;;) {
        char text[64];
        int file = open(files[random_below(&seed, COUNT(files))], O_RDONLY | O_CLOEXEC);
        for (uint64_t i = random_below(&seed, 100); file >= 0 && i > 0; i--)
            if (pread(file, text, sizeof(text), 0) > 0)
                atomic_fetch_add(&tally->reads, 1);
        if (file >= 0)
            close(file);
        else
            usleep(1000);
        race_reap();
    }
}

/* --- What came of it ---------------------------------------------------------------------------- */

static int tests;

static void result(bool good, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%sok %d - race: ", good ? "" : "not ", ++tests);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
}

static bool is_documented(size_t request, int number)
{
    for (size_t i = 0; errnos[request][i]; i++)
        if (errnos[request][i] == number)
            return true;
    return false;
}

static void tell_requests(unsigned long least)
{
    for (size_t i = 0; i < REQUESTS; i++) {
        unsigned long done = tally->answers[i][0], refused = 0;
        for (int number = 1; number < ERRNOS; number++) {
            unsigned long count = tally->answers[i][number];
            refused += count;
            if (count && !is_documented(i, number))
                result(false, "%s: %lu times %s, which its header does not name", requests[i],
                       count, strerror(number));
            else if (count)
                printf("# %s: %lu times %s\n", requests[i], count, strerror(number));
        }
        result(done >= least && refused >= least, "%s: %lu times done, %lu times refused",
               requests[i], done, refused);
    }
    result(tally->wrong == 0 && tally->others >= least,
           "%lu requests that are none, of which %lu were taken for one",
           tally->others + tally->wrong, (unsigned long)tally->wrong);
}

static void tell_modules(unsigned long least)
{
    for (size_t i = 0; i < MODULES; i++)
        result(tally->loads[i] >= least && tally->unloads[i] >= least,
               "%s: %lu times loaded, %lu times not; %lu times unloaded, %lu times not", modules[i],
               tally->loads[i], tally->load_failures[i], tally->unloads[i], tally->busy[i]);
    result(tally->busy[0] >= least, "%s: %lu times in use and so not unloaded", modules[0],
           tally->busy[0]);
    result(tally->reads >= least, "%lu reads of files that modules make", tally->reads);
    result(tally->forks >= least && tally->maps >= least, "%lu children, %lu mappings",
           tally->forks, tally->maps);
}

static void tell_afterwards(uint64_t *seed)
{
    struct matrix_lens_task task;
    uint32_t count = 0;
    load(0, seed);
    int device = device_open();
    result(device >= 0 && device_tasks(device, MATRIX_LENS_RUNNING, 0, &task, 1, &count) == 0 &&
               count >= 1,
           "the device works afterwards");
}

/* In the racers' own process group, which the end is sent to. */
static pid_t start(void (*what)(uint64_t), pid_t group, uint64_t seed)
{
    pid_t pid = fork();
    if (pid < 0)
        exit(1);
    if (pid == 0) {
        setpgid(0, group);
        what(seed);
    }
    setpgid(pid, group);
    return pid;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "exec") == 0)
        return live_after_exec();
    if (argc != 4)
        return 2;
    unsigned int seconds = (unsigned int)atoi(argv[1]);
    uint64_t seed = strtoull(argv[2], NULL, 0) * 2654435761ULL + 1;
    modules_directory = argv[3];
    tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return 1;
    tally->main = getpid();
    /* Whoever loses its parent comes here, so that all are seen to end. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);

    pid_t group = 0;
    for (int i = 0; i < WORKERS; i++) {
        tally->workers[i] = start(work, group, random_next(&seed));
        group = tally->workers[0];
    }
    for (int i = 0; i < CALLERS; i++)
        start(call, group, random_next(&seed));
    start(load_driver, group, random_next(&seed));
    start(load_others, group, random_next(&seed));
    start(read_files, group, random_next(&seed));

    while ((seconds = sleep(seconds)) > 0)
        continue;
    kill(-group, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    /* A kernel that watches itself, in an emulated machine, is very slow. */
    unsigned long least = (unsigned long)atoi(argv[1]) / 20 + 1;
    tell_requests(least);
    tell_modules(least / 4 + 1);
    tell_afterwards(&seed);
    printf("1..%d\n", tests);
    return 0;
}
