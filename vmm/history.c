// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What guests printed lately: a ring of bytes with one writer, whoever runs the guest, and one reader,
 * whoever answers for it, perhaps in another thread. Neither waits for the other.
 *
 * Offsets count the bytes since the beginning. The writer says first how far it is going to write
 * (reserved), then writes, then says so (end). A reader copies what is below end, and then looks which of
 * it may have been written over meanwhile: whatever is a ring or more below reserved. Bytes are written
 * with release and read with acquire order, so that who sees one of a later round sees its reservation
 * as well. A copy byte by byte is not the fastest; the console looks at each byte in any case.
 */
#include "vmm/history.h"

#include "base/error.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

struct matrix_history {
    _Atomic uint64_t reserved, end;
    size_t size;
    _Atomic unsigned char
        *bytes; /* of a mapping of its own: pages that nobody has written to are none */
};

struct matrix_error *matrix_history_create(size_t size, struct matrix_history **result)
{
    *result = NULL;
    if (size == 0)
        return error_usage(NULL, "a history of no bytes");
    struct matrix_history *history = malloc(sizeof(*history));
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (!history || bytes == MAP_FAILED) {
        if (bytes != MAP_FAILED)
            munmap(bytes, size);
        free(history);
        return error_host(ENOMEM, "make a history of %zu bytes", size);
    }
    /* Mappings of several guests become one to the kernel; a huge page there would be for the first word. */
    madvise(bytes, size, MADV_NOHUGEPAGE);
    atomic_init(&history->reserved, 0);
    atomic_init(&history->end, 0);
    history->size = size;
    history->bytes = bytes;
    *result = history;
    return NULL;
}

void matrix_history_destroy(struct matrix_history *history)
{
    if (!history)
        return;
    munmap((void *)history->bytes, history->size);
    free(history);
}

/* --- the writer -------------------------------------------------------------------------------- */

static void put(struct matrix_history *history, uint64_t from, const char *text, size_t bytes)
{
    size_t at = (size_t)(from % history->size);
    for (size_t i = 0; i < bytes; i++) {
        atomic_store_explicit(&history->bytes[at], (unsigned char)text[i], memory_order_release);
        at = at + 1 == history->size ? 0 : at + 1;
    }
}

void history_add(struct matrix_history *history, const char *text, size_t bytes)
{
    while (bytes) {
        /* In pieces that leave most of what is there to a reader. */
        const size_t most = history->size / 4 ? history->size / 4 : 1;
        const size_t part = bytes < most ? bytes : most;
        const uint64_t from = atomic_load_explicit(&history->end, memory_order_relaxed);
        atomic_store_explicit(&history->reserved, from + part, memory_order_relaxed);
        put(history, from, text, part);
        atomic_store_explicit(&history->end, from + part, memory_order_release);
        text += part;
        bytes -= part;
    }
}

/* --- the reader -------------------------------------------------------------------------------- */

uint64_t matrix_history_end(const struct matrix_history *history)
{
    return atomic_load_explicit(&history->end, memory_order_acquire);
}

/* The first that has not been written over, and is not about to be. */
static uint64_t oldest(const struct matrix_history *history)
{
    const uint64_t reserved = atomic_load_explicit(&history->reserved, memory_order_relaxed);
    return reserved > history->size ? reserved - history->size : 0;
}

size_t matrix_history_read(const struct matrix_history *history, uint64_t *from, char *text,
                           size_t size)
{
    const uint64_t end = matrix_history_end(history), first = oldest(history);
    const uint64_t begin = *from < first ? first : *from;
    if (begin >= end) { /* nothing new; or, while it is being written, nothing old any more */
        *from = *from < end ? end : *from;
        return 0;
    }
    size_t bytes = end - begin < size ? (size_t)(end - begin) : size, at = begin % history->size;
    for (size_t i = 0; i < bytes; i++) {
        text[i] = (char)atomic_load_explicit(&history->bytes[at], memory_order_acquire);
        at = at + 1 == history->size ? 0 : at + 1;
    }
    const uint64_t left = oldest(history);
    const uint64_t gone = left <= begin ? 0 : left - begin < bytes ? left - begin : bytes;
    for (size_t i = gone; i < bytes; i++)
        text[i - gone] = text[i];
    *from = begin + gone;
    return bytes - (size_t)gone;
}
