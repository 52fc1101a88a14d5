/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A binary min-heap of nodes that are embedded in the caller's structures, so that any of them
 * can be removed in O(log n). The policy keeps its guests in two, the core loop its sleepers.
 */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <matrix/error.h>
#include <stdbool.h>
#include <stddef.h>

struct heap_node {
    size_t position; /* index in heap->nodes; meaningless outside a heap */
};

/* True if first must come out before second. Ties come out in no particular order. */
typedef bool heap_before(const struct heap_node *first, const struct heap_node *second);

struct heap {
    struct heap_node **nodes;
    size_t count, capacity;
    heap_before *before;
};

/* The structure that a node is embedded in. */
#define HEAP_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

void heap_init(struct heap *heap, heap_before *before);
void heap_release(struct heap *heap); /* frees the array; the nodes are the caller's */

/* Makes room for capacity nodes in all: inserts up to that number cannot fail. ENOMEM. */
struct matrix_error *heap_reserve(struct heap *heap, size_t capacity) MATRIX_MUST_CHECK;
struct matrix_error *heap_insert(struct heap *heap, struct heap_node *node) MATRIX_MUST_CHECK;

/* As heap_insert, where heap_reserve() has made the room. */
void heap_insert_reserved(struct heap *heap, struct heap_node *node);

void heap_remove(struct heap *heap, struct heap_node *node); /* node must be in this heap */
struct heap_node *heap_peek(const struct heap *heap);        /* the first, or NULL */
struct heap_node *heap_pop(struct heap *heap);               /* the same, and removes it */

#endif
