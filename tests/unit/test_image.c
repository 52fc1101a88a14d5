// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loader's door: a sound image made here, then one thing wrong with it at a time. Each
 * refusal names the file and the field or offset.
 */
#include "vmm/image.h"

#include <elf.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the above */
#include <cmocka.h>

#define TEXT_GVA 0x400000
#define DATA_GVA 0x402000

/* A program of two segments, text and data, with a symbol table. */
struct file {
    Elf64_Ehdr header;
    Elf64_Phdr segments[3];
    Elf64_Shdr sections[3];
    Elf64_Sym symbols[4];
    char names[32];
    uint8_t text[64];
    uint8_t data[32];
};

static struct file file;
static size_t file_bytes;

static Elf64_Phdr segment(uint64_t gva, uint64_t offset, uint64_t bytes, unsigned flags)
{
    return (Elf64_Phdr){
        .p_type = PT_LOAD,
        .p_flags = flags,
        .p_offset = offset,
        .p_vaddr = gva,
        .p_filesz = bytes,
        .p_memsz = bytes,
    };
}

static int make_sound_file(void **state)
{
    file = (struct file){
        .header =
            {
                .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                            EV_CURRENT},
                .e_type = ET_EXEC,
                .e_machine = EM_X86_64,
                .e_version = EV_CURRENT,
                .e_entry = TEXT_GVA + 8,
                .e_phoff = offsetof(struct file, segments),
                .e_phentsize = sizeof(Elf64_Phdr),
                .e_phnum = 3,
                .e_shoff = offsetof(struct file, sections),
                .e_shentsize = sizeof(Elf64_Shdr),
                .e_shnum = 3,
            },
        .segments =
            {
                segment(DATA_GVA, offsetof(struct file, data), sizeof(file.data), PF_R | PF_W),
                segment(TEXT_GVA, offsetof(struct file, text), sizeof(file.text), PF_R | PF_X),
                {.p_type = PT_NOTE, .p_vaddr = UINT64_MAX, .p_memsz = UINT64_MAX},
            },
        .sections =
            {
                [1] = {.sh_type = SHT_SYMTAB,
                       .sh_offset = offsetof(struct file, symbols),
                       .sh_size = sizeof(file.symbols),
                       .sh_link = 2},
                [2] = {.sh_type = SHT_STRTAB,
                       .sh_offset = offsetof(struct file, names),
                       .sh_size = sizeof(file.names)},
            },
        .symbols =
            {
                [1] = {.st_name = 1,
                       .st_info = STT_FUNC,
                       .st_shndx = 1,
                       .st_value = TEXT_GVA + 8,
                       .st_size = 16},
                [2] =
                    {.st_name = 7, .st_info = STT_NOTYPE, .st_shndx = 1, .st_value = TEXT_GVA + 32},
                [3] = {.st_name = 14,
                       .st_info = STT_OBJECT,
                       .st_shndx = 1,
                       .st_value = DATA_GVA,
                       .st_size = 8},
            },
        .names = "\0start\0middle\0datum",
    };
    file.segments[0].p_memsz = 0x3000; /* .bss */
    memset(file.text, 0xcc, sizeof(file.text));
    file_bytes = sizeof(file);
    return 0;
}

static struct matrix_error *open_file(struct image *image)
{
    int fd = memfd_create("image", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, &file, file_bytes), file_bytes);
    return image_open_fd(fd, "made.elf", image);
}

/* The image is refused with a message that names the file, and part. */
static void assert_refused(const char *part)
{
    struct image image;
    struct matrix_error *error = open_file(&image);
    if (!error)
        fail_msg("accepted, not refused for '%s'", part);
    if (!strstr(error->message, "image made.elf") || !strstr(error->message, part))
        fail_msg("'%s' is missing in '%s'", part, error->message);
    assert_int_equal(error->kind, MATRIX_ERROR_IMAGE);
    assert_non_null(error->remedy);
    matrix_error_free(error);
}

static void assert_accepted(struct image *image)
{
    struct matrix_error *error = open_file(image);
    if (error)
        fail_msg("%s", error->message);
}

