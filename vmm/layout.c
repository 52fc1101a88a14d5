// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Lays out a guest program's address space. Frames are taken from RAM in the order image, start
 * page, stack; what is left is the heap.
 */
#include "vmm/layout.h"

#include "base/error.h"
#include "base/parse.h"
#include <errno.h>
#include <string.h>

#define STACK_MINIMUM (16ULL << 10)
/* Nothing is mapped between heap and stack; this much below the stack is called its guard. */
#define STACK_GUARD_BYTES (1ULL << 20)
#define START_BYTES_MAX   (1ULL << 20)
#define LARGE_PAGE_BYTES  (2ULL << 20)

/* Arguments and environment, as a list of strings. */
struct strings {
    const char *const *items;
    uint64_t count;
};

struct layout {
    struct matrix_vm *vm;
    unsigned page_flags; /* PAGING_SMALL or nothing */
    uint64_t ram_next;   /* offset in RAM of the next free frame */
    uint64_t stack_bytes;
};

static uint64_t pages_up(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

/* Takes bytes (whole pages) of RAM and maps them at gva; RAM's two parts look like one. */
static struct matrix_error *map_ram(struct layout *layout, uint64_t gva, uint64_t bytes,
                                    unsigned flags)
{
    struct matrix_vm *vm = layout->vm;
    if (bytes > vm->memory.ram_bytes - layout->ram_next) {
        char need[FORMAT_BYTES], have[FORMAT_BYTES];
        return error_new(MATRIX_ERROR_IMAGE, 0, "give the guest more memory (--memory)",
                         "image %s: outside RAM: %s are needed at %#llx, the guest has %s in all",
                         vm->image.path, format_size(need, bytes), (unsigned long long)gva,
                         format_size(have, vm->memory.ram_bytes));
    }
    while (bytes) {
        uint64_t offset = layout->ram_next, part = bytes;
        if (offset < MEMORY_HOLE_GPA && part > MEMORY_HOLE_GPA - offset)
            part = MEMORY_HOLE_GPA - offset;
        RETURN_IF_ERROR(paging_map(&vm->paging, gva, memory_ram_gpa(offset), part,
                                   flags | PAGING_USER | layout->page_flags));
        gva += part;
        bytes -= part;
        layout->ram_next += part;
    }
    return NULL;
}

/* Fresh memory is zero: only what the file has is written, so .bss costs nothing. */
static struct matrix_error *load_segment(struct layout *layout, const struct image_segment *segment)
{
    struct matrix_vm *vm = layout->vm;
    const uint64_t start = segment->gva & ~(PAGE_BYTES - 1);
    const uint64_t bytes = pages_up(segment->gva + segment->memory_bytes) - start;
    const uint64_t gpa = memory_ram_gpa(layout->ram_next);
    RETURN_IF_ERROR(map_ram(layout, start, bytes,
                            (segment->writable ? PAGING_WRITE : 0) |
                                (segment->executable ? PAGING_EXECUTE : 0)));
    void *to = memory_at(&vm->memory, gpa + (segment->gva - start), segment->file_bytes);
    if (!to)
        return error_new(MATRIX_ERROR_IMAGE, 0, NULL, "image %s: outside RAM: larger than 3 GiB",
                         vm->image.path);
    return image_read(&vm->image, segment->file_offset, to, segment->file_bytes);
}

static struct strings strings_of(const char *const *items)
{
    struct strings strings = {.items = items};
    while (items && items[strings.count])
        strings.count++;
    return strings;
}

static uint64_t strings_bytes(struct strings strings)
{
    uint64_t bytes = (strings.count + 1) * sizeof(uint64_t);
    for (uint64_t i = 0; i < strings.count; i++)
        bytes += strlen(strings.items[i]) + 1;
    return bytes;
}

/* Writes a vector of pointers at *vector and its strings at *text (offsets in the start area). */
static uint64_t put_strings(uint8_t *area, struct strings strings, uint64_t *vector, uint64_t *text)
{
    const uint64_t gva = LAYOUT_START + *vector;
    for (uint64_t i = 0; i < strings.count; i++) {
        uint64_t pointer = LAYOUT_START + *text;
        size_t bytes = strlen(strings.items[i]) + 1;
        memcpy(area + *vector, &pointer, sizeof(pointer));
        memcpy(area + *text, strings.items[i], bytes);
        *vector += sizeof(pointer);
        *text += bytes;
    }
    *vector += sizeof(uint64_t); /* the NULL */
    return gva;
}

/* The start page and what it points to, read-only; behind it a page of its own for the work
 * counter, which the program writes. */
static struct matrix_error *build_start(struct layout *layout, struct matrix_start *start,
                                        const struct matrix_vm_options *options)
{
    struct matrix_vm *vm = layout->vm;
    const struct strings name = {(const char *const[]){vm->name}, 1};
    const struct strings argv = strings_of(options->argv), envp = strings_of(options->envp);
    uint64_t vector = sizeof(*start);
    uint64_t text = vector + (name.count + argv.count + envp.count + 3) * sizeof(uint64_t);
    const uint64_t bytes =
        pages_up(sizeof(*start) + strings_bytes(name) + strings_bytes(argv) + strings_bytes(envp));
    if (bytes > START_BYTES_MAX)
        return error_usage("pass fewer or shorter ones",
                           "arguments and environment of guest %s take %llu bytes, more than %llu",
                           vm->name, (unsigned long long)bytes, START_BYTES_MAX);

    const uint64_t gpa = memory_ram_gpa(layout->ram_next);
    RETURN_IF_ERROR(map_ram(layout, LAYOUT_START, bytes, 0));
    RETURN_IF_ERROR(map_ram(layout, LAYOUT_START + bytes, PAGE_BYTES, PAGING_WRITE));
    uint8_t *area = memory_at(&vm->memory, gpa, bytes + PAGE_BYTES);
    if (!area)
        return error_host(EFAULT, "reach the start page of guest %s", vm->name);

    start->name = LAYOUT_START + text;
    put_strings(area, name, &vector, &text);
    start->argc = argv.count;
    start->argv = put_strings(area, argv, &vector, &text);
    start->envc = envp.count;
    start->envp = put_strings(area, envp, &vector, &text);
    start->work = LAYOUT_START + bytes;
    vm->work = (const uint64_t *)(area + bytes);
    return NULL;
}

/* The rest of RAM; placed so that large pages fit wherever its frames allow them. */
static struct matrix_error *map_heap(struct layout *layout, struct matrix_start *start)
{
    const uint64_t bytes = layout->vm->memory.ram_bytes - layout->ram_next;
    start->heap = LAYOUT_HEAP + layout->ram_next % LARGE_PAGE_BYTES;
    start->heap_bytes = bytes;
    return bytes ? map_ram(layout, start->heap, bytes, PAGING_WRITE) : NULL;
}

struct matrix_error *layout_build(struct matrix_vm *vm, const struct matrix_vm_options *options)
{
    struct layout layout = {
        .vm = vm,
        .page_flags = options->memory_flags & MATRIX_MEMORY_SMALL_PAGES ? PAGING_SMALL : 0,
        .stack_bytes = pages_up(options->stack_bytes ? options->stack_bytes : MATRIX_STACK_DEFAULT),
    };
    if (layout.stack_bytes < STACK_MINIMUM || layout.stack_bytes > vm->memory.ram_bytes)
        return error_usage("give it 16K or more, and less than the guest's memory",
                           "a stack of %llu bytes", (unsigned long long)options->stack_bytes);

    for (unsigned i = 0; i < vm->image.segment_count; i++)
        RETURN_IF_ERROR(load_segment(&layout, &vm->image.segments[i]));

    struct matrix_start start = {
        .magic = MATRIX_START_MAGIC,
        .version = MATRIX_ABI_VERSION,
        .size = sizeof(start),
        .features = vm->features,
        .memory_bytes = vm->memory.ram_bytes,
        .stack_top = LAYOUT_STACK_TOP,
        .stack_bytes = layout.stack_bytes,
    };
    const uint64_t start_gpa = memory_ram_gpa(layout.ram_next);
    RETURN_IF_ERROR(build_start(&layout, &start, options));
    if (options->stack_bytes && layout.stack_bytes > vm->memory.ram_bytes - layout.ram_next)
        return error_usage("ask for a smaller stack, or more memory (--memory)",
                           "a stack of %llu bytes does not fit beside the image",
                           (unsigned long long)layout.stack_bytes);
    RETURN_IF_ERROR(
        map_ram(&layout, LAYOUT_STACK_TOP - layout.stack_bytes, layout.stack_bytes, PAGING_WRITE));
    RETURN_IF_ERROR(map_heap(&layout, &start));
    memcpy(memory_at(&vm->memory, start_gpa, sizeof(start)), &start, sizeof(start));
    vm->stack_bytes = layout.stack_bytes;
    return NULL;
}

uint64_t layout_start_stack(void)
{
    /* As after a call: aligned to 16 bytes minus the return address, which is 0 (System V ABI for
     * AMD64, 3.2.2). */
    return LAYOUT_STACK_TOP - sizeof(uint64_t);
}

const char *layout_describe(const struct matrix_vm *vm, uint64_t gva)
{
    struct paging_walk walk;
    if (paging_walk(&vm->paging, gva, &walk))
        return !walk.user            ? "the monitor's half of the address space"
               : walk.executable     ? "the program's code, which is read-only"
               : gva >= LAYOUT_START ? "the start page, which is read-only data"
               : walk.writable       ? "data, which is not executable"
                                     : "read-only data";
    const uint64_t stack_end = LAYOUT_STACK_TOP - vm->stack_bytes;
    if (gva < IMAGE_START)
        return "nothing is mapped there: a null pointer?";
    if (gva < stack_end && gva >= stack_end - STACK_GUARD_BYTES)
        return "the guard under the stack: the stack has overflowed";
    return gva >= PAGING_USER_END ? "the monitor's half of the address space"
                                  : "nothing is mapped there";
}
