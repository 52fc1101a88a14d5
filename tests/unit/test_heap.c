// SPDX-License-Identifier: GPL-2.0-or-later
/* The heap against a plain array that is searched from end to end. */
#include "base/heap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define ITEMS 300

/* Under AddressSanitizer an allocation that is refused is to return NULL, as it does without. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
__attribute__((visibility("default"))) const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

struct item {
    struct heap_node node;
    unsigned key;
    bool inside;
};

static bool item_before(const struct heap_node *first, const struct heap_node *second)
{
    return HEAP_ENTRY(first, const struct item, node)->key <
           HEAP_ENTRY(second, const struct item, node)->key;
}

static uint32_t random_next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void heap_check(const struct heap *heap, const struct item *items)
{
    size_t inside = 0;
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < ITEMS; i++) {
        if (!items[i].inside)
            continue;
        inside++;
        least = items[i].key < least ? items[i].key : least;
        assert_true(heap->nodes[items[i].node.position] == &items[i].node);
    }
    assert_int_equal(heap->count, inside);
    if (inside)
        assert_int_equal(HEAP_ENTRY(heap_peek(heap), struct item, node)->key, least);
    else
        assert_null(heap_peek(heap));
}

static void test_random_operations(void **state)
{
    static struct item items[ITEMS];
    uint32_t seed = 7;
    struct heap heap;
    heap_init(&heap, item_before);
    for (unsigned step = 0; step < 20000; step++) {
        struct item *item = &items[random_next(&seed) % ITEMS];
        if (!item->inside) {
            item->key = random_next(&seed) % 100; /* few keys: many ties */
            assert_null(heap_insert(&heap, &item->node));
            item->inside = true;
        } else if (random_next(&seed) % 2) {
            heap_remove(&heap, &item->node);
            item->inside = false;
        } else {
            HEAP_ENTRY(heap_pop(&heap), struct item, node)->inside = false;
        }
        heap_check(&heap, items);
    }
    heap_release(&heap);
}

static void test_comes_out_sorted(void **state)
{
    static struct item items[ITEMS];
    uint32_t seed = 11;
    struct heap heap;
    heap_init(&heap, item_before);
    for (size_t i = 0; i < ITEMS; i++) {
        items[i].key = random_next(&seed);
        assert_null(heap_insert(&heap, &items[i].node));
    }
    unsigned previous = 0;
    for (size_t i = 0; i < ITEMS; i++) {
        unsigned key = HEAP_ENTRY(heap_pop(&heap), struct item, node)->key;
        assert_true(key >= previous);
        previous = key;
    }
    assert_null(heap_pop(&heap));
    heap_release(&heap);
}

static void test_out_of_memory_is_an_error(void **state)
{
    struct item item = {.key = 1};
    struct heap heap;
    heap_init(&heap, item_before);
    assert_null(heap_insert(&heap, &item.node));
    struct matrix_error *error = heap_reserve(&heap, SIZE_MAX / 2);
    assert_non_null(error);
    matrix_error_free(error);
    assert_ptr_equal(heap_pop(&heap), &item.node); /* the heap is as it was */
    heap_release(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_comes_out_sorted),
        cmocka_unit_test(test_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests_name("heap", tests, NULL, NULL);
}