static void test_sound_file(void **state)
{
    struct image image;
    uint8_t byte;
    assert_accepted(&image);
    assert_int_equal(image.entry, TEXT_GVA + 8);
    assert_int_equal(image.segment_count, 2);
    assert_int_equal(image.segments[0].gva, TEXT_GVA); /* sorted */
    assert_true(image.segments[0].executable && !image.segments[0].writable);
    assert_int_equal(image.segments[1].gva, DATA_GVA);
    assert_true(!image.segments[1].executable && image.segments[1].writable);
    assert_int_equal(image.segments[1].memory_bytes, 0x3000);
    assert_int_equal(image.segments[1].file_bytes, sizeof(file.data));
    assert_null(image_read(&image, image.segments[0].file_offset, &byte, 1));
    assert_int_equal(byte, 0xcc);
    image_close(&image);
}

/* --- the file ------------------------------------------------------------------------------- */

static void test_every_truncation(void **state)
{
    for (size_t bytes = 0; bytes < sizeof(file); bytes++) {
        file_bytes = bytes;
        if (bytes == 0)
            assert_refused("the file is empty");
        else if (bytes < SELFMAG)
            assert_refused("not an ELF file");
        else if (bytes < offsetof(struct file, segments) + 2 * sizeof(Elf64_Phdr))
            assert_refused("truncated");
        else
            assert_refused(""); /* a header, or what it refers to */
    }
}

static void test_not_elf(void **state)
{
    memcpy(&file, "#!/bin/sh\n", 10);
    assert_refused("not an ELF file (offset 0)");
    file_bytes = 10;
    assert_refused("not an ELF file (offset 0)");
}

static void test_no_regular_file(void **state)
{
    static const char *const paths[] = {"/", "/dev/null", "/dev/zero"};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        struct image image;
        struct matrix_error *error = image_open(paths[i], &image);
        assert_non_null(error);
        assert_non_null(strstr(error->message, "not a regular file"));
        assert_non_null(strstr(error->message, paths[i]));
        matrix_error_free(error);
    }
}

static void test_fifo_does_not_block(void **state)
{
    char directory[] = "/tmp/matrix-test-XXXXXX", path[64];
    struct image image;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/fifo", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct matrix_error *error = image_open(path, &image);
    unlink(path);
    rmdir(directory);
    assert_non_null(error);
    assert_non_null(strstr(error->message, "not a regular file"));
    matrix_error_free(error);
}

/* --- the header ----------------------------------------------------------------------------- */

static void test_class(void **state)
{
    file.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_refused("32-bit ELF file (e_ident[EI_CLASS] is 1)");
}

static void test_byte_order(void **state)
{
    file.header.e_ident[EI_DATA] = ELFDATA2MSB;
    assert_refused("e_ident[EI_DATA] is 2");
}

static void test_machine(void **state)
{
    file.header.e_machine = EM_AARCH64;
    assert_refused("e_machine is 183");
}

static void test_type(void **state)
{
    static const uint16_t types[] = {ET_NONE, ET_REL, ET_DYN, ET_CORE};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        file.header.e_type = types[i];
        assert_refused("e_type");
    }
}

static void test_no_program_headers(void **state)
{
    file.header.e_phnum = 0;
    assert_refused("e_phnum is 0");
    make_sound_file(state);
    file.header.e_phentsize = 32;
    assert_refused("e_phentsize is 32");
}

static void test_program_headers_elsewhere(void **state)
{
    file.header.e_phoff = sizeof(file) - 8;
    assert_refused("program header 0");
    file.header.e_phoff = UINT64_MAX - 60;
    assert_refused("program header");
    file.header.e_phoff = 1ULL << 63;
    assert_refused("program header 0");
    make_sound_file(state);
    file.header.e_phnum = UINT16_MAX;
    assert_refused("");
}

static void test_dynamic(void **state)
{
    file.segments[2].p_type = PT_INTERP;
    assert_refused("not static: program header 2 is PT_INTERP");
    file.segments[2].p_type = PT_DYNAMIC;
    assert_refused("not static: program header 2 is PT_DYNAMIC");
}

