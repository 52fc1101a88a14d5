// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for boards: memory that anybody may have made. The input is pieces that are written
 * over a good board, each with an offset (3 bytes) and a length (1 byte) in front. What is read from it
 * keeps its promises, or is refused; nothing reads outside of it (AddressSanitizer, SIGBUS).
 */
#include "cloud/board_memory.h"

#include "tests/fuzz/fuzz.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define GUESTS     4
#define STAYS      16
#define GROUPS     3
#define SLOTS_READ 64

static uint8_t good[16 * 4096];
static size_t good_bytes;

/* The reader's patience with an entry that is never whole is over at once: the linker brings it here. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    static time_t seconds;
    *now = (struct timespec){.tv_sec = ++seconds};
    return 0;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct board_memory memory;
    FUZZ_NO_ERROR(board_memory_make(GUESTS, GROUPS, STAYS, &memory));
    board_memory_write_core(&memory,
                            &(struct matrix_board_core){.host_cpu = 1, .slice_ns = 1000000});
    for (uint32_t i = 0; i < GUESTS; i++)
        board_memory_write_guest(
            &memory, i,
            &(struct matrix_board_guest){
                .id = i + 1, .name = "neo", .group = "g", .state = "ready", .weight = 70});
    for (uint32_t i = 0; i < GROUPS; i++)
        board_memory_write_group(
            &memory, i,
            &(struct matrix_board_group){.id = i + 1, .parent = i, .name = "g", .weight = 70});
    for (uint64_t i = 0; i < STAYS + 4; i++)
        board_memory_write_stay(&memory, &(struct matrix_board_stay){.guest = 1 + i % GUESTS,
                                                                     .start_ns = 10 * i,
                                                                     .end_ns = 10 * i + 9});
    good_bytes = memory.header->bytes;
    FUZZ_CHECK(good_bytes <= sizeof(good), "%zu bytes", good_bytes);
    memcpy(good, memory.header, good_bytes);
    board_memory_release(&memory);
    return 0;
}

/* True if it was none; what is said about it is looked at. */
static bool is_refused(struct matrix_error *error)
{
    if (!error)
        return false;
    fuzz_check_message(error);
    matrix_error_free(error);
    return true;
}

static void read_guests(const struct matrix_board *board)
{
    struct matrix_board_guest guest;
    const size_t slots = matrix_board_slots(board);
    for (size_t slot = 0; slot < slots && slot < SLOTS_READ; slot++) {
        /* The first one ends it: who waits for a writer that never ends waits a while. */
        if (is_refused(matrix_board_guest(board, slot, &guest)))
            return;
        if (guest.id == 0)
            continue;
        FUZZ_CHECK(strnlen(guest.name, sizeof(guest.name)) < sizeof(guest.name) &&
                       strnlen(guest.group, sizeof(guest.group)) < sizeof(guest.group) &&
                       strnlen(guest.state, sizeof(guest.state)) < sizeof(guest.state),
                   "a name without end");
        FUZZ_CHECK(guest.region_count <= MATRIX_BOARD_REGIONS, "%u regions", guest.region_count);
    }
}

static void read_groups(const struct matrix_board *board)
{
    struct matrix_board_group group;
    const size_t slots = matrix_board_group_slots(board);
    for (size_t slot = 0; slot < slots && slot < SLOTS_READ; slot++) {
        if (is_refused(matrix_board_group(board, slot, &group)))
            return;
        FUZZ_CHECK(strnlen(group.name, sizeof(group.name)) < sizeof(group.name) || group.id == 0,
                   "a name without end");
        FUZZ_CHECK(group.parent < group.id || group.id == 0, "a group in a later one");
    }
}

static void read_stays(const struct matrix_board *board, uint64_t next)
{
    struct matrix_board_stay stays[2 * STAYS];
    uint64_t lost = 0, last = 0;
    size_t count;
    do {
        const uint64_t first = next, lost_before = lost;
        if (is_refused(matrix_board_stays(board, &next, stays, 2 * STAYS, &count, &lost)))
            return;
        FUZZ_CHECK(count <= 2 * STAYS, "%zu stays", count);
        FUZZ_CHECK(next - first == count + lost - lost_before, "stays that nobody counts");
        for (size_t i = 0; i < count; i++) {
            FUZZ_CHECK(stays[i].number > last, "out of order");
            FUZZ_CHECK(stays[i].end_ns >= stays[i].start_ns, "a stay that ends before it begins");
            FUZZ_CHECK(strcmp(matrix_board_left_name(stays[i].left), "unknown") != 0, "no reason");
            last = stays[i].number;
        }
    } while (count);
}

static int make_file(struct fuzz_input *input)
{
    static uint8_t bytes[sizeof(good)];
    memcpy(bytes, good, good_bytes);
    while (input->left) {
        const size_t offset = fuzz_take(input, 3) % good_bytes;
        size_t length = fuzz_take(input, 1);
        const uint8_t *piece = fuzz_take_bytes(input, &length);
        length = length < good_bytes - offset ? length : good_bytes - offset;
        memcpy(bytes + offset, piece, length);
    }
    const int fd = memfd_create("board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    FUZZ_CHECK(fd >= 0 && write(fd, bytes, good_bytes) == (ssize_t)good_bytes, "no memory");
    FUZZ_CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "no seal");
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct matrix_board_core core;
    struct fuzz_input input = {data, size};
    const uint64_t next = fuzz_take(&input, 1);
    const int fd = make_file(&input);
    struct matrix_board *board;
    const bool refused = is_refused(matrix_board_open(fd, &board));
    close(fd);
    if (refused)
        return 0;
    is_refused(matrix_board_core(board, &core));
    read_guests(board);
    read_groups(board);
    read_stays(board, next);
    matrix_board_close(board);
    return 0;
}
