// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The memory of a board, written; see board_memory.h. One thread writes, any number read.
 *
 * An entry has a sequence number in front, odd while it is written (Documentation/locking/seqlock.rst):
 * a reader whose copy began and ended with the same even number has a whole one. Stays have none: the
 * writer counts them, and a stay that the count says may have been written over is lost to a reader.
 */
#include "cloud/board_memory.h"

#include "base/clock.h"
#include "base/error.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE_BYTES     4096ULL
#define SEQUENCE_BYTES sizeof(uint64_t)

#ifndef MFD_NOEXEC_SEAL /* Linux 6.3 */
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef F_SEAL_FUTURE_WRITE /* Linux 5.1; glibc has it in linux/fcntl.h only */
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

_Static_assert(sizeof(struct matrix_board_stay) == 64, "a stay is a cache line");
_Static_assert(sizeof(struct matrix_board_core) % 8 == 0, "copied in words");
_Static_assert(sizeof(struct matrix_board_guest) % 8 == 0, "copied in words");
_Static_assert(sizeof(struct matrix_board_group) % 8 == 0, "copied in words");
_Static_assert(sizeof(struct matrix_board_header) == 128, "two cache lines, no holes");

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

static struct matrix_board_header lay_out(uint32_t guest_slots, uint32_t group_slots,
                                          uint32_t stay_slots)
{
    struct matrix_board_header header = {
        .version = MATRIX_BOARD_VERSION,
        .pid = (uint32_t)getpid(),
        .opened_ns = clock_now_ns(CLOCK_MONOTONIC),
        .core_bytes = SEQUENCE_BYTES + sizeof(struct matrix_board_core),
        .guest_bytes = SEQUENCE_BYTES + sizeof(struct matrix_board_guest),
        .stay_bytes = sizeof(struct matrix_board_stay),
        .guest_slots = guest_slots,
        .stay_slots = stay_slots,
        .group_bytes = SEQUENCE_BYTES + sizeof(struct matrix_board_group),
        .group_slots = group_slots,
    };
    memcpy(header.magic, MATRIX_BOARD_MAGIC, sizeof(header.magic));
    header.core_offset = PAGE_BYTES;
    header.guest_offset = header.core_offset + whole_pages(header.core_bytes);
    header.group_offset =
        header.guest_offset + whole_pages((uint64_t)guest_slots * header.guest_bytes);
    header.stay_offset =
        header.group_offset + whole_pages((uint64_t)group_slots * header.group_bytes);
    header.bytes = whole_pages(header.stay_offset + (uint64_t)stay_slots * header.stay_bytes);
    return header;
}

/* Kernels where memory that could be executed is refused know the flag that says it shall not be. */
static int make_file(void)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    const int fd = memfd_create("matrix-board", flags | MFD_NOEXEC_SEAL);
    return fd >= 0 || errno != EINVAL ? fd : memfd_create("matrix-board", flags);
}

/* Mapped first: from F_SEAL_FUTURE_WRITE on nobody can any more. */
static struct matrix_error *map_and_seal(struct board_memory *memory, uint64_t bytes)
{
    if (ftruncate(memory->fd, (off_t)bytes) < 0)
        return error_host(errno, "make the board");
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
    if (start == MAP_FAILED)
        return error_host(errno, "map the board");
    memory->header = start;
    const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
    if (fcntl(memory->fd, F_ADD_SEALS, seals) < 0)
        return error_host(errno, "seal the board");
    return NULL;
}

struct matrix_error *board_memory_make(uint32_t guest_slots, uint32_t group_slots,
                                       uint32_t stay_slots, struct board_memory *memory)
{
    const struct matrix_board_header header = lay_out(guest_slots, group_slots, stay_slots);
    *memory = (struct board_memory){.fd = make_file()};
    if (memory->fd < 0)
        return error_host(errno, "make the board");
    struct matrix_error *error = map_and_seal(memory, header.bytes);
    if (!error)
        *memory->header = header;
    else
        board_memory_release(memory);
    return error;
}

void board_memory_release(struct board_memory *memory)
{
    if (memory->header)
        munmap(memory->header, memory->header->bytes);
    if (memory->fd >= 0)
        close(memory->fd);
    *memory = (struct board_memory){.fd = -1};
}

static void *at(const struct board_memory *memory, uint64_t offset)
{
    return (uint8_t *)memory->header + offset;
}

/* Word by word, since others read at the same time. */
static void copy_words(void *to, const void *from, size_t bytes)
{
    uint64_t *target = to;
    const uint64_t *source = from;
    for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
        __atomic_store_n(&target[i], source[i], __ATOMIC_RELAXED);
}

static void write_entry(void *entry, const void *from, size_t bytes)
{
    uint64_t *sequence = entry;
    const uint64_t before = *sequence;
    __atomic_store_n(sequence, before + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    copy_words(sequence + 1, from, bytes);
    __atomic_store_n(sequence, before + 2, __ATOMIC_RELEASE);
}

void board_memory_write_core(struct board_memory *memory, const struct matrix_board_core *core)
{
    write_entry(at(memory, memory->header->core_offset), core, sizeof(*core));
}

static void count_used(uint64_t *used, uint32_t slot)
{
    if (slot >= *used)
        __atomic_store_n(used, slot + 1, __ATOMIC_RELEASE);
}

void board_memory_write_guest(struct board_memory *memory, uint32_t slot,
                              const struct matrix_board_guest *guest)
{
    struct matrix_board_header *header = memory->header;
    write_entry(at(memory, header->guest_offset + (uint64_t)slot * header->guest_bytes), guest,
                sizeof(*guest));
    count_used(&header->guest_slots_used, slot);
}

void board_memory_write_group(struct board_memory *memory, uint32_t slot,
                              const struct matrix_board_group *group)
{
    struct matrix_board_header *header = memory->header;
    write_entry(at(memory, header->group_offset + (uint64_t)slot * header->group_bytes), group,
                sizeof(*group));
    count_used(&header->group_slots_used, slot);
}

void board_memory_write_stay(struct board_memory *memory, struct matrix_board_stay *stay)
{
    struct matrix_board_header *header = memory->header;
    const uint64_t index = header->stays;
    const uint64_t slot = index & (header->stay_slots - 1);
    stay->number = index + 1;
    /* Whoever reads a word of this stay also sees the count that was there before it: see
     * matrix_board_stays. */
    __atomic_thread_fence(__ATOMIC_RELEASE);
    copy_words(at(memory, header->stay_offset + slot * header->stay_bytes), stay, sizeof(*stay));
    __atomic_store_n(&header->stays, index + 1, __ATOMIC_RELEASE);
}
