// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Boards, read; see include/matrix/board.h. Whoever made the memory may be anybody and may go on
 * writing to it, whatever its seals promise to others: everything is copied first and looked at then.
 * Called by those who watch: matrix-status, matrix-top, matrix-trace, matrix-metrics.
 */
#include <matrix/board.h>

#include "base/clock.h"
#include "base/error.h"
#include "cloud/delays.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define SEQUENCE_BYTES sizeof(uint64_t)

/* Beyond any board: what is mapped and looked through has a bound. */
#define BYTES_MAX       (256ULL << 20)
#define ENTRY_BYTES_MAX 65536
#define SLOTS_MAX       (1U << 20)

/* An entry is written in microseconds; by someone who was interrupted meanwhile, in more. */
#define PATIENCE_NS 1000000000ULL
#define PAUSE_NS    50000

struct matrix_board {
    const uint8_t *start;
    struct matrix_board_header header; /* as it was, and was found good */
};

static struct matrix_error *bad(const char *what)
{
    return error_new(MATRIX_ERROR_HOST, EPROTO, "is it a Matrix of another version?",
                     "read the board: %s", what);
}

/* --- opening --------------------------------------------------------------------------------- */

/* Memory that cannot shrink: else reading it might end in SIGBUS. Of hugetlbfs it might all the same. */
static bool is_safe_to_map(int fd)
{
    struct statfs system;
    const int seals = fcntl(fd, F_GET_SEALS);
    return seals >= 0 && (seals & F_SEAL_SHRINK) && fstatfs(fd, &system) == 0 &&
           system.f_type == TMPFS_MAGIC;
}

static bool lies_within(const struct matrix_board_header *header, uint64_t offset, uint64_t bytes)
{
    return offset % 8 == 0 && offset >= sizeof(*header) && offset <= header->bytes &&
           bytes <= header->bytes - offset;
}

static bool is_entry_size(uint32_t bytes, size_t known)
{
    return bytes % 8 == 0 && bytes >= known && bytes <= ENTRY_BYTES_MAX;
}

static bool is_count(uint32_t count)
{
    return count > 0 && count <= SLOTS_MAX;
}

static struct matrix_error *check_header(const struct matrix_board_header *header, uint64_t bytes)
{
    if (memcmp(header->magic, MATRIX_BOARD_MAGIC, sizeof(header->magic)) != 0)
        return bad("it is none");
    if (header->version != MATRIX_BOARD_VERSION)
        return bad("not the version that is known here");
    if (header->bytes != bytes)
        return bad("it has another size than it says");
    if (!is_entry_size(header->core_bytes, SEQUENCE_BYTES + sizeof(struct matrix_board_core)) ||
        !is_entry_size(header->guest_bytes, SEQUENCE_BYTES + sizeof(struct matrix_board_guest)) ||
        !is_entry_size(header->group_bytes, SEQUENCE_BYTES + sizeof(struct matrix_board_group)) ||
        !is_entry_size(header->stay_bytes, sizeof(struct matrix_board_stay)))
        return bad("entries of no known size");
    if (!is_count(header->guest_slots) || !is_count(header->group_slots) ||
        !is_count(header->stay_slots) || (header->stay_slots & (header->stay_slots - 1)))
        return bad("no known number of entries");
    if (!lies_within(header, header->core_offset, header->core_bytes) ||
        !lies_within(header, header->guest_offset,
                     (uint64_t)header->guest_slots * header->guest_bytes) ||
        !lies_within(header, header->group_offset,
                     (uint64_t)header->group_slots * header->group_bytes) ||
        !lies_within(header, header->stay_offset,
                     (uint64_t)header->stay_slots * header->stay_bytes))
        return bad("entries that are not in it");
    return header->pid > 0 && header->pid <= INT32_MAX ? NULL : bad("no pid");
}

/* Word by word, since others write at the same time. */
static void copy_words(void *to, const void *from, size_t bytes)
{
    uint64_t *target = to;
    const uint64_t *source = from;
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        target[i] = __atomic_load_n(&source[i], __ATOMIC_RELAXED);
}

struct matrix_error *matrix_board_open(int fd, struct matrix_board **result)
{
    struct stat status;
    *result = NULL;
    if (!is_safe_to_map(fd) || fstat(fd, &status) < 0)
        return bad("it is no memory of a fixed size");
    if (status.st_size < (off_t)sizeof(struct matrix_board_header) ||
        (uint64_t)status.st_size > BYTES_MAX)
        return bad("it has a size that no board has");
    struct matrix_board *board = calloc(1, sizeof(*board));
    if (!board)
        return error_host(ENOMEM, "read a board");
    void *start = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (start == MAP_FAILED) {
        free(board);
        return error_host(errno, "map a board");
    }
    board->start = start;
    copy_words(&board->header, start, sizeof(board->header));
    struct matrix_error *error = check_header(&board->header, (uint64_t)status.st_size);
    if (error) {
        munmap(start, (size_t)status.st_size);
        free(board);
        return error;
    }
    *result = board;
    return NULL;
}