static void test_entry(void **state)
{
    static const uint64_t entries[] = {0, TEXT_GVA - 1, TEXT_GVA + 64, DATA_GVA, UINT64_MAX};
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        file.header.e_entry = entries[i];
        assert_refused("e_entry");
    }
}

/* --- segments ------------------------------------------------------------------------------- */

static void test_nothing_to_load(void **state)
{
    file.segments[0].p_type = file.segments[1].p_type = PT_NULL;
    assert_refused("nothing to load");
    make_sound_file(state);
    file.segments[0].p_memsz = file.segments[0].p_filesz = 0; /* empty segments are none */
    file.segments[1].p_memsz = file.segments[1].p_filesz = 0;
    assert_refused("nothing to load");
}

static void test_overlap(void **state)
{
    file.segments[0].p_vaddr = TEXT_GVA + 16;
    assert_refused("segments overlap: 0x400000 to 0x400040, and the one at 0x400010");
    file.segments[0].p_vaddr = TEXT_GVA;
    assert_refused("segments overlap");
    file.segments[0].p_vaddr = TEXT_GVA - 0x2000; /* its .bss reaches over the text */
    assert_refused("segments overlap: 0x3fe000");
}

static void test_shared_page(void **state)
{
    file.segments[0].p_vaddr = TEXT_GVA + 64;
    assert_refused("share the page at 0x400000");
}

static void test_wrap(void **state)
{
    file.segments[0].p_vaddr = UINT64_MAX - 0x1000;
    assert_refused("segment 0: p_vaddr 0xffffffffffffefff plus p_memsz 0x3000 wraps around");
    file.segments[0].p_vaddr = DATA_GVA;
    file.segments[0].p_memsz = UINT64_MAX;
    assert_refused("segment 0");
}

static void test_outside(void **state)
{
    static const uint64_t places[] = {0,         0xfff0,         IMAGE_END - 0x2000,
                                      IMAGE_END, 0x7fffffff0000, 0xffff800000000000};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        file.segments[0].p_vaddr = places[i];
        assert_refused("outside 0x10000 to 0x600000000000");
    }
}

static void test_first_and_last_addresses(void **state)
{
    struct image image;
    file.segments[0].p_vaddr = IMAGE_START;
    assert_accepted(&image);
    image_close(&image);
    file.segments[0].p_vaddr = IMAGE_END - 0x3000;
    assert_accepted(&image);
    image_close(&image);
}

static void test_huge(void **state)
{
    file.segments[0].p_memsz = (1ULL << 30) + 1;
    assert_refused("p_memsz 0x40000001 is huge");
}

static void test_file_part_is_larger(void **state)
{
    file.segments[0].p_memsz = 16;
    assert_refused("segment 0: p_filesz (0x20) is more than p_memsz (0x10)");
}

static void test_content_elsewhere(void **state)
{
    file.segments[1].p_offset = sizeof(file) - 8;
    assert_refused("segment 1: the file is truncated");
    file.segments[1].p_offset = UINT64_MAX - 8;
    assert_refused("segment 1: the file is truncated");
}

static void test_writable_and_executable(void **state)
{
    file.segments[1].p_flags = PF_R | PF_W | PF_X;
    assert_refused("segment 1: writable and executable at once (p_flags is 0x7)");
}

static void test_too_many_segments(void **state)
{
    static struct {
        Elf64_Ehdr header;
        Elf64_Phdr segments[IMAGE_SEGMENTS_MAX + 1];
    } many;
    struct image image;
    many.header = file.header;
    many.header.e_phoff = sizeof(Elf64_Ehdr);
    many.header.e_entry = 0x100000;
    for (unsigned count = IMAGE_SEGMENTS_MAX; count <= IMAGE_SEGMENTS_MAX + 1; count++) {
        int fd = memfd_create("image", MFD_CLOEXEC);
        many.header.e_phnum = (uint16_t)count;
        for (unsigned i = 0; i < count; i++)
            many.segments[i] = segment(0x100000 + i * 4096, 0, 1, PF_R | PF_X);
        assert_int_equal(write(fd, &many, sizeof(many)), sizeof(many));
        struct matrix_error *error = image_open_fd(fd, "made.elf", &image);
        assert_int_equal(error != NULL, count > IMAGE_SEGMENTS_MAX);
        if (error)
            assert_non_null(strstr(error->message, "more than 32 segments"));
        matrix_error_free(error);
        image_close(&image);
    }
}

