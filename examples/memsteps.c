// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * memsteps: allocates memory in steps, touches it in steps, and frees it in steps, so that others
 * can watch: lkm4, `matrix proc footprint`, `matrix proc watch`, top(1). Allocated memory is
 * virtual until it is touched; only then the kernel puts a page behind it.
 *
 * It says what virtual and resident memory must be after each step, and what its own lens measures.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <matrix/lens.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PROGRAM "memsteps"

#define STEPS_MAX  10000
#define PAGE       MATRIX_PAGE_BYTES
#define HUGE_PAGE  (2ULL << 20)
#define HEAP_BYTES (64UL << 10)
#define NS_PER_S   1000000000ULL
#define KB(number) ((number) >> 10)

struct memsteps {
    uint64_t steps, step_bytes, pause_ns;
    bool interactive, huge, prompts;
    struct matrix_lens *lens;
    uint64_t virtual_bytes, resident_bytes; /* what must be */
    char **memory;                          /* of each step */
};

enum { OPTION_STEPS = 256, OPTION_STEP, OPTION_HUGE };

static const struct argp_option options[] = {
    {"steps", OPTION_STEPS, "N", 0, "how many steps (default 4)", 0},
    {"step", OPTION_STEP, "SIZE", 0, "how much memory each step takes (default 16M)", 0},
    {"pause", 'p', "DURATION", 0, "wait after each step (default: no pause)", 0},
    {"interactive", 'i', NULL, 0, "wait for Enter after each step; the end of input ends it", 0},
    {"huge", OPTION_HUGE, NULL, 0, "ask for pages of 2 MiB; without, there are only small ones", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct memsteps *memsteps = state->input;
    struct matrix_error *error = NULL;
    switch (key) {
    case OPTION_STEPS:
        error = error_prefix(parse_u64(argument, 1, STEPS_MAX, &memsteps->steps), "--steps");
        break;
    case OPTION_STEP:
        error = error_prefix(parse_size(argument, &memsteps->step_bytes), "--step");
        break;
    case 'p':
        error = error_prefix(parse_duration(argument, &memsteps->pause_ns), "--pause");
        break;
    case 'i':
        memsteps->interactive = true;
        break;
    case OPTION_HUGE:
        memsteps->huge = true;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    if (error)
        exit(cli_fail(PROGRAM, error));
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .doc = "Allocates memory step by step, then touches it step by step, then frees it.\v"
           "Prints after each step what its virtual and resident memory must be, in kB, and what "
           "it measures. Watch it from outside: `matrix proc watch PID`.\n"
           "Exit status: 0 done, 122 bad usage, 125 the host refused.",
};

/* What cannot be had is refused before: touching it would call the kernel's OOM killer. */
static struct matrix_error *check(const struct memsteps *memsteps)
{
    const uint64_t page = memsteps->huge ? HUGE_PAGE : PAGE;
    const uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    char total[FORMAT_BYTES], there[FORMAT_BYTES], unit[FORMAT_BYTES];
    uint64_t bytes;
    if (memsteps->step_bytes == 0 || memsteps->step_bytes % page)
        return error_usage(NULL, "--step: give a multiple of a page, %s", format_size(unit, page));
    if (__builtin_mul_overflow(memsteps->steps, memsteps->step_bytes, &bytes))
        bytes = UINT64_MAX;
    if (bytes > memory)
        return error_usage("take fewer or smaller steps",
                           "%" PRIu64 " steps are %s, and this machine has %s", memsteps->steps,
                           format_size(total, bytes), format_size(there, memory));
    return NULL;
}

/* --- the three things that are done ---------------------------------------------------------- */

/* Aligned to its page size: the kernel maps a page of 2 MiB only at a multiple of that. */
static struct matrix_error *allocate(struct memsteps *memsteps, uint64_t step)
{
    const uint64_t slack = memsteps->huge ? HUGE_PAGE : 0;
    const uint64_t bytes = memsteps->step_bytes;
    char size[FORMAT_BYTES];
    char *memory =
        mmap(NULL, bytes + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return error_host(errno, "allocate %s", format_size(size, bytes));
    if (slack) {
        const uint64_t before = -(uintptr_t)memory % HUGE_PAGE;
        if (before)
            munmap(memory, before);
        munmap(memory + before + bytes, slack - before);
        memory += before;
    }
    /* A kernel without huge pages knows neither advice: then small ones are all there is. */
    if (madvise(memory, bytes, memsteps->huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) && memsteps->huge)
        return error_new(MATRIX_ERROR_HOST, errno, "leave --huge out", "ask for pages of 2 MiB");
    memsteps->memory[step] = memory;
    memsteps->virtual_bytes += bytes;
    return NULL;
}

static struct matrix_error *touch(struct memsteps *memsteps, uint64_t step)
{
    volatile char *memory = memsteps->memory[step];
    for (uint64_t offset = 0; offset < memsteps->step_bytes; offset += PAGE)
        memory[offset] = 1; /* a page fault each, but for pages that a larger one brought along */
    memsteps->resident_bytes += memsteps->step_bytes;
    return NULL;
}

static struct matrix_error *release(struct memsteps *memsteps, uint64_t step)
{
    if (munmap(memsteps->memory[step], memsteps->step_bytes))
        return error_host(errno, "free step %" PRIu64, step + 1);
    memsteps->virtual_bytes -= memsteps->step_bytes;
    memsteps->resident_bytes -= memsteps->step_bytes;
    return NULL;
}

static const struct {
    const char *name;
    struct matrix_error *(*take)(struct memsteps *memsteps, uint64_t step);
} phases[] = {
    {"allocate", allocate},
    {"touch", touch},
    {"free", release},
};

#define PHASES (sizeof(phases) / sizeof(phases[0]))

/* --- telling and waiting --------------------------------------------------------------------- */

static struct matrix_error *print_line(const struct memsteps *memsteps, const char *phase,
                                       uint64_t step)
{
    struct matrix_footprint measured;
    char name[32] = "";
    RETURN_IF_ERROR(matrix_lens_footprint(memsteps->lens, getpid(), &measured));
    if (step)
        snprintf(name, sizeof(name), "%" PRIu64 " of %" PRIu64, step, memsteps->steps);
    printf("%-8s  %-14s %10" PRIu64 " %10" PRIu64 " %11" PRIu64 " %10" PRIu64 "\n", phase, name,
           KB(memsteps->virtual_bytes), KB(measured.virtual_bytes), KB(memsteps->resident_bytes),
           KB(measured.resident_bytes));
    return NULL;
}

/* Reads up to the end of a line. Not by stdio, whose buffer would be memory that was not there. */
static void wait_for_enter(const struct memsteps *memsteps)
{
    char byte = 0;
    if (memsteps->prompts)
        fputs("Enter goes on. ", stderr);
    while (byte != '\n')
        if (read(STDIN_FILENO, &byte, 1) != 1)
            exit(EXIT_SUCCESS);
}

static void pause_for(uint64_t pause_ns)
{
    struct timespec left = {.tv_sec = (time_t)(pause_ns / NS_PER_S),
                            .tv_nsec = (long)(pause_ns % NS_PER_S)};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

static void wait_for_observer(const struct memsteps *memsteps)
{
    pause_for(memsteps->pause_ns);
    if (memsteps->interactive)
        wait_for_enter(memsteps);
}

/*
 * Does everything once, with one page, before it measures: what that brings into memory of the
 * program and its libraries is then there at the start. So is the heap that measuring works in.
 */
static struct matrix_error *measure_start(struct memsteps *memsteps)
{
    const struct memsteps wanted = *memsteps;
    struct matrix_footprint start;
    void *heap = malloc(HEAP_BYTES);
    if (heap)
        explicit_bzero(heap, HEAP_BYTES); /* unlike memset() never optimised away */
    free(heap);
    memsteps->huge = false;
    memsteps->step_bytes = PAGE;
    for (size_t phase = 0; phase < PHASES; phase++) {
        RETURN_IF_ERROR(phases[phase].take(memsteps, 0));
        RETURN_IF_ERROR(matrix_lens_footprint(memsteps->lens, getpid(), &start));
    }
    pause_for(0);
    RETURN_IF_ERROR(matrix_lens_footprint(memsteps->lens, getpid(), &start));
    *memsteps = wanted;
    memsteps->virtual_bytes = start.virtual_bytes;
    memsteps->resident_bytes = start.resident_bytes;
    return NULL;
}

static void print_header(const struct memsteps *memsteps)
{
    char step[FORMAT_BYTES], page[FORMAT_BYTES];
    printf(PROGRAM ": pid %d; %" PRIu64 " steps of %s in pages of %s; all below in kB, measured by "
                   "%s\n",
           getpid(), memsteps->steps, format_size(step, memsteps->step_bytes),
           format_size(page, memsteps->huge ? HUGE_PAGE : PAGE),
           matrix_lens_source_name(memsteps->lens));
    printf("%-8s  %-14s %10s %10s %11s %10s\n", "", "step", "virtual", "measured", "resident",
           "measured");
}

static struct matrix_error *run(struct memsteps *memsteps)
{
    CLEANUP_FREE void *memory = calloc(memsteps->steps, sizeof(*memsteps->memory));
    if (!memory)
        return error_host(ENOMEM, "remember %" PRIu64 " steps", memsteps->steps);
    /* calloc() may leave it untouched, and then it would become resident in the midst of things. */
    memsteps->memory = memset(memory, 0, memsteps->steps * sizeof(*memsteps->memory));

    print_header(memsteps);
    RETURN_IF_ERROR(measure_start(memsteps));
    RETURN_IF_ERROR(print_line(memsteps, "start", 0));
    wait_for_observer(memsteps);
    for (size_t phase = 0; phase < PHASES; phase++)
        for (uint64_t step = 0; step < memsteps->steps; step++) {
            RETURN_IF_ERROR(phases[phase].take(memsteps, step));
            RETURN_IF_ERROR(print_line(memsteps, phases[phase].name, step + 1));
            wait_for_observer(memsteps);
        }
    return NULL;
}

int main(int argc, char **argv)
{
    static char line[BUFSIZ];
    struct memsteps memsteps = {
        .steps = 4, .step_bytes = 16ULL << 20, .prompts = isatty(STDIN_FILENO)};
    cli_open_standard_files();
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &memsteps);
    struct matrix_error *error = check(&memsteps);
    if (error)
        return cli_fail(PROGRAM, error);

    /* Each line is out when its step is done, whoever reads. */
    setvbuf(stdout, line, _IOLBF, sizeof(line));
    error = matrix_lens_open(MATRIX_LENS_BEST, &memsteps.lens);
    if (!error)
        error = run(&memsteps);
    matrix_lens_close(memsteps.lens);
    return error ? cli_fail(PROGRAM, error) : EXIT_SUCCESS;
}
