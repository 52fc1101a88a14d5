// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * poker: changes its own memory from behind. It allocates pages, puts a value into each, asks the
 * kernel module for the physical addresses, has other values written there, and sees those through
 * its own pointers. Then it shows what is refused: a page that a child shares, and an address that
 * is not where the page is.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/parse.h"
#include "cli/common.h"
#include "cli/exit_status.h"
#include <argp.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <matrix/lens.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PROGRAM "poker"

#define PAGES_MAX 100000
#define PAGE      MATRIX_PAGE_BYTES
/* The kernel may move a page between question and answer. Then one asks again. */
#define ATTEMPTS 100

struct poker {
    uint64_t pages;
    struct matrix_lens *lens;
    volatile uint8_t *memory;
    unsigned unseen; /* what should have been seen and was not */
};

/* --- arguments ------------------------------------------------------------------------------- */

enum { OPTION_PAGES = 256 };

static const struct argp_option options[] = {
    {"pages", OPTION_PAGES, "N", 0, "how many pages to change a byte in (default 4)", 0},
    {0},
};

static error_t parse_option(int key, char *argument, struct argp_state *state)
{
    struct poker *poker = state->input;
    if (key != OPTION_PAGES)
        return ARGP_ERR_UNKNOWN;
    struct matrix_error *error = parse_u64(argument, 1, PAGES_MAX, &poker->pages);
    if (error)
        exit(cli_fail(PROGRAM, error_prefix(error, "--pages")));
    return 0;
}

static const struct argp argp = {
    .options = options,
    .parser = parse_option,
    .doc = "Writes into its own memory by physical address, and reads it by its own pointers.\v"
           "Needs the kernel module matrix_lens, and root.\n"
           "Exit status: 0 every write was seen and every refusal came, 1 not so, 122 bad usage, "
           "125 the host refused.",
};

/* --- writing --------------------------------------------------------------------------------- */

/* Where a byte of our memory is now. */
static struct matrix_error *find(const struct poker *poker, const volatile uint8_t *byte,
                                 struct matrix_place *place)
{
    const uint64_t address = (uintptr_t)byte;
    uint64_t entry;
    (void)*byte; /* brings it back if it was swapped out */
    RETURN_IF_ERROR(
        matrix_lens_translate(poker->lens, getpid(), address & ~(PAGE - 1), 1, 0, &entry));
    if (!(entry & MATRIX_PAGE_PRESENT))
        return error_host(0, "there is no memory behind 0x%" PRIx64 " any more", address);
    *place = (struct matrix_place){
        .pid = getpid(),
        .virtual_address = address,
        .physical_address = (entry & MATRIX_PAGE_ADDRESS) + address % PAGE,
    };
    return NULL;
}

static struct matrix_error *poke(const struct poker *poker, const volatile uint8_t *byte,
                                 unsigned flags, uint8_t value, struct matrix_place *place)
{
    struct matrix_error *error = NULL;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        matrix_error_free(error);
        RETURN_IF_ERROR(find(poker, byte, place));
        place->flags = flags;
        error = matrix_lens_write_byte(poker->lens, place, value, NULL);
        if (!error || error->number != ESTALE)
            break;
    }
    return error;
}

/* Another byte of each page, so that all offsets come in turn. */
static volatile uint8_t *byte_of(const struct poker *poker, uint64_t page)
{
    return poker->memory + page * PAGE + (page * 0x123 + 0x10) % PAGE;
}

static struct matrix_error *change_each(struct poker *poker)
{
    printf("%-18s  %-18s  %6s  %7s  %5s\n", "virtual", "physical", "before", "written", "after");
    for (uint64_t page = 0; page < poker->pages; page++)
        *byte_of(poker, page) = (uint8_t)page;
    for (uint64_t page = 0; page < poker->pages; page++) {
        volatile uint8_t *byte = byte_of(poker, page);
        const uint8_t before = *byte, written = (uint8_t)~before;
        struct matrix_place place;
        RETURN_IF_ERROR(poke(poker, byte, 0, written, &place));
        const uint8_t after = *byte;
        printf("0x%016" PRIx64 "  0x%016" PRIx64 "    0x%02x     0x%02x   0x%02x%s\n",
               place.virtual_address, place.physical_address, before, written, after,
               after == written ? "" : "  NOT SEEN");
        poker->unseen += after != written;
    }
    return NULL;
}

