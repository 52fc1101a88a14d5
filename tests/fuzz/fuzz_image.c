// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for guest images: each is refused with an error that names the file, or loaded
 * as it says: every page with its segment's rights, contents as in the file, no frame used twice,
 * nothing of the monitor's within reach. Memory, paging and layout are the real ones; only KVM's
 * ioctl is played here. The input is an ELF file; its padding bytes (e_ident) choose how it is run.
 */
#include "vmm/layout.h"
#include "vmm/x86_64/system.h"

#include "tests/fuzz/fuzz.h"
#include <elf.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define IMAGE_NAME "the-image"
#define FRAMES_MAX 4096

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

/* The linker sends every ioctl here (--wrap): memory is told to a KVM that takes whatever it gets. */
int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return request == KVM_SET_USER_MEMORY_REGION ? 0 : __real_ioctl(fd, request, argument);
}

static void check_error(struct matrix_error *error)
{
    fuzz_check_message(error);
    FUZZ_CHECK(error->kind == MATRIX_ERROR_IMAGE, "kind %d: %s", error->kind, error->message);
    FUZZ_CHECK(strstr(error->message, IMAGE_NAME), "does not name the file: %s", error->message);
    matrix_error_free(error);
}

/* --- symbols ------------------------------------------------------------------------------- */

static void check_symbol(struct image *image, uint64_t address)
{
    uint64_t offset = 0;
    const char *name = image_symbol(image, address, &offset);
    if (name)
        FUZZ_CHECK(name[0] && strlen(name) < image->file_bytes && offset <= address,
                   "'%s' is %#llx before %#llx", name, (unsigned long long)offset,
                   (unsigned long long)address);
}

static void check_symbols(struct image *image)
{
    static const uint64_t anywhere[] = {0, 1, IMAGE_START, IMAGE_END, UINT64_MAX, 1ULL << 63};
    for (size_t i = 0; i < sizeof(anywhere) / sizeof(anywhere[0]); i++)
        check_symbol(image, anywhere[i]);
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        for (uint64_t near = 0; near < 3; near++) {
            check_symbol(image, segment->gva + near - 1);
            check_symbol(image, segment->gva + segment->memory_bytes + near - 1);
            check_symbol(image, image->entry + near - 1);
        }
    }
}

/* --- what was laid out --------------------------------------------------------------------- */

/* RAM's frames that something is mapped to. */
struct frames {
    bool taken[FRAMES_MAX];
    size_t count;
};

/* Every page of [gva, gva + bytes) has these rights, and frames of its own. */
static void check_pages(const struct matrix_vm *vm, struct frames *frames, uint64_t gva,
                        uint64_t bytes, bool writable, bool executable)
{
    for (uint64_t at = gva & ~(PAGE_BYTES - 1); at < gva + bytes; at += PAGE_BYTES) {
        struct paging_walk walk;
        FUZZ_CHECK(paging_walk(&vm->paging, at, &walk), "%#llx is not mapped",
                   (unsigned long long)at);
        FUZZ_CHECK(walk.user && walk.writable == writable && walk.executable == executable,
                   "rights at %#llx", (unsigned long long)at);
        uint64_t frame = walk.gpa / PAGE_BYTES;
        FUZZ_CHECK(walk.gpa < vm->memory.ram_bytes, "%#llx is outside RAM",
                   (unsigned long long)walk.gpa);
        FUZZ_CHECK(!frames->taken[frame], "frame %#llx is used twice",
                   (unsigned long long)walk.gpa);
        frames->taken[frame] = true;
        frames->count++;
    }
}