/* --- symbols: whatever is wrong with them means no names, and no harm ------------------------- */

static void test_symbols(void **state)
{
    struct image image;
    uint64_t offset;
    assert_accepted(&image);
    assert_string_equal(image_symbol(&image, TEXT_GVA + 8, &offset), "start");
    assert_int_equal(offset, 0);
    assert_string_equal(image_symbol(&image, TEXT_GVA + 23, &offset), "start");
    assert_int_equal(offset, 15);
    assert_null(image_symbol(&image, TEXT_GVA + 24, &offset));                   /* past its end */
    assert_string_equal(image_symbol(&image, TEXT_GVA + 40, &offset), "middle"); /* no size */
    assert_string_equal(image_symbol(&image, DATA_GVA + 7, &offset), "datum");
    assert_null(image_symbol(&image, DATA_GVA + 8 + 4096, &offset));
    assert_null(image_symbol(&image, 0, &offset));
    assert_null(image_symbol(&image, UINT64_MAX, &offset));
    image_close(&image);
}

static void no_symbol_and_no_harm(void)
{
    struct image image;
    uint64_t offset;
    assert_accepted(&image);
    assert_null(image_symbol(&image, TEXT_GVA + 8, &offset));
    image_close(&image);
}

static void test_bad_symbol_tables(void **state)
{
    file.header.e_shoff = UINT64_MAX - 32;
    no_symbol_and_no_harm();
    make_sound_file(state);
    file.header.e_shentsize = 1;
    no_symbol_and_no_harm();
    make_sound_file(state);
    file.sections[1].sh_link = UINT32_MAX;
    no_symbol_and_no_harm();
    make_sound_file(state);
    file.sections[1].sh_offset = UINT64_MAX;
    no_symbol_and_no_harm();
    make_sound_file(state);
    file.sections[2].sh_size = UINT64_MAX;
    no_symbol_and_no_harm();
    make_sound_file(state);
    file.sections[2].sh_size = 0;
    no_symbol_and_no_harm();
    make_sound_file(state);
    for (unsigned i = 1; i < 4; i++)
        file.symbols[i].st_name = UINT32_MAX;
    no_symbol_and_no_harm();
}

static void test_every_byte_changed(void **state)
{
    for (size_t at = 0; at < sizeof(file); at++)
        for (unsigned bit = 0; bit < 8; bit += 7) {
            struct image image;
            uint64_t offset;
            make_sound_file(state);
            ((uint8_t *)&file)[at] ^= (uint8_t)(1 << bit);
            struct matrix_error *error = open_file(&image);
            if (!error) {
                image_symbol(&image, TEXT_GVA + 8, &offset);
                image_close(&image);
            }
            matrix_error_free(error);
        }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, make_sound_file)
    const struct CMUnitTest tests[] = {
        TEST(test_sound_file),
        TEST(test_every_truncation),
        TEST(test_not_elf),
        TEST(test_no_regular_file),
        TEST(test_fifo_does_not_block),
        TEST(test_class),
        TEST(test_byte_order),
        TEST(test_machine),
        TEST(test_type),
        TEST(test_no_program_headers),
        TEST(test_program_headers_elsewhere),
        TEST(test_dynamic),
        TEST(test_entry),
        TEST(test_nothing_to_load),
        TEST(test_overlap),
        TEST(test_shared_page),
        TEST(test_wrap),
        TEST(test_outside),
        TEST(test_first_and_last_addresses),
        TEST(test_huge),
        TEST(test_file_part_is_larger),
        TEST(test_content_elsewhere),
        TEST(test_writable_and_executable),
        TEST(test_too_many_segments),
        TEST(test_symbols),
        TEST(test_bad_symbol_tables),
        TEST(test_every_byte_changed),
    };
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