void matrix_board_close(struct matrix_board *board)
{
    if (!board)
        return;
    munmap((void *)board->start, board->header.bytes);
    free(board);
}

uint32_t matrix_board_pid(const struct matrix_board *board)
{
    return board->header.pid;
}

/* --- entries --------------------------------------------------------------------------------- */

static bool read_entry(const void *entry, void *to, size_t bytes)
{
    const uint64_t *sequence = entry;
    const uint64_t before = __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
    copy_words(to, sequence + 1, bytes);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return before % 2 == 0 && __atomic_load_n(sequence, __ATOMIC_RELAXED) == before;
}

static struct matrix_error *read_whole(const struct matrix_board *board, uint64_t offset, void *to,
                                       size_t bytes)
{
    const uint64_t start = clock_now_ns(CLOCK_MONOTONIC);
    while (!read_entry(board->start + offset, to, bytes)) {
        if (clock_now_ns(CLOCK_MONOTONIC) - start > PATIENCE_NS)
            return error_new(MATRIX_ERROR_HOST, EAGAIN, "is its process stopped (Ctrl-Z)?",
                             "read the board: an entry is being written all the time");
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    return NULL;
}

static bool is_text(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

struct matrix_error *matrix_board_core(const struct matrix_board *board,
                                       struct matrix_board_core *core)
{
    RETURN_IF_ERROR(read_whole(board, board->header.core_offset, core, sizeof(*core)));
    if (core->host_cpu > INT32_MAX || core->host_cpu < INT32_MIN)
        return bad("a core that is none");
    return NULL;
}

static size_t count_slots(const uint64_t *used, uint32_t slots)
{
    const uint64_t count = __atomic_load_n(used, __ATOMIC_ACQUIRE);
    return count < slots ? count : slots;
}

size_t matrix_board_slots(const struct matrix_board *board)
{
    const struct matrix_board_header *live = (const void *)board->start;
    return count_slots(&live->guest_slots_used, board->header.guest_slots);
}

size_t matrix_board_group_slots(const struct matrix_board *board)
{
    const struct matrix_board_header *live = (const void *)board->start;
    return count_slots(&live->group_slots_used, board->header.group_slots);
}

static bool is_contract(uint32_t weight, uint32_t floor_ppm, uint32_t ceiling_ppm)
{
    const uint32_t whole = 1000000;
    return weight > 0 && floor_ppm <= whole && ceiling_ppm <= whole;
}

static bool is_memory(const struct matrix_board_guest *guest)
{
    if (guest->region_count > MATRIX_BOARD_REGIONS)
        return false;
    for (uint32_t i = 0; i < guest->region_count; i++) {
        const struct matrix_board_region *region = &guest->regions[i];
        if (region->bytes > UINT64_MAX - region->gpa || region->bytes > UINT64_MAX - region->hva)
            return false;
    }
    return true;
}

struct matrix_error *matrix_board_guest(const struct matrix_board *board, size_t slot,
                                        struct matrix_board_guest *guest)
{
    const struct matrix_board_header *header = &board->header;
    if (slot >= header->guest_slots)
        return error_usage(NULL, "guest %zu of a board for %u", slot, header->guest_slots);
    RETURN_IF_ERROR(read_whole(board, header->guest_offset + slot * header->guest_bytes, guest,
                               sizeof(*guest)));
    if (guest->id == 0)
        return NULL;
    if (!is_text(guest->name, sizeof(guest->name)) ||
        !is_text(guest->group, sizeof(guest->group)) ||
        !is_text(guest->state, sizeof(guest->state)))
        return bad("a name without end");
    return is_contract(guest->weight, guest->floor_ppm, guest->ceiling_ppm) && is_memory(guest)
               ? NULL
               : bad("a guest that is none");
}

/* A group is younger than the one that it is in: no circle of them is believed. */
struct matrix_error *matrix_board_group(const struct matrix_board *board, size_t slot,
                                        struct matrix_board_group *group)
{
    const struct matrix_board_header *header = &board->header;
    if (slot >= header->group_slots)
        return error_usage(NULL, "group %zu of a board for %u", slot, header->group_slots);
    RETURN_IF_ERROR(read_whole(board, header->group_offset + slot * header->group_bytes, group,
                               sizeof(*group)));
    if (group->id == 0)
        return NULL;
    if (!is_text(group->name, sizeof(group->name)))
        return bad("a name without end");
    return is_contract(group->weight, group->floor_ppm, group->ceiling_ppm) &&
                   group->parent < group->id
               ? NULL
               : bad("a group that is none");
}

/* --- stays ----------------------------------------------------------------------------------- */

static uint64_t count_stays(const struct matrix_board *board)
{
    const struct matrix_board_header *live = (const void *)board->start;
    return __atomic_load_n(&live->stays, __ATOMIC_ACQUIRE);
}

uint64_t matrix_board_stays_now(const struct matrix_board *board)
{
    return count_stays(board);
}

/*
 * The first stay that is whole for certain: the one that is written next, while the count says
 * there are so many, is written over the one that many slots before it.
 */
static uint64_t first_whole(const struct matrix_board *board, uint64_t count)
{
    const uint32_t slots = board->header.stay_slots;
    return count < slots ? 0 : count - slots + 1;
}

static void copy_stays(const struct matrix_board *board, uint64_t first,
                       struct matrix_board_stay *stays, size_t count)
{
    const struct matrix_board_header *header = &board->header;
    for (size_t i = 0; i < count; i++) {
        const uint64_t slot = (first + i) & (header->stay_slots - 1);
        copy_words(&stays[i], board->start + header->stay_offset + slot * header->stay_bytes,
                   sizeof(*stays));
    }
}

static struct matrix_error *check_stays(const struct matrix_board_stay *stays, size_t count,
                                        uint64_t first)
{
    for (size_t i = 0; i < count; i++) {
        const struct matrix_board_stay *stay = &stays[i];
        if (stay->number != first + i + 1 || stay->guest == 0 || stay->end_ns < stay->start_ns ||
            stay->came >= MATRIX_BOARD_CAME_COUNT || stay->left >= MATRIX_BOARD_LEFT_COUNT)
            return bad("a stay that is none");
        if (i && stay->start_ns < stays[i - 1].end_ns)
            return bad("stays out of order");
    }
    return NULL;
}

struct matrix_error *matrix_board_stays(const struct matrix_board *board, uint64_t *next,
                                        struct matrix_board_stay *stays, size_t max, size_t *count,
                                        uint64_t *lost)
{
    const uint64_t before = count_stays(board);
    *count = 0;
    if (before < *next)
        return bad("fewer stays than there were");
    uint64_t first = first_whole(board, before);
    first = first > *next ? first : *next;
    size_t copied = before - first < max ? before - first : max;
    copy_stays(board, first, stays, copied);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    const uint64_t after = count_stays(board);
    if (after < before)
        return bad("fewer stays than there were");
    /* The writer went on meanwhile, perhaps over what was being copied. */
    const uint64_t whole = first_whole(board, after);
    const uint64_t torn = whole > first ? whole - first : 0;
    const size_t dropped = torn < copied ? torn : copied;
    memmove(stays, stays + dropped, (copied - dropped) * sizeof(*stays));
    copied -= dropped;
    RETURN_IF_ERROR(check_stays(stays, copied, first + dropped));
    *lost += first + dropped - *next;
    *next = first + dropped + copied;
    *count = copied;
    return NULL;
}

/* --- names ----------------------------------------------------------------------------------- */

uint64_t matrix_board_bucket_ns(unsigned bucket)
{
    return delays_bucket_end(bucket < DELAYS_BUCKETS ? bucket : DELAYS_BUCKETS - 1);
}

const char *matrix_board_came_name(uint8_t came)
{
    static const char *const names[MATRIX_BOARD_CAME_COUNT] = {
        [MATRIX_BOARD_CAME_AFTER] = "after",
        [MATRIX_BOARD_CAME_AGAIN] = "again",
        [MATRIX_BOARD_CAME_IDLE] = "idle",
    };
    return came < MATRIX_BOARD_CAME_COUNT ? names[came] : "unknown";
}

const char *matrix_board_left_name(uint8_t left)
{
    static const char *const names[MATRIX_BOARD_LEFT_COUNT] = {
        [MATRIX_BOARD_LEFT_SLICE] = "slice", [MATRIX_BOARD_LEFT_IO] = "io",
        [MATRIX_BOARD_LEFT_EVENT] = "event", [MATRIX_BOARD_LEFT_YIELD] = "yield",
        [MATRIX_BOARD_LEFT_SLEEP] = "sleep", [MATRIX_BOARD_LEFT_WAIT] = "wait",
        [MATRIX_BOARD_LEFT_END] = "end",
    };
    return left < MATRIX_BOARD_LEFT_COUNT ? names[left] : "unknown";
}