/* The segment's bytes are the file's, and zeroes behind them, to the end of its last page. */
static void check_contents(const struct matrix_vm *vm, const struct image_segment *segment,
                           const uint8_t *file)
{
    uint8_t page[PAGE_BYTES];
    const uint64_t end =
        (segment->gva + segment->memory_bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    for (uint64_t gva = segment->gva; gva < end;) {
        const uint64_t part = PAGE_BYTES - gva % PAGE_BYTES, done = gva - segment->gva;
        uint8_t expected[PAGE_BYTES] = {0};
        if (done < segment->file_bytes)
            memcpy(expected, file + segment->file_offset + done,
                   part < segment->file_bytes - done ? part : segment->file_bytes - done);
        FUZZ_CHECK(paging_read(&vm->paging, gva, page, part) == part, "%#llx cannot be read",
                   (unsigned long long)gva);
        FUZZ_CHECK(memcmp(page, expected, part) == 0, "contents at %#llx", (unsigned long long)gva);
        gva += part;
    }
}

static void check_string(const struct matrix_vm *vm, uint64_t gva, const char *expected)
{
    char text[256] = "";
    size_t bytes = strlen(expected) + 1 < sizeof(text) ? strlen(expected) + 1 : sizeof(text);
    FUZZ_CHECK(paging_read(&vm->paging, gva, text, bytes) == bytes &&
                   memcmp(text, expected, bytes) == 0,
               "not '%s' at %#llx", expected, (unsigned long long)gva);
}

static void check_start(const struct matrix_vm *vm, struct frames *frames,
                        const struct matrix_vm_options *options)
{
    struct matrix_start start;
    FUZZ_CHECK(paging_read(&vm->paging, LAYOUT_START, &start, sizeof(start)) == sizeof(start),
               "no start page");
    FUZZ_CHECK(start.magic == MATRIX_START_MAGIC, "bad start page");
    check_pages(vm, frames, LAYOUT_START, start.work - LAYOUT_START, false, false);
    check_pages(vm, frames, start.work, sizeof(uint64_t), true, false);
    check_pages(vm, frames, start.stack_top - start.stack_bytes, start.stack_bytes, true, false);
    check_pages(vm, frames, start.heap, start.heap_bytes, true, false);
    FUZZ_CHECK(frames->count == vm->memory.ram_bytes / PAGE_BYTES, "%zu frames are mapped",
               frames->count);
    check_string(vm, start.name, vm->name);
    for (uint64_t i = 0; i < start.argc; i++) {
        uint64_t pointer = 0;
        paging_read(&vm->paging, start.argv + i * sizeof(pointer), &pointer, sizeof(pointer));
        check_string(vm, pointer, options->argv[i]);
    }
}

static void check_layout(const struct matrix_vm *vm, const struct matrix_vm_options *options,
                         const uint8_t *file)
{
    struct frames frames = {0};
    struct paging_walk walk;
    for (unsigned i = 0; i < vm->image.segment_count; i++) {
        const struct image_segment *segment = &vm->image.segments[i];
        FUZZ_CHECK(!segment->writable || !segment->executable, "writable and executable");
        check_pages(vm, &frames, segment->gva, segment->memory_bytes, segment->writable,
                    segment->executable);
        check_contents(vm, segment, file);
    }
    check_start(vm, &frames, options);
    FUZZ_CHECK(paging_walk(&vm->paging, vm->image.entry, &walk) && walk.executable, "no entry");
    FUZZ_CHECK(!paging_walk(&vm->paging, 0, &walk), "something is mapped at 0");
    FUZZ_CHECK(paging_walk(&vm->paging, SYSTEM_BASE, &walk) && !walk.user, "the stub is in reach");
}

/* --- one image ------------------------------------------------------------------------------ */

/* Loads the image as matrix_vm_create does, into as much memory, and with such arguments, as the
 * choice says. */
static void load(struct image image, const uint8_t *file, const uint8_t choice[4])
{
    static const uint64_t sizes[] = {2 << 20, (2 << 20) + 4096, 4 << 20, 16 << 20};
    char argument[8192];
    memset(argument, 'x', sizeof(argument));
    argument[choice[0] * 32] = '\0';
    const char *argv[] = {"program", argument, argument, NULL};
    const struct matrix_vm_options options = {
        .memory_bytes = sizes[choice[1] % 4],
        .memory_flags = choice[2] % 2 ? MATRIX_MEMORY_SMALL_PAGES : 0,
        .stack_bytes = choice[3] % 2 ? 16 << 10 : 0,
        .argv = choice[3] % 4 < 2 ? argv : NULL,
    };
    struct matrix_vm vm = {.name = "fuzz", .image = image};
    memory_init(&vm.memory, -1);
    FUZZ_NO_ERROR(memory_add_ram(&vm.memory, options.memory_bytes, 0));
    FUZZ_NO_ERROR(system_build(&vm.memory, &vm.paging));
    struct matrix_error *error = layout_build(&vm, &options);
    if (error)
        check_error(error);
    else if (file)
        check_layout(&vm, &options, file);
    memory_destroy(&vm.memory);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size, "memfd");
    const int also = dup(fd);
    struct image image;
    struct matrix_error *error = image_open_fd(fd, IMAGE_NAME, &image);
    if (error) {
        check_error(error);
    } else {
        const uint8_t *choice = data + EI_PAD;
        const bool shrinks = choice[4] % 8 == 7; /* as a file may at any time */
        if (shrinks)
            FUZZ_CHECK(ftruncate(also, (off_t)(size / 2)) == 0, "truncate");
        load(image, shrinks ? NULL : data, choice);
        check_symbols(&image);
        image_close(&image);
    }
    close(also);
    return 0;
}

/* --- mutation ------------------------------------------------------------------------------- */

/* Random bytes rarely meet a field; half of the time a field gets a value that matters. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static const size_t widths[] = {1, 2, 4, 8};
    if (seed % 2 || size < sizeof(Elf64_Ehdr))
        return LLVMFuzzerMutate(data, size, max_size);
    srand(seed);
    const size_t width = widths[rand() % 4];
    const size_t head = rand() % 2 && size > 512 ? 512 : size;
    const size_t to = (size_t)rand() % (head / width) * width;
    const size_t from = (size_t)rand() % (head / width) * width;
    uint64_t old = 0;
    memcpy(&old, data + (rand() % 2 ? from : to), width);
    const uint64_t values[] = {
        0,          1,          size,       size - 1, PAGE_BYTES,     IMAGE_START,
        IMAGE_END,  old + 1,    old - 1,    old,      old * 2,        old + PAGE_BYTES,
        UINT64_MAX, 1ULL << 63, 1ULL << 30, 2 << 20,  old & ~4095ULL, (uint64_t)rand(),
    };
    memcpy(data + to, &values[(size_t)rand() % (sizeof(values) / sizeof(values[0]))], width);
    return size;
}
