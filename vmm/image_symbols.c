// SPDX-License-Identifier: GPL-2.0-or-later
/* Reads an image's symbol table and finds names in it. Whatever is wrong with it means no names,
 * not an error: a report without names is better than none. */
#include "vmm/image_symbols.h"

#include "base/cleanup.h"
#include "vmm/image.h"
#include <elf.h>
#include <string.h>

/* Enough for any guest; more would keep the neighbours waiting while a name is looked for. */
#define TABLE_BYTES_MAX (4ULL << 20)

struct image_symbols {
    Elf64_Sym *entries;
    size_t count;
    char *names; /* NUL-terminated as a whole */
    size_t name_bytes;
};

void image_symbols_free(struct image_symbols *symbols)
{
    if (!symbols)
        return;
    free(symbols->entries);
    free(symbols->names);
    free(symbols);
}

static bool try_read(const struct image *image, uint64_t offset, void *buffer, size_t bytes)
{
    CLEANUP_ERROR struct matrix_error *error = image_read(image, offset, buffer, bytes);
    return !error;
}

static bool read_section_header(const struct image *image, unsigned index, Elf64_Shdr *header)
{
    return index < image->section_count &&
           try_read(image, image->section_table + index * sizeof(*header), header, sizeof(*header));
}

/* The contents of a section with a zero byte after them; NULL if that cannot be had. */
static void *read_section(const struct image *image, const Elf64_Shdr *header)
{
    if (header->sh_size > TABLE_BYTES_MAX)
        return NULL;
    CLEANUP_FREE char *contents = calloc(1, header->sh_size + 1);
    if (!contents || !try_read(image, header->sh_offset, contents, header->sh_size))
        return NULL;
    return TAKE(contents);
}

/* An image without (good) symbols gets an empty table, so that the search happens once. */
static struct image_symbols *symbols_read(const struct image *image)
{
    struct image_symbols *symbols = calloc(1, sizeof(*symbols));
    Elf64_Shdr table, names;
    for (unsigned i = 0; symbols && read_section_header(image, i, &table); i++) {
        if (table.sh_type != SHT_SYMTAB || !read_section_header(image, table.sh_link, &names))
            continue;
        symbols->entries = read_section(image, &table);
        symbols->names = read_section(image, &names);
        if (symbols->entries && symbols->names) {
            symbols->count = table.sh_size / sizeof(Elf64_Sym);
            symbols->name_bytes = names.sh_size;
        }
        break;
    }
    return symbols;
}

const char *image_symbol(struct image *image, uint64_t address, uint64_t *offset)
{
    if (!image->symbols)
        image->symbols = symbols_read(image);
    if (!image->symbols)
        return NULL;

    const Elf64_Sym *best = NULL;
    for (size_t i = 0; i < image->symbols->count; i++) {
        const Elf64_Sym *symbol = &image->symbols->entries[i];
        unsigned type = ELF64_ST_TYPE(symbol->st_info);
        if (type > STT_FUNC || symbol->st_shndx == SHN_UNDEF || symbol->st_value > address ||
            symbol->st_name >= image->symbols->name_bytes ||
            image->symbols->names[symbol->st_name] == '\0')
            continue;
        /* A symbol without a size (from assembly) reaches to the next one. */
        if (symbol->st_size && address - symbol->st_value >= symbol->st_size)
            continue;
        if (!best || symbol->st_value > best->st_value)
            best = symbol;
    }
    /* Far from any symbol, a name would only mislead. */
    if (!best || address - best->st_value > (best->st_size ? best->st_size : 4096))
        return NULL;
    *offset = address - best->st_value;
    return image->symbols->names + best->st_name;
}
