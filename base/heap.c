// SPDX-License-Identifier: GPL-2.0-or-later
/* The binary heap under the policy and the core loop's sleepers. */
#include "base/heap.h"

#include "base/error.h"
#include <errno.h>
#include <stdlib.h>

void heap_init(struct heap *heap, heap_before *before)
{
    *heap = (struct heap){.before = before};
}

void heap_release(struct heap *heap)
{
    free(heap->nodes);
    heap_init(heap, heap->before);
}

struct matrix_error *heap_reserve(struct heap *heap, size_t capacity)
{
    if (capacity <= heap->capacity)
        return NULL;
    if (capacity < 2 * heap->capacity) /* doubling: n inserts cost O(n) copies in all */
        capacity = 2 * heap->capacity;
    if (capacity < 16)
        capacity = 16;

    struct heap_node **nodes = reallocarray(heap->nodes, capacity, sizeof(*nodes));
    if (!nodes)
        return error_host(ENOMEM, "make room for %zu entries in a queue", capacity);
    heap->nodes = nodes;
    heap->capacity = capacity;
    return NULL;
}

static void heap_place(struct heap *heap, struct heap_node *node, size_t position)
{
    heap->nodes[position] = node;
    node->position = position;
}

/* Finds node its place at or above the hole at position. */
static void heap_sift_up(struct heap *heap, struct heap_node *node, size_t position)
{
    while (position > 0) {
        size_t parent = (position - 1) / 2;
        if (!heap->before(node, heap->nodes[parent]))
            break;
        heap_place(heap, heap->nodes[parent], position);
        position = parent;
    }
    heap_place(heap, node, position);
}

/* Finds node its place at or below the hole at position. */
static void heap_sift_down(struct heap *heap, struct heap_node *node, size_t position)
{
    for (;;) {
        size_t child = 2 * position + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!heap->before(heap->nodes[child], node))
            break;
        heap_place(heap, heap->nodes[child], position);
        position = child;
    }
    heap_place(heap, node, position);
}

void heap_insert_reserved(struct heap *heap, struct heap_node *node)
{
    heap_sift_up(heap, node, heap->count++);
}

struct matrix_error *heap_insert(struct heap *heap, struct heap_node *node)
{
    RETURN_IF_ERROR(heap_reserve(heap, heap->count + 1));
    heap_insert_reserved(heap, node);
    return NULL;
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t hole = node->position;
    struct heap_node *last = heap->nodes[--heap->count];
    if (last == node)
        return;
    if (hole > 0 && heap->before(last, heap->nodes[(hole - 1) / 2]))
        heap_sift_up(heap, last, hole);
    else
        heap_sift_down(heap, last, hole);
}

struct heap_node *heap_peek(const struct heap *heap)
{
    return heap->count ? heap->nodes[0] : NULL;
}

struct heap_node *heap_pop(struct heap *heap)
{
    struct heap_node *first = heap_peek(heap);
    if (first)
        heap_remove(heap, first);
    return first;
}
