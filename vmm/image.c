// SPDX-License-Identifier: GPL-2.0-or-later
/* Opens and checks guest images (System V ABI, "Object Files"; elf(5)). Called by vm. */
#include "vmm/image.h"

#include "base/error.h"
#include "vmm/image_symbols.h"
#include "vmm/memory.h"
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define IMAGE_BYTES_MAX (1ULL << 30)

#define HOW_TO_LINK "build it with the SDK: see docs/write-a-guest.md"

#define image_error(image, ...)                                                          \
    error_prefix(error_new(MATRIX_ERROR_IMAGE, 0, HOW_TO_LINK, __VA_ARGS__), "image %s", \
                 (image)->path)

struct matrix_error *image_read(const struct image *image, uint64_t offset, void *buffer,
                                size_t bytes)
{
    if (offset > image->file_bytes || bytes > image->file_bytes - offset)
        return image_error(
            image, "the file is truncated: %zu bytes are needed at offset %llu, it has %llu in all",
            bytes, (unsigned long long)offset, (unsigned long long)image->file_bytes);
    for (size_t done = 0; done < bytes;) {
        ssize_t part =
            pread(image->fd, (uint8_t *)buffer + done, bytes - done, (off_t)(offset + done));
        if (part < 0 && errno == EINTR)
            continue;
        if (part <= 0)
            return error_new(MATRIX_ERROR_IMAGE, part < 0 ? errno : EIO, NULL,
                             "image %s: read %zu bytes at offset %llu", image->path, bytes,
                             (unsigned long long)offset);
        done += (size_t)part;
    }
    return NULL;
}

static struct matrix_error *check_header(struct image *image, Elf64_Ehdr *header)
{
    /* The first bytes alone, so that a short file of another kind is called what it is. */
    if (image->file_bytes == 0)
        return image_error(image, "the file is empty");
    size_t identity = image->file_bytes < EI_NIDENT ? image->file_bytes : EI_NIDENT;
    RETURN_IF_ERROR(image_read(image, 0, header, identity));
    if (identity < SELFMAG || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
        return image_error(image, "not an ELF file (offset 0)");
    RETURN_IF_ERROR(image_read(image, 0, header, sizeof(*header)));

    if (header->e_ident[EI_CLASS] != ELFCLASS64)
        return image_error(image, "a 32-bit ELF file (e_ident[EI_CLASS] is %u); guests are 64-bit",
                           header->e_ident[EI_CLASS]);
    if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_ident[EI_VERSION] != EV_CURRENT)
        return image_error(image, "not little-endian ELF of version 1 (e_ident[EI_DATA] is %u)",
                           header->e_ident[EI_DATA]);
    if (header->e_machine != EM_X86_64)
        return image_error(image, "built for another machine (e_machine is %u, x86-64 is %u)",
                           header->e_machine, EM_X86_64);
    if (header->e_type != ET_EXEC)
        return image_error(image, "not a static executable (e_type is %u, ET_EXEC is %u)",
                           header->e_type, ET_EXEC);
    if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum == 0)
        return image_error(image, "no program headers (e_phnum is %u, e_phentsize is %u)",
                           header->e_phnum, header->e_phentsize);
    return NULL;
}

static struct matrix_error *check_segment(struct image *image, unsigned index,
                                          const Elf64_Phdr *header)
{
    const unsigned long long gva = header->p_vaddr, bytes = header->p_memsz;
    if (header->p_filesz > header->p_memsz)
        return image_error(image, "segment %u: p_filesz (%#llx) is more than p_memsz (%#llx)",
                           index, (unsigned long long)header->p_filesz, bytes);
    if (header->p_offset > image->file_bytes ||
        header->p_filesz > image->file_bytes - header->p_offset)
        return image_error(image,
                           "segment %u: the file is truncated: %#llx bytes are needed at offset "
                           "%#llx, it has %#llx in all",
                           index, (unsigned long long)header->p_filesz,
                           (unsigned long long)header->p_offset,
                           (unsigned long long)image->file_bytes);
    if (gva + bytes < gva)
        return image_error(image, "segment %u: p_vaddr %#llx plus p_memsz %#llx wraps around",
                           index, gva, bytes);
    if (gva < IMAGE_START || gva + bytes > IMAGE_END)
        return image_error(image, "segment %u: addresses %#llx to %#llx are outside %#llx to %#llx",
                           index, gva, gva + bytes, IMAGE_START, IMAGE_END);
    if (bytes > IMAGE_BYTES_MAX)
        return image_error(image, "segment %u: p_memsz %#llx is huge; %#llx is the most", index,
                           bytes, IMAGE_BYTES_MAX);
    if (header->p_flags & PF_W && header->p_flags & PF_X)
        return image_error(image, "segment %u: writable and executable at once (p_flags is %#x)",
                           index, header->p_flags);
    return NULL;
}