/* --- refusals -------------------------------------------------------------------------------- */

/* Prints the refusal that is wanted; any other error is passed up. */
static struct matrix_error *expect(struct poker *poker, struct matrix_error *error, int number,
                                   const char *what)
{
    if (error && error->number != number)
        return error;
    printf("%s: ", what);
    cli_print_escaped(stdout, error ? error->message : "NOT REFUSED");
    putchar('\n');
    poker->unseen += !error;
    matrix_error_free(error);
    return NULL;
}

static struct matrix_error *show_wrong_address(struct poker *poker)
{
    struct matrix_place place;
    RETURN_IF_ERROR(find(poker, poker->memory, &place));
    place.physical_address ^= PAGE;
    return expect(poker, matrix_lens_write_byte(poker->lens, &place, 1, NULL), ESTALE,
                  "at a wrong physical address");
}

/* In the child: what it sees of the byte once it is told to look, as its exit status. */
static void tell_byte(const volatile uint8_t *byte, int go)
{
    uint8_t unused;
    while (read(go, &unused, 1) < 0 && errno == EINTR)
        ;
    _exit(*byte);
}

static struct matrix_error *write_shared(struct poker *poker)
{
    const uint8_t value = (uint8_t) ~*poker->memory;
    struct matrix_place place;
    RETURN_IF_ERROR(expect(poker, poke(poker, poker->memory, 0, value, &place), EBUSY,
                           "a page that a child shares"));
    RETURN_IF_ERROR(poke(poker, poker->memory, MATRIX_LENS_FORCE, value, &place));
    const uint8_t after = *poker->memory;
    printf("by force: 0x%02x was written, and is what the parent sees: 0x%02x\n", value, after);
    poker->unseen += after != value;
    return NULL;
}

/* A page is common to parent and child after fork(2) until one of them writes to it. */
static struct matrix_error *show_shared(struct poker *poker)
{
    int go[2], status;
    if (pipe2(go, O_CLOEXEC))
        return error_host(errno, "make a pipe");
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        close(go[1]); /* else the end of the parent would not be seen */
        tell_byte(poker->memory, go[0]);
    }
    close(go[0]);
    CLEANUP_ERROR struct matrix_error *error =
        child < 0 ? error_host(errno, "fork") : write_shared(poker);
    close(go[1]);
    if (child > 0) {
        waitpid(child, &status, 0);
        printf("and the child: 0x%02x\n", WEXITSTATUS(status));
        poker->unseen += !error && WEXITSTATUS(status) != *poker->memory;
    }
    return TAKE(error);
}

static struct matrix_error *run(struct poker *poker)
{
    RETURN_IF_ERROR(matrix_lens_open(MATRIX_LENS_MODULE, &poker->lens));
    poker->memory =
        mmap(NULL, poker->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (poker->memory == MAP_FAILED)
        return error_host(errno, "allocate %" PRIu64 " pages", poker->pages);
    RETURN_IF_ERROR(change_each(poker));
    RETURN_IF_ERROR(show_wrong_address(poker));
    return show_shared(poker);
}

int main(int argc, char **argv)
{
    struct poker poker = {.pages = 4};
    cli_open_standard_files();
    argp_err_exit_status = EXIT_BAD_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &poker);
    struct matrix_error *error = run(&poker);
    matrix_lens_close(poker.lens);
    if (error)
        return cli_fail(PROGRAM, error);
    return poker.unseen ? EXIT_FAILURE : EXIT_SUCCESS;
}