/* Keeps the segments sorted by address; a guest has a handful. */
static struct matrix_error *add_segment(struct image *image, unsigned index,
                                        const Elf64_Phdr *header)
{
    RETURN_IF_ERROR(check_segment(image, index, header));
    if (image->segment_count == IMAGE_SEGMENTS_MAX)
        return image_error(image, "more than %d segments to load", IMAGE_SEGMENTS_MAX);

    unsigned at = image->segment_count++;
    for (; at > 0 && image->segments[at - 1].gva > header->p_vaddr; at--)
        image->segments[at] = image->segments[at - 1];
    image->segments[at] = (struct image_segment){
        .gva = header->p_vaddr,
        .memory_bytes = header->p_memsz,
        .file_offset = header->p_offset,
        .file_bytes = header->p_filesz,
        .writable = header->p_flags & PF_W,
        .executable = header->p_flags & PF_X,
    };
    return NULL;
}

static struct matrix_error *check_layout(const struct image *image)
{
    bool entry_found = false;
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct image_segment *segment = &image->segments[i];
        const struct image_segment *next = segment + 1;
        const uint64_t end = segment->gva + segment->memory_bytes;
        if (segment->executable && image->entry >= segment->gva && image->entry < end)
            entry_found = true;
        if (i + 1 == image->segment_count)
            break;
        if (next->gva < end)
            return image_error(image, "segments overlap: %#llx to %#llx, and the one at %#llx",
                               (unsigned long long)segment->gva, (unsigned long long)end,
                               (unsigned long long)next->gva);
        if (next->gva / PAGE_BYTES == (end - 1) / PAGE_BYTES)
            return image_error(image,
                               "two segments share the page at %#llx, so their rights cannot be "
                               "kept apart; link with -z separate-code",
                               (unsigned long long)(next->gva & ~(PAGE_BYTES - 1)));
    }
    if (!entry_found)
        return image_error(image, "the entry point %#llx (e_entry) is in no executable segment",
                           (unsigned long long)image->entry);
    return NULL;
}

static struct matrix_error *read_program_headers(struct image *image, const Elf64_Ehdr *file)
{
    for (unsigned i = 0; i < file->e_phnum; i++) {
        Elf64_Phdr header;
        /* Not past 2^64: an offset that wraps is past the file's end, and refused there. */
        uint64_t offset = file->e_phoff + i * sizeof(header);
        if (offset < file->e_phoff)
            return image_error(image, "program header %u: e_phoff (%#llx) wraps around", i,
                               (unsigned long long)file->e_phoff);
        RETURN_IF_ERROR(error_prefix(image_read(image, offset, &header, sizeof(header)),
                                     "program header %u", i));
        if (header.p_type == PT_INTERP || header.p_type == PT_DYNAMIC)
            return image_error(image, "not static: program header %u is %s", i,
                               header.p_type == PT_INTERP ? "PT_INTERP" : "PT_DYNAMIC");
        if (header.p_type == PT_LOAD && header.p_memsz)
            RETURN_IF_ERROR(add_segment(image, i, &header));
    }
    if (image->segment_count == 0)
        return image_error(image, "nothing to load (no PT_LOAD segment)");
    return check_layout(image);
}

static struct matrix_error *parse(struct image *image)
{
    struct stat status;
    if (fstat(image->fd, &status) < 0)
        return error_new(MATRIX_ERROR_IMAGE, errno, NULL, "image %s", image->path);
    if (!S_ISREG(status.st_mode))
        return image_error(image, "not a regular file");
    image->file_bytes = (uint64_t)status.st_size;

    Elf64_Ehdr header;
    RETURN_IF_ERROR(check_header(image, &header));
    image->entry = header.e_entry;
    /* Symbols are for people: whatever is wrong with sections only leaves names out. */
    image->section_table = header.e_shoff;
    image->section_count = header.e_shentsize == sizeof(Elf64_Shdr) ? header.e_shnum : 0;
    return read_program_headers(image, &header);
}

struct matrix_error *image_open_fd(int fd, const char *path, struct image *image)
{
    *image = (struct image){.fd = fd, .path = strdup(path)};
    struct matrix_error *error = image->path ? parse(image) : error_host(ENOMEM, "open an image");
    if (error)
        image_close(image);
    return error;
}

struct matrix_error *image_open(const char *path, struct image *image)
{
    /* O_NONBLOCK: a FIFO must not hold the monitor until somebody writes to it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        *image = (struct image){.fd = -1};
        /* What the host has run out of is not the image's fault. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
            return error_new(MATRIX_ERROR_HOST, errno, "raise the limit of open files (ulimit -n)",
                             "open image %s", path);
        return error_new(MATRIX_ERROR_IMAGE, errno,
                         errno == ENOENT ? "guests that come with Matrix stand in build/guest/"
                                         : NULL,
                         "image %s", path);
    }
    return image_open_fd(fd, path, image);
}

void image_close(struct image *image)
{
    image_symbols_free(image->symbols);
    if (image->fd >= 0)
        close(image->fd);
    free(image->path);
    *image = (struct image){.fd = -1};
}
